"""Settings of layers: what is passed on, and what is refused when it is written."""

from __future__ import annotations

import dataclasses
import gzip
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest

from ziggurat import Body, ConfigError, Request, Ziggurat, layers
from ziggurat.testing import TestClient

SECRET = "0123456789abcdef0123456789abcdef"
PUBLIC_PEM = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"


def test_only_what_was_given_is_passed_on() -> None:
    assert layers.Trace(format="json").to_spec() == {"type": "Trace", "format": "json", "level": "info"}
    assert layers.CatchPanic().to_spec() == {"type": "CatchPanic"}
    jwt = layers.Jwt(secret=SECRET, audience="app", required=False).to_spec()
    assert jwt == {
        "type": "Jwt",
        "secret": SECRET,
        "algorithms": ["HS256"],
        "audience": "app",
        "leeway": 30.0,
        "required": False,
    }
    assert "level" not in layers.Compression().to_spec()


@pytest.mark.parametrize(
    "layer",
    [
        layers.Trace(format="json", level="warning"),
        layers.Jwt(secret=SECRET, issuer=["a", "b"], leeway=1.5),
        layers.Jwt(secret=SECRET.encode() * 2, algorithms=["HS512"]),
        layers.Compression(algorithms=["gzip", "br"], min_size=0, level=3),
        layers.CatchPanic(),
        layers.RequestId(header="x-trace", trust_incoming=True),
        layers.Timeout(seconds=0.5),
        layers.Cors(allow_origins=["https://a.example"], allow_methods=["GET", "POST"], allow_credentials=True),
        layers.Cors(allow_origins=["*"], allow_headers=["*"], max_age=0),
        layers.Cors(allow_origin_regex=r"https://.*\.example"),
        layers.BodyLimit(max_bytes=10),
        layers.Hosts(names=["example.org", "*.example.org", "10.0.0.7", "[::1]"]),
        layers.Decompression(algorithms=["zstd"], max_bytes=10, max_ratio=1),
        layers.Csrf(),
        layers.Csrf(trusted_origins=["https://a.example", "http://[::1]:3000"], exempt=["/hooks/{name}"]),
        layers.Etag(),
        layers.Etag(weak=True, max_bytes=0),
        layers.HealthCheck(),
        layers.HealthCheck(paths=["/up"]),
        layers.LoadShed(max_concurrent=1),
        layers.LoadShed(max_concurrent=1_000_000, queue=1_000_000, wait=0.5),
        layers.NormalizePath(),
        layers.NormalizePath(redirect=True),
        layers.Redirect(https=["example.org"], hosts={"www.example.org": "example.org"}),
        layers.Redirect(paths={"/old": "/new?a#b", "/away": "https://example.org"}, status=307),
        layers.SecurityHeaders(),
        layers.SecurityHeaders(
            hsts_seconds=63_072_000,
            hsts_include_subdomains=True,
            hsts_preload=True,
            content_type_options=False,
            frame_options=None,
            referrer_policy="unsafe-url",
            content_security_policy="default-src 'none'",
            permissions_policy="camera=()",
            cross_origin_opener_policy="noopener-allow-popups",
            cross_origin_resource_policy="cross-origin",
        ),
        layers.SensitiveHeaders(headers=["x-key"]),
    ],
    ids=lambda layer: layer.name,
)
def test_the_native_side_takes_every_layer(layer: layers.Layer) -> None:
    app = Ziggurat(layers=[layer])

    @app.get("/")
    async def root() -> None: ...

    assert layer.name in app.stack("/")[0].passes


