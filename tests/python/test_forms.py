"""Forms: fields by their types, files, models, and what is told of bad ones."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, NotRequired
from uuid import UUID

import msgspec
import pydantic
import pytest
from typing_extensions import TypedDict
from values import ID, Colour

from ziggurat import (
    Body,
    ConfigError,
    Depends,
    File,
    Form,
    FormLimits,
    Query,
    Request,
    Response,
    UploadFile,
    WebSocket,
    Ziggurat,
    layers,
)
from ziggurat.testing import TestClient

# The same services answer in both modes.
pytestmark = pytest.mark.usefixtures("mode")

Start = Callable[[], TestClient]


def both(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The fields as httpx sends them in one way and in the other."""
    pairs = [(name, each) for name, value in data.items() for each in (value if isinstance(value, list) else [value])]
    return [{"data": data}, {"files": [(name, (None, value)) for name, value in pairs]}]


def told(answer: Any) -> list[tuple[str, str]]:
    assert answer.headers["content-type"] == "application/problem+json"
    return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


def test_every_scalar_is_read_with_its_type(app: Ziggurat, client: Start) -> None:
    got: dict[str, Any] = {}

    @app.post("/")
    async def handler(
        number: Annotated[int, Form()],
        unique: Annotated[UUID, Form()],
        price: Annotated[Decimal, Form(max_digits=4)],
        yes: Annotated[bool, Form],
        text: Annotated[str, Form(max_length=10)],
        day: Annotated[date, Form()],
        colour: Annotated[Colour, Form()],
        raw: Annotated[bytes, Form()],
        many: Annotated[list[int], Form(min_length=2)],
        few: Annotated[set[str], Form()],
        own: Annotated[int, Form(alias="other-name")],
        nothing: Annotated[int | None, Form()],
        kept: Annotated[str, Form()] = "default",
        *,
        made: Annotated[list[int], Form(default_factory=list)],
    ) -> None:
        got.update({name: value for name, value in locals().items() if name != "got"})

    started = client()
    data = {
        "number": "-7",
        "unique": ID,
        "price": "1.50",
        "yes": "on",
        "text": "a b+c&é\r\n",
        "day": "2024-02-29",
        "colour": "blue",
        "raw": "bytes",
        "many": ["3", "4"],
        "few": ["x", "y", "x"],
        "other-name": "5",
        "nothing": "",
        "kept": "",
    }
    for sent in both(data):
        got.clear()
        answer = started.post("/", **sent)
        assert answer.status_code == 200, answer.text
        assert got == {
            "number": -7,
            "unique": UUID(ID),
            "price": Decimal("1.50"),
            "yes": True,
            "text": "a b+c&é\r\n",
            "day": date(2024, 2, 29),
            "colour": Colour.BLUE,
            "raw": b"bytes",
            "many": [3, 4],
            "few": {"x", "y"},
            "own": 5,
            "nothing": None,
            "kept": "default",
            "made": [],
        }


def test_all_that_is_wrong_is_told_at_once_without_entering_python(app: Ziggurat, client: Start) -> None:
    @app.post("/")
    @app.post("/fastapi", errors="fastapi")
    async def handler(
        number: Annotated[int, Form(ge=3, alias="the/number")],
        text: Annotated[str, Form()],
        many: Annotated[list[int], Form()],
        file: UploadFile,
        needed: Annotated[bytes, File(max_length=2)],
        missing: Annotated[str, Form()],
    ) -> None:
        raise AssertionError("it must not run")

    started = client()
    before = app.attach_counts()
    data = {"the/number": "1", "many": ["1", "x"], "file": "no file"}
    request = started.build_request("POST", "/", data=data, files={"text": b"a file", "needed": b"123"})
    # In one piece: what comes from an iterator of Python's enters Python.
    sent: Any = {"content": request.read(), "headers": {"content-type": request.headers["content-type"]}}
    answer = started.post("/", **sent)
    assert answer.status_code == 422
    assert told(answer) == [
        ("/the~1number", "greater_than_equal"),
        ("/text", "string_type"),
        ("/many", "int_parsing"),
        ("/file", "upload_type"),
        ("/needed", "bytes_too_long"),
        ("/missing", "missing"),
    ]
    answer = started.post("/fastapi", **sent)
    assert [(error["loc"], error["type"]) for error in answer.json()["detail"]][:2] == [
        (["body", "the/number"], "greater_than_equal"),
        (["body", "text"], "string_type"),
    ]
    assert started.post("/fastapi").json()["detail"][0]["loc"] == ["body", "the/number"]
    assert app.attach_counts() == before


