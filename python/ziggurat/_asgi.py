"""Applications of other frameworks: what they are told when the app starts and stops."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from .exceptions import ConfigError

__all__ = ["ASGIApp", "lifespan", "name_of", "refuse_others"]

Message = MutableMapping[str, Any]
ASGIApp = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
"""An ASGI 3 application."""

logger = logging.getLogger("ziggurat")


def name_of(application: object) -> str:
    """What it is called in logs and lists: a function's name, or that of its class."""
    name = getattr(application, "__qualname__", None) or type(application).__qualname__
    return str(name).rpartition("<locals>.")[2]


def refuse_others(application: object, path: str, location: str) -> None:
    """Raises `ConfigError` unless it can be called as ASGI 3 has it."""
    if not callable(application) or isinstance(application, type):
        raise ConfigError(
            f"{application!r}, to be mounted at {path}, is no application",
            cure="give a Ziggurat app, or an ASGI application as FastAPI(), Starlette() and get_asgi_application() make them",
            location=location,
        )
    try:
        signature = inspect.signature(application)
    except (TypeError, ValueError):
        return
    takes = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    try:
        signature.bind(None, None, None)
    except TypeError:
        pass
    else:
        return
    what, cure = "cannot be called with scope, receive and send", "give an ASGI 3 application"
    if len(takes) == 2:
        what = "is called with two arguments, as WSGI has it"
        cure = "wrap it: a2wsgi.WSGIMiddleware(application), of the package a2wsgi"
    elif len(takes) == 1:
        what = "is called with the scope alone, as ASGI 2 had it"
        cure = "wrap it: asgiref.compatibility.guarantee_single_callable(application)"
    raise ConfigError(f"{name_of(application)}, to be mounted at {path}, {what}", cure=cure, location=location)


@asynccontextmanager
async def lifespan(application: ASGIApp, state: dict[str, Any], name: str) -> AsyncIterator[None]:
    """Has it start up on entry and shut down on exit; one that does not know of that is left alone.

    What it leaves in `state` is handed to each of its requests.
    """
    told: asyncio.Queue[Message] = asyncio.Queue()
    answered: asyncio.Queue[Message] = asyncio.Queue()
    await told.put({"type": "lifespan.startup"})
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}

    async def call() -> None:
        await application(scope, told.get, answered.put)

    running = asyncio.create_task(call(), name=f"lifespan of {name}")
    first = await _answer(answered, running)
    if first is None:
        # It raised or returned before it said that it has started: it does not know the protocol, as ASGI allows.
        error = None if running.cancelled() else running.exception()
        logger.debug("%s has no lifespan", name, exc_info=error)
        state.clear()
        yield
        return
    if first["type"] == "lifespan.startup.failed":
        await _end(running)
        raise RuntimeError(f"{name} failed to start: {first.get('message', '')}".rstrip(": "))
    if first["type"] != "lifespan.startup.complete":
        await _end(running)
        raise RuntimeError(f"{name} answered {first['type']!r} to lifespan.startup")
    try:
        yield
    finally:
        await told.put({"type": "lifespan.shutdown"})
        last = await _answer(answered, running)
        if last is not None and last["type"] == "lifespan.shutdown.failed":
            logger.error("%s failed to shut down: %s", name, last.get("message", ""))
        elif last is None and not running.cancelled() and (error := running.exception()) is not None:
            logger.error("%s raised an exception while it shut down", name, exc_info=error)
        await _end(running)


async def _answer(answered: asyncio.Queue[Message], running: asyncio.Task[None]) -> Message | None:
    """What it says next; None when it has ended instead."""
    asked = asyncio.create_task(answered.get())
    await asyncio.wait({asked, running}, return_when=asyncio.FIRST_COMPLETED)
    if asked.done():
        return asked.result()
    asked.cancel()
    return None


async def _end(running: asyncio.Task[None]) -> None:
    """Waits for the call to return, for as long as that takes it a moment."""
    _, pending = await asyncio.wait({running}, timeout=5.0)
    if pending:
        running.cancel()
        await asyncio.wait({running})
    elif not running.cancelled():
        # Told of already, and not to be told of again as never retrieved.
        running.exception()
