"""Pictures that the staff sends."""

from __future__ import annotations

from collections.abc import Mapping

from conftest import Person
from ziggurat.testing import TestClient, TestResponse

from bookshop.models import Book
from bookshop.settings import Settings

PNG = b"\x89PNG\r\n\x1a\n" + b"a picture"


def send(
    client: TestClient, book: Book, picture: bytes, headers: Mapping[str, str], name: str = "cover.png"
) -> TestResponse:
    answer = client.put(f"/books/{book.id}/cover", files={"cover": (name, picture)}, headers=headers)
    assert isinstance(answer, TestResponse)
    return answer


def test_a_cover_is_shown_with_its_book(client: TestClient, desk: Person, book: Book, settings: Settings) -> None:
    path = send(client, book, PNG, desk.headers, name="../../cover.exe").json()["cover"]
    shown = client.get(path)
    assert (shown.content, shown.headers["content-type"]) == (PNG, "image/png")
    assert "immutable" in shown.headers["cache-control"]
    assert client.get(f"/books/{book.id}").json()["cover"] == path

    # Another one takes its place, under another name; the same one again changes nothing.
    other = send(client, book, PNG + b"!", desk.headers).json()["cover"]
    assert client.get(path).status_code == 404
    assert send(client, book, PNG + b"!", desk.headers).json()["cover"] == other
    assert [f"/covers/{kept.name}" for kept in settings.covers.iterdir()] == [other]


def test_what_is_no_picture_is_refused(
    client: TestClient, desk: Person, ann: Person, book: Book, settings: Settings
) -> None:
    assert send(client, book, b"<svg onload='alert(1)'/>", desk.headers).status_code == 415
    assert send(client, book, PNG + bytes(2_100_000), desk.headers).status_code == 413
    assert send(client, book, PNG, ann.headers).status_code == 403
    assert send(client, book, PNG, {}).status_code == 401
    assert client.put(f"/books/{book.id}/cover", data={}, headers=desk.headers).status_code in (415, 422)
    assert list(settings.covers.iterdir()) == []


def test_nobody_writes_the_address_of_a_cover(desk: Person, book: Book) -> None:
    body = {"cover": "https://elsewhere.example/spy.gif"}
    answer = desk.send("PATCH", f"/books/{book.id}", body)
    assert answer.json()["errors"][0]["code"] == "read_only"
