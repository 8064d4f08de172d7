"""The native part of the package."""

from asyncio import AbstractEventLoop, Future, Task
from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextvars import Context
from ipaddress import IPv4Address, IPv6Address
from os import PathLike
from socket import socket
from ssl import MemoryBIO
from types import GenericAlias
from typing import (
    TYPE_CHECKING,
    Any,
    BinaryIO,
    Generic,
    Literal,
    ParamSpec,
    Self,
    TypeVar,
    TypeVarTuple,
    final,
    overload,
)

from typing_extensions import disjoint_base

from ._state import Address, Claims, State

if TYPE_CHECKING:
    from datetime import datetime

    from _typeshed import FileDescriptorLike

    from ._forms import FormOpening
    from .app import Ziggurat
    from .background import BackgroundTask, BackgroundTasks
    from .websockets import WebSocketState

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_P = ParamSpec("_P")

__version__: str

@final
class Headers:
    """Header fields by case-insensitive name; the headers of a request cannot be changed."""

    def __getitem__(self, key: str, /) -> str: ...
    def __setitem__(self, key: str, value: str, /) -> None: ...
    def __delitem__(self, key: str, /) -> None: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def __eq__(self, value: object, /) -> bool: ...
    @overload
    def get(self, name: str, default: None = None) -> str | None:
        """The value of the field of that name, the first of several; `default` where there is none."""
    @overload
    def get(self, name: str, default: str) -> str: ...
    def getlist(self, name: str) -> list[str]:
        """The values of all fields of that name."""
    def append(self, name: str, value: str) -> None:
        """Adds a field beside those of that name."""
    def setdefault(self, name: str, value: str) -> str:
        """The value of the field of that name, which is added with `value` where there is none."""
    def keys(self) -> list[str]:
        """The names, in lower case, each once."""
    def values(self) -> list[str]:
        """The values of all fields."""
    def items(self) -> list[tuple[str, str]]:
        """Names and values of all fields."""

@final
class QueryParams:
    """The decoded query string; a name may stand there more than once."""

    def __getitem__(self, key: str, /) -> str: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    @overload
    def get(self, name: str, default: None = None) -> str | None:
        """The value of that name, the last of several; `default` where there is none."""
    @overload
    def get(self, name: str, default: str) -> str: ...
    def getlist(self, name: str) -> list[str]:
        """All values of that name."""
    def keys(self) -> list[str]:
        """The names, each once."""
    def values(self) -> list[str]:
        """The value of each name, the last of several."""
    def items(self) -> list[tuple[str, str]]:
        """Each name with its value, the last of several."""

