"""What a handler may answer when a plain value does not say enough."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeVar
from urllib.parse import quote, urlsplit

from ._location import user_location
from ._ziggurat import Response, ServerSentEvent, encode_json
from .background import BackgroundTask, BackgroundTasks

__all__ = [
    "EventSourceResponse",
    "EventStream",
    "FileResponse",
    "HTMLResponse",
    "JSONResponse",
    "PlainTextResponse",
    "RedirectResponse",
    "Response",
    "ServerSentEvent",
    "StreamingResponse",
]

_T = TypeVar("_T")
EVENTS: Final = object()
"""Marks what is sent as events."""

EventStream = Annotated[AsyncIterator[_T], EVENTS]
"""The return annotation of an `async def` handler that yields server-sent events, or what is to be their data: `-> EventStream[Item]`."""

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
Background = BackgroundTask | BackgroundTasks
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class _Rendered(Response):
    """Content first, as those know it who make many of them."""

    media_type: str
    """What it is sent as unless told."""

    def __new__(
        cls,
        content: Any = None,
        status: int | None = None,
        headers: Headers | None = None,
        media_type: str | None = None,
        background: Background | None = None,
        *,
        status_code: int | None = None,
    ) -> Self:
        """`content` is rendered at once. `headers`, `background` and `status_code` are those of `Response`."""
        return super().__new__(
            cls,
            status,
            headers,
            content=cls.render(content),
            media_type=media_type or cls.media_type,
            background=background,
            status_code=status_code,
        )

    @classmethod
    def render(cls, content: Any) -> bytes | str | None:
        """The body; a class of your own may say how it comes about."""
        raise NotImplementedError


class JSONResponse(_Rendered):
    """An answer in JSON, whatever the content is: a text becomes a JSON string. It is written by the encoder that writes what
    handlers return."""

    media_type = "application/json"

    @classmethod
    def render(cls, content: Any) -> bytes:
        return encode_json(content)


class PlainTextResponse(_Rendered):
    """A text, in UTF-8."""

    media_type = "text/plain; charset=utf-8"

    @classmethod
    def render(cls, content: Any) -> bytes | str | None:
        if content is None or isinstance(content, (str, bytes)):
            return content
        raise TypeError(f"{cls.__name__} takes a str or bytes, not {type(content).__name__}")


class HTMLResponse(PlainTextResponse):
    """A page, in UTF-8."""

    media_type = "text/html; charset=utf-8"


class RedirectResponse(Response):
    """Sends the client elsewhere: with 307 it repeats the request there, with 303 it gets the page."""

    def __new__(
        cls,
        url: object,
        status: int | None = None,
        headers: Headers | None = None,
        background: Background | None = None,
        *,
        status_code: int | None = None,
    ) -> Self:
        """`url` is absolute, or relative to that of the request; what a URL cannot hold is percent-encoded. `status` is 301, 302, 303, 307
        or 308; `status_code` is another name of it."""
        if status is None and status_code is None:
            status = 307
        made = super().__new__(cls, status, headers, background=background, status_code=status_code)
        if made.status not in (301, 302, 303, 307, 308):
            raise ValueError(f"{made.status} sends nobody elsewhere; use 301, 302, 303, 307 or 308")
        made.headers["location"] = _location(str(url))
        return made


def _location(url: str) -> str:
    if not url:
        raise ValueError("a redirect to nowhere; give a URL")
    if _CONTROL.search(url):
        # Browsers drop some of them, and then see another URL than whoever checked it.
        raise ValueError("the URL of a redirect has a control character")
    scheme = urlsplit(url).scheme
    if scheme and scheme not in ("http", "https"):
        raise ValueError(f"a redirect to {scheme}: is none that browsers may follow; use http, https or a relative URL")
    return quote(url, safe=":/%#?=@[]!$&'()*+,;~")


Chunks = AsyncIterable[Any] | Iterator[Any] | Iterable[Any]


class StreamingResponse(Response):
    """A body in pieces: what an iterator yields, `bytes` or `str`, no faster than the client takes it.

    One that is not asynchronous may block, and runs on a thread. It is closed when the client goes away.
    """

    media_type: str | None = None
    """What it is sent as unless told."""

    def __new__(
        cls,
        content: Chunks,
        status: int | None = None,
        headers: Headers | None = None,
        media_type: str | None = None,
        background: Background | None = None,
        *,
        status_code: int | None = None,
    ) -> Self:
        """`content` is an async iterator, a generator, or anything else that can be iterated over but no text and no bytes."""
        return super().__new__(
            cls,
            status,
            headers,
            _iterator(content),
            media_type=media_type or cls.media_type,
            background=background,
            status_code=status_code,
        )


class EventSourceResponse(Response):
    """Server-sent events, for a browser's `EventSource`: each thing that the iterator yields is a `ServerSentEvent`, or becomes the data of
    one, a text as it is and anything else as JSON.

    A comment is sent where nothing was for `keep_alive` seconds, so that nobody on the way takes the connection for a dead one. When the app
    stops the answer ends, and clients come back by themselves, with the id of the last event in the header `Last-Event-ID`.
    """

    media_type = "text/event-stream"

    def __new__(
        cls,
        content: Chunks,
        status: int | None = None,
        headers: Headers | None = None,
        background: Background | None = None,
        *,
        keep_alive: float | None = 15.0,
        status_code: int | None = None,
    ) -> Self:
        """`keep_alive=None` sends no comments."""
        if keep_alive is not None and not keep_alive > 0:
            raise ValueError("keep_alive is a number of seconds above 0, or None")
        made = super().__new__(
            cls,
            status,
            headers,
            _iterator(content),
            media_type=cls.media_type,
            background=background,
            status_code=status_code,
        )
        made.headers.setdefault("cache-control", "no-store")
        # nginx holds answers back unless told.
        made.headers.setdefault("x-accel-buffering", "no")
        made._send_as("events", None, keep_alive)
        return made


def _iterator(content: Any) -> Any:
    if isinstance(content, (str, bytes, bytearray, memoryview, Mapping)):
        raise TypeError(f"{type(content).__name__} is no body in pieces; give an iterator, or return it as it is")
    if hasattr(content, "__aiter__") or hasattr(content, "__next__"):
        return content
    return iter(content)


class FileResponse(Response):
    """A file, sent by Rust without coming through Python: the parts that are asked for (`Range`), 304 to who has it already, and HEAD.

    The type is that of the file's name. One that is not there is a mistake of the app, and a 500 that is logged with the line where this
    was made, or a 404 with `missing_ok`.

    A path that a client has a say in is given with a `root`: it is then relative to that directory, and is not there where it leads out of it,
    be it by `..` or by a symbolic link.
    """

    def __new__(
        cls,
        path: str | os.PathLike[str],
        status: int | None = None,
        headers: Headers | None = None,
        media_type: str | None = None,
        background: Background | None = None,
        *,
        filename: str | None = None,
        content_disposition_type: Literal["attachment", "inline"] = "attachment",
        root: str | os.PathLike[str] | None = None,
        missing_ok: bool = False,
        status_code: int | None = None,
    ) -> Self:
        """With a `filename` browsers are told what it is called, and to save it or, with `content_disposition_type="inline"`, to show it."""
        made = super().__new__(
            cls, status, headers, media_type=media_type, background=background, status_code=status_code
        )
        if content_disposition_type not in ("attachment", "inline"):
            raise ValueError(f'{content_disposition_type!r} is no disposition; write "attachment" or "inline"')
        if filename is not None:
            made.headers["content-disposition"] = _disposition(content_disposition_type, filename)
        made._send_file(
            os.fspath(path),
            root=None if root is None else os.fspath(root),
            name=filename,
            missing_ok=missing_ok,
            location=user_location(),
        )
        return made


def _disposition(kind: str, filename: str) -> str:
    """RFC 6266, with RFC 8187 for names that are not ASCII."""
    if not filename or _CONTROL.search(filename):
        raise ValueError("the filename is empty, or has a control character")
    # Names are no paths; browsers cut them, each in its own way.
    name = filename.replace("/", "_").replace("\\", "_")
    plain = name.encode("ascii", "replace").decode().replace('"', '\\"')
    made = f'{kind}; filename="{plain}"'
    # A percent sign would be decoded by some.
    if not name.isascii() or "%" in name or '"' in name:
        made += f"; filename*=UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"
    return made


if not TYPE_CHECKING:  # which would take every name for one that is there

    def __getattr__(name: str) -> Any:
        from ._elsewhere import unknown

        raise unknown(__name__, name)
