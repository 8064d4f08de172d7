"""Tokens that an app signs and passwords that it hashes, against the layers that check them and against other libraries."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import argon2
import jwt
import pytest
from tokens import SECRET

from ziggurat import Claims, ConfigError, Ziggurat, layers, new_event_loop
from ziggurat.security import hash_password, needs_rehash, sign_token, verify_password
from ziggurat.testing import TestClient

KEYS = Path(__file__).parents[1] / "layers" / "keys"
ANN = UUID("018f0000-0000-7000-8000-000000000001")
# Of "open sesame", by the reference implementation.
CHEAP = "$argon2id$v=19$m=64,t=1,p=1$c29tZSBzYWx0IGhlcmU$vPQGMfVAsSfwD1fZxAtbczTXuZaGoKkxHDNYBzi7TYc"


def pem(name: str) -> str:
    return (KEYS / f"{name}.pem").read_text()


def seen_by(layer: layers.Layer, **headers: str) -> Any:
    """What handlers are told of the caller, or the status of the refusal."""
    app = Ziggurat(layers=[layer])

    @app.get("/")
    async def who(claims: Claims) -> dict[str, Any]:
        return dict(claims)

    with TestClient(app) as client:
        answer = client.get("/", headers=headers)
        return answer.json() if answer.status_code == 200 else answer.status_code


def bearer(token: str) -> str:
    return f"Bearer {token}"


def run(work: Callable[[], Any]) -> Any:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work())


@pytest.mark.parametrize(
    ("key", "layer", "algorithm"),
    [
        (SECRET, layers.Jwt(secret=SECRET), "HS256"),
        (SECRET.encode(), layers.Jwt(secret=SECRET), "HS256"),
        (pem("rsa"), layers.Jwt(public_key_pem=pem("rsa.pub")), "RS256"),
        (pem("ec"), layers.Jwt(public_key_pem=pem("ec.pub")), "ES256"),
        (pem("ec384"), layers.Jwt(public_key_pem=pem("ec384.pub")), "ES384"),
        (pem("ed").encode(), layers.Jwt(public_key_pem=pem("ed.pub")), "EdDSA"),
    ],
)
def test_a_token_is_verified_by_the_layer_and_by_others(key: str | bytes, layer: layers.Jwt, algorithm: str) -> None:
    token = sign_token({"sub": ANN, "roles": ["editor"], "name": "Änn"}, key, expires_in=60)
    assert jwt.get_unverified_header(token) == {"typ": "JWT", "alg": algorithm}
    seen = seen_by(layer, authorization=bearer(token))
    assert (seen["sub"], seen["roles"], seen["name"]) == (str(ANN), ["editor"], "Änn")
    assert seen["exp"] == seen["iat"] + 60
    public = layer.public_key_pem or layer.secret
    assert isinstance(public, str)
    assert jwt.decode(token, public, algorithms=[algorithm]) == seen
    forged = sign_token({"sub": ANN}, "another secret of thirty-two bytes", expires_in=60)
    assert seen_by(layer, authorization=bearer(forged)) == 401


def test_an_algorithm_of_the_same_key_is_asked_for() -> None:
    secret = SECRET * 2
    for algorithm in ("HS384", "HS512"):
        layer = layers.Jwt(secret=secret, algorithms=[algorithm])
        token = sign_token({"sub": "ann"}, secret, expires_in=60, algorithm=algorithm)
        assert seen_by(layer, authorization=bearer(token))["sub"] == "ann"
        assert seen_by(layer, authorization=bearer(sign_token({"sub": "ann"}, secret, expires_in=60))) == 401


def test_a_kid_names_one_key_of_several() -> None:
    def key(name: str, kid: str) -> dict[str, Any]:
        algorithm = jwt.get_algorithm_by_name("EdDSA" if name == "ed" else "ES256")
        public = algorithm.to_jwk(algorithm.prepare_key(pem(f"{name}.pub")), as_dict=True)
        return {**public, "kid": kid}

    layer = layers.Jwt(jwks={"keys": [key("ed", "1"), key("ec", "2")]}, issuer="shop", audience="api")
    claims = {"iss": "shop", "sub": "ann", "aud": ["api"]}
    for name, kid in (("ed", "1"), ("ec", "2")):
        token = sign_token(claims, pem(name), expires_in=60, kid=kid)
        assert seen_by(layer, authorization=bearer(token))["sub"] == "ann"
    assert seen_by(layer, authorization=bearer(sign_token(claims, pem("ed"), expires_in=60, kid="2"))) == 401


def test_claims_are_what_handlers_return_and_times_may_be_datetimes() -> None:
    class Role(StrEnum):
        editor = "editor"

    now = datetime.now(UTC).replace(microsecond=0)
    claims = {
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(minutes=1),
        "roles": [Role.editor],
        "limit": Decimal("2.50"),
    }
    seen = seen_by(layers.Jwt(secret=SECRET), authorization=bearer(sign_token(claims, SECRET)))
    assert [datetime.fromtimestamp(seen[name], UTC) for name in ("iat", "nbf", "exp")] == [
        now,
        now,
        now + timedelta(minutes=1),
    ]
    assert (seen["roles"], seen["limit"]) == (["editor"], "2.50")
    # One that is over is signed and refused, as tests may want it.
    assert seen_by(layers.Jwt(secret=SECRET), authorization=bearer(sign_token({"exp": 1}, SECRET))) == 401
    long = jwt.decode(sign_token({}, SECRET, expires_in=timedelta(days=1)), SECRET, algorithms=["HS256"])
    assert long["exp"] - long["iat"] == 86_400


@pytest.mark.parametrize(
    ("claims", "more", "kind", "said"),
    [
        ({}, {}, ValueError, "a token without exp is refused"),
        ({"exp": 2**33}, {"expires_in": 1}, ValueError, "both exp and expires_in given"),
        ({}, {"expires_in": 0}, ValueError, "more than 0 seconds"),
        ({}, {"expires_in": float("nan")}, ValueError, "more than 0 seconds"),
        ({}, {"expires_in": timedelta(days=50_000)}, ValueError, "less than a hundred years"),
        ({}, {"expires_in": "60"}, TypeError, "a number of seconds or a timedelta, not str"),
        ({}, {"expires_in": True}, TypeError, "a number of seconds or a timedelta, not bool"),
        ({"sub": 7}, {"expires_in": 1}, TypeError, "the claim sub has to be a text"),
        ({"aud": 7}, {"expires_in": 1}, TypeError, "the claim aud has to be a text or a list of texts"),
        ({"exp": "soon"}, {}, TypeError, "the claim exp has to be a number of seconds"),
        ({"nbf": datetime(2027, 1, 1)}, {"expires_in": 1}, ValueError, "the claim nbf has no time zone"),
        ({"x": object()}, {"expires_in": 1}, TypeError, "object"),
        (["sub"], {"expires_in": 1}, TypeError, "claims are a dict, not list"),
        ({}, {"expires_in": 1, "key": None}, TypeError, "a secret or PEM text, not NoneType"),
        ({}, {"expires_in": 1, "key": "short"}, ConfigError, "secret has 5 bytes.*at least 32 random bytes"),
        ({}, {"expires_in": 1, "algorithm": "none"}, ConfigError, "no token is signed by 'none'; choose among HS256"),
        (
            {},
            {"expires_in": 1, "algorithm": "RS256"},
            ConfigError,
            "RS256 cannot be used with the key; a shared secret goes",
        ),
        ({}, {"expires_in": 1, "algorithm": "HS512"}, ConfigError, "at least 64 random bytes"),
        ({}, {"expires_in": 1, "key": pem("ed.pub")}, ConfigError, "holds no private key; give the private half"),
        ({}, {"expires_in": 1, "key": pem("rsa1024")}, ConfigError, "less than 2048 bits"),
        (
            {},
            {"expires_in": 1, "key": pem("ec"), "algorithm": "HS256"},
            ConfigError,
            "HS256 cannot be used with the key",
        ),
    ],
)
def test_what_would_not_be_verified_is_not_signed(
    claims: Any, more: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said) as error:
        sign_token(claims, **{"key": SECRET, **more})
    assert SECRET not in str(error.value)


def test_what_is_hashed_is_known_to_basic_and_to_others() -> None:
    hashed = run(lambda: hash_password("pässword"))
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert argon2.PasswordHasher().verify(hashed, "pässword")
    layer = layers.Basic(users=[layers.User(name="ann", hash=hashed)])
    sent = base64.b64encode("ann:pässword".encode()).decode()
    assert seen_by(layer, authorization=f"Basic {sent}")["sub"] == "ann"
    wrong = base64.b64encode(b"ann:password").decode()
    assert seen_by(layer, authorization=f"Basic {wrong}") == 401


def test_passwords_are_verified() -> None:
    async def verified() -> list[bool]:
        own = await hash_password("open sesame")
        assert own != await hash_password("open sesame"), "each has a salt of its own"
        other = argon2.PasswordHasher(memory_cost=1024).hash("open sesame")
        right = [await verify_password("open sesame", hashed) for hashed in (own, other, CHEAP)]
        wrong = [await verify_password(text, own) for text in ("", "open", "Open sesame", "x" * 5000)]
        return [*right, not any(wrong), not await verify_password("", None)]

    assert run(verified) == [True] * 5


def test_a_hash_may_have_to_be_made_anew() -> None:
    assert not needs_rehash(run(lambda: hash_password("x")))
    assert not needs_rehash(argon2.PasswordHasher().hash("x")), "a dearer one stays"
    assert needs_rehash(CHEAP)
    assert needs_rehash("$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW")
    assert needs_rehash("plain text")


@pytest.mark.parametrize(
    ("work", "kind", "said"),
    [
        (lambda: hash_password(None), TypeError, "a password is a string, not NoneType"),  # type: ignore[arg-type]
        (lambda: hash_password(b"x"), TypeError, "a password is a string, not bytes"),  # type: ignore[arg-type]
        (lambda: hash_password("x" * 1025), ValueError, "at most 1024 bytes"),
        (lambda: verify_password(1, CHEAP), TypeError, "a password is a string, not int"),  # type: ignore[arg-type]
        (lambda: verify_password("x", b"x"), TypeError, "a hash is a string, not bytes"),  # type: ignore[arg-type]
        (lambda: verify_password("x", "open sesame"), ValueError, "the hash is no PHC string; give what hash_password"),
        (lambda: verify_password("x", CHEAP.replace("2id", "2i")), ValueError, "the hash is not of argon2id"),
        (lambda: verify_password("x", CHEAP.rpartition("$")[0]), ValueError, "lacks salt, hash or good parameters"),
    ],
)
def test_what_cannot_be_hashed_or_verified_is_told(work: Callable[[], Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said) as error:
        run(work)
    assert "sesame" not in str(error.value)


def test_the_loop_goes_on_while_passwords_are_hashed() -> None:
    """However many there are, and whoever gives up."""

    async def work() -> tuple[int, int]:
        ticks = 0
        done = asyncio.Event()

        async def tick() -> None:
            nonlocal ticks
            while not done.is_set():
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        hashing = [asyncio.create_task(hash_password(f"password {number}")) for number in range(20)]
        await hashing[0]
        for late in hashing[10:]:
            late.cancel()
        outcomes = await asyncio.gather(*hashing, return_exceptions=True)
        done.set()
        await ticking
        # The turns of those who gave up are free again.
        assert await asyncio.gather(*(verify_password("x", CHEAP) for _ in range(20))) == [False] * 20
        return ticks, sum(isinstance(outcome, str) for outcome in outcomes)

    ticks, hashed = run(work)
    assert ticks > 50
    assert hashed >= 10


@pytest.mark.usefixtures("mode")
def test_handlers_of_either_mode_hash(app: Ziggurat, client: Callable[[], TestClient]) -> None:
    @app.post("/")
    async def handler(password: str) -> bool:
        return await verify_password(password, await hash_password("x"))

    started = client()
    assert [started.post("/", params={"password": text}).json() for text in ("x", "y")] == [True, False]


def test_on_another_loop_it_is_told_what_is_needed() -> None:
    with pytest.raises(RuntimeError, match="needs a running PyLoop"):
        asyncio.run(hash_password("x"))


def test_the_module_is_light(tmp_path: Path) -> None:
    """Whoever only signs does not load models."""
    code = "import sys; from ziggurat.security import sign_token; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_token_is_signed_from_several_threads() -> None:
    layer_tokens: list[str] = []
    threads = [
        threading.Thread(target=lambda: layer_tokens.append(sign_token({"sub": "a"}, pem("rsa"), expires_in=9)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({json.dumps(jwt.decode(token, pem("rsa.pub"), algorithms=["RS256"])) for token in layer_tokens}) <= 2
