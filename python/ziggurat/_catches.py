"""Handlers of exceptions: which there are, and which of them is for an exception."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from ._elsewhere import is_elsewhere, written_here
from ._record import record
from ._ziggurat import Request, Response
from .exceptions import STANDARD_MEMBERS, ConfigError, HTTPException, RequestValidationError
from .params import describe_callable

_logger = logging.getLogger("ziggurat")

_OURS = ("RequestValidationError", "ResponseValidationError", "WebSocketDisconnect")
"""What the framework raises, and apps do not."""

Kind = type[Exception] | int
"""What a handler is for: a class of exceptions, or the status of an answer."""

ExceptionHandler = Callable[[Request, Any], Any]
"""`async def` or `def` of the request and the exception; gives what a handler of a route may give."""

Scope = Mapping[Kind, "Handler"]
"""The handlers of an app or a router."""


@record
class Handler:
    """A handler of exceptions."""

    function: ExceptionHandler
    name: str
    location: str
    is_async: bool
    tells_log: bool
    """Whether what it answers is a failure that nobody expected."""

    async def __call__(self, request: Request, error: Exception, whose: str) -> Response:
        if self.tells_log and not isinstance(error, HTTPException):
            _logger.error("%s raised an exception", whose, exc_info=error)
        if self.is_async:
            value = await self.function(request, error)
        else:
            # It may block.
            context = contextvars.copy_context()
            event_loop = asyncio.get_running_loop()
            value = await event_loop.run_in_executor(None, context.run, self.function, request, error)
        if isinstance(value, Response):
            return value
        try:
            return Response(error.status if isinstance(error, HTTPException) else 500, content=value)
        except Exception as failure:
            failure.add_note(f"This is what {self.name} returned, at {self.location}")
            raise


def check_kind(kind: object, location: str) -> None:
    """Raises `ConfigError` for what is no class of exceptions and no status of one."""
    if isinstance(kind, bool) or not isinstance(kind, (int, type)):
        raise ConfigError(
            f"{kind!r} is no exception that could be handled",
            cure="give a class of exceptions, or a status as 404",
            location=location,
        )
    if isinstance(kind, int) and not 400 <= kind <= 599:
        raise ConfigError(
            f"{kind} is no status of an exception", cure="give one from 400 to 599, or a class", location=location
        )
    if isinstance(kind, type) and not issubclass(kind, Exception):
        raise ConfigError(
            f"{kind.__name__} is not an Exception, and nobody handles what ends the app or a task",
            cure="give a class that is derived from Exception",
            location=location,
        )
    if isinstance(kind, type) and kind.__name__ in _OURS and is_elsewhere(kind):
        # Where only the import was left behind it would never be asked. Code of the app may still raise an HTTPException of another framework.
        told, cure = written_here(kind)
        raise ConfigError(f"nothing here raises {told}", cure=cure, location=location)


def handler_of(kind: object, function: object, location: str) -> Handler:
    """The handler of what the user has given, checked."""
    check_kind(kind, location)
    if not callable(function):
        raise ConfigError(
            f"{function!r} cannot handle exceptions", cure="give a function of request and exception", location=location
        )
    name, where, target = describe_callable(function)
    try:
        inspect.signature(function).bind(None, None)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{name} cannot be called with a request and an exception",
            cure=f"write def {name.rpartition('.')[2]}(request, error)",
            location=where or location,
        ) from None
    # What an app does with everything else is no reason not to be told of it.
    tells_log = kind in (Exception, 500)
    return Handler(function, name, where or location, inspect.iscoroutinefunction(target), tells_log)


def add(scope: dict[Kind, Handler], kind: object, function: object, location: str) -> None:
    """Adds a handler, which must be the only one for this in its scope."""
    handler = handler_of(kind, function, location)
    assert isinstance(kind, (int, type))
    if kind in scope:
        what = kind.__name__ if isinstance(kind, type) else str(kind)
        raise ConfigError(
            f"{handler.name} and {scope[kind].name} both handle {what}", cure="keep one", location=handler.location
        )
    scope[kind] = handler


class Catcher:
    """The handlers for a route, those of the innermost router first."""

    def __init__(self, scopes: tuple[Scope, ...]) -> None:
        """`scopes` are given outermost first."""
        self._scopes = [scope for scope in reversed(scopes) if scope]

    def __bool__(self) -> bool:
        return bool(self._scopes)

    @property
    def statuses(self) -> list[int] | None:
        """Those of problems that Rust finds and somebody may answer; None is all."""
        kinds = {kind for scope in self._scopes for kind in scope}
        if HTTPException in kinds:
            return None
        if RequestValidationError in kinds:
            kinds.add(422)
        return sorted(kind for kind in kinds if isinstance(kind, int))

    def find(self, error: Exception) -> Handler | None:
        """The one for this exception: by its status, then by its class and those that it is derived from."""
        is_answer = isinstance(error, HTTPException)
        for scope in self._scopes:
            found = scope.get(error.status) if isinstance(error, HTTPException) else None
            if found is not None:
                return found
            for kind in type(error).__mro__:
                found = scope.get(kind)
                if found is not None:
                    return found
                if kind is HTTPException:
                    # It is an answer. A handler of Exception is for what nobody expected.
                    break
            if not is_answer and 500 in scope:
                return scope[500]
        return None

    def exception_of(self, status: int, headers: list[tuple[str, str]], body: bytes) -> HTTPException:
        """The exception that stands for a problem that Rust found."""
        document = json.loads(body)
        detail, errors = document.get("detail"), document.get("errors", [])
        if isinstance(detail, list):
            detail, errors = None, detail
        kept = {name: value for name, value in headers if name not in ("content-type", "content-length")}
        if status == 422:
            return RequestValidationError(errors, detail, kept)
        members = {name: value for name, value in document.items() if name not in STANDARD_MEMBERS}
        error = HTTPException(status, detail, kept, title=document.get("title"), members=members)
        # Whatever Rust calls it.
        error.type = document.get("type")
        return error
