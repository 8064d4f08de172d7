"""What a handler may answer when a plain value does not say enough."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Self
from urllib.parse import quote, urlsplit

from ._ziggurat import Response, encode_json
from .background import BackgroundTask, BackgroundTasks

__all__ = ["HTMLResponse", "JSONResponse", "PlainTextResponse", "RedirectResponse", "Response"]

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
        status: int = 200,
        headers: Headers | None = None,
        media_type: str | None = None,
        background: Background | None = None,
    ) -> Self:
        """`content` is rendered at once. `headers` and `background` are those of `Response`."""
        body = cls.render(content)
        made = super().__new__(
            cls, status, headers, content=body, media_type=media_type or cls.media_type, background=background
        )
        return made

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
        status: int = 307,
        headers: Headers | None = None,
        background: Background | None = None,
    ) -> Self:
        """`url` is absolute, or relative to that of the request; what a URL cannot hold is percent-encoded. `status` is 301, 302, 303, 307
        or 308."""
        if status not in (301, 302, 303, 307, 308):
            raise ValueError(f"{status} sends nobody elsewhere; use 301, 302, 303, 307 or 308")
        made = super().__new__(cls, status, headers, background=background)
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