def test_fields_that_are_not_utf8_are_named(app: Ziggurat, client: Start) -> None:
    @app.post("/")
    async def handler(a: Annotated[str, Form()], b: Annotated[int, Form()] = 1) -> str:
        return a

    @app.post("/whole")
    async def whole(request: Request) -> str:
        return str(await request.form())

    started = client()
    url = {"content-type": "application/x-www-form-urlencoded"}
    parts = {"content-type": "multipart/form-data; boundary=b"}
    multipart = b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--'
    for headers, content in ((url, b"a=%ff&b=x"), (url, b"a=\xff&b=x"), (parts, multipart)):
        answer = started.post("/", content=content, headers=headers)
        assert answer.status_code == 422
        assert told(answer)[0] == ("/a", "string_unicode")
        assert started.post("/whole", content=content, headers=headers).status_code == 422
    assert started.post("/", content=b"%ff=1", headers=url).status_code == 400
    # What begins no escape stands for itself, and empty pairs are none.
    assert started.post("/", content=b"&a=100%25+%zz%&&", headers=url).text == "100% %zz%"
    assert started.post("/", content=b"a=1&a=2", headers=url).text == "2"
    charset = {"content-type": "multipart/form-data; boundary=b"}
    named = b'--b\r\ncontent-disposition: form-data; name="_charset_"\r\n\r\n%s\r\n' + multipart.replace(b"\xff", b"x")
    assert started.post("/", content=named % b"UTF-8", headers=charset).status_code == 200
    assert started.post("/", content=named % b"koi8-r", headers=charset).status_code == 415


def test_files(app: Ziggurat, client: Start) -> None:
    @app.post("/")
    async def handler(
        bare: UploadFile,
        named: Annotated[UploadFile, File(alias="the file", description="One")],
        many: list[UploadFile],
        raw: Annotated[bytes, File()],
        raws: Annotated[list[bytes], File()],
        optional: UploadFile | None = None,
        text: Annotated[str, Form()] = "",
        images: Annotated[list[UploadFile] | None, File(media_type="image/*")] = None,
    ) -> Any:
        contents = [await each.read() for each in (bare, named, *many)]
        assert (bare.headers["content-type"], bare.size, bare.filename) == ("text/x-own", 4, "b.txt")
        joined = b" ".join(contents).decode()
        return [joined, raw.hex(), b"-".join(raws).decode(), optional and optional.filename, text, len(images or [])]

    started = client()
    files: list[Any] = [
        ("bare", ("dir/b.txt", b"bare", "text/x-own")),
        ("the file", ("n", b"named")),
        ("many", ("1", b"one")),
        ("many", ("2", b"two")),
        ("raw", ("r", b"\0\xff")),
        ("raws", ("r", b"x")),
        ("raws", ("r", b"y")),
    ]
    answer = started.post("/", files=files, data={"text": "é"})
    assert answer.json() == ["bare named one two", "00ff", "x-y", None, "é", 0]


def test_no_file_chosen_is_none(app: Ziggurat, client: Start) -> None:
    @app.post("/")
    async def handler(file: UploadFile | None, files: list[UploadFile] | None = None) -> list[Any]:
        return [file and file.size, files and len(files)]

    @app.post("/needed")
    async def needed(file: UploadFile) -> int:
        return file.size

    started = client()
    headers = {"content-type": "multipart/form-data; boundary=b"}
    # As browsers send it.
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\nContent-Type: application/octet-stream\r\n\r\n'
    none = head % b"" + b"\r\n--b--\r\n"
    assert started.post("/", content=none, headers=headers).json() == [None, None]
    assert told(started.post("/needed", content=none, headers=headers)) == [("/file", "missing")]
    assert started.post("/needed", content=head % b"empty" + b"\r\n--b--\r\n", headers=headers).json() == 0
    assert started.post("/needed", content=head % b"" + b"x\r\n--b--\r\n", headers=headers).json() == 1
    assert started.post("/").json() == [None, None]


