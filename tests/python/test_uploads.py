"""Files of forms: reading and keeping them, their limits, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import pytest

from ziggurat import (
    BackgroundTask,
    BackgroundTasks,
    ConfigError,
    File,
    Form,
    FormLimits,
    Request,
    Response,
    Router,
    StreamingResponse,
    UploadFile,
    Ziggurat,
)
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")

BIG = bytes(range(256)) * 8000
"""2 MB."""
HEADERS = {"content-type": "multipart/form-data; boundary=b"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "spool"
    made.mkdir()
    return made


@pytest.fixture
def app(directory: Path) -> Ziggurat:
    return Ziggurat(openapi_path=None, forms=FormLimits(directory=directory, max_memory=100_000))


def open_files(directory: Path, pid: int | str = "self") -> list[str]:
    """What a process has open there: files without a name, too."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith(f"{directory}/"):
            found.append(target)
    return found


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    said = "" if filename is None else f'; filename="{filename}"'
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{said}\r\n\r\n'.encode() + content + b"\r\n"


@pytest.mark.parametrize("content", [b"0123456789", BIG], ids=["memory", "disk"])
def test_reading(app: Ziggurat, client: Callable[[], TestClient], directory: Path, content: bytes) -> None:
    @app.post("/", max_body=10_000_000)
    async def handler(file: UploadFile) -> dict[str, Any]:
        assert bool(open_files(directory)) == (len(content) > 100_000)
        assert list(directory.iterdir()) == []
        assert file.size == len(content)
        assert await file.read(4) == content[:4]
        assert await file.read(0) == b""
        assert await file.read() == content[4:]
        assert await file.read() == b""
        assert await file.seek(2) == 2
        assert await file.read(3) == content[2:5]
        assert await file.seek(-1, 1) == 4
        assert await file.seek(-2, 2) == len(content) - 2
        assert await file.read(100) == content[-2:]
        assert await file.seek(len(content) + 5) == len(content) + 5
        assert await file.read() == b""
        for wrong in ((-1,), (0, 3)):
            with pytest.raises(ValueError):
                await file.seek(*wrong)
        await file.seek(0)
        chunks = [chunk async for chunk in file]
        assert b"".join(chunks) == content and all(chunks)
        await file.seek(0)
        halves = await asyncio.gather(file.read(5), file.read())
        assert b"".join(halves) == content
        assert file.file.read() == content
        assert file.file.seek(1) == 1 and file.file.read(1) == content[1:2]
        assert not file.closed
        await file.close()
        assert file.closed
        for use in (file.read, lambda: file.seek(0), lambda: file.save("x"), lambda: file.file, file.__anext__):
            with pytest.raises(ValueError, match="closed file"):
                use()
        return {}

    assert client().post("/", files={"file": content}).status_code == 200


@pytest.mark.parametrize("content", [b"0123456789", BIG], ids=["memory", "disk"])
def test_writing(app: Ziggurat, client: Callable[[], TestClient], tmp_path: Path, content: bytes) -> None:
    """Side by side with a file of Python's."""
    expected = io.BytesIO(content)

    async def write(file: UploadFile, data: bytes | bytearray) -> None:
        await file.write(data)
        expected.write(data)
        assert file.size == len(expected.getvalue())

    async def seek(file: UploadFile, offset: int, whence: int = 0) -> None:
        assert await file.seek(offset, whence) == expected.seek(offset, whence)

    @app.post("/", max_body=10_000_000)
    async def handler(file: UploadFile) -> None:
        assert file.file.read(2) == content[:2]
        await write(file, b"ab")
        assert await file.read(3) == expected.read(3)
        await write(file, b"")
        await write(file, bytearray(b"cd"))
        # Over its end, at it, and beyond.
        await seek(file, -1, 2)
        await write(file, b"efg")
        await write(file, b"h" * 5000)
        await seek(file, 10, 2)
        await write(file, b"i")
        assert await file.read() == b""
        await file.seek(0)
        assert await file.read() == expected.getvalue()
        await seek(file, 0)
        for number in range(200):
            await write(file, bytes([number]) * 100)
        # Each has a place of its own.
        await file.seek(0)
        await asyncio.gather(file.write(b"first"), file.write(b"second"))
        expected.seek(0)
        expected.write(b"firstsecond")
        assert file.file.read() == expected.getvalue()
        await file.save(tmp_path / "saved")
        assert (tmp_path / "saved").read_bytes() == expected.getvalue()
        for refused in (
            lambda: file.file.write(b"x"),
            lambda: file.file.writelines([b"x"]),
            lambda: file.file.truncate(1),
        ):
            with pytest.raises(io.UnsupportedOperation):
                refused()
        assert file.file.readable() and not file.file.writable()
        with pytest.raises(TypeError):
            file.write("text")  # type: ignore[arg-type]
        assert await file.seek(2**62) == 2**62
        with pytest.raises(OSError, match=r"File too large|Invalid argument"):
            await file.write(b"x")
        await file.seek(0)
        assert await file.read() == expected.getvalue()
        await file.close()
        with pytest.raises(ValueError, match="closed file"):
            file.write(b"x")

    assert client().post("/", files={"file": content}).status_code == 200


