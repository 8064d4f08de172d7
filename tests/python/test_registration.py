"""What registering costs: what is read once, and what is not loaded."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import pytest

from ziggurat import ConfigError, Depends, Header, Model, Path, Query, Router, Ziggurat, openapi
from ziggurat._callables import MISSING, parameters_of
from ziggurat._record import record
from ziggurat.testing import TestClient

Limit = Annotated[int, Query(le=9)]


def plain(a: int, b: str = "b", /, c: float = 1.5, *, d: bool, e: int | None = None) -> None: ...


def bare(a, b=1, *, c=2):  # type: ignore[no-untyped-def]
    return a, b, c


def empty() -> None: ...


def local(a: int) -> Callable[..., Any]:
    def inner(b: int = 1, *, c: int = a) -> int:
        more = a + b
        return more + c

    return inner


@functools.wraps(plain)
def wrapped(*args: Any, **kwargs: Any) -> None: ...


def signed(*args: Any) -> None: ...


signed.__signature__ = inspect.signature(lambda x, y=2: None)  # type: ignore[attr-defined]


class Views:
    def show(self, a: int, b: int = 2) -> None: ...


@pytest.mark.parametrize(
    "function",
    [plain, bare, empty, local(3), wrapped, signed, Views().show, functools.partial(plain, 1, e=5), lambda a, b=1: a],
)
def test_parameters_are_those_that_inspect_finds(function: Any) -> None:
    def wrong(what: str, cure: str) -> ConfigError:
        return ConfigError(what, cure=cure)

    bound = function.keywords if isinstance(function, functools.partial) else {}
    expected = [
        (each.name, each.kind is each.KEYWORD_ONLY, MISSING if each.default is each.empty else each.default)
        for each in inspect.signature(function).parameters.values()
        if each.name not in bound
    ]
    target = function.func if isinstance(function, functools.partial) else function
    found, _ = parameters_of(function, target, None, wrong)
    assert [(each.name, each.by_name, each.default) for each in found] == expected


@pytest.mark.parametrize("star", ["*args: int", "**kwargs: int"])
def test_what_takes_any_number_is_refused(star: str) -> None:
    names: dict[str, Any] = {}
    exec(f"def handler({star}): ...", names)
    with pytest.raises(ConfigError, match=r"cannot be filled; name each parameter"):
        Ziggurat().get("/")(names["handler"])


def test_a_parameter_of_many_handlers_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from ziggurat import _param_graph

    read: list[tuple[object, ...]] = []
    fill = _param_graph._fill

    def counted(name: str, annotation: Any, default: object, *more: Any) -> Any:
        read.append((name, default))
        return fill(name, annotation, default, *more)

    monkeypatch.setattr(_param_graph, "_fill", counted)
    app = Ziggurat()

    @app.get("/first")
    async def first(limit: Limit = 1) -> int:
        return limit

    @app.get("/again")
    async def again(limit: Limit = 1) -> int:
        return -limit

    @app.get("/otherwise")
    async def otherwise(limit: Limit = 2) -> int:
        return limit

    @app.get("/in/{limit}")
    async def in_path(limit: int) -> str:
        return f"in the path {limit}"

    @app.get("/text")
    async def text(limit: str = "1") -> str:
        return f"text {limit}"

    assert read == [("limit", 1), ("limit", 2), ("limit", MISSING), ("limit", "1")]
    with TestClient(app) as client:
        paths = ("/first?limit=7", "/again", "/otherwise", "/in/3", "/text?limit=x")
        assert [client.get(path).text for path in paths] == ["7", "-1", "2", "in the path 3", "text x"]
        assert client.get("/again?limit=10").status_code == 422


def test_what_is_served_is_listed_once_when_the_app_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    from ziggurat import _declared

    listed: list[object] = []
    specs_of = _declared.specs_of

    def counted(*args: Any) -> Any:
        listed.append(args)
        return specs_of(*args)

    app, router = Ziggurat(openapi_path=None), Router("/a", tags=["a"], guards=[])

    @router.get("/b")
    async def b() -> str:
        return "b"

    app.include_router(router)
    assert [spec.path for spec in app.route_specs] == ["/a/b"]

    @router.get("/c")
    async def c() -> str:
        return "c"

    # Not before that, since something may be added.
    assert [spec.path for spec in app.route_specs] == ["/a/b", "/a/c"]
    monkeypatch.setattr(_declared, "specs_of", counted)
    app.build()
    assert len(listed) == 1
    assert [spec.path for spec in app.route_specs] == ["/a/b", "/a/c"]
    assert app.route_specs[0] is app.route_specs[0]
    assert len(listed) == 1


def test_what_is_added_after_a_build_that_failed_is_served() -> None:
    app, router = Ziggurat(strict=True), Router("/a")

    @router.get("/read")
    async def read() -> str:
        return "read"

    app.include_router(router)
    write = router.post("/write")
    with pytest.raises(ConfigError, match="decorates nothing"):
        app.build()

    @write
    async def refused() -> None: ...

    with pytest.raises(ConfigError, match="everybody may write through POST /a/write"):
        app.build()

    @router.get("/late")
    async def late() -> str:
        return "late"

    assert [spec.path for spec in app.route_specs] == ["/a/read", "/a/write", "/a/late"]


def test_what_a_plain_app_does_not_use_is_not_loaded() -> None:
    check = """