@final
class Request:
    """A request. Every part is made when it is first asked for."""

    @property
    def method(self) -> str:
        """`GET`, `POST` and so on."""
    @property
    def http_version(self) -> str:
        """`1.0`, `1.1` or `2`."""
    @property
    def path(self) -> str:
        """As it was sent, percent-encoded, without what the app is mounted at and without the query."""
    @property
    def url(self) -> str:
        """The whole, with the host that the client named, and `http` where a proxy in front has ended TLS."""
    def url_for(self, name: str, /, **params: object) -> str:
        """The URL of the route of the app that is called `name`, with `params` in its path: `request.url_for("user", id=7)`.

        Scheme and host are those of `url`, so a client has a say in it; `app.url_path_for` is the path alone, and says what may be given.
        `LookupError` when no route is called so and takes these parameters.
        """
    @property
    def query_string(self) -> str:
        """As it was sent, percent-encoded; empty where there is none."""
    @property
    def query(self) -> QueryParams:
        """The parameters of the query, decoded."""
    @property
    def headers(self) -> Headers:
        """Those that the client sent, whatever the letters of their names."""
    @property
    def cookies(self) -> dict[str, str]:
        """Those that the client sent, by name; of several that are called alike the first."""
    @property
    def path_params(self) -> dict[str, str]:
        """What stands in the path, decoded, as text."""
    @property
    def root_path(self) -> str:
        """Where the app is mounted in others: what of the path of `url` is not in `path`; empty unless it is."""
    @property
    def client(self) -> Address | None:
        """Address and port of the other end of the connection, which may be a proxy. Behind `layers.ClientIp` those of the
        client, with port 0 when it is a proxy that tells of it."""
    @property
    def auth(self) -> Claims | None:
        """Who calls, as a layer like `Jwt` has found out; None for nobody."""
    @property
    def state(self) -> State:
        """Room for what middleware, dependencies and the handler tell each other; it begins with what the lifespan yielded."""
    @property
    def app(self) -> Ziggurat:
        """The app whose request it is."""
    @property
    def request_id(self) -> str | None:
        """What `layers.RequestId` calls it."""
    @property
    def trace_context(self) -> dict[str, str]:
        """The headers that make a request of yours a part of the trace of this one: `traceparent`, and `tracestate` where there is one.
        Empty without `layers.Otel`."""
    async def body(self) -> bytes:
        """All of the body."""
    async def json(self) -> Any:
        """What the body is as JSON; an `HTTPException`, 400, for one that is none."""
    def stream(self) -> AsyncIterator[bytes]:
        """The pieces of the body, as they come: `async for piece in request.stream()`. None is empty, and a piece is read when it is asked for.

        The body is given once and not kept: `body()`, `json()`, `form()` and `stream()` are a `RuntimeError` then. One that `body()` or `json()`
        has read comes in one piece, as often as it is asked for. An `HTTPException` out of it is 413 past a limit, 408 when nothing comes for
        too long, 400 when the body is torn.
        """
    async def is_disconnected(self) -> bool:
        """Whether the client has gone, or has all of its answer: nobody waits any longer."""
    def form(
        self, *, max_files: int | None = None, max_fields: int | None = None, max_part_size: int | None = None
    ) -> FormOpening:
        """The form in the body: `await request.form()`, or `async with request.form() as form:`, which closes its files at its end.

        The limits are those of the route (`FormLimits`) unless they are given; `max_part_size` is of fields that are texts. A body that is no
        form raises an `HTTPException`, 415.
        """