@pytest.mark.parametrize("content", [b"0123456789", BIG], ids=["memory", "disk"])
def test_saving(app: Ziggurat, client: Callable[[], TestClient], tmp_path: Path, content: bytes) -> None:
    kept = tmp_path / "kept.bin"

    @app.post("/", max_body=10_000_000)
    async def handler(file: UploadFile) -> None:
        await file.read(5)
        assert await file.save(kept) is None
        kept.write_bytes(b"other")
        with pytest.raises(FileExistsError) as error:
            await file.save(kept, overwrite=False)
        assert error.value.filename == str(kept) and kept.read_bytes() == b"other"
        await file.save(str(kept))
        with pytest.raises(FileNotFoundError):
            await file.save(tmp_path / "nowhere" / "x")
        with pytest.raises(OSError):
            await file.save(tmp_path)

    os.umask(0o022)
    assert client().post("/", files={"file": content}).status_code == 200
    assert kept.read_bytes() == content
    assert stat.S_IMODE(kept.stat().st_mode) == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.bin", "spool"], "nothing else is left"


def test_libraries_read_by_themselves(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/")
    def handler(file: UploadFile) -> list[list[str]]:
        return list(csv.reader(io.TextIOWrapper(file.file, encoding="utf-8")))

    assert client().post("/", files={"file": b"a,b\n1,2\n"}).json() == [["a", "b"], ["1", "2"]]


def test_handlers_are_called_with_files_in_tests() -> None:
    async def handler(file: UploadFile) -> tuple[Any, ...]:
        return file.filename, file.content_type, file.size, await file.read(), dict(file.headers)

    file = UploadFile(io.BytesIO(b"123"), filename="a.txt", headers={"x-own": "1"}, content_type="text/plain")
    loop = asyncio.new_event_loop()
    with pytest.raises(StopIteration) as done:
        handler(file).send(None)
    loop.close()
    assert done.value.value == ("a.txt", "text/plain", 3, b"123", {"x-own": "1", "content-type": "text/plain"})
    assert repr(file) == 'UploadFile(filename="a.txt", size=3)'
    assert UploadFile(b"x").filename is None
    with pytest.raises(TypeError):
        UploadFile(io.StringIO("x"))  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"0123456789", BIG], ids=["memory", "disk"])