import sys
from typing import Annotated
from ziggurat import Depends, Header, Query, Ziggurat
app = Ziggurat()
def user(token: Annotated[str, Header()] = "") -> str: return token
@app.get("/{id}")
async def show(id: int, user: Annotated[str, Depends(user)], limit: Annotated[int, Query(le=5)] = 1) -> dict[str, int]: return {}
app.build()
unused = ("layers", "_layer_auth", "_layer_jwt", "models", "_schema", "openapi", "cli", "testing")
print([name for name in unused if f"ziggurat.{name}" in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stdout + done.stderr


def test_records_are_small_and_stand_for_themselves() -> None:
    @record
    class Found:
        name: str
        hidden: int = dataclasses.field(default=1, repr=False)

    @record(kw_only=True)
    class Named:
        name: str

        def __repr__(self) -> str:
            return f"<{self.name}>"

    one = Found("a")
    assert repr(one) == f"{Found.__qualname__}(name='a')"
    assert repr(Named(name="b")) == "<b>"
    assert one != Found("a")
    assert {one: 1}[one] == 1
    assert not hasattr(one, "__dict__")
    assert dataclasses.replace(one, hidden=2).hidden == 2
    with pytest.raises(TypeError):
        Named("b")  # type: ignore[misc]


def test_markers_are_compared_by_what_they_say() -> None:
    assert Query(ge=1) == Query(ge=1) != Query(ge=2)
    assert Query() != Path()
    assert hash(Query(ge=1)) == hash(Query(ge=1))
    assert repr(Path(alias="a")).startswith("Path(alias='a', ")
    for marker in (Path(), Query(), Header()):
        assert not hasattr(marker, "__dict__")
        with pytest.raises(dataclasses.FrozenInstanceError):
            marker.alias = "b"  # type: ignore[misc]


def test_a_mistake_is_told_of_each_handler_that_has_it() -> None:
    app = Ziggurat()

    def twice(a: Annotated[int, Query()] = 1) -> int:
        return a

    for path in ("/a", "/b"):

        async def handler(x: Annotated[int, Depends(twice)], *, y: range) -> int:
            return x

        with pytest.raises(ConfigError, match=rf"'y'.*{__file__}:{handler.__code__.co_firstlineno}"):
            app.get(path)(handler)


def test_an_app_that_is_built_keeps_no_document() -> None:
    app = Ziggurat(store="sqlite:///:memory:")
    for number in range(20):
        fields = {"id": UUID, "name": str, "price": float | None}
        model = type(f"Item{number}", (Model,), {"__annotations__": fields, "__module__": __name__})
        app.crud(model)(type("Routes", (), {}))
    tracemalloc.start()
    try:
        app.build()
        kept, _ = tracemalloc.get_traced_memory()
        document = openapi.text(app)
        afterwards, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    made = json.loads(document)
    assert len(made["paths"]) == 40
    # As dicts its part for the models takes five times the bytes of its text.
    assert kept < len(document)
    assert afterwards < 2 * len(document)
    assert made == json.loads(openapi.text(app)) == app.openapi()
