"""The pages that an app serves of itself, as programs see them: who gets them, and how."""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tokens import SECRET, bearer

from ziggurat import ConfigError, Page, Ziggurat, layers
from ziggurat.guards import Authenticated, HasRole
from ziggurat.testing import TestClient

SHOP = str(Path(__file__).with_name("shop.py"))
SWAGGER = Path(__file__).parents[2] / "src" / "python" / "pages" / "swagger-ui"
DEVELOPED = {"ZIGGURAT_ENV": "development"}
HTML = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def links(page: str) -> list[str]:
    return re.findall(r'(?:src|href)="([^"]+)"', page)


def files(page: str) -> list[str]:
    return [link for link in links(page) if link.endswith((".js", ".css"))]


# The page of the document


def test_docs_are_served_natively_with_all_that_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZIGGURAT_ENV", raising=False)
    app = Ziggurat(
        title="A <b>", servers=[{"url": "https://{at}.example:8443/v1", "variables": {"at": {"default": "eu"}}}]
    )
    with TestClient(app) as client:
        page = client.get("/docs")
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy
        assert policy.endswith("connect-src 'self' https://eu.example:8443")
        assert page.headers["x-frame-options"] == "DENY"
        assert "A &lt;b&gt;" in page.text and "<b>" not in page.text
        assert 'data-document="openapi.json"' in page.text
        # Nothing but what is a file of its own, and none of it elsewhere.
        assert "<script>" not in page.text and "style=" not in page.text
        assert [link for link in links(page.text) if "//" in link] == []
        assert len(files(page.text)) == 4
        for name in files(page.text):
            got = client.get(f"/{name}", headers={"accept-encoding": "gzip"})
            assert got.status_code == 200, name
            assert got.headers["cache-control"] == "public, max-age=31536000, immutable"
            whole = client.get(f"/{name}", headers={"accept-encoding": "identity"})
            assert "content-encoding" not in whole.headers
            # The client has taken apart what was compressed.
            assert got.content == whole.content
            if "swagger" in name:
                assert (got.headers["content-encoding"], got.headers["vary"]) == ("gzip", "accept-encoding")
            again = client.get(f"/{name}", headers={"if-none-match": got.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        again = client.get("/docs", headers={"if-none-match": page.headers["etag"]})
        assert again.status_code == 304 and again.headers["content-security-policy"] == policy
        head = client.head("/docs")
        assert (head.status_code, head.content) == (200, b"")
        for strange in ("/docs/other.js", "/docs/..%2f..%2fetc%2fpasswd"):
            assert client.get(strange).status_code == 404
        # Neither is there unless it was asked for.
        assert client.get("/_ziggurat").status_code == 404
    assert app.attach_counts()["python"] == 0 or all(not route.enters_python for route in app.routes)
    assert {route.path for route in app.routes} == {"/openapi.json", "/docs", "/docs/{file}"}


def test_what_is_shipped_is_what_was_published() -> None:
    version, integrity = (SWAGGER / "VERSION").read_text().split("\n")[:2]
    assert version.startswith("swagger-ui-dist ") and integrity.startswith("sha512-")
    hashes = {
        "swagger-ui-bundle.js.gz": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
        "swagger-ui.css.gz": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
    }
    for name, wanted in hashes.items():
        assert hashlib.sha256(gzip.decompress((SWAGGER / name).read_bytes())).hexdigest() == wanted
    assert "Apache License" in (SWAGGER / "LICENSE").read_text()


def test_pages_link_relatively() -> None:
    app = Ziggurat(openapi_path="/v1/spec/openapi.json", docs_path="/v1/help/api")
    with TestClient(app) as client:
        page = client.get("/v1/help/api").text
        assert 'data-document="../spec/openapi.json"' in page
        assert all(name.startswith("api/") for name in files(page))
        assert all(client.get(f"/v1/help/{name}").status_code == 200 for name in files(page))
    app = Ziggurat(docs_path="/")
    with TestClient(app) as client:
        page = client.get("/").text
        assert 'data-document="openapi.json"' in page
        assert all(client.get(f"/{name}").status_code == 200 for name in files(page))


def test_docs_can_be_left_out_and_give_way() -> None:
    for app in (Ziggurat(docs_path=None), Ziggurat(openapi_path=None)):
        assert app.docs_path is None
        with TestClient(app) as client:
            assert client.get("/docs").status_code == 404
    app = Ziggurat()

    @app.get("/docs")
    async def docs() -> str:
        return "of the app"

    with TestClient(app) as client:
        assert client.get("/docs").text == "of the app"
    app = Ziggurat(docs_path="/docs")
    app.get("/docs")(docs)
    with pytest.raises(ConfigError, match="/docs"):
        app.build()


def test_what_stands_before_the_document_stands_before_its_page() -> None:
    key = layers.ApiKey(
        keys=[layers.Key(hash="sha256:" + hashlib.sha256(b"k").hexdigest(), subject="ada")], required=True
    )
    app = Ziggurat(openapi_path=Page("/openapi.json", layers=[key]))
    with TestClient(app) as client:
        name = files(client.get("/docs", headers={"x-api-key": "k"}).text)[0]
        for path in ("/openapi.json", "/docs", f"/{name}"):
            assert client.get(path).status_code == 401, path
            assert client.get(path, headers={"x-api-key": "k"}).status_code == 200, path
    app = Ziggurat(
        layers=[layers.Jwt(secret=SECRET)],
        openapi_path=Page("/openapi.json", guards=[HasRole("staff")]),
        docs_path=Page("/docs", skip_layers=[layers.Jwt]),
    )
    with TestClient(app) as client:
        assert client.get("/docs").status_code == 200
        assert client.get("/openapi.json").status_code == 401
        assert client.get("/openapi.json", headers=bearer(sub="ada")).status_code == 403
        assert client.get("/openapi.json", headers=bearer(sub="ada", roles=["staff"])).status_code == 200


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Page("docs"), "'docs' is no path of a page; begin it with a slash"),
        (lambda: Page("/docs/"), "no path of a page"),
        (lambda: Page("/docs/{x}"), "no path of a page"),
        (lambda: Page("/docs", guards="staff"), "guards='staff' is no list"),
        (lambda: Ziggurat(docs_path=3), "docs_path is 3; give a path, a Page or None"),
        (lambda: Ziggurat(openapi_path=None, docs_path="/docs"), "openapi_path is None; give openapi_path, too"),
        (lambda: Ziggurat(openapi_path="/docs"), "two pages are at /docs"),
        (lambda: Ziggurat(debug="yes"), "debug='yes' is not a bool"),
        (lambda: Ziggurat(live_path="/live"), "the live page at /live would show errors to everybody"),
        (lambda: Ziggurat(docs_path=Page("/docs", guards=[Authenticated()])).build(), "no layer finds that out"),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Callable[[], Any], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZIGGURAT_ENV", raising=False)
    with pytest.raises(ConfigError) as raised:
        make()
    assert says in str(raised.value)
    assert f"{__file__}:" in str(raised.value), "it names the line"


def test_the_environment_says_whether_an_app_is_developed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIGGURAT_ENV", "development")
    assert Ziggurat().debug and Ziggurat().live_path == "/_ziggurat"
    assert not Ziggurat(debug=False).debug and Ziggurat(debug=False).live_path is None
    assert Ziggurat(live_path=None).live_path is None
    monkeypatch.setenv("ZIGGURAT_ENV", "production")
    assert not Ziggurat().debug and Ziggurat(debug=True).debug
    monkeypatch.setenv("ZIGGURAT_ENV", "developement")
    with pytest.raises(ConfigError, match="ZIGGURAT_ENV is 'developement'; choose from development, production, test"):
        Ziggurat()


# The live page


@pytest.fixture
def shop(serve: Callable[..., Any]) -> str:
    url: str = serve(SHOP, **DEVELOPED).url
    return url


def test_the_live_page_is_for_who_sits_at_the_machine(shop: str) -> None:
    with httpx.Client(base_url=shop) as client:
        page = client.get("/_ziggurat")
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        names = files(page.text)
        assert len(names) == 3 and all(client.get(f"/{name}").status_code == 200 for name in names)
        for headers in (
            {"host": "shop.example"},
            {"host": "127.0.0.1.evil.example"},
            {"x-forwarded-for": "10.0.0.7"},
            {"forwarded": "for=10.0.0.7"},
            {"via": "1.1 tunnel"},
        ):
            for path in ("/_ziggurat", "/_ziggurat/data", "/_ziggurat/errors", "/_ziggurat/routes"):
                got = client.get(path, headers=headers)
                assert (got.status_code, got.json()["detail"]) == (404, "no route has this path"), (path, headers)
        for headers in (
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "https://evil.example"},
        ):
            for path in ("/_ziggurat/data", "/_ziggurat/errors", "/_ziggurat/routes"):
                assert client.get(path, headers=headers).status_code == 404, (path, headers)
        assert client.get("/_ziggurat/data", headers={"sec-fetch-site": "same-origin"}).status_code == 200
        assert client.get("/_ziggurat/data", headers={"host": "localhost:1"}).status_code == 200


