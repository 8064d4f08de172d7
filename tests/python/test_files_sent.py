"""Files that handlers answer with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ziggurat import BackgroundTask, FileResponse, HTTPException, Request, Response, Ziggurat
from ziggurat.testing import TestClient

# The same services answer in both modes.
pytestmark = pytest.mark.usefixtures("mode")

TEXT = b"0123456789" * 100


@pytest.fixture
def files(tmp_path: Path) -> Path:
    place = tmp_path / "files"
    place.mkdir()
    (place / "a.txt").write_bytes(TEXT)
    # What has just changed may change again, and no date is told of it.
    os.utime(place / "a.txt", (1_600_000_000, 1_600_000_000))
    (place / "big.bin").write_bytes(os.urandom(1_000_000))
    (place / "sub").mkdir()
    (place / "sub" / "b.json").write_text("{}")
    (tmp_path / "secret.txt").write_text("secret")
    (place / "link").symlink_to("../secret.txt")
    return place


@pytest.fixture
def client(files: Path) -> Any:
    app = Ziggurat()

    @app.get("/a")
    async def a() -> FileResponse:
        return FileResponse(files / "a.txt")

    @app.get("/with-request")
    async def with_request(request: Request) -> FileResponse:
        return FileResponse(files / "a.txt", headers={"cache-control": "max-age=5", "x-a": "b"})

    @app.get("/sync")
    def sync() -> FileResponse:
        return FileResponse(str(files / "big.bin"))

    @app.get("/named")
    async def named(filename: str, kind: str = "attachment") -> FileResponse:
        return FileResponse(files / "a.txt", filename=filename, content_disposition_type=kind)  # type: ignore[arg-type]

    @app.get("/typed")
    async def typed() -> FileResponse:
        return FileResponse(files / "a.txt", media_type="text/markdown")

    @app.get("/own-status")
    async def own_status() -> FileResponse:
        return FileResponse(files / "a.txt", 404)

    @app.get("/below/{path:path}")
    async def below(path: str) -> FileResponse:
        return FileResponse(path, root=files, missing_ok=True)

    @app.get("/query")
    async def query(path: str) -> FileResponse:
        return FileResponse(path, root=files, missing_ok=True)

    @app.get("/missing")
    async def missing() -> FileResponse:
        return FileResponse(files / "none.txt", missing_ok=True)

    @app.get("/lost")
    async def lost() -> FileResponse:
        return FileResponse(files / "none.txt")

    @app.get("/directory")
    async def directory() -> FileResponse:
        return FileResponse(files)

    @app.exception_handler(KeyError)
    async def of_keys(request: Request, error: KeyError) -> FileResponse:
        return FileResponse(files / "a.txt")

    @app.exception_handler(409)
    async def of_conflicts(request: Request, error: HTTPException) -> FileResponse:
        return FileResponse(files / "a.txt", 409)

    @app.get("/key")
    async def key() -> None:
        raise KeyError

    @app.get("/conflict")
    def conflict() -> None:
        raise HTTPException(409)

    with TestClient(app) as started:
        yield started


def test_a_file_is_sent_whole_in_parts_or_not_again(client: TestClient, files: Path) -> None:
    for path in ("/a", "/with-request"):
        whole = client.get(path)
        assert (whole.status_code, whole.content) == (200, TEXT)
        assert whole.headers["content-type"] == "text/plain; charset=utf-8"
        assert (whole.headers["content-length"], whole.headers["accept-ranges"]) == ("1000", "bytes")
        assert "content-disposition" not in whole.headers
        part = client.get(path, headers={"range": "bytes=5-14"})
        assert (part.status_code, part.content) == (206, b"5678901234")
        assert part.headers["content-range"] == "bytes 5-14/1000"
        beyond = client.get(path, headers={"range": "bytes=2000-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */1000")
        head = client.head(path)
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "1000")
        since = {"if-modified-since": whole.headers["last-modified"]}
        assert (client.get(path, headers=since).status_code, client.get(path, headers=since).content) == (304, b"")
        tag = whole.headers["etag"]
        assert client.get(path, headers={"if-none-match": tag}).status_code == 304
        assert client.get(path, headers={"if-match": '"other"'}).status_code == 412
        assert client.get(path, headers={"range": "bytes=0-1", "if-range": tag}).status_code == 206
        assert client.get(path, headers={"range": "bytes=0-1", "if-range": '"other"'}).status_code == 200
    own = client.get("/with-request")
    assert (own.headers["cache-control"], own.headers["x-a"]) == ("max-age=5", "b")
    assert client.get("/sync").content == (files / "big.bin").read_bytes()
    assert client.get("/sync", headers={"range": "bytes=-3"}).content == (files / "big.bin").read_bytes()[-3:]
    assert client.get("/typed").headers["content-type"] == "text/markdown"
    own_status = client.get("/own-status", headers={"range": "bytes=0-1"})
    assert (own_status.status_code, own_status.content) == (404, TEXT)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        ('a "b".txt', 'attachment; filename="a \\"b\\".txt"; filename*=UTF-8\'\'a%20%22b%22.txt'),
        ("naïve €.txt", "attachment; filename=\"na?ve ?.txt\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt"),
        ("50%.csv", "attachment; filename=\"50%.csv\"; filename*=UTF-8''50%25.csv"),
        ("../../etc/passwd", 'attachment; filename=".._.._etc_passwd"'),
        ("a\\b", 'attachment; filename="a_b"'),
        ("a; filename=b", 'attachment; filename="a; filename=b"'),
    ],
)
def test_names_are_quoted(client: TestClient, name: str, said: str) -> None:
    assert client.get("/named", params={"filename": name}).headers["content-disposition"] == said


def test_a_name_tells_the_type_and_may_be_shown(client: TestClient) -> None:
    answer = client.get("/named", params={"filename": "page.html", "kind": "inline"})
    assert answer.headers["content-disposition"] == 'inline; filename="page.html"'
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for name in ("", "a\r\nb", "a\x00"):
        with pytest.raises(ValueError, match="is empty, or has a control character"):
            FileResponse("a", filename=name)
    with pytest.raises(ValueError, match="is no disposition"):
        FileResponse("a", filename="a", content_disposition_type="save")  # type: ignore[arg-type]


def test_nobody_gets_out_of_the_root(client: TestClient, files: Path) -> None:
    assert client.get("/below/a.txt").content == TEXT
    assert client.get("/below/sub/b.json").json() == {}
    for out in [
        "../secret.txt",
        "sub/../../secret.txt",
        "sub/../a.txt",
        "link",
        str(files / "a.txt"),
        str(files.parent / "secret.txt"),
        "",
        ".",
        "sub",
        "a.txt\x00.png",
        "a.txt/",
        "~root",
        "x" * 5000,
    ]:
        answer = client.get("/query", params={"path": out})
        assert answer.status_code == 404 or (out == "a.txt/" and answer.content == TEXT), out
        assert "secret" not in answer.text


def test_what_is_not_there(client: TestClient) -> None:
    answer = client.get("/missing")
    assert (answer.status_code, answer.json()["detail"]) == (404, "there is no such file")
    for path in ("/lost", "/directory"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["title"]) == (500, "Internal server error")
        assert "none.txt" not in answer.text


def test_the_log_names_the_line(tmp_path: Path, serve: Callable[..., Any]) -> None:
    (tmp_path / "lost.py").write_text(
        "from ziggurat import FileResponse, Ziggurat\n"
        "app = Ziggurat()\n"
        "@app.get('/')\n"
        "async def lost():\n"
        "    return FileResponse('none.txt')\n"
    )
    running = serve("-m", "ziggurat", "run", "lost")
    import urllib.error
    import urllib.request

    with pytest.raises(urllib.error.HTTPError, match="500"):
        urllib.request.urlopen(running.url)
    lines = [line for line in running.output().splitlines() if "none.txt" in line]
    assert len(lines) == 1 and "lost.py:5" in lines[0]


def test_handlers_of_exceptions_and_middleware_may_send_files(client: TestClient, files: Path) -> None:
    assert client.get("/key", headers={"range": "bytes=0-1"}).content == b"01"
    answer = client.get("/conflict")
    assert (answer.status_code, answer.content) == (409, TEXT)

    app = Ziggurat()

    @app.middleware
    async def sends(request: Request, call_next: Any) -> Response:
        return FileResponse(files / "a.txt")

    with TestClient(app) as started:
        assert started.get("/x", headers={"range": "bytes=0-1"}).content == b"01"


def test_a_file_may_go_once_it_was_sent(tmp_path: Path) -> None:
    app = Ziggurat()
    report = tmp_path / "report.bin"
    report.write_bytes(os.urandom(1_000_000))
    whole = report.read_bytes()

    @app.get("/")
    async def root() -> FileResponse:
        return FileResponse(report, background=BackgroundTask(report.unlink))

    with TestClient(app) as client:
        assert client.get("/").content == whole
    assert not report.exists()


def test_its_body_is_not_there_to_be_read() -> None:
    response = FileResponse("a")
    for read in (lambda: response.body, lambda: response.body_iterator):
        with pytest.raises(RuntimeError, match="the body is a file"):
            read()
    response.body = b"something else"
    assert response.body == b"something else"