def test_types_of_files_are_checked(app: Ziggurat, client: Start) -> None:
    @app.post("/")
    async def handler(file: Annotated[UploadFile, File(media_type=["image/*", "text/plain"])]) -> None: ...

    started = client()
    for kind, status in (("image/png", 200), ("Text/Plain; charset=x", 200), ("text/html", 422), ("imag", 422)):
        answer = started.post("/", files={"file": ("f", b"1", kind)})
        assert answer.status_code == status, kind
    assert told(answer) == [("/file", "media_type")]


class Point(pydantic.BaseModel):
    x: int
    y: int = pydantic.Field(2, ge=0)
    tags: list[str] = []
    file: UploadFile | None = None


class Closed(pydantic.BaseModel, extra="forbid"):
    name: str = pydantic.Field(alias="the-name")

    @pydantic.field_validator("name", mode="before")
    @classmethod
    def upper(cls, value: str) -> str:
        if value == "bad":
            raise ValueError("is bad")
        return value.upper()


@dataclass
class Data:
    x: int
    file: UploadFile
    y: str = "y"


class Struct(msgspec.Struct):
    x: int
    file: UploadFile
    own: str = msgspec.field(default="own", name="OWN")


class Typed(TypedDict):
    x: int
    file: NotRequired[UploadFile]


def test_models_are_made_of_fields(app: Ziggurat, client: Start) -> None:
    @app.post("/point")
    async def point(given: Annotated[Point, Form()], also: Annotated[int, Form()] = 0) -> list[Any]:
        return [given.x, given.y, given.tags, given.file and given.file.size, also]

    @app.post("/closed")
    async def closed(given: Annotated[Closed, Form()]) -> str:
        return given.name

    @app.post("/data")
    async def data(given: Annotated[Data, Form()]) -> list[Any]:
        return [given.x, given.file.filename, given.y]

    @app.post("/struct")
    async def struct(given: Annotated[Struct, Form()]) -> list[Any]:
        return [given.x, given.file.filename, given.own]

    @app.post("/typed")
    async def typed(given: Annotated[Typed, Form()]) -> list[Any]:
        return [given["x"], "file" in given]

    started = client()
    file = {"file": ("f.txt", b"123")}
    assert started.post("/point", data={"x": "1", "tags": ["a", "b"]}).json() == [1, 2, ["a", "b"], None, 0]
    assert started.post("/point", data={"x": "1", "y": "", "also": "5"}, files=file).json() == [1, 2, [], 3, 5]
    assert told(started.post("/point", data={"y": "-1"})) == [("/x", "missing"), ("/y", "greater_than_equal")]
    assert started.post("/closed", data={"the-name": "a"}).text == "A"
    assert told(started.post("/closed", data={"the-name": "bad"})) == [("/the-name", "value_error")]
    assert told(started.post("/closed", data={"the-name": "a", "other": "b"})) == [("/other", "extra_forbidden")]
    for path, last in (("/data", "y"), ("/struct", "own")):
        assert started.post(path, data={"x": "1"}, files=file).json() == [1, "f.txt", last]
        assert told(started.post(path, data={"x": "z"})) == [("/x", "int_parsing"), ("/file", "missing")]
    assert started.post("/struct", data={"x": "1", "OWN": "z"}, files=file).json() == [1, "f.txt", "z"]
    assert started.post("/typed", data={"x": "1"}).json() == [1, False]


def test_dependencies_take_of_the_same_form(app: Ziggurat, client: Start) -> None:
    async def user(name: Annotated[str, Form()], file: UploadFile) -> str:
        return f"{name} {file.size}"

    @app.post("/{number}")
    async def handler(
        number: int, who: Annotated[str, Depends(user)], name: Annotated[str, Form()], q: Annotated[int, Query()] = 1
    ) -> list[Any]:
        return [number, who, name, q]

    @app.post("/sync/{number}")
    def sync(number: int, who: Annotated[str, Depends(user)], file: UploadFile) -> list[Any]:
        return [number, who, file.file.read().decode()]

    started = client()
    assert started.post("/1?q=2", data={"name": "a"}, files={"file": b"123"}).json() == [1, "a 3", "a", 2]
    assert started.post("/sync/1", data={"name": "a"}, files={"file": b"123"}).json() == [1, "a 3", "123"]


