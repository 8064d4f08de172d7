"""Settings of layers that change what serves: whether the app is ready, and which keys are known."""

from __future__ import annotations

import copy
import gc
import hashlib
from threading import Event, Thread
from typing import Any

import pytest

from ziggurat import ConfigError, Request, Ziggurat, layers
from ziggurat.testing import TestClient


def hashed(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def known(key: str, subject: str = "ann", **more: Any) -> layers.Key:
    return layers.Key(hash=hashed(key), subject=subject, **more)


def readiness(client: TestClient) -> tuple[int, str]:
    answer = client.get("/readyz")
    assert answer.headers["cache-control"] == "no-store"
    if answer.status_code == 200:
        return 200, answer.text
    assert (answer.headers["retry-after"], answer.headers["content-type"]) == ("1", "application/problem+json")
    return answer.status_code, answer.json()["detail"]


def test_an_app_says_whether_it_is_ready() -> None:
    health = layers.HealthCheck()
    with TestClient(Ziggurat(layers=[health])) as client:
        assert (readiness(client), health.ready) == ((200, "ok\n"), True)
        health.set_ready(False, reason="warming up")
        assert (readiness(client), health.ready) == ((503, "the service is not ready: warming up"), False)
        assert client.head("/readyz").status_code == 503
        # Being alive is another matter.
        assert client.get("/healthz").status_code == 200
        health.set_ready(False)
        assert readiness(client) == (503, "the service is not ready")
        saying = Thread(target=health.set_ready, args=(True,))
        saying.start()
        saying.join()
        assert (readiness(client), health.ready) == ((200, "ok\n"), True)


def test_an_app_may_begin_before_it_is_ready_and_hear_it_from_its_handlers() -> None:
    health = layers.HealthCheck(paths=["/live"], ready_paths=["/readyz", "/ready"])
    health.set_ready(False, reason="the model is loaded")
    app = Ziggurat(layers=[health])

    @app.post("/loaded")
    async def loaded() -> None:
        health.set_ready(True)

    other = Ziggurat(layers=[health])
    with TestClient(app) as client, TestClient(other) as also:
        assert readiness(client) == readiness(also) == (503, "the service is not ready: the model is loaded")
        assert client.get("/ready").status_code == 503 and client.get("/live").status_code == 200
        assert client.post("/loaded").status_code < 300
        assert readiness(client)[0] == readiness(also)[0] == client.get("/ready").status_code == 200


def test_of_a_copy_nothing_was_said() -> None:
    health = layers.HealthCheck()
    health.set_ready(False)
    for other in (copy.copy(health), copy.deepcopy(health)):
        assert other == health and other.ready and not health.ready


@pytest.mark.parametrize(
    ("said", "error", "match"),
    [
        (lambda health: health.set_ready("no"), TypeError, "ready must be a bool, not str"),
        (lambda health: health.set_ready(False, reason=5), TypeError, "reason must be a string, not int"),
        (lambda health: health.set_ready(True, reason="x"), ValueError, "leave it out with True"),
    ],
)
def test_what_cannot_be_said_of_readiness_changes_nothing(said: Any, error: type[Exception], match: str) -> None:
    health = layers.HealthCheck()
    with pytest.raises(error, match=match):
        said(health)
    assert health.ready


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"paths": ["/readyz"]}, "'/readyz' is among paths and ready_paths; leave it out of one"),
        ({"ready_paths": ["ready"]}, "'ready' is no path; begin it with a slash"),
        ({"ready_paths": ["/{x}"]}, "is no path"),
        ({"ready_paths": ["/a", "/a"]}, "ready_paths names something twice"),
        ({"ready_paths": "/a"}, "ready_paths must be a list of strings"),
    ],
)
def test_paths_of_readiness_that_cannot_be_meant_are_refused(settings: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        layers.HealthCheck(**settings)
    assert __file__ in str(caught.value)


def app_with(layer: layers.ApiKey) -> Ziggurat:
    app = Ziggurat(layers=[layer])

    @app.get("/")
    async def who(request: Request) -> list[Any]:
        assert request.auth is not None
        return [request.auth["sub"], request.auth["scopes"]]

    return app


def who(client: TestClient, key: str) -> list[Any] | int:
    answer = client.get("/", headers={"x-api-key": key})
    found: list[Any] = answer.json()
    return found if answer.status_code == 200 else answer.status_code


def test_keys_change_while_the_app_serves() -> None:
    keys = layers.ApiKey(keys=[known("one"), known("two", "bob")])
    with TestClient(app_with(keys)) as client, TestClient(app_with(keys)) as also:
        keys.add(known("three", scopes=["read"]))
        for each in (client, also):
            assert [who(each, key) for key in ("one", "two", "three")] == [["ann", []], ["bob", []], ["ann", ["read"]]]
        assert keys.revoke("ann", hash=hashed("one").upper().replace("SHA256", "sha256")) == 1
        assert keys.revoke("ann", hash=hashed("two")) == 0
        for each in (client, also):
            assert [who(each, key) for key in ("one", "two", "three")] == [401, ["bob", []], ["ann", ["read"]]]
        keys.replace(known(key, "cid") for key in ("one", "four"))
        for each in (client, also):
            found = [who(each, key) for key in ("one", "two", "three", "four")]
            assert found == [["cid", []], 401, 401, ["cid", []]]
        assert (keys.revoke("cid"), keys.revoke("cid")) == (2, 0)
        assert who(client, "one") == who(client, "four") == 401
        keys.add(known("one"))
        assert who(client, "one") == ["ann", []]
        keys.replace([])
        assert who(client, "one") == 401
        keys.replace([known("five")])
        # Who is built later begins with the same.
        with TestClient(app_with(keys)) as later:
            assert (who(later, "five"), who(later, "one")) == (["ann", []], 401)
            keys.revoke("ann")
            assert who(client, "five") == who(also, "five") == who(later, "five") == 401


def test_keys_may_change_before_an_app_is_built_and_after_one_is_gone() -> None:
    keys = layers.ApiKey(keys=[known("one")])
    keys.add(known("two"))
    assert keys.revoke("ann", hash=hashed("one")) == 1
    app = app_with(keys)
    app.build()
    del app
    gc.collect()
    with TestClient(app_with(keys)) as client:
        assert (who(client, "one"), who(client, "two")) == (401, ["ann", []])
        other = copy.copy(keys)
        other.replace([known("three")])
        assert (who(client, "two"), who(client, "three")) == (["ann", []], 401)


def test_a_key_that_stays_is_good_while_others_are_replaced() -> None:
    keys = layers.ApiKey(keys=[known("stays"), known("old", "bob")])
    done = Event()
    wrong: list[Any] = []
    asked = [0, 0]

    with TestClient(app_with(keys)) as client:

        def ask(place: int) -> None:
            while not done.is_set() or asked[place] < 50:
                found = who(client, "stays")
                asked[place] += 1
                if found != ["ann", []]:
                    wrong.append(found)

        asking = [Thread(target=ask, args=(place,)) for place in range(2)]
        for thread in asking:
            thread.start()
        try:
            for turn in range(100):
                old, new = ("old", "new") if turn % 2 == 0 else ("new", "old")
                keys.replace([known("stays"), known(new, "bob")])
                # From the next request on.
                assert (who(client, old), who(client, new)) == (401, ["bob", []]), turn
        finally:
            done.set()
            for thread in asking:
                thread.join()
    assert not wrong and min(asked) >= 50


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda keys: keys.add(known("one", "eve")), "the key of 'eve' is there twice; give everybody a key"),
        (lambda keys: keys.add(hashed("two")), "is no key; write layers.Key"),
        (lambda keys: keys.replace([known("two"), known("two", "eve")]), "the key of 'eve' is there twice"),
        (lambda keys: keys.replace([hashed("two")]), "keys holds 'sha256:"),
        (lambda keys: keys.replace(known("two")), "keys must be a list, not Key; write replace"),
        (lambda keys: keys.replace(None), "keys must be a list, not NoneType"),
        (lambda keys: keys.revoke("ann", hash="one"), "the hash of the key of 'ann' is none; give sha256"),
    ],
)
def test_changes_that_cannot_be_meant_are_refused_and_nothing_is_changed(change: Any, match: str) -> None:
    keys = layers.ApiKey(keys=[known("one")])
    with TestClient(app_with(keys)) as client:
        with pytest.raises(ConfigError, match=match) as caught:
            change(keys)
        assert __file__ in str(caught.value)
        assert (who(client, "one"), who(client, "two")) == (["ann", []], 401)
        assert keys.keys == (known("one"),)
