"""Policies that ask what the caller is like: guards beside predicates over rows, on both stores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from tokens import SECRET, bearer

from ziggurat import (
    Authenticated,
    Claim,
    ClaimIs,
    ConfigError,
    F,
    HasRole,
    HasScope,
    Model,
    Policy,
    Ziggurat,
    layers,
)
from ziggurat.testing import TestClient

ANN = bearer(sub="ann")
BEN = bearer(sub="ben")
DESK = bearer(sub="eve", roles=["staff"])


class Parcel(Model):
    id: UUID
    owner: str
    state: str = "new"


OWN = F.owner == Claim("sub")
POLICY = Policy(read=OWN | HasRole("staff"), write=(OWN & (F.state == "new")) | HasRole("staff"), create=OWN)


def app_with(policy: Policy, store: str = "sqlite:///:memory:", **options: Any) -> Ziggurat:
    app = Ziggurat(store=store, layers=[layers.Jwt(secret=SECRET, required=False)], strict=True)

    @app.crud(Parcel, "/parcels", policy=policy, **options)
    class Parcels: ...

    return app


@pytest.fixture
def client(store_url: str) -> Iterator[TestClient]:
    app = app_with(POLICY, store_url)
    with TestClient(app) as client:
        before = app.attach_counts()["crud"]
        yield client
        assert app.attach_counts()["crud"] == before, "it was decided without Python"


def ids(client: TestClient, headers: dict[str, str], query: str = "") -> set[str]:
    return {row["owner"] for row in client.get(f"/parcels{query}", headers=headers).json()["items"]}


def test_an_owner_or_whoever_has_a_role(client: TestClient) -> None:
    own = client.post("/parcels", json={}, headers=ANN).headers["location"]
    client.post("/parcels", json={}, headers=BEN)
    assert (ids(client, ANN), ids(client, DESK), ids(client, {})) == ({"ann"}, {"ann", "ben"}, set())
    assert ids(client, DESK, "?owner=ben") == {"ben"}
    assert client.get(own, headers=BEN).status_code == client.get(own).status_code == 404

    assert client.patch(own, json={"state": "sent"}, headers=ANN).status_code == 403
    assert client.patch(own, json={"state": "sent"}, headers=DESK).json()["state"] == "sent"
    assert client.delete(own, headers=ANN).status_code == 403, "it is not new any more"
    assert client.delete(own, headers=DESK).status_code == 204
    # What is made is one's own, whoever makes it.
    assert client.post("/parcels", json={"owner": "ann"}, headers=DESK).status_code == 422


@pytest.mark.parametrize(
    ("rule", "known", "role", "scope", "nobody"),
    [
        (Authenticated(), True, True, True, False),
        (HasRole("staff"), False, True, False, False),
        (~HasRole("staff"), True, False, True, False),
        (HasScope("parcels:read") | HasRole("staff"), False, True, True, False),
        (HasScope("parcels:read") & (F.owner == "ben"), False, False, False, False),
        ((F.owner == "ann") & ClaimIs("sub", "x", "y"), False, True, True, False),
        ((F.owner == "ann") & ~Authenticated(), False, False, False, False),
        (~(Authenticated() & HasRole("staff")), True, False, True, False),
    ],
)
def test_guards_are_joined_as_predicates(rule: Any, known: bool, role: bool, scope: bool, nobody: bool) -> None:
    app = app_with(Policy(read=rule, create=F.owner == Claim("sub")), ops={"list", "create"})
    with TestClient(app) as client:
        client.post("/parcels", json={}, headers=ANN).raise_for_status()
        callers = [ANN, bearer(sub="x", roles="staff"), bearer(sub="y", scope="parcels:read other"), {}]
        assert [bool(ids(client, headers)) for headers in callers] == [known, role, scope, nobody]


def test_a_feed_and_what_is_kept_of_a_key_tell_callers_apart() -> None:
    app = app_with(Policy(read=OWN | HasRole("staff"), create=OWN), ops={"create", "list", "patch"}, idempotency=True)
    with TestClient(app) as client:
        key = {"idempotency-key": '"one"'}
        made = client.post("/parcels", json={}, headers=ANN | key)
        assert client.post("/parcels", json={}, headers=ANN | key).json() == made.json()
        promoted = bearer(sub="ann", roles=["staff"])
        assert client.post("/parcels", json={}, headers=promoted | key).json() != made.json()


def test_code_has_no_caller_and_a_guard_is_no_bool() -> None:
    with pytest.raises(TypeError, match="join two with & or"):
        HasRole("staff") or OWN
    with pytest.raises(TypeError, match="is no predicate"):
        Parcel.find(object())._filter()  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="write a predicate"):
        Policy(read=[HasRole("staff")])  # type: ignore[arg-type]
    app = app_with(POLICY)

    @app.get("/told")
    async def told() -> str:
        with pytest.raises(ConfigError, match="no caller is known to it") as refused:
            await Parcel.find(F.state == "new", OWN | HasRole("staff")).count()
        return str(refused.value)

    with TestClient(app) as client:
        assert client.get("/told").status_code == 200