def test_files_are_closed_when_all_is_over(
    app: Ziggurat, client: Callable[[], TestClient], directory: Path, content: bytes
) -> None:
    held: list[UploadFile] = []
    seen: list[Any] = []

    async def later(file: UploadFile) -> None:
        await asyncio.sleep(0.05)
        seen.append(len(await file.read()))

    @app.post("/plain", max_body=10_000_000)
    async def plain(file: UploadFile) -> None:
        held.append(file)

    @app.post("/raises", max_body=10_000_000)
    async def raises(file: UploadFile) -> None:
        held.append(file)
        raise RuntimeError("as a test wants it")

    @app.post("/sync", max_body=10_000_000)
    def sync(file: UploadFile) -> None:
        held.append(file)

    @app.post("/background", max_body=10_000_000)
    async def background(file: UploadFile, tasks: BackgroundTasks) -> Response:
        held.append(file)
        tasks.add_task(later, file)
        await file.seek(1)
        return Response(body="x", background=BackgroundTask(lambda: seen.append(file.file.read(3))))

    @app.post("/stream", max_body=10_000_000)
    async def stream(file: UploadFile) -> AsyncIterator[bytes]:
        held.append(file)
        async for chunk in file:
            yield chunk

    @app.post("/streamed", max_body=10_000_000)
    async def streamed(request: Request, tasks: BackgroundTasks) -> Response:
        file = (await request.form())["file"]
        assert isinstance(file, UploadFile)
        held.append(file)
        copy = UploadFile.__new__(UploadFile, await file.read())
        await file.seek(0)
        tasks.add_task(later, file)
        assert copy.size == file.size
        return StreamingResponse(aiter(file), background=BackgroundTask(seen.append, "own"))

    with TestClient(app) as started:
        for path in ("/plain", "/raises", "/sync"):
            started.post(path, files={"file": content})
        assert started.post("/stream", files={"file": content}).content == content
        started.post("/background", files={"file": content})
        assert started.post("/streamed", files={"file": content}).content == content
    # It has waited for what runs behind.
    assert sorted(map(str, seen)) == sorted(map(str, [content[:3], len(content) - 1, "own", 0]))
    assert len(held) == 6 and all(file.closed for file in held)
    assert open_files(directory) == [] and list(directory.iterdir()) == []


def test_each_limit_is_told_of(app: Ziggurat, client: Callable[[], TestClient], directory: Path) -> None:
    limits = FormLimits(
        max_files=2,
        max_fields=3,
        max_field_size=10,
        max_file_size=200_000,
        max_filename_length=5,
        max_part_headers=2,
        max_part_header_size=200,
        max_memory=1000,
        directory=directory,
    )

    @app.post("/", forms=limits, max_body=1_000_000)
    async def handler(
        a: Annotated[list[str], Form(default_factory=list)], f: Annotated[list[UploadFile], File(default_factory=list)]
    ) -> list[int]:
        return [len(a), len(f)]

    started = client()

    def send(*parts: bytes) -> Any:
        return started.post("/", content=b"".join(parts) + b"--b--", headers=HEADERS)

    field, file = part("a", b"x" * 10), part("f", b"x" * 200_000, "12345")
    assert send(field, field, field, file, file).json() == [3, 2]
    before = app.attach_counts()
    for words, parts in {
        "at most 3 fields": [field] * 4,
        "at most 2 files": [file] * 3,
        "at most 10 bytes": [part("a", b"x" * 11)],
        "at most 200000 bytes": [part("f", b"x" * 200_001, "x")],
        "more than 5 characters": [part("f", b"x", "123456")],
        "more than 2 header fields": [b"--b\r\na: 1\r\n" + field[5:], b"--b\r\na: 1\r\nb: 2\r\n" + field[5:]],
        "more than 200 bytes of header fields": [part("a" * 200, b"")],
        "at most 1000000 bytes": [part("f", b"x" * 200_000, "x")] * 5,
    }.items():
        answer = send(*parts)
        if "1000000" in words:
            # The body as a whole comes before what is in it.
            assert answer.status_code == 413
            continue
        assert (answer.status_code, words in answer.json()["detail"]) == (413, True), answer.text
    assert (
        started.post(
            "/", content=b"a=1&" * 4, headers={"content-type": "application/x-www-form-urlencoded"}
        ).status_code
        == 413
    )
    assert send(part("a", b"x" * 11)).json()["errors"] == [
        {"pointer": "/a", "code": "too_large", "detail": "may have at most 10 bytes; send more than that as a file"}
    ]
    assert app.attach_counts() == before
    assert open_files(directory) == []


