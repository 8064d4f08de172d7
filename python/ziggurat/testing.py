"""Tests of an app without a socket: requests go through the real Rust stack, in this process."""

from __future__ import annotations

import atexit
import json as jsonlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypedDict, Unpack
from urllib.parse import urlencode, urlsplit

from .app import Ziggurat

__all__ = ["TestClient", "TestHeaders", "TestResponse"]

Scalar = str | int | float | bool | None
Params = Mapping[str, Scalar | Sequence[Scalar]] | Sequence[tuple[str, Scalar]]
HeaderList = Mapping[str, str] | Sequence[tuple[str, str]]

_UNSET: Any = object()


class RequestOptions(TypedDict, total=False):
    """What can be sent with a request: of `json`, `content` and `data` one at most."""

    params: Params | None
    headers: HeaderList | None
    json: Any
    content: bytes | str | None
    data: Mapping[str, Scalar | Sequence[Scalar]] | None


class TestClient:
    """Sends requests to `app`; its methods take what httpx's take.

    `with TestClient(app) as client:` runs the start-up hooks on entry and the shutdown hooks on exit. Without `with`, the app
    is started by the first request, and stopped by `close()` or when the interpreter ends. Answers are as they left the
    stack: nothing is decompressed, no redirect is followed, no cookie is kept.
    """

    __test__ = False  # pytest takes classes of this name for tests

    def __init__(self, app: Ziggurat, *, headers: HeaderList | None = None) -> None:
        self.app = app
        self.headers = _pairs(headers)
        self._started = False

    def __enter__(self) -> TestClient:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        if not self._started:
            self.app.start()
            self._started = True
            atexit.register(self.close)

    def close(self) -> None:
        """Stops the app."""
        if self._started:
            self._started = False
            atexit.unregister(self.close)
            self.app.stop()

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Params | None = None,
        headers: HeaderList | None = None,
        json: Any = _UNSET,
        content: bytes | str | None = None,
        data: Mapping[str, Scalar | Sequence[Scalar]] | None = None,
    ) -> TestResponse:
        """Sends a request and waits for the whole answer."""
        if sum(part is not None for part in (None if json is _UNSET else 1, content, data)) > 1:
            raise TypeError("give one of json, content and data")
        parts = urlsplit(url)
        target = parts.path or "/"
        query = "&".join(part for part in (parts.query, urlencode(_query(params))) if part)
        if query:
            target += f"?{query}"

        sent = [*self.headers, *_pairs(headers)]
        names = {name.lower() for name, _ in sent}
        body = content.encode() if isinstance(content, str) else content or b""
        if json is not _UNSET:
            body = jsonlib.dumps(json, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
            if "content-type" not in names:
                sent.append(("content-type", "application/json"))
        elif data is not None:
            body = urlencode(_query(data)).encode()
            if "content-type" not in names:
                sent.append(("content-type", "application/x-www-form-urlencoded"))
        if "host" not in names:
            sent.insert(0, ("host", parts.netloc or "testserver"))
        if body and "content-length" not in names:
            sent.append(("content-length", str(len(body))))

        self._start()
        status, answered, answer = self.app.request(method.upper(), target, sent, body)
        return TestResponse(status, TestHeaders(answered), answer, method.upper(), target)

    def get(self, url: str, *, params: Params | None = None, headers: HeaderList | None = None) -> TestResponse:
        """Sends a GET."""
        return self.request("GET", url, params=params, headers=headers)

    def head(self, url: str, *, params: Params | None = None, headers: HeaderList | None = None) -> TestResponse:
        """Sends a HEAD."""
        return self.request("HEAD", url, params=params, headers=headers)

    def options(self, url: str, *, params: Params | None = None, headers: HeaderList | None = None) -> TestResponse:
        """Sends an OPTIONS."""
        return self.request("OPTIONS", url, params=params, headers=headers)

    def delete(self, url: str, *, params: Params | None = None, headers: HeaderList | None = None) -> TestResponse:
        """Sends a DELETE."""
        return self.request("DELETE", url, params=params, headers=headers)

    def post(self, url: str, **options: Unpack[RequestOptions]) -> TestResponse:
        """Sends a POST."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[RequestOptions]) -> TestResponse:
        """Sends a PUT."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[RequestOptions]) -> TestResponse:
        """Sends a PATCH."""
        return self.request("PATCH", url, **options)


class TestHeaders(Mapping[str, str]):
    """Headers of an answer, by case-insensitive name; several of one name are joined by commas."""

    __test__ = False

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = [(name.lower(), value) for name, value in pairs]

    def __getitem__(self, name: str) -> str:
        found = self.get_list(name)
        if not found:
            raise KeyError(name)
        return ", ".join(found)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_list(name))

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self._pairs))

    def __len__(self) -> int:
        return len({name for name, _ in self._pairs})

    def __repr__(self) -> str:
        return f"TestHeaders({self._pairs!r})"

    def get_list(self, name: str) -> list[str]:
        """Each value of `name` by itself, as needed for `set-cookie`."""
        return [value for key, value in self._pairs if key == name.lower()]

    def multi_items(self) -> list[tuple[str, str]]:
        """Every header line, in order."""
        return list(self._pairs)


class TestResponse:
    """An answer, read to its end."""

    __test__ = False

    def __init__(self, status_code: int, headers: TestHeaders, content: bytes, method: str, url: str) -> None:
        self.status_code = status_code
        self.headers = headers
        self.content = content
        """The body as it was sent."""
        self._request = f"{method} {url}"

    @property
    def text(self) -> str:
        """The body as text, in the charset of the content type, else UTF-8."""
        _, _, charset = self.headers.get("content-type", "").partition("charset=")
        return self.content.decode(charset.split(";")[0].strip('" ') or "utf-8")

    def json(self) -> Any:
        """The body, parsed."""
        return jsonlib.loads(self.content)

    @property
    def reason_phrase(self) -> str:
        """The standing phrase of the status."""
        try:
            return HTTPStatus(self.status_code).phrase
        except ValueError:
            return ""

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status_code < 300

    def raise_for_status(self) -> TestResponse:
        """Raises `AssertionError` with the body when the status is 4xx or 5xx."""
        if self.status_code >= 400:
            raise AssertionError(f"{self._request}: {self.status_code} {self.reason_phrase}: {self.content[:2000]!r}")
        return self

    def __repr__(self) -> str:
        return f"<TestResponse [{self.status_code} {self.reason_phrase}] {self._request}>"


def _pairs(headers: HeaderList | None) -> list[tuple[str, str]]:
    if headers is None:
        return []
    return list(headers.items() if isinstance(headers, Mapping) else headers)


def _query(params: Params | None) -> list[tuple[str, str]]:
    """Names and values as text: a list stands for its name more than once, bools are written as in JSON."""

    def text(value: Scalar) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value)

    made: list[tuple[str, str]] = []
    for name, value in params.items() if isinstance(params, Mapping) else params or ():
        if isinstance(value, (str, int, float, bool)) or value is None:
            made.append((name, text(value)))
        else:
            made.extend((name, text(item)) for item in value)
    return made