def test_another_content_type_is_a_415(app: Ziggurat, client: Start) -> None:
    @app.post("/")
    async def handler(name: Annotated[str, Form()] = "none") -> str:
        return name

    started = client()
    before = app.attach_counts()
    for sent in ({"json": {"name": "a"}}, {"content": b"name=a"}, {"content": b"", "headers": {"content-type": "a/b"}}):
        answer = started.post("/", **sent)
        assert answer.status_code == 415, sent
        assert "application/x-www-form-urlencoded" in answer.json()["detail"]
    for boundary in (
        "",
        "; boundary=",
        "; boundary=" + "x" * 71,
        '; boundary="a',
        "; boundary=a; boundary=b",
        "; boundary=é",
    ):
        headers = {"content-type": f"multipart/form-data{boundary}".encode()}
        answer = started.post("/", content=b"--b--", headers=headers)
        assert answer.status_code == (415 if "é" in boundary else 400), boundary
        assert "boundary" in answer.text or "é" in boundary
    assert app.attach_counts() == before
    assert started.post("/").text == "none"
    quoted = {"content-type": 'Multipart/Form-Data; charset=utf-8; BOUNDARY="a b:c"'}
    content = b"preamble\r\n--a b:c\r\ncontent-disposition: form-data; name=name\r\n\r\nx\r\n--a b:c--\r\nepilogue"
    assert started.post("/", content=content, headers=quoted).text == "x"


def test_the_whole_form(app: Ziggurat, client: Start) -> None:
    held: list[UploadFile] = []

    @app.post("/", max_body=1_000_000)
    async def handler(request: Request) -> list[Any]:
        form = await request.form()
        held[:] = [value for value in form.values() if isinstance(value, UploadFile)]
        again = await request.form()
        assert list(form) == list(again) == [*dict(form)]
        with pytest.raises(KeyError):
            form["other"]
        assert form.get("other") is None and "a" in form and len(form) == 2
        return [form["a"], form.getlist("a"), [name for name, _ in form.multi_items()], held[0].size]

    @app.post("/entered", max_body=1_000_000)
    async def entered(request: Request) -> list[bool]:
        async with request.form() as form:
            file = form["f"]
            assert isinstance(file, UploadFile)
            before = file.closed
        return [before, file.closed]

    @app.post("/bytes", max_body=1_000_000)
    async def whole(request: Request) -> list[int]:
        body = await request.body()
        form = await request.form()
        return [len(body), len(form)]

    @app.post("/limited")
    async def limited(request: Request) -> int:
        return len(await request.form(max_fields=1, max_part_size=3))

    @app.post("/taken")
    async def taken(request: Request, a: Annotated[str, Form()]) -> list[Any]:
        with pytest.raises(RuntimeError, match="as a form"):
            await request.body()
        return [a, (await request.form())["a"]]

    started = client()
    for size in (10, 300_000):
        files = [("a", (None, b"1")), ("f", ("x", b"x" * size)), ("a", (None, b"2"))]
        assert started.post("/", files=files).json() == ["2", ["1", "2"], ["a", "f", "a"], size]
        assert held[0].closed
        assert started.post("/entered", files=files).json() == [False, True]
        length, fields = started.post("/bytes", files=files).json()
        assert (length > size, fields) == (True, 2)
    assert started.post("/limited", data={"a": "1"}).json() == 1
    assert started.post("/limited", data={"a": "1", "b": "2"}).status_code == 413
    assert started.post("/limited", data={"a": "1234"}).status_code == 413
    assert started.post("/limited", json={}).status_code == 415
    assert started.post("/limited").json() == 0
    assert started.post("/taken", data={"a": "x"}).json() == ["x", "x"]


def test_a_middleware_may_read_the_form(app: Ziggurat, client: Start) -> None:
    @app.middleware
    async def seen(request: Request, call_next: Any) -> Response:
        form = await request.form()
        response: Response = await call_next(request)
        response.headers["x-fields"] = " ".join(form)
        return response

    @app.post("/")
    async def handler(a: Annotated[str, Form()], f: UploadFile) -> list[Any]:
        return [a, (await f.read()).decode()]

    answer = client().post("/", data={"a": "1"}, files={"f": b"file"})
    assert (answer.json(), answer.headers["x-fields"]) == (["1", "file"], "a f")


