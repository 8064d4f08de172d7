"""Settings of a run: what is given in code or on the command line, else the environment, else a default."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from ._location import user_location
from .exceptions import ConfigError

__all__ = ["LOG_LEVELS", "setting"]

T = TypeVar("T")

MAX_IO_THREADS = 1024
LOG_LEVELS = ("trace", "debug", "info", "warning", "error")
MIGRATE = ("auto", "never")


def setting(name: str, given: T | None, read: Callable[[str], T], default: T) -> T:
    """`given`, else `ZIGGURAT_<NAME>` as `read` understands it, else `default`."""
    if given is not None:
        return given
    variable = f"ZIGGURAT_{name.upper()}"
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    try:
        return read(text)
    except ValueError as error:
        raise ConfigError(f"the environment variable {variable} is {text!r}", cure=str(error)) from None


def seconds(text: str) -> float:
    """A number of seconds, from 0."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < 10**8:
        raise ValueError("give a number of seconds")
    return found


def duration(name: str, given: float | None, default: float) -> float:
    """A setting in seconds; what code gives is checked too."""
    if given is not None and (isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < 10**8):
        raise ConfigError(f"{name} is {given!r}", cure="give a number of seconds", location=user_location())
    return setting(name, given, seconds, default)


def addresses(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def port(text: str) -> int:
    """A port number; 0 lets the system choose."""
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError("give a port from 0 to 65535")
    return int(text)


def io_threads(text: str) -> int:
    """A number of I/O threads; 0 serves on the thread of the event loop."""
    if not text.isascii() or not text.isdigit() or int(text) > MAX_IO_THREADS:
        raise ValueError(
            f"give a number of I/O threads from 0 to {MAX_IO_THREADS}; 0 serves on the thread of the event loop"
        )
    return int(text)


def log_level(text: str) -> str:
    """One of `LOG_LEVELS`; `warn` is understood too."""
    level = {"warn": "warning"}.get(text.lower(), text.lower())
    if level not in LOG_LEVELS:
        raise ValueError(f"choose from {', '.join(LOG_LEVELS)}")
    return level


def migrate(text: str) -> str:
    """One of `MIGRATE`."""
    if text not in MIGRATE:
        raise ValueError(f"choose from {', '.join(MIGRATE)}")
    return text