def test_limits_of_what_is_nearest_count() -> None:
    def routes(router: Router | Ziggurat, **options: Any) -> Router | Ziggurat:
        @router.post("/form", **options)
        async def form(request: Request) -> int:
            return len((await request.form()).multi_items())

        @router.post("/file", **options)
        async def file(file: UploadFile) -> int:
            return file.size

        return router

    app = Ziggurat(openapi_path=None, forms=FormLimits(max_fields=1))
    inner, plain = Router("/inner", forms=FormLimits(max_fields=3)), Router("/plain")
    outer = Router("/outer", forms=FormLimits(max_fields=2, max_file_size=5))
    for router in (app, inner, plain):
        routes(router)
    own = Router("/own")
    routes(own, forms=FormLimits(max_fields=4))
    for router in (inner, plain, own):
        outer.include_router(router)
    app.include_router(outer)
    app.include_router(plain)
    app.include_router(plain, prefix="/again", forms=FormLimits(max_fields=5))
    most = {"": 1, "/plain": 1, "/outer/plain": 2, "/outer/inner": 3, "/outer/own": 4, "/again/plain": 5}
    with TestClient(app) as client:
        for path, fields in most.items():
            for count, status in ((fields, 200), (fields + 1, 413)):
                answer = client.post(f"{path}/form", data={"a": ["x"] * count})
                assert answer.status_code == status, (path, count)
        assert client.post("/outer/plain/file", files={"file": b"123456"}).status_code == 413
        # Nothing is mixed.
        assert client.post("/outer/inner/file", files={"file": b"123456"}).status_code == 200
    with pytest.raises(ConfigError, match="the router /a: forms=10 is not understood"):
        Router("/a", forms=10)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="the router: forms=10 is not understood"):
        Ziggurat().include_router(Router(), forms=10)  # type: ignore[arg-type]


