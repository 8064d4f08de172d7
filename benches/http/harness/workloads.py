"""What is asked of every server, and what a right answer looks like."""

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .people import HERE, PEOPLE, USER, YOUNGEST, person
from .process import Failed

PAGE_SIZE = 20


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        if not self.headers.get("content-type", "").startswith("application/json"):
            raise Failed(f"content-type is {self.headers.get('content-type')!r}, not JSON")
        return json.loads(self.body)


@dataclass
class Seeded:
    """The rows that were created in one server before measuring."""

    ids: list[str] = field(default_factory=list)


def _same(got: Any, wanted: Any) -> None:
    if got != wanted:
        raise Failed(f"answered {got!r} instead of {wanted!r}")


def _plain(answer: Answer, _: Seeded) -> None:
    _same(answer.body, b"Hello, World!")
    _same(answer.headers.get("content-type", "").split(";")[0], "text/plain")


def _marked(answer: Answer, seeded: Seeded) -> None:
    _plain(answer, seeded)
    _same(answer.headers.get("x-seen"), "yes")


def _equals(wanted: Any) -> Callable[[Answer, Seeded], None]:
    return lambda answer, _: _same(answer.json(), wanted)


def _user(value: Any) -> str:
    """Checks one user and gives its id."""
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise Failed(f"answered {value!r} instead of a user")
    _same({k: v for k, v in value.items() if k != "id"}, USER)
    return value["id"]


def _one(answer: Answer, seeded: Seeded) -> None:
    _same(_user(answer.json()), seeded.ids[0])
    if "etag" not in answer.headers:
        raise Failed("answered without an ETag")


def _page(answer: Answer, seeded: Seeded) -> None:
    page = answer.json()
    _same(sorted(page), ["items", "next"])
    ids = [_user(item) for item in page["items"]]
    _same(len(ids), PAGE_SIZE)
    _same(ids, sorted(ids))
    if not isinstance(page["next"], str):
        raise Failed("answered a first page without a cursor")


def _people(order: str) -> Callable[[Answer, Seeded], None]:
    """A first page of those that were asked for, in this order."""

    def check(answer: Answer, _: Seeded) -> None:
        page = answer.json()
        _same(sorted(page), ["items", "next"])
        items = page["items"]
        _same(len(items), PAGE_SIZE)
        for item in items:
            number = int(item["name"].removeprefix("Person "))
            _same({k: v for k, v in item.items() if k != "id"}, person(number))
        keys = [(item["age"], item["id"]) if order == "age" else item["id"] for item in items]
        _same(keys, sorted(keys))
        if order == "age":
            _same(items[0]["age"], YOUNGEST)
        else:
            _same({item["active"] for item in items}, {True})
        if not isinstance(page["next"], str):
            raise Failed("answered a first page without a cursor")

    return check


def _created(answer: Answer, _: Seeded) -> None:
    id = _user(answer.json())
    if not answer.headers.get("location", "").endswith(f"/user/{id}"):
        raise Failed(f"answered with location {answer.headers.get('location')!r}")
    if "etag" not in answer.headers:
        raise Failed("answered without an ETag")


@dataclass(frozen=True)
class Wrong:
    """A bad request that every server has to refuse, so that none is fast by not looking."""

    method: str
    path: str
    body: bytes | None = None
    # 400 or 422: frameworks differ in what they call a value of the wrong kind.
    statuses: tuple[int, ...] = (400, 422)
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Workload:
    name: str
    # Servers are started once per group: `web` without a store, `sqlite` and `mongodb` with one, `sqlite 100k` and its like
    # with one that holds so many people.
    group: str
    path: str
    check: Callable[[Answer, Seeded], None]
    method: str = "GET"
    body: Path | None = None
    status: int = 200
    # Walk through the seeded rows instead of asking for one path.
    by_id: bool = False
    wrong: Wrong | None = None
    headers: tuple[tuple[str, str], ...] = ()
    # Of the body.
    content_type: str = "application/json"
    # As many as are given for all, unless it needs others.
    connections: int | None = None
    # What `load/` does, where wrk has no word for it.
    load: str | None = None
    # Of answers that have no end.
    check_stream: "Callable[[Client], None] | None" = None

    def first_path(self, seeded: Seeded) -> str:
        return f"{self.path}/{seeded.ids[0]}" if self.by_id else self.path