def test_the_live_page_tells_what_happens(shop: str) -> None:
    with httpx.Client(base_url=shop) as client:
        routes = {f"{route['method']} {route['path']}": route for route in client.get("/_ziggurat/routes").json()}
        hello = routes["GET /hello/{name}"]["passes"]
        assert [step["name"] for step in hello][:2] == ["ErrorPages", "Live"]
        assert [step["name"] for step in hello if step["python"]] == ["timed", "hello"]
        assert not any(path.startswith("/_ziggurat") for path in routes)
        for _ in range(5):
            client.get("/hello/ada")
            client.get("/item")
        client.get("/broken?secret=1", headers={"x-secret": "2"})
        client.get("/nowhere")
        data = client.get("/_ziggurat/data").json()
        series = {(one["method"], one["route"], one["status"]): one for one in data["series"]}
        assert series["GET", "/hello/{name}", 200]["count"] == 5
        assert series["GET", "/broken", 500]["count"] == 1
        assert ("GET", "unmatched", 404) in series
        assert not any(route.startswith("/_ziggurat") for _, route, _ in series)
        for one in series.values():
            assert sum(one["parts"]) == pytest.approx(one["seconds"], rel=0.01)
            assert len(one["buckets"]) == len(data["bounds"]) + 1 and sum(one["buckets"]) == one["count"]
        in_python = dict(zip(data["parts"], series["GET", "/hello/{name}", 200]["parts"], strict=True))
        assert in_python["python"] > 0 and in_python["store"] == 0
        in_store = dict(zip(data["parts"], series["GET", "/item", 200]["parts"], strict=True))
        assert in_store["store"] > 0 and in_store["python"] == 0
        assert 0 <= data["loop"]["lag"] < 0.4 and data["loop"]["queued"] == 0
        assert data["active"] == 0 and data["errors"] == {"last": 1, "passed_over": 0}
        [error] = client.get("/_ziggurat/errors").json()
        assert error["kind"] == "RuntimeError" and error["message"] == "no price is known"
        assert error["request"] == "GET /broken" and error["whose"] == "broken"
        assert error["place"].startswith(SHOP)
        assert "KeyError" in error["text"] and "secret" not in str(error)