def test_mistakes_are_told_at_registration(app: Ziggurat) -> None:
    class Item(pydantic.BaseModel):
        name: str

    def refused(annotation: Any, *words: str) -> None:
        def handler(given: Any) -> None: ...

        handler.__annotations__ = {"given": annotation}
        with pytest.raises(ConfigError) as error:
            app.post("/")(handler)
        assert all(word in str(error.value) for word in (*words, "test_forms.py:")), str(error.value)

    def mixed(a: Annotated[str, Form()], item: Item) -> None: ...
    def shared(item: Item, file: UploadFile) -> None: ...

    for function in (mixed, shared):
        with pytest.raises(ConfigError, match="from a JSON body, and a request has one body") as error:
            app.post("/")(function)
        assert "item: Annotated[..., Form()]" in str(error.value) and "test_forms.py:" in str(error.value)
    refused(Annotated[str, File()], "is a file, and has the type str", "UploadFile or bytes")
    refused(Annotated[dict[str, str], Form()], "request.form()")
    refused(Annotated[set[bytes], File()], "list[bytes]")
    refused(Annotated[UploadFile, File(max_length=3)], "max_file_size")
    refused(Annotated[UploadFile, Query()], "cannot be read from the query")
    refused(Annotated[bytes, Query()], "cannot be read from the query")
    refused(Annotated[UploadFile, File(media_type="png")], "is no media type")
    refused(Annotated[Item, File()], "is a file")
    refused(Annotated[Item | None, Form()], "give its fields defaults")
    refused(Annotated[object, Form()], "cannot be read from the form")
    refused(Annotated[str, Form(), Body()], "two markers")
    for wrong in ({"max_files": -1}, {"max_fields": True}, {"max_memory": "1"}, {"directory": "/nowhere/at/all"}):
        with pytest.raises(ConfigError, match=r"FormLimits: .*"):
            FormLimits(**wrong)
    for wrong in ({"forms": {}}, {"max_body": 0}, {"max_body": "1"}):
        with pytest.raises(ConfigError, match=r"test_forms\.py:"):
            app.post("/", **wrong)
    with pytest.raises(ConfigError, match="FormLimits"):
        Ziggurat(forms=3)  # type: ignore[arg-type]
    both = Ziggurat(layers=[layers.BodyLimit(at={"/a": 10})])

    @both.post("/a", max_body=20)
    async def handler() -> None: ...

    with pytest.raises(ConfigError, match="keep one of them"):
        both.build()


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


def test_the_document_tells_of_forms() -> None:
    app = Ziggurat()

    @app.post("/login")
    async def login(
        name: Annotated[str, Form(description="Who", max_length=9)], level: Annotated[Level, Form()] = Level.LOW
    ) -> None: ...

    @app.post("/files")
    async def files(
        photo: Annotated[UploadFile, File(media_type=["image/png", "image/gif"])],
        more: list[UploadFile],
        hidden: Annotated[str, Form(include_in_schema=False)] = "",
    ) -> None: ...

    @app.post("/model/{id}")
    async def model(id: int, given: Annotated[Point, Form()]) -> None: ...

    document = app.openapi()
    login_body = document["paths"]["/login"]["post"]["requestBody"]
    schema = {
        "type": "object",
        "title": "Form_login",
        "properties": {
            "name": {"type": "string", "maxLength": 9, "description": "Who"},
            "level": {"type": "integer", "enum": [1, 2], "default": 1},
        },
        "required": ["name"],
    }
    assert login_body == {
        "required": True,
        "content": {"application/x-www-form-urlencoded": {"schema": schema}, "multipart/form-data": {"schema": schema}},
    }
    assert "parameters" not in document["paths"]["/login"]["post"]
    assert {"400", "413", "415", "422"} <= set(document["paths"]["/login"]["post"]["responses"])
    content = document["paths"]["/files"]["post"]["requestBody"]["content"]
    assert list(content) == ["multipart/form-data"]
    binary = {"type": "string", "format": "binary"}
    assert content["multipart/form-data"]["schema"]["properties"] == {
        "photo": binary,
        "more": {"type": "array", "items": binary},
    }
    assert content["multipart/form-data"]["encoding"] == {"photo": {"contentType": "image/png, image/gif"}}
    operation = document["paths"]["/model/{id}"]["post"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["id"]
    properties = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert list(properties) == ["x", "y", "tags", "file"] and properties["file"] == binary


def test_a_websocket_has_no_form(app: Ziggurat) -> None:
    async def socket(socket: WebSocket, name: Annotated[str, Form()]) -> None: ...

    with pytest.raises(ConfigError, match="a WebSocket begins without one"):
        app.websocket("/")(socket)
