"""Settings of layers: what is passed on, and what is refused when it is written."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import pytest
from tokens import SECRET as TOKEN_SECRET
from tokens import bearer

from ziggurat import ConfigError, Ziggurat, guards, layers
from ziggurat.testing import TestClient

SECRET = "0123456789abcdef0123456789abcdef"
JWKS = {
    "keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "1", "use": "sig", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    ]
}
PUBLIC_PEM = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"

KEY = layers.Key(hash="sha256:" + "ab" * 32, subject="ci", scopes=["read"], claims={"roles": ["x"], "more": {"a": 1}})
USER = layers.User(
    name="ann",
    hash="$argon2id$v=19$m=64,t=1,p=1$c29tZSBzYWx0IGhlcmU$vPQGMfVAsSfwD1fZxAtbczTXuZaGoKkxHDNYBzi7TYc",
    scopes=["read"],
    claims={"tenant": "a"},
)
ISSUERS = [layers.Issuer(issuer="a", secret=SECRET)]


def test_only_what_was_given_is_passed_on() -> None:
    assert layers.Trace(format="json").to_spec() == {"type": "Trace", "format": "json", "level": "info"}
    assert layers.CatchPanic().to_spec() == {"type": "CatchPanic"}
    jwt = layers.Jwt(secret=SECRET, audience="app", required=False).to_spec()
    assert jwt == {
        "type": "Jwt",
        "secret": SECRET,
        "algorithms": ["HS256"],
        "audience": "app",
        "require": [],
        "max_token_bytes": 8192,
        "remember": 1024,
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
        layers.Jwt(
            jwks=JWKS, remember=0, require=[guards.HasRole("a"), guards.HasScope("b"), guards.ClaimIs("c", 1, "d")]
        ),
        layers.Jwt(jwks=json.dumps(JWKS), sources=[layers.FromHeader("x-token"), layers.FromCookie("session")]),
        layers.Jwt(jwks="https://id.example/keys", audience="a"),
        layers.Jwt(jwks=layers.Jwks(discover="https://id.example", refresh=60, cooldown=1, timeout=2, stale_for=0)),
        layers.Jwt(issuers=[layers.Issuer(issuer="a", secret=SECRET), layers.Issuer(issuer=["b", "c"], jwks=JWKS)]),
        layers.ApiKey(keys=[KEY], sources=[layers.FromQuery("key"), layers.FromCookie("key")], required=False),
        layers.Basic(users=[USER], realm="here", parallel=1, remember=0),
        layers.Compression(algorithms=["gzip", "br"], min_size=0, level=3),
        layers.CatchPanic(),
        layers.RequestId(header="x-trace", trust_incoming=True),
        layers.ClientIp(),
        layers.ClientIp(
            trusted=["10.0.0.0/8", "10.0.0.7", "2001:db8::/32", "::ffff:10.1.0.0/112"], hops=1, header="forwarded"
        ),
        layers.Timeout(seconds=0.5),
        layers.Timeout(body_idle=0.5),
        layers.Timeout(body_idle=30, total=86_400),
        layers.Cors(allow_origins=["https://a.example"], allow_methods=["GET", "POST"], allow_credentials=True),
        layers.Cors(allow_origins=["*"], allow_headers=["*"], max_age=0),
        layers.Cors(allow_origin_regex=r"https://.*\.example"),
        layers.BodyLimit(max_bytes=10),
        layers.Hosts(names=["example.org", "*.example.org", "10.0.0.7", "[::1]"]),
        layers.Decompression(algorithms=["zstd"], max_bytes=10, max_ratio=1),
        layers.Csrf(),
        layers.Csrf(trusted_origins=["https://a.example", "http://[::1]:3000"], exempt=["/hooks/{name}"]),
        layers.Cache(),
        layers.Cache(ttl=0.5, max_bytes=2**64 - 1, max_body_bytes=1, vary=["x-forwarded-host"], client_control=False),
        layers.Etag(),
        layers.Etag(weak=True, max_bytes=0),
        layers.HealthCheck(),
        layers.HealthCheck(paths=["/up"], ready_paths=[]),
        layers.HealthCheck(paths=[], ready_paths=["/ready", "/able"]),
        layers.Metrics(),
        layers.Metrics(path="/internal/metrics", allow=["10.0.0.0/8", "::1"], buckets=[0.01, 1, 60]),
        layers.Metrics(allow=["*"]),
        layers.Otel(),
        layers.Otel(
            endpoint="https://[::1]:4318/otlp",
            service_name="shop",
            sample=0,
            headers={"x-api-key": SECRET},
            timeout=0.5,
            trust_incoming=False,
        ),
        layers.LoadShed(max_concurrent=1),
        layers.LoadShed(max_concurrent=1_000_000, queue=1_000_000, wait=0.5),
        layers.Static(directory="."),
        layers.Static(directory=Path(__file__).parent, path="/", fallback="conftest.py", index=None),
        layers.Static(
            directory="/",
            path="/a/b",
            index="x",
            precompressed=True,
            max_age=2**32 - 1,
            immutable=True,
            hidden=True,
            follow_symlinks=True,
        ),
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
        layers.RateLimit(limit=1),
        layers.RateLimit(
            limit=10,
            period=0.5,
            burst=3,
            by_header="x-key",
            by_route=True,
            ipv6_prefix=48,
            without_key="allow",
            policy="a.b",
        ),
        layers.RateLimit(limit=1, store="redis://ann:secret@127.0.0.1:1/3", namespace="shop:v2", on_failure="refuse"),
        layers.RateLimit(limit=1, store="sqlite:////tmp/quotas.db", max_keys=10, on_failure="allow", store_timeout=0.5),
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
        ("Jwt", {"secret": SECRET, "jwks": JWKS}, "both of secret and jwks given"),
        ("Jwt", {"jwks": "nonsense"}, "jwks is no JWK Set"),
        (
            "Jwt",
            {"jwks": "https://id.example", "algorithms": ["HS256"]},
            "HS256 is for secrets, which are not published",
        ),
        ("Jwks", {}, "neither of url and discover given"),
        ("Jwks", {"url": "https://a.example", "discover": "https://a.example"}, "both of url and discover given"),
        ("Jwks", {"url": "http://a.example"}, "'http://a.example' is no address of keys"),
        ("Jwks", {"discover": "https://u:p@a.example"}, "is no address of keys"),
        ("Jwks", {"url": "keys"}, "is no address of keys"),
        ("Jwks", {"url": "https://a.example", "cooldown": 0}, "cooldown=0 is out of range"),
        ("Jwks", {"url": "https://a.example", "stale_for": -1}, "stale_for=-1 is out of range"),
        ("Jwks", {"url": 7}, "url must be a string"),
        ("Jwt", {"jwks": {"keys": "x"}}, "jwks is no JWK Set"),
        ("Jwt", {"jwks": {"keys": [object()]}}, "jwks is no JWK Set"),
        ("Jwt", {"issuers": [], "secret": SECRET}, "issuers is empty"),
        ("Jwt", {"issuers": ISSUERS, "secret": SECRET}, "both issuers and secret given"),
        ("Jwt", {"issuers": ISSUERS, "audience": "x"}, "both issuers and audience given"),
        ("Jwt", {"issuers": [*ISSUERS, *ISSUERS]}, "the issuer 'a' is there twice"),
        ("Jwt", {"issuers": ["https://a.example"]}, "issuers holds 'https://a.example'; write issuers=[layers.Issuer("),
        ("Jwt", {"issuers": ISSUERS[0]}, "issuers must be a list"),
        ("Jwt", {"secret": SECRET, "sources": []}, "sources is empty"),
        ("Jwt", {"secret": SECRET, "sources": ["authorization"]}, "sources holds 'authorization'"),
        ("Jwt", {"secret": SECRET, "require": ["admin"]}, "require holds 'admin'"),
        ("Jwt", {"secret": SECRET, "require": guards.HasScope("a")}, "require must be a list"),
        ("Jwt", {"secret": SECRET, "max_token_bytes": 0}, "max_token_bytes=0 is out of range"),
        ("Jwt", {"secret": SECRET, "remember": -1}, "remember=-1 is out of range"),
        ("Issuer", {"issuer": "", "secret": SECRET}, "issuer is empty"),
        ("Issuer", {"issuer": "a"}, "neither of secret and public_key_pem given"),
        ("Issuer", {"issuer": "a", "secret": "short"}, "the secret has 5 bytes"),
        ("FromHeader", {"header": "x id"}, "'x id', which is not a header name"),
        ("FromCookie", {"cookie": "a=b"}, "'a=b', which is not the name of a cookie"),
        ("FromQuery", {"query": ""}, "query is empty"),
        ("Jwt", {"secret": SECRET, "sources": [layers.FromQuery("a")]}, "sources holds FromQuery"),
        ("ApiKey", {"keys": []}, "keys is empty"),
        ("ApiKey", {"keys": ["abc"]}, "keys holds 'abc'"),
        ("ApiKey", {"keys": [KEY, dataclasses.replace(KEY, subject="b")]}, "the key of 'b' is there twice"),
        ("ApiKey", {"keys": [KEY], "sources": []}, "sources is empty"),
        ("Key", {"hash": "abc", "subject": "ci"}, "the hash of the key of 'ci' is none"),
        ("Key", {"hash": KEY.hash, "subject": ""}, "subject is empty"),
        ("Key", {"hash": KEY.hash, "subject": "a", "scopes": "read"}, "scopes must be a list of strings"),
        ("Key", {"hash": KEY.hash, "subject": "a", "claims": {"sub": "b"}}, "the claim sub is said otherwise"),
        ("Key", {"hash": KEY.hash, "subject": "a", "claims": {"x": object()}}, "claims cannot be told as JSON"),
        ("Basic", {"users": []}, "users is empty"),
        ("Basic", {"users": [USER, USER]}, "the user 'ann' is there twice"),
        ("Basic", {"users": [USER], "realm": 'a"b'}, "cannot be a realm"),
        ("Basic", {"users": [USER], "parallel": 0}, "parallel=0 is out of range"),
        ("User", {"name": "a:b", "hash": USER.hash}, "'a:b' cannot be the name of a user"),
        ("User", {"name": "a", "hash": "secret"}, "the hash of 'a' is not of argon2id"),
        ("FromCookie", {"cookie": 7}, "cookie must be a string"),
        ("Jwt", {"secret": SECRET, "leeway": -1}, "leeway=-1 is out of range"),
        ("Jwt", {"secret": SECRET, "required": "no"}, "required='no' is not a bool"),
        ("Compression", {"algorithms": ["lzma"]}, "known are br, zstd, gzip, deflate"),
        ("Compression", {"algorithms": ["br", "br"]}, "names something twice"),
        ("Compression", {"level": 12}, "level=12 is out of range; give a whole number from 1 to 9"),
        ("Compression", {"min_size": True}, "min_size=True is not a whole number"),
        ("RequestId", {"header": "x id"}, "'x id', which is not a header name"),
        ("ClientIp", {"trusted": "10.0.0.0/8"}, "trusted must be a list of strings"),
        ("ClientIp", {"trusted": ["10.0.0.0/8", "10.0.0.0/8"]}, "trusted names something twice"),
        ("ClientIp", {"trusted": ["*"]}, "trusted holds '*', which is no network; write an address"),
        ("ClientIp", {"trusted": ["10.0.0.1/8"]}, "which has bits beyond its prefix; write 10.0.0.0/8 for the network"),
        ("ClientIp", {"trusted": ["0.0.0.0/0"]}, "so clients could name any address themselves; name the networks"),
        ("ClientIp", {"hops": 33}, "hops=33 is out of range; give a whole number from 0 to 32"),
        ("ClientIp", {"header": "x-real-ip"}, "header='x-real-ip' is not known; known are x-forwarded-for, forwarded"),
        ("Timeout", {"seconds": 0}, "seconds=0 is out of range"),
        ("Timeout", {"seconds": "1m"}, "seconds='1m' is not a number"),
        ("Timeout", {"seconds": None}, "seconds=None is not a number"),
        ("Timeout", {"body_idle": 0}, "body_idle=0 is out of range; give seconds from 0.001 to 86400"),
        ("Timeout", {"total": 86_401}, "total=86401 is out of range"),
        ("Timeout", {"total": True}, "total=True is not a number"),
        ("Cors", {}, "no origin is allowed"),
        ("Cors", {"allow_origins": ["example.org"]}, "'example.org' is not an origin"),
        ("Cors", {"allow_origins": ["https://example.org/"]}, "is not an origin"),
        ("Cors", {"allow_origins": "https://example.org"}, "allow_origins must be a list of strings"),
        ("Cors", {"allow_origins": ["*"], "allow_credentials": True}, "cannot go with allow_credentials"),
        (
            "Cors",
            {"allow_origins": ["https://a.example"], "allow_credentials": True, "expose_headers": ["*"]},
            'expose_headers=["*"] cannot go with allow_credentials; name them one by one',
        ),
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
        ("Cache", {"ttl": 0}, "ttl=0 is out of range; give seconds from 0.001 to 86400"),
        ("Cache", {"ttl": "5s"}, "ttl='5s' is not a number"),
        ("Cache", {"max_bytes": 0}, "max_bytes=0 is out of range"),
        ("Cache", {"max_bytes": 5}, "max_bytes is 5, and one body may have 1048576; give max_bytes several times"),
        ("Cache", {"max_body_bytes": 0}, "max_body_bytes=0 is out of range"),
        ("Cache", {"vary": "accept"}, "vary must be a list of strings"),
        ("Cache", {"vary": ["a b"]}, "vary holds 'a b', which is not a header name"),
        ("Cache", {"client_control": "no"}, "client_control='no' is not a bool"),
        ("Etag", {"weak": "W/"}, "weak='W/' is not a bool"),
        ("Etag", {"max_bytes": -1}, "max_bytes=-1 is out of range"),
        ("HealthCheck", {"paths": [], "ready_paths": []}, "there is no path; name at least one"),
        ("HealthCheck", {"paths": ["up"]}, "'up' is no path; begin it with a slash"),
        ("HealthCheck", {"paths": ["/{x}"]}, "'/{x}' is no path"),
        ("HealthCheck", {"paths": ["/up", "/up"]}, "paths names something twice"),
        ("Metrics", {"path": "metrics"}, "'metrics' is no path; begin it with a slash"),
        ("Metrics", {"path": "/{x}"}, "'/{x}' is no path"),
        ("Metrics", {"path": 7}, "path must be a string"),
        ("Metrics", {"allow": []}, "allow is empty"),
        ("Metrics", {"allow": "10.0.0.0/8"}, "allow must be a list of strings"),
        ("Metrics", {"allow": ["*", "::1"]}, 'allow holds "*" and others; write it alone'),
        ("Metrics", {"allow": ["10.0.0.1/8"]}, "which has bits beyond its prefix; write 10.0.0.0/8 for the network"),
        ("Metrics", {"allow": ["::/0"]}, "allow holds '::/0', so everybody could read them; write \"*\""),
        ("Metrics", {"buckets": []}, "there are 0 buckets, and may be 1 to 100; give seconds that grow"),
        ("Metrics", {"buckets": "1"}, "buckets must be a list of numbers, not '1'"),
        ("Metrics", {"buckets": [0]}, "a bucket ends at 0, which is not from a nanosecond to a day"),
        ("Metrics", {"buckets": [float("nan")]}, "a bucket ends at nan"),
        ("Metrics", {"buckets": ["1"]}, "a bucket ends at '1'"),
        ("Metrics", {"buckets": [1, 1]}, "the bucket 1 comes after 1"),
        ("Otel", {"endpoint": "collector:4318"}, "'collector:4318' is no address of a collector"),
        (
            "Otel",
            {"endpoint": "http://a.example/?key=1"},
            "Otel: the endpoint is no address of a collector; write it as http://localhost",
        ),
        ("Otel", {"endpoint": "http://u:p@a.example"}, "Otel: the endpoint is no address of a collector"),
        ("Otel", {"endpoint": "grpc://a.example"}, "is no address of a collector"),
        ("Otel", {"endpoint": 4318}, "endpoint must be a string"),
        ("Otel", {"service_name": ""}, "the name of the service is empty"),
        ("Otel", {"sample": 1.1}, "sample is 1.1; give a share from 0 to 1"),
        ("Otel", {"sample": -0.1}, "sample is -0.1"),
        ("Otel", {"sample": True}, "sample is True"),
        ("Otel", {"timeout": 0}, "timeout=0 is out of range"),
        ("Otel", {"headers": {"a b": "c"}}, "'a b' cannot be sent as a header"),
        ("Otel", {"headers": {"a": "b\r\nc: d"}}, "'a' cannot be sent as a header"),
        ("Otel", {"headers": {"a": 1}}, "'a' cannot be sent as a header"),
        ("Otel", {"headers": ["a"]}, "headers must be a dict of strings"),
        ("Otel", {"trust_incoming": 0}, "trust_incoming=0 is not a bool"),
        ("LoadShed", {"max_concurrent": 0}, "max_concurrent=0 is out of range"),
        ("LoadShed", {"max_concurrent": 1.5}, "max_concurrent=1.5 is not a whole number"),
        ("LoadShed", {"max_concurrent": 1, "queue": -1}, "queue=-1 is out of range"),
        ("LoadShed", {"max_concurrent": 1, "queue": 1, "wait": 0}, "wait=0 is out of range"),
        ("Static", {"directory": 7}, "directory is 7; give a path"),
        ("Static", {"directory": b"."}, "directory must be a string, not bytes"),
        ("Static", {"directory": "no/such"}, "directory 'no/such' does not exist; make it, or name another one"),
        ("Static", {"directory": __file__}, "is no directory; name the directory that holds the files"),
        (
            "Static",
            {"directory": ".", "path": "static"},
            "'static' is no path; begin it with a slash and end it without one",
        ),
        ("Static", {"directory": ".", "path": ""}, "'' is no path"),
        ("Static", {"directory": ".", "path": "/a/"}, "'/a/' is no path"),
        ("Static", {"directory": ".", "path": "/a//b"}, "'/a//b' is no path"),
        ("Static", {"directory": ".", "path": "/{a}"}, "'/{a}' is no path"),
        ("Static", {"directory": ".", "path": 1}, "path must be a string"),
        ("Static", {"directory": ".", "index": "a/b"}, "index 'a/b' is no name of a file"),
        ("Static", {"directory": ".", "index": ".."}, "index '..' is no name of a file"),
        ("Static", {"directory": ".", "index": ""}, "index '' is no name of a file"),
        ("Static", {"directory": ".", "fallback": "../a"}, "fallback '../a' is no path within the directory"),
        ("Static", {"directory": ".", "fallback": "/etc/passwd"}, "is no path within the directory"),
        ("Static", {"directory": ".", "fallback": "no.html"}, "fallback 'no.html' is no file of the directory"),
        ("Static", {"directory": ".", "max_age": -1}, "max_age=-1 is out of range"),
        (
            "Static",
            {"directory": ".", "immutable": True},
            "immutable is given without max_age; say for how many seconds",
        ),
        ("Static", {"directory": ".", "hidden": 1}, "hidden=1 is not a bool"),
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
        ("RateLimit", {"limit": 0}, "limit=0 is out of range; give a whole number from 1 to 4294967295"),
        ("RateLimit", {"limit": 1.5}, "limit=1.5 is not a whole number"),
        ("RateLimit", {"limit": 1, "period": 0}, "period=0 is out of range; give seconds from 0.001 to 86400"),
        ("RateLimit", {"limit": 2_000_000, "period": 0.001}, "period is 0.001, for 2000000 requests"),
        ("RateLimit", {"limit": 1, "burst": 0}, "burst=0 is out of range"),
        ("RateLimit", {"limit": 1, "period": 86400, "burst": 367}, "burst is 367, which takes more than 366 days"),
        ("RateLimit", {"limit": 1, "by_header": "a b"}, "by_header holds 'a b', which is not a header name"),
        ("RateLimit", {"limit": 1, "by_claim": 1}, "by_claim must be a string"),
        (
            "RateLimit",
            {"limit": 1, "by_header": "a", "by_claim": "b"},
            "both by_header and by_claim are given; give one",
        ),
        (
            "RateLimit",
            {"limit": 1, "ipv6_prefix": 0},
            "ipv6_prefix=0 is out of range; give a whole number from 1 to 128",
        ),
        (
            "RateLimit",
            {"limit": 1, "without_key": "refuse"},
            "without_key='refuse' is not known; known are share, allow",
        ),
        ("RateLimit", {"limit": 1, "max_keys": 0}, "max_keys=0 is out of range"),
        ("RateLimit", {"limit": 1, "headers": 1}, "headers=1 is not a bool"),
        ("RateLimit", {"limit": 1, "store": 7}, "store must be a string, not int"),
        ("RateLimit", {"limit": 1, "store": "mysql://u:hunter2@h"}, "store is no store of quotas; write sqlite:///"),
        ("RateLimit", {"limit": 1, "store": "sqlite:///"}, "store is no store of quotas"),
        ("RateLimit", {"limit": 1, "store": "rediss://h"}, "the store cannot be spoken to over TLS; write redis://"),
        (
            "RateLimit",
            {"limit": 1, "store": "redis://h", "max_keys": 9},
            "max_keys is given, and store is a Redis server",
        ),
        ("RateLimit", {"limit": 1, "namespace": "a"}, "namespace is given without store; give the store"),
        ("RateLimit", {"limit": 1, "on_failure": "allow"}, "on_failure is given without store"),
        ("RateLimit", {"limit": 1, "store_timeout": 1}, "store_timeout is given without store"),
        (
            "RateLimit",
            {"limit": 1, "store": "redis://h", "namespace": "a b"},
            "namespace 'a b' is no name; use 1 to 128",
        ),
        ("RateLimit", {"limit": 1, "store": "redis://h", "on_failure": "wait"}, "known are allow, refuse"),
        ("RateLimit", {"limit": 1, "store": "redis://h", "store_timeout": 0}, "store_timeout=0 is out of range"),
        ("RateLimit", {"limit": 1, "policy": 'a"'}, "policy 'a\"' is no name"),
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
    for name in layers.__all__:
        kind = getattr(layers, name)
        assert kind.__doc__
        source = inspect.getsource(inspect.getmodule(kind))  # type: ignore[arg-type]
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


CLIENT_PROGRAM = """
import sys