def test_errors_that_are_kept_are_bounded(serve: Callable[..., Any], tmp_path: Path) -> None:
    program = tmp_path / "storm.py"
    program.write_text(
        "from ziggurat import Ziggurat\n"
        "app = Ziggurat(openapi_path=None)\n"
        "@app.get('/fail')\n"
        "async def fail() -> None:\n"
        "    raise ValueError('x' * 1_000_000)\n"
        "app.run()\n"
    )
    served = serve(str(program), **DEVELOPED)
    with httpx.Client(base_url=served.url) as client:
        for _ in range(80):
            assert client.get("/fail", headers=HTML).status_code == 500
        data = client.get("/_ziggurat/data").json()["errors"]
        errors = client.get("/_ziggurat/errors")
        assert data["last"] + data["passed_over"] == 80 and data["passed_over"] > 0
        kept = errors.json()
        assert len(kept) == min(50, data["last"])
        assert [one["id"] for one in kept] == list(range(data["last"], data["last"] - len(kept), -1))
        assert len(errors.content) < 50 * 40_000


def test_guards_let_others_look() -> None:
    app = Ziggurat(
        layers=[layers.Jwt(secret=SECRET, required=False)],
        live_path=Page("/_ziggurat", guards=[HasRole("staff")]),
        debug=False,
    )

    @app.get("/fail")
    async def fail() -> None:
        raise ValueError("not told to clients")

    with TestClient(app) as client:
        assert client.get("/_ziggurat").status_code == 401
        assert client.get("/_ziggurat/errors", headers=bearer(sub="a")).status_code == 403
        staff = bearer(sub="a", roles=["staff"])
        assert client.get("/_ziggurat", headers=staff).status_code == 200
        got = client.get("/fail", headers=HTML)
        assert got.status_code == 500 and "not told" not in got.text
        error = client.get("/_ziggurat/errors", headers=staff).json()[0]
        assert (error["message"], error["request"]) == ("not told to clients", "GET /fail")
        other = {**staff, "sec-fetch-site": "cross-site"}
        assert client.get("/_ziggurat/errors", headers=other).status_code == 404
    [stack] = app.stack("/fail")
    assert stack.passes[0] == "Live" and "ErrorPages" not in stack.passes


