"""The app as it is served, with the settings of the environment: `ziggurat run bookshop.app:app`."""

from .factory import create_app
from .settings import Settings

app = create_app(Settings())