MESSAGE = {
    "message": "Hello, World!",
    "numbers": [1, 2, 3, 4, 5],
    "nested": {"ok": True, "ratio": 0.5, "nothing": None},
}
RECEIPT = {"customer": "Ada Lovelace", "total": 54.25, "note": "leave at the door"}


def _crud(group: str) -> list[Workload]:
    old = json.dumps({**USER, "age": 151}).encode()
    nobody = "/user/00000000-0000-7000-8000-000000000000"
    return [
        Workload(f"{group} get", group, "/user", _one, by_id=True, wrong=Wrong("GET", nobody, None, (404,))),
        Workload(f"{group} list", group, f"/user?limit={PAGE_SIZE}", _page, wrong=Wrong("GET", "/user?limit=x")),
        Workload(
            f"{group} create",
            group,
            "/user",
            _created,
            "POST",
            HERE / "user.json",
            201,
            wrong=Wrong("POST", "/user", old, (422,)),
        ),
    ]


def _lists(group: str) -> list[Workload]:
    path = f"/person?limit={PAGE_SIZE}"
    wrong = Wrong("GET", f"{path}&age=gte.x")
    return [
        Workload(f"{group} by id", group, f"{path}&active=true", _people("id"), wrong=wrong),
        Workload(f"{group} by age", group, f"{path}&age=gte.{YOUNGEST}&sort=age", _people("age"), wrong=wrong),
    ]


WORKLOADS = [
    Workload("plaintext", "web", "/plaintext", _plain),
    Workload("wrapped", "web", "/wrapped", _marked),
    Workload("json", "web", "/json", _equals(MESSAGE)),
    Workload(
        "typed",
        "web",
        "/items/42?q=ziggurat",
        _equals({"id": 42, "q": "ziggurat"}),
        wrong=Wrong("GET", "/items/x?q=ziggurat"),
    ),
    Workload(
        "validated",
        "web",
        "/orders",
        _equals(RECEIPT),
        "POST",
        HERE / "order.json",
        wrong=Wrong("POST", "/orders", b'{"customer":"A","lines":[{"sku":"s","quantity":0,"price":1}]}'),
    ),
    Workload("sleep0", "web", "/sleep", _equals({"slept": True})),
    Workload("native", "web", "/native", _equals({"status": "ok"})),
    *_crud("sqlite"),
    *_crud("mongodb"),
    *(workload for store in ("sqlite", "mongodb") for size in PEOPLE for workload in _lists(f"{store} {size}")),
]


class Client:
    """A keep-alive connection for checking and seeding."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        content_type: str = "application/json",
    ) -> Answer:
        sent = {"content-type": content_type} if body is not None else {}
        self.connection.request(method, path, body, sent | dict(headers))
        response = self.connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def close(self) -> None:
        self.connection.close()


def seed(client: Client, rows: int) -> Seeded:
    body = (HERE / "user.json").read_bytes()
    seeded = Seeded()
    for _ in range(rows):
        answer = client.send("POST", "/user", body)
        if answer.status != 201:
            raise Failed(f"POST /user answered {answer.status}: {answer.body[:300]!r}")
        seeded.ids.append(answer.json()["id"])
    return seeded


def seed_people(client: Client, count: int, at_once: int = 1000) -> None:
    for first in range(0, count, at_once):
        people = [person(number) for number in range(first, min(first + at_once, count))]
        answer = client.send("POST", "/person", json.dumps(people).encode())
        if answer.status != 201:
            raise Failed(f"POST /person answered {answer.status}: {answer.body[:300]!r}")


def check(workload: Workload, client: Client, seeded: Seeded) -> Answer:
    """Asks once for the right answer and once for the refusal of a bad request."""
    if workload.check_stream is not None:
        workload.check_stream(client)
    if workload.load is not None:
        return Answer(workload.status, {}, b"")
    body = workload.body.read_bytes() if workload.body else None
    path = workload.first_path(seeded)
    answer = client.send(workload.method, path, body, headers=workload.headers, content_type=workload.content_type)
    if answer.status != workload.status:
        raise Failed(f"{workload.method} {path} answered {answer.status}: {answer.body[:300]!r}")
    try:
        workload.check(answer, seeded)
    except (Failed, ValueError, KeyError, TypeError) as error:
        raise Failed(f"{workload.method} {path}: {error}") from error
    if wrong := workload.wrong:
        refusal = client.send(wrong.method, wrong.path, wrong.body, headers=wrong.headers)
        if refusal.status not in wrong.statuses:
            raise Failed(f"{wrong.method} {wrong.path} answered {refusal.status}, not {wrong.statuses}")
    return answer
