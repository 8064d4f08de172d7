"""What an app raises, and what is raised when an app is put together wrongly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._violations import Violation

__all__ = [
    "ConfigError",
    "DuplicateValue",
    "HTTPException",
    "InvalidRow",
    "RequestValidationError",
    "ResponseValidationError",
    "RowChanged",
    "RowNotFound",
    "StoreFailure",
    "StoreTimeout",
    "StoreUnavailable",
    "WebSocketDisconnect",
    "WebSocketException",
]


class ConfigError(Exception):
    """A mistake in how an app is put together, found before the first request.

    The message names what was wrong, what to write instead, and the file and line of the app's code.
    """

    def __init__(self, what: str, *, cure: str | None = None, location: str | None = None) -> None:
        self.what = what
        self.cure = cure
        self.location = location
        message = what
        if cure:
            message += f"; {cure}"
        if location:
            message += f" (at {location})"
        super().__init__(message)


class HTTPException(Exception):
    """Ends a request with this status; answered as a problem document (RFC 9457).

    `detail` is shown to the client. What is no text, as a dict or a list, is the `detail` where `errors="fastapi"` tells of it, and else the member
    `details`, since a problem document has a text there. `headers` are added to the answer. `status_code` is another name of `status`.

    `type` is the address of what is wrong, by which programs tell it from other things (3.1.1), and `title` a phrase for it that
    is always the same; left out, both are those of the status. `instance` is an address of this one occurrence. `members` are further
    members of the document, whatever JSON can say: `members={"book": book.id, "left": 1}`.

    What is none of that raises at once: a `TypeError`, or a `ValueError` where it is of the right type.
    """

    # Of classes that are derived from this one and do not call its constructor.
    type: str | None = None
    instance: str | None = None
    _title: str | None = None

    def __init__(
        self,
        status: int | None = None,
        detail: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        status_code: int | None = None,
        type: str | None = None,
        title: str | None = None,
        instance: str | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        if status is not None and status_code is not None:
            raise TypeError("status and status_code are two names of one thing")
        status = status_code if status is None else status
        if status is None:
            raise TypeError("an HTTPException needs a status: HTTPException(404)")
        if not isinstance(status, int):
            raise TypeError(f"{status!r} is no status, which comes first: HTTPException(404, {status!r})")
        if not 400 <= status <= 599:
            cure = ""
            if 300 <= status <= 399:
                cure = "; return RedirectResponse(url), or raise an exception of yours, whose handler of exceptions returns one"
            raise ValueError(f"an HTTPException has a status from 400 to 599, not {status}{cure}")
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        if type is not None:
            self.type = _reference("type", type)
        if instance is not None:
            self.instance = _reference("instance", instance)
        if title is not None:
            if not isinstance(title, str):
                raise TypeError(f"the title of an HTTPException is a string, not {title.__class__.__name__}")
            self._title = title
        self.members = {} if members is None else _members(members)
        if detail is not None and not isinstance(detail, str):
            _check_json(detail, "the detail")
            if "details" in self.members:
                raise ValueError("a detail that is no text is the member 'details', which is among members as well")
        super().__init__(status, detail)

    def __str__(self) -> str:
        return f"{self.status}: {self.detail or self.title}"

    @property
    def status_code(self) -> int:
        """Another name of `status`."""
        return self.status

    @property
    def title(self) -> str:
        """What was given, or the standing phrase of the status."""
        if self._title is not None:
            return self._title
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return "Error"


# Of problem documents (RFC 9457, 3.1).
STANDARD_MEMBERS = ("type", "title", "status", "detail", "instance")
# What stands in a URI reference (RFC 3986, 2).
_REFERENCE = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")


def _reference(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"the {name} of an HTTPException is a string, not {value.__class__.__name__}")
    if not _REFERENCE.fullmatch(value):
        raise ValueError(
            f"the {name} of an HTTPException is an address, as https://example.org/sold-out, not {value!r}"
        )
    return value


def _check_json(value: object, what: str) -> None:
    """Raises what keeps it from being JSON."""
    # Here, so that the command starts without the native module.
    from ._ziggurat import encode_json

    try:
        encode_json(value)
    except Exception as error:
        error.add_note(f"this is {what} of an HTTPException")
        raise


def _members(members: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(members, Mapping):
        raise TypeError(f"members of an HTTPException are a dict, not {members.__class__.__name__}")
    for name, value in members.items():
        if not isinstance(name, str):
            raise TypeError(f"members of an HTTPException are called by strings, not by {name!r}")
        if name in STANDARD_MEMBERS:
            raise ValueError(f"the member {name!r} is a standard one; write HTTPException(..., {name}=...)")
        _check_json(value, f"the member {name!r}")
    return dict(members)


class RequestValidationError(HTTPException):
    """The values of a request break the rules of the route, or of the app; 422.

    It is what handlers of exceptions are given, and an app may raise it: it is answered as what Rust finds is. `errors` has one dict for each
    thing that was wrong, as the problem document tells of it: where (`parameter`, `path`, `header`, `cookie` or `pointer`), `code`, `detail` and
    perhaps `limit`; or as FastAPI and pydantic do: `loc`, `type`, `msg` and perhaps `ctx`. A `loc` that begins with none of `body`, `query`,
    `path`, `header` and `cookie`, as those of `pydantic.ValidationError.errors()`, is a place in the body; so is everything that says no place.
    `errors()` has all of them as FastAPI does.

    Raises `TypeError` for what is none of that.
    """

    def __init__(
        self,
        errors: Sequence[Mapping[str, Any]],
        detail: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        from ._violations import Violations, violations

        violations(errors)
        self.errors = Violations(dict(error) for error in errors)
        super().__init__(422, detail, headers)

    if not TYPE_CHECKING:  # which knows what there is

        def __getattr__(self, name: str) -> Any:
            from ._elsewhere import missing

            raise missing(self, name)

    def _violations(self) -> list[Violation]:
        """What the native side answers."""
        from ._violations import violations

        return violations(self.errors)


class ResponseValidationError(Exception):
    """A handler returned what does not fit the model that it declares; a mistake of the code, and a 500 unless it is handled."""


class WebSocketDisconnect(Exception):
    """A WebSocket is over: raised by what would send or receive. A handler need not catch it.

    `code` is that of the client, or of the server where that closed it (RFC 6455, 7.4): 1000 it was done, 1001 it went away, 1005 it gave no
    code, 1006 the connection broke, 1012 the server stops.
    """

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or ""
        super().__init__(code, self.reason)

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}" if self.reason else str(self.code)


class WebSocketException(Exception):
    """Raised by a handler, closes its WebSocket with this code and reason; one that was not accepted is refused with 403."""

    def __init__(self, code: int, reason: str | None = None) -> None:
        if code not in range(1000, 1004) and code not in range(1007, 1015) and code not in range(3000, 5000):
            raise ValueError(f"{code} is no code to close with; use 1000 to 1003, 1007 to 1014, or 3000 to 4999")
        if len((reason or "").encode()) > 123:
            raise ValueError("a reason has at most 123 bytes")
        self.code = code
        self.reason = reason or ""
        super().__init__(code, self.reason)

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}" if self.reason else str(self.code)


# What a store answers to Python code. Those of which clients may learn are answers, where nobody catches them.


class RowNotFound(HTTPException):
    """The row to be written is not there; 404."""

    def __init__(self, detail: str) -> None:
        super().__init__(404, detail)


class RowChanged(HTTPException):
    """The row to be written has been written by others since it was read; 409."""

    def __init__(self, detail: str) -> None:
        super().__init__(409, detail)


class DuplicateValue(HTTPException):
    """Another row has the same in `fields`: one that must be unique, or several that must be together; 409."""

    def __init__(self, detail: str, *, fields: tuple[str, ...]) -> None:
        self.fields = fields
        super().__init__(409, detail)


class StoreUnavailable(HTTPException):
    """The store cannot be reached, or has no space left; 503 with Retry-After. Nothing was written. Trying again makes sense in
    `retry_after` seconds."""

    def __init__(self, detail: str, *, retry_after: str) -> None:
        self.retry_after = int(retry_after)
        super().__init__(503, detail, {"Retry-After": retry_after})


class StoreTimeout(HTTPException):
    """The store did not answer in time, and whether a write was done is not known; 504."""

    def __init__(self, detail: str) -> None:
        super().__init__(504, detail)


class InvalidRow(ValueError):
    """A row that breaks the rules of its model, or that the store cannot keep; a mistake of the code that wrote it."""


class StoreFailure(RuntimeError):
    """The store failed in a way that is not expected."""


if not TYPE_CHECKING:  # which would take every name for one that is there

    def __getattr__(name: str) -> Any:
        from ._elsewhere import unknown

        raise unknown(__name__, name)
