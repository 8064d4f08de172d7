"""The workloads of Python handlers: what is asked of each framework, and what a right answer looks like."""

import contextlib
import http.client
import json
from collections.abc import Callable
from typing import Any

from .people import HERE
from .process import Failed
from .workloads import Answer, Client, Seeded, Workload, Wrong, _equals, _plain, _same

GROUP = "handlers"
# Made once, in a folder that git passes over.
FILE = HERE / "results" / "file.bin"
UPLOAD = HERE / "results" / "upload.multipart"
UPLOADED = 10 << 20
_BOUNDARY = "ziggurat-bench-boundary"
MESSAGE = {
    "message": "Hello, World!",
    "numbers": [1, 2, 3, 4, 5],
    "nested": {"ok": True, "ratio": 0.5, "nothing": None},
}
EVENT = {"symbol": "ZGR", "price": 101.25, "volume": 7}
RECEIPT = {"id": 7, "customer": "Ada Lovelace", "total": 52.75, "paid": True}
BAD_ORDER = (
    b'{"id":7,"customer":"","email":"a@example.org","currency":"EUR","lines":[{"sku":"s","quantity":0,"price":1}]}'
)


def prepare() -> None:
    """Makes the files that are sent and asked for."""
    FILE.parent.mkdir(exist_ok=True)
    if not FILE.exists():
        FILE.write_bytes(bytes(range(256)) * 4096)
    if not UPLOAD.exists():
        head = (
            f"--{_BOUNDARY}\r\n"
            'content-disposition: form-data; name="file"; filename="file.bin"\r\n'
            "content-type: application/octet-stream\r\n\r\n"
        )
        UPLOAD.write_bytes(head.encode() + bytes(range(256)) * (UPLOADED // 256) + f"\r\n--{_BOUNDARY}--\r\n".encode())


def _bytes(length: int, wanted: Callable[[], bytes]) -> Callable[[Answer, Seeded], None]:
    def check(answer: Answer, _: Seeded) -> None:
        _same(len(answer.body), length)
        if answer.body != wanted():
            raise Failed("answered other bytes")

    return check


def _nothing(_: Answer, __: Seeded) -> None:
    pass


def _events(path: str) -> Callable[[Client], None]:
    """The first events of a stream that has no end."""

    def check(client: Client) -> None:
        # A connection of its own, which is not used again.
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", client.port, timeout=10)) as connection:
            connection.request("GET", path, headers={"accept": "text/event-stream"})
            response = connection.getresponse()
            _same((response.status, response.headers.get_content_type()), (200, "text/event-stream"))
            found: list[Any] = []
            while len(found) < 3:
                line = response.readline()
                if not line:
                    raise Failed(f"the events of {path} end after {len(found)}")
                if line.startswith(b"data:"):
                    found.append(json.loads(line.removeprefix(b"data:")))
            _same(found, [EVENT] * 3)

    return check


def _of(name: str, *args: Any, **more: Any) -> Workload:
    return Workload(f"{GROUP} {name}", GROUP, *args, **more)


_ITEM = "/items/42?limit=20&ratio=0.5&active=true&tag=red&tag=blue"
HANDLERS = [
    _of("text", "/text", _plain),
    _of("json", "/json", _equals(MESSAGE)),
    _of(
        "typed",
        _ITEM,
        _equals({"id": 42, "limit": 20, "ratio": 0.5, "active": True, "tag": ["red", "blue"]}),
        wrong=Wrong("GET", _ITEM.replace("limit=20", "limit=x")),
    ),
    *(
        _of(
            name,
            path,
            _equals(RECEIPT),
            "POST",
            HERE / "handlers" / "order.json",
            wrong=Wrong("POST", path, BAD_ORDER),
        )
        for name, path in (("pydantic", "/orders"), ("msgspec", "/structs"))
    ),
    _of(
        "depends",
        "/depends",
        _equals({"user": "ada"}),
        headers=(("x-token", "t-ada"),),
        wrong=Wrong("GET", "/depends", None, (401,), (("x-token", "t-eve"),)),
    ),
    _of("stream", "/stream", _bytes(102_400, lambda: b"x" * 102_400), connections=16),
    _of("events", "/events", _nothing, connections=1000, load="events", check_stream=_events("/events")),
    _of("echo", "/echo", _nothing, load="echo"),
    _of(
        "upload",
        "/upload",
        _equals({"name": "file.bin", "size": UPLOADED}),
        "POST",
        UPLOAD,
        content_type=f"multipart/form-data; boundary={_BOUNDARY}",
        connections=4,
    ),
    _of("file", "/file", _bytes(1 << 20, FILE.read_bytes), connections=16),
]
