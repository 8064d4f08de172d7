"""Files of a directory beside the routes of an app."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ziggurat import ConfigError, Model, Ziggurat, layers
from ziggurat.testing import TestClient

PAGE = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A page as it is built, beside a file that is none of its."""
    root = tmp_path / "dist"
    (root / "assets").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (root / "index.html").write_text("<h1>the app</h1>")
    (root / ".env").write_text("secret")
    (root / "assets" / "app-1a2b.js").write_text("code();" * 100)
    (root / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(b"code();" * 100))
    return root


class Note(Model):
    id: int
    text: str = ""


def app_of(dist: Path, *more: layers.Layer) -> Ziggurat:
    assets = layers.Static(
        directory=dist / "assets", path="/assets", precompressed=True, max_age=31_536_000, immutable=True
    )
    page = layers.Static(directory=dist, path="/", fallback="index.html")
    app = Ziggurat(layers=[layers.Compression(), assets, page, *more], store="sqlite:///:memory:")

    @app.crud(Note, "/api/note", client_id=True)
    class Notes: ...

    @app.get("/api/hello")
    async def hello() -> str:
        return "hello"

    return app


def test_a_page_has_one_origin_with_its_api(dist: Path) -> None:
    app = app_of(dist, layers.NormalizePath())
    with TestClient(app) as client:

        def get(path: str, accept: str = PAGE, **headers: str) -> Any:
            return client.get(path, headers={"accept": accept, **headers})

        entered = app.attach_counts()["crud"]
        for path in ("/", "/index.html", "/notes/7/edit", "/login?next=/"):
            answer = get(path)
            assert (answer.status_code, answer.text) == (200, "<h1>the app</h1>"), path
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.headers["cache-control"] == "no-cache"
            assert get(path, **{"if-none-match": answer.headers["etag"]}).status_code == 304
        assert client.post("/api/note", json={"id": 1, "text": "a"}).status_code == 201
        assert get("/api/note/1").json() == {"id": 1, "text": "a"}
        assert get("/api/hello").text == "hello"
        # Of routes, which say themselves that nothing is there.
        missing = get("/api/note/2")
        assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
        assert get("/api/nothing", "application/json").status_code == 404
        assert get("/assets/gone.js", "*/*").status_code == 404
        assert client.post("/notes/7/edit", headers={"accept": PAGE}).status_code == 404

        asset = get("/assets/app-1a2b.js", "*/*", **{"accept-encoding": "gzip"})
        assert asset.headers["cache-control"] == "max-age=31536000, immutable"
        assert asset.headers["content-encoding"] == "gzip"
        assert asset.headers["content-length"] == str((dist / "assets" / "app-1a2b.js.gz").stat().st_size)
        part = get("/assets/app-1a2b.js", "*/*", range="bytes=0-3", **{"accept-encoding": "identity"})
        assert (part.status_code, part.text, part.headers["content-range"]) == (206, "code", "bytes 0-3/700")
        assert (
            get("/assets/app-1a2b.js", "*/*", range="bytes=700-", **{"accept-encoding": "identity"}).status_code == 416
        )
        assert app.attach_counts()["crud"] == entered


def test_nothing_beside_the_directory_is_served(dist: Path, serve: Callable[..., Any], tmp_path: Path) -> None:
    (dist / "out").symlink_to(tmp_path / "secret.txt")
    program = tmp_path / "program.py"
    program.write_text(
        "from ziggurat import Ziggurat, layers\n"
        f"app = Ziggurat(layers=[layers.Static(directory={str(dist)!r}, path='/')])\n"
        "app.run()\n"
    )
    served = serve(str(program))
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=20)

    def status(path: str) -> int:
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("host", "a.example")
        connection.endheaders()
        answer = connection.getresponse()
        assert b"secret" not in answer.read()
        return answer.status

    assert status("/index.html") == 200
    for path in (
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/%252e%252e/secret.txt",
        "/%2f" + str(tmp_path / "secret.txt").lstrip("/"),
        "/" + str(tmp_path / "secret.txt"),
        "/index.html%00",
        "/.env",
        "/%2eenv",
        "/out",
        "/C:/secret.txt",
    ):
        assert status(path) == 404, path
    connection.close()
    served.stop()


def test_files_are_guarded_by_what_goes_before_them(dist: Path) -> None:
    jwt = layers.Jwt(secret="0123456789abcdef0123456789abcdef")
    files = layers.Static(directory=dist, path="/")
    with TestClient(Ziggurat(layers=[jwt, files])) as client:
        assert client.get("/").status_code == 401
    with TestClient(Ziggurat(layers=[files, jwt])) as client:
        assert client.get("/").status_code == 200
        assert client.get("/other").status_code == 401
    with pytest.raises(ConfigError, match="NormalizePath stands outside of Static"):
        Ziggurat(layers=[layers.NormalizePath(), files]).build()


def test_a_directory_is_served_as_it_is_now(dist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(dist.parent)
    app = Ziggurat(layers=[layers.Static(directory="dist")])
    with TestClient(app) as client:
        monkeypatch.chdir("/")
        assert client.get("/static/new.txt").status_code == 404
        (dist / "new.txt").write_text("new")
        assert client.get("/static/new.txt").text == "new"
        dist.rename(dist.parent / "old")
        assert client.get("/static/new.txt").status_code == 404
        dist.mkdir()
        (dist / "new.txt").write_text("newer")
        assert client.get("/static/new.txt").text == "newer"