def test_an_app_that_counts_its_requests_counts_them_once(serve: Callable[..., Any], tmp_path: Path) -> None:
    program = tmp_path / "counted.py"
    program.write_text(
        "from ziggurat import Ziggurat, layers\n"
        "app = Ziggurat(openapi_path=None, layers=[layers.Metrics(buckets=[0.1, 1])])\n"
        "@app.get('/a')\n"
        "async def a() -> str:\n"
        "    return 'a'\n"
        "app.run()\n"
    )
    served = serve(str(program), **DEVELOPED)
    with httpx.Client(base_url=served.url) as client:
        client.get("/a")
        data = client.get("/_ziggurat/data").json()
        assert data["bounds"] == [0.1, 1]
        assert [(one["route"], one["count"]) for one in data["series"]] == [("/a", 1)]
        assert 'http_route="/a"' in client.get("/metrics").text


# Errors


def test_errors_are_told_to_who_develops(shop: str) -> None:
    with httpx.Client(base_url=shop) as client:
        page = client.get("/broken?secret=1", headers=HTML)
        assert page.status_code == 500
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["cache-control"] == "no-store"
        assert re.search(r"style-src 'sha256-[^']+'", page.headers["content-security-policy"])
        assert "&lt;script&gt;alert(1)" in page.text and "<script" not in page.text
        assert "secret=1" not in page.text
        assert page.text.index("shop.py") < page.text.index("Traceback (most recent call last)")
        problem = client.get("/broken")
        assert problem.headers["content-type"] == "application/problem+json"
        document = problem.json()
        assert document["status"] == 500 and document["traceback"][-1] == "RuntimeError: no price is known"
        # What compresses stands inside of what tells.
        packed = client.get("/broken", headers={"accept-encoding": "gzip"}).json()
        assert packed["traceback"] == document["traceback"]
        assert client.get("/broken", headers={"sec-fetch-site": "same-site"}).json()["traceback"]
        for headers in (
            {"host": "shop.example"},
            {"x-forwarded-for": "127.0.0.1"},
            {"sec-fetch-site": "cross-site"},
            {"origin": "https://evil.example"},
        ):
            told = client.get("/broken", headers={**HTML, **headers})
            assert told.status_code == 500 and "no price" not in told.text, headers
            assert "traceback" not in told.json()
        assert client.head("/broken", headers=HTML).content == b""
        # What was meant is answered as it was.
        assert "traceback" not in client.get("/me", headers=HTML).json()
        assert "traceback" not in client.get("/hello/ada?times=99").json()


