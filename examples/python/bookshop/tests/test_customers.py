"""Signing up, in and out."""

from __future__ import annotations

from conftest import Person
from ziggurat.testing import TestClient

PASSWORD = "a good password"
CLEO = {"email": "cleo@example.org", "name": "Cleo", "password": PASSWORD}


def test_a_password_is_never_shown_and_kept_as_a_hash(client: TestClient) -> None:
    made = client.post("/customers", json=CLEO)
    assert made.status_code == 201
    assert "password" not in made.json() and made.json()["roles"] == []
    assert client.post("/login", json={"email": "Cleo@Example.ORG", "password": PASSWORD}).status_code == 200


def test_nobody_signs_up_twice_or_makes_themselves_staff(client: TestClient, ann: Person) -> None:
    again = client.post("/customers", json={**CLEO, "email": "ANN@example.org"})
    assert again.status_code == 409
    staff = client.post("/customers", json={**CLEO, "email": "eve@example.org", "roles": ["staff"]})
    assert [(error["pointer"], error["code"]) for error in staff.json()["errors"]] == [("/roles", "read_only")]


def test_whoever_guesses_is_slowed_down(client: TestClient, ann: Person) -> None:
    wrong = [
        client.post("/login", json={"email": email, "password": "a guess"}).status_code
        for email in (*("ann@example.org", "nobody@example.org") * 5, "ann@example.org")
    ]
    assert wrong == [401] * 10 + [429]


def test_a_star_is_no_way_in(client: TestClient) -> None:
    client.post("/customers", json=CLEO).raise_for_status()
    assert client.post("/login", json={"email": "c*@example.org", "password": PASSWORD}).status_code == 401


def test_a_browser_has_a_cookie_that_scripts_cannot_read(client: TestClient) -> None:
    client.post("/customers", json=CLEO)
    answer = client.post("/login", json={"email": CLEO["email"], "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert client.get("/me").json()["name"] == "Cleo"
    # No page of another site sends anything with it.
    assert client.post("/logout", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post("/logout").status_code == 204
    assert client.get("/me").json() is None


def test_who_comes_with_an_old_cookie_is_a_stranger_and_gets_in(client: TestClient) -> None:
    client.post("/customers", json=CLEO)
    client.cookies.set("bookshop", "what is left of an old session")
    assert client.get("/me").json() is None
    assert client.get("/orders").status_code == 401
    assert client.post("/login", json={"email": CLEO["email"], "password": PASSWORD}).status_code == 200


def test_customers_see_and_change_themselves(client: TestClient, ben: Person) -> None:
    path = f"/customers/{client.post('/customers', json=CLEO).json()['id']}"
    client.post("/login", json={"email": CLEO["email"], "password": PASSWORD}).raise_for_status()
    assert [own["name"] for own in client.get("/customers").json()["items"]] == ["Cleo"]
    # A name alone leaves the password as it is.
    assert client.patch(path, json={"name": "Clea"}).json()["name"] == "Clea"
    assert client.post("/login", json={"email": CLEO["email"], "password": PASSWORD}).status_code == 200
    assert client.patch(path, json={"password": "another password"}).status_code == 200
    assert client.post("/login", json={"email": CLEO["email"], "password": PASSWORD}).status_code == 401
    client.cookies.clear()
    assert ben.send("GET", path).status_code == 404
