"""HTTP services in Python on a Rust Tower stack.

Every request passes a stack of Rust layers to a leaf: a native CRUD service, any other native service, or a Python
handler. Python runs only where business logic needs it.
"""

from . import layers
from ._loop import PyLoop, install, new_event_loop
from ._ziggurat import __version__
from .app import Ziggurat
from .exceptions import ConfigError, HTTPException
from .models import Indexed, Model, UnsupportedModelError, now, uuid7
from .params import Body, Header, Path, Query
from .requests import Request
from .responses import Response

__all__ = [
    "Body",
    "ConfigError",
    "HTTPException",
    "Header",
    "Indexed",
    "Model",
    "Path",
    "PyLoop",
    "Query",
    "Request",
    "Response",
    "UnsupportedModelError",
    "Ziggurat",
    "__version__",
    "install",
    "layers",
    "new_event_loop",
    "now",
    "uuid7",
]