from ziggurat import Request, Ziggurat, layers

app = Ziggurat(layers=[layers.ClientIp(**eval(sys.argv[1])), layers.Trace()])

@app.get("/")
async def root(request: Request) -> list[object]:
    return list(request.client or ())

app.run()
"""


@pytest.mark.parametrize(
    ("settings", "environment", "client"),
    [
        ({}, "", "127.0.0.1"),
        ({}, " 127.0.0.0/8, ::1 ,10.0.0.0/8", "192.0.2.1"),
        ({"trusted": []}, "127.0.0.0/8", "127.0.0.1"),
        ({"trusted": ["127.0.0.1"]}, "", "10.0.0.1"),
        ({"hops": 2}, "", "192.0.2.1"),
        ({"hops": 1, "header": "forwarded"}, "", "2001:db8::7"),
    ],
)
def test_the_client_is_known_behind_proxies_that_are_trusted(
    serve: Callable[..., Any], tmp_path: Path, settings: dict[str, Any], environment: str, client: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(CLIENT_PROGRAM)
    served = serve(str(program), repr(settings), ZIGGURAT_TRUSTED_PROXIES=environment)
    headers = {"x-forwarded-for": "6.6.6.6, 192.0.2.1, 10.0.0.1", "forwarded": 'for=6.6.6.6, for="[2001:db8::7]:80"'}
    with urlopen(UrlRequest(served.url, headers=headers), timeout=20) as answer:
        host, port = json.load(answer)
    assert host == client
    assert (port > 0) == (client == "127.0.0.1")
    served.stop()
    assert re.findall(r"ziggurat::access: .* client=(\S+)", served.output()) == [client]


def test_proxies_of_the_environment_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIGGURAT_TRUSTED_PROXIES", "10.0.0.0/8,proxy.example")
    with pytest.raises(ConfigError, match=r"ZIGGURAT_TRUSTED_PROXIES holds 'proxy\.example', which is no network; "):
        layers.ClientIp()
    assert layers.ClientIp(trusted=["::1"]).trusted == ("::1",)
    monkeypatch.delenv("ZIGGURAT_TRUSTED_PROXIES")
    assert layers.ClientIp().to_spec() == {"type": "ClientIp", "trusted": [], "hops": 0, "header": "x-forwarded-for"}


NETWORKS = """
10.0.0.0/8 10.0.0.7 0.0.0.0/1 ::1 2001:db8::/32 2001:DB8::/32 ::ffff:10.0.0.0/104 ::ffff:10.0.0.7
* proxy.example 10.0.0 10.0.0.0/33 10.0.0.0/08 10.0.0.0/255.0.0.0 010.0.0.0/8 10.0.0.0/ /8 1.2.3.4/8/8 [::1] fe80::1%eth0 ::/129
10.0.0.1/8 ::ffff:10.0.0.1/104 ::ffff:0:0/95 2001:db8::1/32
0.0.0.0/0 ::/0 ::ffff:0:0/96
"""


@pytest.mark.parametrize("text", NETWORKS.split())
def test_both_sides_agree_on_networks(text: str) -> None:
    def refused(make: Callable[[], object]) -> str | None:
        try:
            make()
        except ConfigError as error:
            # The two sides write IPv4 addresses within IPv6 ones differently.
            end = "; " if "::ffff" in text else " (at "
            return str(error).split(end)[0].replace('"', "'").removeprefix("layers.")
        return None

    ours = refused(lambda: layers.ClientIp(trusted=[text]))
    settings = layers.ClientIp(trusted=[])
    object.__setattr__(settings, "trusted", (text,))
    assert refused(lambda: Ziggurat(layers=[settings]).build()) == ours
    assert (ours is None) == (text in NETWORKS.split()[:8])


def asked(client: TestClient, path: str = "/", **headers: str) -> int:
    return client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()}).status_code


def limited(*given: layers.Layer) -> TestClient:
    app = Ziggurat(layers=given)

    @app.get("/")
    async def root() -> str:
        return "in"

    @app.get("/items/{id}")
    async def item(id: int) -> int:
        return id

    return TestClient(app)


def test_who_asks_too_often_is_refused() -> None:
    with limited(layers.ClientIp(hops=1), layers.RateLimit(limit=2, period=100)) as client:
        first = client.get("/", headers={"x-forwarded-for": "192.0.2.1"})
        assert (first.headers["ratelimit"], first.headers["ratelimit-policy"]) == (
            '"default";r=1;t=50',
            '"default";q=2;w=100',
        )
        assert asked(client, x_forwarded_for="1.1.1.1, 192.0.2.1") == 200
        refused = client.get("/", headers={"x-forwarded-for": "192.0.2.1"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "50")
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["detail"] == "the quota of requests is used up; the next one is answered in 50 seconds"
        assert asked(client, x_forwarded_for="192.0.2.2") == 200
        # Nobody knows whose these are.
        assert [asked(client) for _ in range(3)] == [200, 200, 429]


def test_quotas_are_told_apart_as_was_asked() -> None:
    with limited(layers.RateLimit(limit=1, by_header="x-key")) as client:
        assert [asked(client, x_key=key) for key in "aba"] == [200, 200, 429]
    with limited(layers.RateLimit(limit=1, without_key="allow")) as client:
        assert [asked(client) for _ in range(3)] == [200, 200, 200]
    with limited(layers.RateLimit(limit=1, by_route=True, headers=False)) as client:
        paths = ("/", "/items/1", "/items/2", "/items/x", "/", "/none/1", "/none/2")
        assert [asked(client, path) for path in paths] == [200, 200, 429, 429, 429, 404, 429]
        assert "ratelimit" not in client.get("/").headers
    jwt = layers.Jwt(secret=TOKEN_SECRET, required=False)
    with limited(jwt, layers.RateLimit(limit=1, by_claim="tenant")) as client:
        tenants = [bearer(tenant="a", sub="x"), bearer(tenant="b", sub="x"), bearer(tenant="a", sub="y"), {}, {}]
        assert [asked(client, **headers) for headers in tenants] == [200, 200, 429, 200, 429]


def test_a_slash_at_the_end_is_no_other_route_to_count_by() -> None:
    by_route = layers.RateLimit(limit=1, by_route=True)
    with pytest.raises(ConfigError, match=r"RateLimit: by_route is given, and NormalizePath .*; put layers.Normalize"):
        Ziggurat(layers=[by_route, layers.NormalizePath()]).build()
    Ziggurat(layers=[layers.RateLimit(limit=1), layers.NormalizePath()]).build()
    with limited(layers.NormalizePath(), by_route) as client:
        assert [asked(client, path) for path in ("/items/1", "/items/1/", "/items/2/")] == [200, 429, 429]


@pytest.mark.parametrize("outside", [[], [layers.Trace()]])
def test_claims_that_nobody_checks_are_not_counted_by(outside: list[layers.Layer]) -> None:
    inside = layers.Jwt(secret=SECRET)
    app = Ziggurat(layers=[*outside, layers.RateLimit(limit=1, by_claim="sub"), inside])
    with pytest.raises(ConfigError, match="no layer outside of it finds out who calls"):
        app.build()