def test_bodies_of_a_route_may_be_larger_or_smaller(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/large/{id}", max_body=3_000_000)
    async def large(id: int, file: UploadFile) -> int:
        return file.size

    @app.put("/large/{other}", max_body=10)
    async def small(other: int, request: Request) -> int:
        return len(await request.body())

    @app.post("/usual")
    async def usual(file: UploadFile) -> int:
        return file.size

    started = client()
    assert started.post("/large/1", files={"file": BIG}).json() == len(BIG)
    assert started.post("/large/1", files={"file": BIG * 2}).status_code == 413
    assert started.put("/large/1", content=b"x" * 10).json() == 10
    assert started.put("/large/1", content=b"x" * 11).status_code == 413
    assert started.post("/usual", files={"file": BIG}).status_code == 413
    pieces = (part("file", BIG, "x")[at : at + 50_000] for at in range(0, len(BIG), 50_000))
    assert started.post("/usual", content=pieces, headers=HEADERS).status_code == 413


GOOD = (
    b"ignored\r\n"
    + part("a", b"1")
    + part("f", b"\r\n--b\r--c\r\n\r\n", "f.txt")
    + part("f", b"", "g")
    + b"--b--\r\nend"
)


def test_wherever_a_body_is_cut_it_is_the_same(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/")
    async def handler(a: Annotated[int, Form()], f: list[UploadFile]) -> list[Any]:
        return [a, [[file.filename, (await file.read()).decode()] for file in f]]

    @app.post("/whole")
    async def whole(request: Request) -> int:
        return len((await request.form()).multi_items())

    started = client()
    good = GOOD.replace(b"\r\n--b\r--c", b"\r\n--\r--c")
    want = [1, [["f.txt", "\r\n--\r--c\r\n\r\n"], ["g", ""]]]
    assert started.post("/", content=good, headers=HEADERS).json() == want
    single = (bytes([byte]) for byte in good)
    assert started.post("/", content=single, headers=HEADERS).json() == want
    for at in range(len(good)):
        answer = started.post("/", content=iter((good[:at], good[at:])), headers=HEADERS)
        assert answer.json() == want, at
    end = good.index(b"--b--") + len(b"--b--")
    for at in range(end):
        assert started.post("/", content=iter((good[:at],)), headers=HEADERS).status_code == 400, at
    assert started.post("/whole", content=iter((good[:9], good[9:])), headers=HEADERS).json() == 3
    assert started.post("/whole", content=iter((good[:-20],)), headers=HEADERS).status_code == 400


MALFORMED = {
    "no boundary": b"x",
    "nothing": b"",
    "boundary in the middle of a line": b"x" + part("a", b"1") + b"x--b--",
    "line feeds alone": part("a", b"1").replace(b"\r\n", b"\n") + b"--b--\n",
    "a boundary that goes on": part("a", b"1") + b"--bc--\r\n",
    "no last hyphen": part("a", b"1") + b"--b-\r\n",
    "no disposition": b"--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--",
    "no header fields": b"--b\r\n\r\n1\r\n--b--",
    "no name": b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--",
    "another disposition": b"--b\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--b--",
    "two dispositions": part("a", b"1").replace(b"\r\n\r\n", b"\r\nContent-Disposition: form-data; name=b\r\n\r\n")
    + b"--b--",
    "two names": part("a", b"1").replace(b'"a"', b'"a"; name="b"') + b"--b--",
    "an open quote": part("a", b"1").replace(b'"a"', b'"a') + b"--b--",
    "no colon": part("a", b"1").replace(b":", b"") + b"--b--",
    "a name that is not UTF-8": part("a", b"1").replace(b'"a"', b'"\xff"') + b"--b--",
    "NUL in a field": part("a", b"1").replace(b"form-data", b"form\0data") + b"--b--",
    "a folded line": part("a", b"1").replace(b"; name", b";\r\n name") + b"--b--",
    "a blank in a name": part("a", b"1").replace(b"Content-Disposition:", b"Content-Disposition :") + b"--b--",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_bodies_are_a_400(app: Ziggurat, client: Callable[[], TestClient], body: bytes) -> None:
    @app.post("/")
    async def handler(a: Annotated[str, Form()]) -> str:
        return a

    @app.post("/whole")
    async def whole(request: Request) -> str:
        return str(await request.form())

    started = client()
    headers = HEADERS
    before = app.attach_counts()
    answer = started.post("/", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), answer.text
    assert "form" in answer.json()["detail"]
    assert app.attach_counts() == before
    assert started.post("/whole", content=body, headers=headers).status_code == 400


def test_codings_of_parts_are_refused(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/")
    async def handler(a: Annotated[str, Form()]) -> str:
        return a

    started = client()
    for field, status in {
        "Content-Transfer-Encoding: base64": 415,
        "Content-Transfer-Encoding: 8BIT": 200,
        "Content-Type: text/plain; charset=iso-8859-1": 415,
        "Content-Type: text/plain; charset=UTF-8": 200,
    }.items():
        body = part("a", b"MQ==").replace(b"\r\n\r\n", b"\r\n" + field.encode() + b"\r\n\r\n") + b"--b--"
        assert started.post("/", content=body, headers=HEADERS).status_code == status, field


def test_names_of_files(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/")
    async def handler(f: UploadFile) -> list[str | None]:
        return [f.filename]

    started = client()
    for said, name in {
        'filename="../../etc/passwd"': "passwd",
        'filename="C:\\Users\\me\\a.txt"': "a.txt",
        'filename="a%22b.txt"': 'a"b.txt',
        'filename="a\\"b.txt"': 'a"b.txt',
        'filename="a%0D%0Ab.txt"': "ab.txt",
        'filename="naïve 你.txt"': "naïve 你.txt",
        "filename=plain.txt": "plain.txt",
        "filename=x; filename*=UTF-8''%e4%bd%a0.txt": "你.txt",
        'filename=".."': None,
        'filename="dir/"': None,
    }.items():
        body = f'--b\r\nContent-Disposition: form-data; name="f"; {said}\r\n\r\n1\r\n--b--'.encode()
        assert started.post("/", content=body, headers=HEADERS).json() == [name], said