@final
class UploadFile:
    """A file of a form. Small ones are in memory, great ones in a temporary file that has no name.

    It can be read while its request is answered, and by the tasks that run behind the answer; then it is closed, and gone.
    """

    def __new__(
        cls,
        file: bytes | BinaryIO,
        *,
        filename: str | None = None,
        headers: Headers | Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        content_type: str | None = None,
    ) -> Self:
        """As a test wants it, to call a handler with; `file` is read to its end."""
    @property
    def filename(self) -> str | None:
        """As the client says it, without directories and control characters; None where that leaves nothing. Anybody may have chosen it: no
        file should be kept under it unseen."""
    @property
    def content_type(self) -> str | None:
        """As the client says it, which need not be true."""
    @property
    def headers(self) -> Headers:
        """Those of its part."""
    @property
    def size(self) -> int:
        """How many bytes it has."""
    @property
    def closed(self) -> bool:
        """Whether it can be read no more."""
    @property
    def file(self) -> BinaryIO:
        """A file to read from, for libraries that do so by themselves. It blocks: use it in `def` handlers, or on a thread. It has a place of
        its own, apart from that of `read`."""
    async def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or all that are left."""
    async def write(self, data: bytes | bytearray) -> None:
        """Puts bytes where the next read would begin, and goes on behind them; the file grows where they reach beyond its end. What is in memory
        stays there. A `file` that was asked for before does not know of it."""
    async def seek(self, offset: int, whence: int = 0) -> int:
        """Goes on at `offset`, from the beginning, or with `whence` 1 from here, or with 2 from the end."""
    async def save(self, path: str | PathLike[str], *, overwrite: bool = True) -> None:
        """Copies it to `path` in Rust, off the loop. The file is there when all of it is, or not at all; with `overwrite=False` one that is
        there already raises `FileExistsError`."""
    async def close(self) -> None:
        """Closes it before its request has ended, to be awaited."""
    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any: ...
    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: Any, _handler: Any) -> dict[str, Any]: ...
    def _read_at(self, at: int, most: int) -> bytes: ...
    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> bytes: ...

@final
class WebSocket:
    """A WebSocket, from its handshake on. One task may receive while others send."""

    async def accept(self, subprotocol: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Accepts the handshake, with headers for its answer. The subprotocol is one of those that the client offers; unless given, the first of
        the route's that it does."""
    async def receive(self) -> str | bytes:
        """The next message, `str` or `bytes` as the client sent it. Raises `WebSocketDisconnect` when there is none any more."""
    async def receive_text(self) -> str:
        """The next message. A client that sends bytes is let go with 1003."""
    async def receive_bytes(self) -> bytes:
        """The next message. A client that sends text is let go with 1003."""
    async def receive_json(self) -> Any:
        """The next message, parsed. A client that sends something else is let go with 1007."""
    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Messages, until the socket is over."""
    def iter_text(self) -> AsyncIterator[str]:
        """Texts, until the socket is over: `async for text in ws.iter_text()`."""
    def iter_bytes(self) -> AsyncIterator[bytes]:
        """Binary messages, until the socket is over."""
    def iter_json(self) -> AsyncIterator[Any]:
        """Messages, parsed, until the socket is over."""
    async def send(self, data: str | bytes | bytearray | memoryview) -> None:
        """Sends `str` as text and bytes as bytes. Waits while the client is behind by more than the route's `max_queued_bytes`."""
    async def send_text(self, data: str) -> None:
        """Sends a text. Waits while the client is behind, as `send` does."""
    async def send_bytes(self, data: bytes | bytearray | memoryview) -> None:
        """Sends a binary message. Waits while the client is behind, as `send` does."""
    async def send_json(self, data: Any, mode: Literal["text", "binary"] = "text") -> None:
        """Sends what a handler may return, as JSON: dicts, dataclasses, models and so on."""
    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes the socket once what was sent has gone out, and does not wait for that. Before it was accepted, refuses the handshake
        with 403."""
    @property
    def subprotocol(self) -> str | None:
        """The one that was accepted."""
    @property
    def subprotocols(self) -> list[str]:
        """Those that the client offers, the best first."""
    @property
    def client_state(self) -> WebSocketState:
        """How far the client is."""
    @property
    def application_state(self) -> WebSocketState:
        """How far the handler is: disconnected also once it has closed the socket."""
    @property
    def path(self) -> str:
        """As `Request.path`."""
    @property
    def url(self) -> str:
        """As `Request.url`, with `ws` for `http`."""
    def url_for(self, name: str, /, **params: object) -> str:
        """As `Request.url_for`."""
    @property
    def query_string(self) -> str:
        """As `Request.query_string`."""
    @property
    def query(self) -> QueryParams:
        """As `Request.query`."""
    @property
    def headers(self) -> Headers:
        """Those of the handshake."""
    @property
    def cookies(self) -> dict[str, str]:
        """Those that the client sent, by name; of several that are called alike the first."""
    @property
    def path_params(self) -> dict[str, str]:
        """As `Request.path_params`."""
    @property
    def client(self) -> Address | None:
        """As `Request.client`."""
    @property
    def auth(self) -> Claims | None:
        """As `Request.auth`."""
    @property
    def state(self) -> State:
        """As `Request.state`."""
    @property
    def app(self) -> Ziggurat:
        """The app whose socket it is."""
    @property
    def request_id(self) -> str | None:
        """As `Request.request_id`."""
    @property
    def trace_context(self) -> dict[str, str]:
        """As `Request.trace_context`."""

@final
class TestSocket:
    """The client's end of a WebSocket within this process; see `ziggurat.testing`."""

    def send(self, data: str | bytes) -> None: ...
    def receive(self, timeout: float | None = None) -> str | bytes | None: ...
    def close(self, code: int, reason: str, timeout: float) -> None: ...
    @property
    def closed(self) -> tuple[int, str] | None: ...

