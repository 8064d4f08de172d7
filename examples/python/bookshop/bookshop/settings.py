"""What differs from one deployment to the next: variables of the environment, or lines of a file `.env`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Partner(BaseModel):
    """Who may read the feed. `ziggurat api-key` makes a key, and prints the hash that stands here."""

    name: str
    hash: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class Settings(BaseSettings):
    """As `BOOKSHOP_STORE=mongodb://db/bookshop`. There is no secret that could be forgotten: without one nothing starts."""

    model_config = SettingsConfigDict(env_prefix="BOOKSHOP_", env_file=".env", extra="ignore")

    secret: Annotated[SecretStr, Field(min_length=32)]
    """What sessions are signed with."""
    store: str = "sqlite:///bookshop.db"
    covers: Path = Path("covers")
    """Where pictures are kept."""
    outbox: Path = Path("outbox")
    """Where mail is left for the mail server."""
    https: bool = False
    """Whether browsers come over TLS: cookies are sent over nothing else then."""
    session: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(hours=12)
    """How long a caller stays signed in."""
    partners: list[Partner] = []
    """A list in JSON: `[{"name": "reader", "hash": "sha256:..."}]`."""