@pytest.mark.parametrize(
    ("kind", "settings", "says"),
    [
        ("Trace", {"format": "xml"}, "format='xml' is not known; known are text, json"),
        ("Trace", {"level": "loud"}, "level='loud' is not known"),
        ("Jwt", {}, "neither of secret and public_key_pem"),
        ("Jwt", {"secret": SECRET, "public_key_pem": PUBLIC_PEM}, "both of secret and public_key_pem"),
        ("Jwt", {"secret": "short"}, "the secret has 5 bytes, HS256 needs at least 32"),
        ("Jwt", {"secret": SECRET, "algorithms": ["HS512"]}, "the secret has 32 bytes, HS512 needs at least 64"),
        ("Jwt", {"secret": SECRET, "algorithms": ["none"]}, "algorithms holds 'none', which is not known"),
        ("Jwt", {"secret": SECRET, "algorithms": ["RS256"]}, "RS256 needs a public key, not a secret"),
        ("Jwt", {"secret": SECRET, "algorithms": "HS256"}, "algorithms must be a list of strings"),
        ("Jwt", {"secret": SECRET, "algorithms": []}, "algorithms is empty"),
        ("Jwt", {"public_key_pem": PUBLIC_PEM, "algorithms": ["HS256"]}, "HS256 takes a secret, not a public key"),
        ("Jwt", {"public_key_pem": "-----BEGIN PRIVATE KEY-----"}, "holds a private key"),
        ("Jwt", {"public_key_pem": "abc"}, "is not PEM text"),
        ("Jwt", {"secret": SECRET, "leeway": -1}, "leeway=-1 is out of range"),
        ("Jwt", {"secret": SECRET, "required": "no"}, "required='no' is not a bool"),
        ("Compression", {"algorithms": ["lzma"]}, "known are br, zstd, gzip, deflate"),
        ("Compression", {"algorithms": ["br", "br"]}, "names something twice"),
        ("Compression", {"level": 12}, "level=12 is out of range; give a whole number from 1 to 9"),
        ("Compression", {"min_size": True}, "min_size=True is not a whole number"),
        ("RequestId", {"header": "x id"}, "'x id', which is not a header name"),
        ("Timeout", {"seconds": 0}, "seconds=0 is out of range"),
        ("Timeout", {"seconds": "1m"}, "seconds='1m' is not a number"),
        ("Cors", {}, "no origin is allowed"),
        ("Cors", {"allow_origins": ["example.org"]}, "'example.org' is not an origin"),
        ("Cors", {"allow_origins": ["https://example.org/"]}, "is not an origin"),
        ("Cors", {"allow_origins": "https://example.org"}, "allow_origins must be a list of strings"),
        ("Cors", {"allow_origins": ["*"], "allow_credentials": True}, "cannot go with allow_credentials"),
        ("Cors", {"allow_origins": ["*", "https://a.example"]}, 'names "*" and others'),
        ("BodyLimit", {"max_bytes": 0}, "max_bytes=0 is out of range"),
        ("Hosts", {"names": []}, "names is empty"),
        ("Hosts", {"names": "example.org"}, "names must be a list of strings"),
        ("Hosts", {"names": ["https://a.example"]}, "names holds 'https://a.example', which is no host"),
        ("Hosts", {"names": ["a.example:80"]}, "which is no host; write it without scheme, port and path"),
        ("Hosts", {"names": ["*"]}, "'*', which is no host"),
        ("Hosts", {"names": ["a.example."]}, "which is no host"),
        ("Decompression", {"algorithms": ["lzma"]}, "algorithms holds 'lzma', which is not known"),
        ("Decompression", {"algorithms": []}, "algorithms is empty"),
        ("Decompression", {"max_bytes": 0}, "max_bytes=0 is out of range"),
        ("Decompression", {"max_ratio": 0}, "max_ratio=0 is out of range"),
        ("Decompression", {"max_ratio": 1.5}, "max_ratio=1.5 is not a whole number"),
        ("Csrf", {"trusted_origins": ["*"]}, "'*' is not an origin as browsers send it"),
        ("Csrf", {"trusted_origins": ["https://A.example"]}, "write scheme and host in small letters"),
        ("Csrf", {"trusted_origins": ["https://a.example/"]}, "is not an origin"),
        ("Csrf", {"trusted_origins": ["https://a.example:443"]}, "is not an origin"),
        ("Csrf", {"trusted_origins": "https://a.example"}, "trusted_origins must be a list of strings"),
        ("Csrf", {"exempt": ["hooks"]}, "an exempt path 'hooks': it begins without a slash"),
        ("Csrf", {"exempt": ["/a", "/a"]}, "exempt names something twice"),
        ("Etag", {"weak": "W/"}, "weak='W/' is not a bool"),
        ("Etag", {"max_bytes": -1}, "max_bytes=-1 is out of range"),
        ("HealthCheck", {"paths": []}, "paths is empty"),
        ("HealthCheck", {"paths": ["up"]}, "'up' is no path; begin it with a slash"),
        ("HealthCheck", {"paths": ["/{x}"]}, "'/{x}' is no path"),
        ("HealthCheck", {"paths": ["/up", "/up"]}, "paths names something twice"),
        ("LoadShed", {"max_concurrent": 0}, "max_concurrent=0 is out of range"),
        ("LoadShed", {"max_concurrent": 1.5}, "max_concurrent=1.5 is not a whole number"),
        ("LoadShed", {"max_concurrent": 1, "queue": -1}, "queue=-1 is out of range"),
        ("LoadShed", {"max_concurrent": 1, "queue": 1, "wait": 0}, "wait=0 is out of range"),
        ("NormalizePath", {"redirect": 308}, "redirect=308 is not a bool"),
        ("Redirect", {}, "nothing is redirected; give https, hosts or paths"),
        ("Redirect", {"https": ["https://a.example"]}, "'https://a.example' is no host"),
        ("Redirect", {"https": ["*.a.example"]}, "'*.a.example' is no host"),
        ("Redirect", {"hosts": {"a.example": "b.example:80"}}, "'b.example:80' is no host"),
        ("Redirect", {"hosts": ["a.example"]}, "hosts must be a dict of strings"),
        ("Redirect", {"paths": {"/a": 1}}, "paths must be a dict of strings"),
        ("Redirect", {"paths": {"a": "/b"}}, "'a' is no path"),
        ("Redirect", {"paths": {"/a": "//evil.example"}}, "'//evil.example' is no place to go"),
        ("Redirect", {"paths": {"/a": "/\\evil.example"}}, "is no place to go"),
        ("Redirect", {"paths": {"/a": "/b\r\nc: d"}}, "is no place to go"),
        ("Redirect", {"paths": {"/a": "javascript:alert(1)"}}, "is no place to go"),
        ("Redirect", {"paths": {"/a": "https:///b"}}, "is no place to go"),
        ("Redirect", {"paths": {"/a": "/b"}, "status": 200}, "status is 200; give 308 or 307"),
        ("SecurityHeaders", {"hsts_seconds": -1}, "hsts_seconds=-1 is out of range"),
        ("SecurityHeaders", {"hsts_seconds": True}, "hsts_seconds=True is not a whole number"),
        ("SecurityHeaders", {"hsts_preload": True}, "hsts_preload is given without hsts_seconds"),
        ("SecurityHeaders", {"hsts_include_subdomains": True}, "hsts_include_subdomains is given without hsts_seconds"),
        ("SecurityHeaders", {"hsts_seconds": 63_072_000, "hsts_preload": True}, "preload is for hosts with all below"),
        (
            "SecurityHeaders",
            {"hsts_seconds": 9, "hsts_include_subdomains": True, "hsts_preload": True},
            "for a year at least; include the subdomains",
        ),
        ("SecurityHeaders", {"content_type_options": "nosniff"}, "content_type_options='nosniff' is not a bool"),
        ("SecurityHeaders", {"frame_options": "deny"}, "frame_options='deny' is not known; known are DENY, SAMEORIGIN"),
        ("SecurityHeaders", {"referrer_policy": "none"}, "referrer_policy='none' is not known"),
        ("SecurityHeaders", {"cross_origin_opener_policy": True}, "cross_origin_opener_policy=True is not known"),
        ("SecurityHeaders", {"cross_origin_resource_policy": "all"}, "known are same-origin, same-site, cross-origin"),
        ("SecurityHeaders", {"content_security_policy": "a\r\nb: c"}, "cannot be sent as Content-Security-Policy"),
        ("SecurityHeaders", {"content_security_policy": ""}, "'' cannot be sent as Content-Security-Policy"),
        ("SecurityHeaders", {"permissions_policy": "caméra=()"}, "cannot be sent as Permissions-Policy"),
        ("SecurityHeaders", {"permissions_policy": 1}, "permissions_policy must be a string, not int"),
        ("SensitiveHeaders", {"headers": []}, "headers is empty"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_line(kind: str, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        getattr(layers, kind)(**settings)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"layers.{kind}: ")
    assert caught.value.cure
    file, _, line = (caught.value.location or "").rpartition(":")
    assert file == __file__
    assert (
        "getattr(layers, kind)"
        in inspect.getsource(inspect.getmodule(test_only_what_was_given_is_passed_on)).splitlines()[int(line) - 1]
    )  # type: ignore[arg-type]


def test_settings_are_frozen_keyword_only_and_keep_secrets_to_themselves() -> None:
    jwt = layers.Jwt(secret=SECRET)
    assert SECRET not in repr(jwt)
    with pytest.raises(dataclasses.FrozenInstanceError):
        jwt.secret = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        layers.Timeout(5)  # type: ignore[misc]


def test_every_setting_has_a_doc() -> None:
    source = inspect.getsource(layers)
    for name in layers.__all__:
        kind = getattr(layers, name)
        assert kind.__doc__
        if dataclasses.is_dataclass(kind):
            for field in dataclasses.fields(kind):
                declaration = source[source.index(f"class {name}(") :]
                declaration = declaration[declaration.index(f"    {field.name}: ") :]
                assert declaration.splitlines()[1].lstrip().startswith('"""'), f"{name}.{field.name}"


@pytest.mark.parametrize("given", [layers.Trace, "Trace", None])
def test_what_is_not_a_layer_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="is not a layer"):
        Ziggurat(layers=[given]).build()


def test_requests_for_other_hosts_are_refused() -> None:
    app = Ziggurat(layers=[layers.Hosts(names=["example.org", "*.example.org"])])

    @app.get("/")
    async def root() -> str:
        return "in"

    with TestClient(app) as client:

        def asked(host: str) -> int:
            return client.get("/", headers={"host": host}).status_code

        for host in ("example.org", "EXAMPLE.org:8000", "example.org.", "a.example.org", "a.b.example.org:1"):
            assert asked(host) == 200, host
        for host in ("evil.example", "example.org.evil.example", "evilexample.org", ".example.org", "127.0.0.1"):
            assert asked(host) == 421, host
        for host in ("a@example.org", "example.org/", "ex ample.org", ":80"):
            assert asked(host) == 400, host
        refused = client.get("/", headers={"host": "evil.example"})
        assert refused.headers["content-type"] == "application/problem+json" and "evil" not in refused.text


def test_every_answer_has_the_headers_that_browsers_heed() -> None:
    headers = layers.SecurityHeaders(hsts_seconds=60, referrer_policy=None)
    app = Ziggurat(layers=[headers, layers.Hosts(names=["example.org"])])
    assert headers.to_spec()["referrer_policy"] is None

    @app.get("/")
    async def root() -> str:
        return "in"

    with TestClient(app) as client:
        large = {"host": "example.org", "content-length": str(1 << 30)}
        for answer, status in (
            (client.get("/", headers={"host": "example.org"}), 200),
            (client.get("/nowhere", headers={"host": "example.org"}), 404),
            (client.get("/", headers={"host": "evil.example"}), 421),
            (client.post("/", headers=large, content=b""), 413),
        ):
            assert answer.status_code == status
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["strict-transport-security"] == "max-age=60"
            assert "referrer-policy" not in answer.headers


@pytest.mark.parametrize("redirect", [False, True])
def test_slashes_at_the_end_of_a_path(redirect: bool) -> None:
    app = Ziggurat(layers=[layers.NormalizePath(redirect=redirect), layers.BodyLimit(at={"/small": 1})])

    @app.get("/users/{id}")
    async def user(id: int, q: str = "") -> str:
        return f"{id}{q}"

    @app.post("/small")
    async def small(request: Request) -> str:
        return str(len(await request.body()))

    with TestClient(app) as client:
        assert client.get("/users/1").status_code == 200
        answer = client.get("/users/1/?q=/")
        if redirect:
            assert (answer.status_code, answer.headers["location"]) == (308, "/users/1?q=/")
            assert client.post("/small/", content=b"12").headers["location"] == "/small"
            assert "location" not in client.get("http://testserver//evil.example/").headers
        else:
            assert (answer.status_code, answer.text) == (200, "1/")
            assert client.post("/small/", content=b"12").status_code == 413
        assert client.get("http://testserver//evil.example/").status_code == 404


@pytest.mark.parametrize(
    ("layer", "path"),
    [
        (layers.NormalizePath(), "/users/"),
        (layers.HealthCheck(paths=["/up"]), "/up"),
        (layers.Redirect(paths={"/old": "/new"}), "/old"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_route_that_nothing_would_reach_is_refused(layer: layers.Layer, path: str) -> None:
    app = Ziggurat(layers=[layer])

    @app.get(path)
    async def users() -> None: ...

    with pytest.raises(ConfigError, match=f"users at {path} is reached by no request: {layer.name}") as caught:
        app.build()
    assert f"or leave layers.{layer.name} out" in str(caught.value) and __file__ in str(caught.value)


def test_bodies_are_decompressed_and_bombs_refused() -> None:
    app = Ziggurat(layers=[layers.Decompression(max_bytes=100_000)])

    @app.post("/")
    async def total(numbers: Annotated[list[int], Body()]) -> int:
        return sum(numbers)

    @app.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    with TestClient(app) as client:

        def sent(path: str, body: bytes, coding: str = "gzip") -> tuple[int, Any]:
            headers = {"content-encoding": coding, "content-type": "application/json"}
            answer = client.post(path, content=body, headers=headers)
            if answer.status_code == 415:
                assert answer.headers["accept-encoding"] == "br, zstd, gzip, deflate"
            return answer.status_code, answer.json()

        assert sent("/", gzip.compress(b"[1, 2, 3]")) == (200, 6)
        assert sent("/", b"[1, 2, 3]", "identity") == (200, 6)
        for path in ("/", "/raw"):
            assert sent(path, gzip.compress(b" " * 100_001))[0] == 413
            assert sent(path, b"[1, 2, 3]")[0] == 400
            assert sent(path, gzip.compress(b"[1, 2, 3]")[:-9])[0] == 400
            assert sent(path, b"[]", "compress")[0] == 415
            assert sent(path, b"[]", "gzip, gzip")[0] == 415
        status, problem = sent("/raw", gzip.compress(b" " * 90_000))
        assert (status, problem["detail"]) == (413, "the body has more than 200 times the bytes that were sent")


def test_what_is_too_much_is_refused_at_once() -> None:
    app = Ziggurat(layers=[layers.LoadShed(max_concurrent=1, queue=1, wait=0.05)])
    entered, leave = threading.Event(), threading.Event()

    @app.get("/")
    def slow() -> str:
        entered.set()
        leave.wait(10)
        return "done"

    with TestClient(app) as client, ThreadPoolExecutor() as pool:
        first = pool.submit(client.get, "/")
        assert entered.wait(10)
        late = client.get("/")
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        assert late.headers["content-type"] == "application/problem+json"
        leave.set()
        assert first.result().text == "done"
        assert client.get("/").status_code == 200


def test_what_a_client_has_is_not_sent_again() -> None:
    app = Ziggurat(layers=[layers.Compression(), layers.Etag()])
    called = 0

    @app.get("/")
    async def page() -> str:
        nonlocal called
        called += 1
        return "many steps " * 100

    with TestClient(app) as client:
        for coding in ("identity", "gzip"):
            first = client.get("/", headers={"accept-encoding": coding})
            tag = first.headers["etag"]
            assert (first.status_code, tag.endswith('.gzip"')) == (200, coding == "gzip")
            for held, status in ((tag, 304), (f'"other", W/{tag}', 304), ('"other"', 200)):
                again = client.get("/", headers={"accept-encoding": coding, "if-none-match": held})
                assert (again.status_code, again.headers["etag"]) == (status, tag)
                assert (again.content == b"") == (status == 304)
    assert called == 8


def test_pages_of_other_origins_send_nothing() -> None:
    app = Ziggurat(layers=[layers.Csrf(trusted_origins=["https://app.example"], exempt=["/hooks/{name}"])])

    @app.post("/transfer")
    async def transfer() -> None: ...

    @app.post("/hooks/{name}")
    async def hook(name: str) -> None: ...

    @app.get("/transfer")
    async def form() -> None: ...

    with TestClient(app) as client:
        evil = {"origin": "https://evil.example"}
        site = {"sec-fetch-site": "cross-site"}
        for path, headers, passes in (
            ("/transfer", {}, True),
            ("/transfer", {"sec-fetch-site": "same-origin"}, True),
            ("/transfer", {"origin": "http://testserver"}, True),
            ("/transfer", {"origin": "https://app.example"} | site, True),
            ("/hooks/paid", evil | site, True),
            ("/transfer", evil, False),
            ("/transfer", site, False),
            ("/transfer", {"origin": "null"}, False),
            ("/hooks/paid/x", evil, False),
        ):
            answer = client.post(path, headers=headers)
            assert (answer.status_code != 403) == passes, (path, headers)
            if not passes:
                assert answer.headers["content-type"] == "application/problem+json"
        assert client.get("/transfer", headers=evil | site).status_code == 200


def test_an_exempt_path_that_cannot_be_read_is_refused_when_the_app_is_built() -> None:
    with pytest.raises(ConfigError, match="an exempt path"):
        Ziggurat(layers=[layers.Csrf(exempt=["/{x"])]).build()


def test_checks_of_health_are_answered_before_all_else() -> None:
    app = Ziggurat(layers=[layers.HealthCheck(), layers.Hosts(names=["example.org"]), layers.Jwt(secret=SECRET)])

    @app.post("/healthz")
    async def posted() -> None: ...

    @app.get("/{rest:path}")
    async def page(rest: str) -> None: ...

    with TestClient(app) as client:
        for path in ("/healthz", "/readyz"):
            alive = client.get(path, headers={"host": "10.0.0.7"})
            assert (alive.status_code, alive.text, alive.headers["cache-control"]) == (200, "ok\n", "no-store")
            assert client.head(path).status_code == 200
        assert client.get("/healthz/").status_code == 421
        assert client.post("/healthz").status_code == 421


def test_clients_are_led_to_where_they_should_have_asked() -> None:
    layer = layers.Redirect(https=["example.org"], hosts={"www.example.org": "example.org"}, paths={"/old": "/new"})
    app = Ziggurat(layers=[layer])

    @app.get("/{rest:path}")
    async def page(rest: str) -> None: ...

    with TestClient(app) as client:

        def led(path: str, host: str, proto: str) -> str | None:
            answer = client.get(path, headers={"host": host, "x-forwarded-proto": proto})
            assert answer.status_code == (308 if "location" in answer.headers else 200)
            return answer.headers.get("location")

        assert led("/a?b", "example.org", "http") == "https://example.org/a?b"
        assert led("/old?b", "www.example.org", "http") == "https://example.org/new?b"
        assert led("/a", "www.example.org", "https") == "//example.org/a"
        assert led("/old", "example.org", "https") == "/new"
        assert led("/a", "example.org", "https") is None
        assert led("/a", "evil.example", "http") is None


def test_redirects_that_lead_in_circles_are_refused_when_the_app_is_built() -> None:
    with pytest.raises(ConfigError, match="by way of another redirect"):
        Ziggurat(layers=[layers.Redirect(paths={"/a": "/b", "/b": "/a"})]).build()