@disjoint_base
class Response:
    """An answer with its own status, headers and body."""

    def __new__(
        cls,
        status: int | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        body: object = None,
        *,
        content: object = None,
        media_type: str | None = None,
        background: BackgroundTask | BackgroundTasks | None = None,
        status_code: int | None = None,
    ) -> Self:
        """`status` is 200 unless given; `status_code` is another name of it."""
    @property
    def status(self) -> int:
        """The status of the answer, from 200 to 599; it may be set."""
    @status.setter
    def status(self, value: int) -> None: ...
    @property
    def status_code(self) -> int:
        """Another name of `status`."""
    @status_code.setter
    def status_code(self, value: int) -> None: ...
    @property
    def headers(self) -> Headers:
        """The header fields of the answer, which may be changed."""
    @property
    def background(self) -> BackgroundTask | BackgroundTasks | None:
        """What runs once the answer was handed over."""
    @background.setter
    def background(self, value: BackgroundTask | BackgroundTasks | None) -> None: ...
    def _send_file(
        self,
        path: str,
        *,
        root: str | None = None,
        name: str | None = None,
        missing_ok: bool = False,
        location: str = "",
    ) -> None: ...
    def _send_as(
        self, form: str, write: Callable[[Any], bytes] | None = None, keep_alive: float | None = None
    ) -> None: ...
    def set_cookie(
        self,
        key: str,
        value: str = "",
        *,
        max_age: int | None = None,
        expires: datetime | int | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: Literal["lax", "strict", "none"] | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Adds a `Set-Cookie`. `expires` is a datetime with its offset, or seconds from now.

        What no cookie can hold, and what browsers refuse, is a `ValueError`; encode other values, as with `urllib.parse.quote`.
        """
    def delete_cookie(
        self,
        key: str,
        *,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: Literal["lax", "strict", "none"] | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Has the client forget a cookie that was set with this path and domain."""
    @property
    def body(self) -> bytes:
        """The bytes of the body; it may be set to `str` or `bytes`. A body in pieces is `body_iterator`."""
    @body.setter
    def body(self, value: bytes | str) -> None: ...
    @property
    def body_iterator(self) -> AsyncIterator[bytes]:
        """The chunks of the body, as they come. Whoever asks has it: it is sent only if it is set again."""
    @body_iterator.setter
    def body_iterator(self, value: AsyncIterable[bytes | str] | Iterator[bytes | str]) -> None: ...

@final
class ServerSentEvent:
    """One event of a `text/event-stream`.

    `data` is sent as it is where it is a `str`, of as many lines as it has, and as JSON otherwise. `event` is the type that a client listens for, "message"
    unless given. `id` comes back as `Last-Event-ID` when a client that lost its connection comes again, which it does after `retry` milliseconds. `comment` is
    for people who look at the connection.
    """

    def __new__(
        cls,
        data: Any = None,
        *,
        event: str | None = None,
        id: str | None = None,
        retry: int | None = None,
        comment: str | None = None,
    ) -> Self: ...
    @property
    def data(self) -> Any:
        """What is told; `str` as it is, anything else as JSON."""
    @property
    def event(self) -> str | None:
        """The type that a client listens for."""
    @property
    def id(self) -> str | None:
        """What comes back as `Last-Event-ID`."""
    @property
    def retry(self) -> int | None:
        """After how many milliseconds a client that lost its connection comes again."""
    @property
    def comment(self) -> str | None:
        """For people who look at the connection."""

def encode_json(value: object) -> bytes: ...
def sign_token(claims: bytes, key: bytes, algorithm: str | None, expires_in: float | None, kid: str | None) -> str: ...
def hash_password(password: str) -> RustFuture[str]: ...
def verify_password(password: str, hashed: str | None) -> RustFuture[bool]: ...
def needs_rehash(hashed: str) -> bool: ...

@final
class NativeService:
    """A handler in Rust of an extension module, which `app.native` mounts."""

    @property
    def name(self) -> str: ...

@final
class Run:
    """One call of a handler, for what calls its dependencies."""

    def in_thread(self, function: Callable[[], _T]) -> RustFuture[_T]: ...
    def answer(self, value: object) -> RustFuture[None] | None: ...

@final
class Sent:
    """A request that was sent in this process, and its answer as it comes."""

    def head(self, seconds: float | None = None) -> tuple[int, list[tuple[bytes, bytes]], bytes | None]: ...
    def next(self, seconds: float | None = None) -> bytes | None: ...
    def abort(self) -> None: ...

@final
class App:
    """An application as the native side sees it; `ziggurat.Ziggurat` fills it."""

    def __new__(cls, settings: str) -> App: ...
    def add_handler(
        self,
        method: str | None,
        path: str,
        plan: str,
        function: Callable[..., object],
        objects: Sequence[object],
        layers: Sequence[int] = ...,
        skips: Sequence[str] = ...,
    ) -> None: ...
    def add_hook(self, plan: str, objects: Sequence[object], function: Callable[..., object]) -> int: ...
    def replace_handler(
        self, index: int, path: str, plan: str, function: Callable[..., object], objects: Sequence[object]
    ) -> None: ...
    def add_websocket(
        self,
        path: str,
        plan: str,
        function: Callable[..., object],
        objects: Sequence[object],
        settings: str,
        layers: Sequence[int],
        skips: Sequence[str],
    ) -> None: ...
    def add_native(self, method: str | None, path: str, service: NativeService, settings: str) -> None: ...
    def add_layer(self, spec: str, location: str) -> int: ...
    def add_app(self, path: str, name: str, app: App, settings: str) -> None: ...
    def add_asgi(
        self,
        path: str,
        name: str,
        application: Callable[..., object],
        state: dict[str, Any],
        settings: str,
        sockets: str,
    ) -> None: ...
    def add_crud(self, description: str, options: str, hooks: object | None = None) -> None: ...
    def add_document(self, path: str, content_type: str, make: Callable[[], bytes], settings: str) -> None: ...
    def add_docs(self, path: str, files: str, page: str, settings: str) -> None: ...
    def add_live(self, page: str, settings: str) -> None: ...
    def add_middleware(
        self,
        function: Callable[..., object],
        name: str,
        paths: Sequence[str] | None,
        location: str,
    ) -> int: ...
    def add_catcher(self, catcher: object, statuses: Sequence[int] | None) -> int: ...
    def catch_refusals(self, catcher: int) -> None: ...
    def use_layers(self, layers: str) -> None: ...
    def crud_openapi(self, hidden: list[int]) -> str: ...
    def keep(self, description: str, location: str) -> None: ...
    def rows(self, model: str) -> Rows | None: ...
    def open_writes(self) -> list[tuple[str, str]]: ...
    def build(self, app: object) -> None: ...
    def handles(self) -> list[list[LayerHandle | None]]: ...
    def routes(self) -> str: ...
    def stack(self, path: str) -> str: ...
    def attach_counts(self) -> dict[Literal["native", "crud", "python"], int]: ...
    def store(self) -> str | None: ...
    def set_loop(self, event_loop: object | None, *, fused: bool = False) -> None: ...
    def request(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
    ) -> tuple[int, list[tuple[str, str]], bytes]: ...
    def send(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | AsyncIterable[bytes | str] | Iterator[bytes | str],
        *,
        raising: bool = False,
        client: tuple[IPv4Address | IPv6Address, int] | None = None,
    ) -> Sent: ...
    def connect(
        self,
        target: str,
        headers: Sequence[tuple[str, str]],
        *,
        client: tuple[IPv4Address | IPv6Address, int] | None = None,
    ) -> tuple[tuple[int, list[tuple[str, str]], bytes], TestSocket | None]: ...
    def listen(self, host: str, port: int, settings: str) -> tuple[str, int]: ...
    def drain(self) -> tuple[int, int]: ...
    def hurry(self) -> None: ...
    def settle(self, seconds: float, *, stop: bool = True) -> int: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...

@final
class LayerHandle:
    """By which the settings of a layer reach what was built of them. Each layer has some of it."""

    def render(self) -> str: ...
    def clear(self) -> None: ...
    def invalidate(self, path: str) -> None: ...
    def set_ready(self, ready: bool, reason: str | None) -> None: ...
    def replace_keys(self, keys: str) -> None: ...
    def add_key(self, key: str) -> None: ...
    def revoke_keys(self, subject: str, hash: str | None) -> int: ...

def backup_store(source: str | PathLike[str], target: str | PathLike[str]) -> int: ...
def copy_store(
    descriptions: Sequence[str], source: str, target: str, copied: Callable[[str, int], object]
) -> list[tuple[str, int]]: ...
def plan_store(descriptions: Sequence[str], store: str) -> str: ...
def apply_store(descriptions: Sequence[str], store: str, told: Callable[[str, int, str | None], object]) -> None: ...

@final
class Rows:
    """The rows of one model. Documents and ids are JSON; a row comes as its version and its JSON."""

    def get(self, id: bytes) -> RustFuture[tuple[int, bytes] | None]: ...
    def insert(self, document: bytes) -> RustFuture[tuple[int, bytes]]: ...
    def insert_all(self, documents: Sequence[bytes]) -> RustFuture[list[tuple[int, bytes]]]: ...
    def replace(self, document: bytes, version: int | None = None) -> RustFuture[tuple[int, bytes]]: ...
    def delete(self, id: bytes, version: int | None = None, shard: bytes | None = None) -> RustFuture[None]: ...
    def purge(self, id: bytes, version: int | None = None, shard: bytes | None = None) -> RustFuture[None]: ...
    @property
    def shard_key(self) -> str | None: ...
    def with_deleted(self) -> Rows: ...
    def count(self, filter: str) -> RustFuture[int]: ...
    def find(
        self,
        filter: str,
        sort: Sequence[str],
        offset: int,
        limit: int | None,
        page: int,
    ) -> Walk: ...

def transact(
    writes: Sequence[tuple[Rows, str, bytes, int | None, bytes | None]],
) -> RustFuture[list[tuple[int, bytes] | None]]: ...

@final
class Walk:
    """A walk over rows, page by page."""

    def next(self) -> RustFuture[tuple[bytes, list[int]] | None]: ...

@final
class StreamCore:
    """The native half of `ziggurat._transports.StreamTransport`."""

    def __new__(cls, event_loop: LoopCore, fd: int) -> Self: ...
    def open(self, transport: object) -> None: ...
    def release(self) -> None: ...
    def set_protocol(self, protocol: object, buffered: bool, tls: TlsCore | None = None) -> None: ...
    def start_reading(self) -> None: ...
    def write(self, data: bytes | bytearray | memoryview) -> None: ...
    def writelines(self, data: Iterable[bytes | bytearray | memoryview]) -> None: ...
    def queued(self) -> int: ...
    def clear(self) -> None: ...
    def __bool__(self) -> bool: ...
    @property
    def conn_lost(self) -> int: ...
    @conn_lost.setter
    def conn_lost(self, count: int) -> None: ...
    @property
    def closing(self) -> bool: ...
    @closing.setter
    def closing(self, closing: bool) -> None: ...
    @property
    def eof(self) -> bool: ...
    @eof.setter
    def eof(self, eof: bool) -> None: ...
    @property
    def empty_waiter(self) -> Future[None] | None: ...
    @empty_waiter.setter
    def empty_waiter(self, waiter: Future[None] | None) -> None: ...

@final
class Work:
    """A call for a thread of an executor, and the future of a loop that waits for it."""

    def __new__(
        cls, event_loop: AbstractEventLoop, future: Future[Any], function: Callable[..., Any], args: tuple[Any, ...]
    ) -> Self: ...
    @property
    def future(self) -> Self: ...
    def run(self) -> None: ...
    def cancel(self) -> bool: ...
    def set_exception(self, error: BaseException) -> None: ...
    def _settle(self, answer: object) -> None: ...
    def _fail(self, error: BaseException) -> None: ...
    def _cancel(self) -> None: ...

@final
class TlsCore:
    """The native half of `ziggurat._tls.TlsProtocol`."""

    wrapped: bool
    app_reading_paused: bool
    app_writing_paused: bool
    ssl_reading_paused: bool
    ssl_writing_paused: bool
    reading_limit_is_zero: bool
    writing_limit_is_zero: bool

    def __new__(cls, protocol: object) -> Self: ...
    def set_app(self, app: object, buffered: bool) -> None: ...
    def begin(
        self,
        incoming: MemoryBIO,
        outgoing: MemoryBIO,
        ssl_object: Any,
        backlog: deque[bytes],
        send: Callable[[bytes], None],
    ) -> None: ...
    def end(self) -> None: ...
    def deliver(self) -> None: ...
    def write(self, data: bytes | bytearray | memoryview) -> None: ...

@final
class DatagramCore:
    """The native half of `ziggurat._datagrams.DatagramTransport`."""

    def __new__(cls, event_loop: LoopCore, fd: int, family: int, remote: object) -> Self: ...
    def open(self, transport: object, peer: object) -> None: ...
    def release(self) -> None: ...
    def set_protocol(self, protocol: object) -> None: ...
    def start_reading(self) -> None: ...
    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None: ...
    def queued(self) -> int: ...
    def clear(self) -> None: ...
    def __bool__(self) -> bool: ...
    @property
    def max_size(self) -> int: ...
    @max_size.setter
    def max_size(self, size: int) -> None: ...
    @property
    def conn_lost(self) -> int: ...
    @conn_lost.setter
    def conn_lost(self, count: int) -> None: ...
    @property
    def closing(self) -> bool: ...
    @closing.setter
    def closing(self, closing: bool) -> None: ...

@final
class PipeReader:
    """The native half of `ziggurat._pipes.ReadPipeTransport`."""

    def __new__(cls, event_loop: LoopCore, fd: int) -> Self: ...
    def open(self, transport: object) -> None: ...
    def release(self) -> None: ...
    def set_protocol(self, protocol: object) -> None: ...
    def start_reading(self) -> None: ...

@final
class PipeWriter:
    """The native half of `ziggurat._pipes.WritePipeTransport`."""

    def __new__(cls, event_loop: LoopCore, fd: int) -> Self: ...
    def open(self, transport: object) -> None: ...
    def release(self) -> None: ...
    def write(self, data: bytes | bytearray | memoryview) -> None: ...
    def queued(self) -> int: ...
    def clear(self) -> None: ...
    def __bool__(self) -> bool: ...
    @property
    def conn_lost(self) -> int: ...
    @conn_lost.setter
    def conn_lost(self, count: int) -> None: ...
    @property
    def closing(self) -> bool: ...
    @closing.setter
    def closing(self, closing: bool) -> None: ...

@final
class SocketOperation:
    """An operation on a socket that waits for it."""

    def __call__(self, future: object = None, /) -> None: ...

def sock_recv(event_loop: Any, sock: socket, n: int) -> Any: ...
def sock_recv_into(event_loop: Any, sock: socket, buf: Any) -> Any: ...
def sock_recvfrom(event_loop: Any, sock: socket, bufsize: int) -> Any: ...
def sock_recvfrom_into(event_loop: Any, sock: socket, buf: Any, nbytes: int) -> Any: ...
def sock_sendall(event_loop: Any, sock: socket, data: Any) -> Any: ...
def sock_sendto(event_loop: Any, sock: socket, data: Any, address: Any) -> Any: ...

@final
class Watchdog:
    """Sees from a thread beside when a turn of a loop does not end, and tells `ziggurat._held`."""

    def __new__(
        cls, event_loop: LoopCore, key: int, *, warn_after: float | None = None, end_after: float | None = None
    ) -> Self: ...
    def stop_within(self, seconds: float) -> None: ...
    def end(self) -> None: ...

@disjoint_base
class LoopCore:
    """The native half of `ziggurat.PyLoop`."""

    def __new__(cls, *, inbox_capacity: int = ..., in_flight_limit: int = ..., park_in_tokio: bool = False) -> Self: ...
    def call_soon(self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None) -> Handle: ...
    def call_soon_threadsafe(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> Handle: ...
    def create_future(self) -> Future[Any]: ...
    def create_task(self, coro: Coroutine[Any, Any, _T], **options: Any) -> Task[_T]: ...
    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> TimerHandle: ...
    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> TimerHandle: ...
    def time(self) -> float: ...
    def stop(self) -> None: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def in_flight_limit(self) -> int: ...
    @in_flight_limit.setter
    def in_flight_limit(self, value: int) -> None: ...
    def _add_callback(self, handle: object) -> None: ...
    def _add_callback_signalsafe(self, handle: object) -> None: ...
    def _add_reader(self, fd: FileDescriptorLike, callback: Callable[..., object], *args: object) -> Handle: ...
    def _add_writer(self, fd: FileDescriptorLike, callback: Callable[..., object], *args: object) -> Handle: ...
    def _remove_reader(self, fd: FileDescriptorLike) -> bool: ...
    def _remove_writer(self, fd: FileDescriptorLike) -> bool: ...
    def _run_once(self) -> None: ...
    def _write_to_self(self) -> None: ...
    def _watch_mask(self, fd: FileDescriptorLike) -> int | None: ...
    def _watched(self) -> list[int]: ...
    def _set_core_debug(self, enabled: bool) -> None: ...
    def _set_core_task_factory(self, is_set: bool) -> None: ...
    def _close_core(self) -> None: ...

@disjoint_base
class Handle:
    """What `call_soon` gives back; the same face as `asyncio.Handle`."""

    def cancel(self) -> None: ...
    def cancelled(self) -> bool: ...
    def get_context(self) -> Context: ...

@final
class TimerHandle(Handle):
    """What `call_later` gives back; the same face as `asyncio.TimerHandle`."""

    def when(self) -> float: ...
    def __hash__(self) -> int: ...
    def __lt__(self, value: object, /) -> bool: ...
    def __le__(self, value: object, /) -> bool: ...
    def __gt__(self, value: object, /) -> bool: ...
    def __ge__(self, value: object, /) -> bool: ...

@final
class RustFuture(Generic[_T]):
    """What a Rust future is to Python: awaitable, and a future for all of asyncio."""

    _asyncio_future_blocking: bool
    def get_loop(self) -> LoopCore: ...
    def done(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def result(self) -> _T: ...
    def exception(self) -> BaseException | None: ...
    def cancel(self, msg: Any | None = None) -> bool: ...
    def add_done_callback(self, callback: Callable[[Self], object], /, *, context: Context | None = None) -> None: ...
    def remove_done_callback(self, callback: Callable[[Self], object], /) -> int: ...
    def __await__(self) -> Generator[Any, None, _T]: ...
    def __iter__(self) -> Generator[Any, None, _T]: ...
    def __next__(self) -> Self: ...
    def __class_getitem__(cls, item: Any) -> GenericAlias: ...

def spawn_blocking(function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> RustFuture[_T]: ...
def set_io_threads(count: int) -> None: ...
def init_log(level: str, format: str = "text") -> None: ...