def test_in_production_nobody_is_told(serve: Callable[..., Any]) -> None:
    served = serve(SHOP, ZIGGURAT_ENV="production")
    with httpx.Client(base_url=served.url) as client:
        for headers in (HTML, {}):
            told = client.get("/broken", headers=headers)
            assert told.status_code == 500 and "no price" not in told.text
            assert told.json().keys() == {"type", "title", "status", "detail"}
        assert client.get("/_ziggurat").status_code == 404
    assert "live " not in served.output() and f"docs     {served.url}/docs" in served.output()


PROGRAM = """
from ziggurat import HTTPException, Request, Ziggurat

app = Ziggurat(openapi_path=None)


@app.middleware(paths=["/wrapped"])
async def wraps(request: Request, call_next):
    return await call_next(request)


@app.middleware(paths=["/itself"])
async def fails(request: Request, call_next):
    raise LookupError("of the middleware")


@app.get("/wrapped")
async def wrapped() -> None:
    raise LookupError("of the handler")


@app.get("/itself")
async def itself() -> None: ...


@app.get("/meant")
async def meant() -> None:
    raise HTTPException(500, "meant")


@app.get("/sync")
def sync() -> None:
    raise LookupError("of a thread")


@app.get("/group")
async def group() -> None:
    raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])


class Odd(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@app.get("/odd")
async def odd() -> None:
    raise Odd


@app.get("/deep")
async def deep() -> None:
    def down(n: int) -> None:
        down(n + 1)
    down(0)


app.run()
"""


def test_whatever_fails_is_told(serve: Callable[..., Any], tmp_path: Path, mode: str) -> None:
    program = tmp_path / "failing.py"
    program.write_text(PROGRAM)
    served = serve(str(program), **DEVELOPED)
    with httpx.Client(base_url=served.url) as client:
        for path, last in {
            "/wrapped": "LookupError: of the handler",
            "/itself": "LookupError: of the middleware",
            "/sync": "LookupError: of a thread",
            "/deep": "RecursionError: maximum recursion depth exceeded",
        }.items():
            document = client.get(path).json()
            assert document["traceback"][-1].startswith(last), path
            page = client.get(path, headers=HTML)
            assert "failing.py" in page.text and f"GET {path}" in page.text
            assert len(page.content) < 200_000, path
        assert "traceback" not in client.get("/meant").json()
        group = client.get("/group", headers=HTML).text
        assert "ValueError: one" in group and "TypeError: two" in group
        assert "Odd" in client.get("/odd", headers=HTML).text
        requests = [error["request"] for error in client.get("/_ziggurat/errors").json()]
        assert set(requests) == {"GET /wrapped", "GET /itself", "GET /sync", "GET /deep", "GET /group", "GET /odd"}
    assert served.output().count("Traceback") >= 10, "all of it is in the log as well"


def test_nothing_is_kept_where_nobody_looks() -> None:
    code = (
        "from ziggurat import Ziggurat\n"
        "from ziggurat.testing import TestClient\n"
        "import sys, logging\n"
        "logging.getLogger('ziggurat').addHandler(logging.NullHandler())\n"
        "app = Ziggurat()\n"
        "@app.get('/')\n"
        "async def fail() -> None:\n"
        "    raise ValueError\n"
        "with TestClient(app) as client:\n"
        "    assert client.get('/').status_code == 500\n"
        "print('ziggurat._failures' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
