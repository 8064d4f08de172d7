"""Rooms in which customers talk."""

from __future__ import annotations

from uuid import uuid4

import pytest
from conftest import Person
from ziggurat import WebSocketDisconnect, Ziggurat
from ziggurat.testing import TestClient, WebSocketDenialResponse

from bookshop.models import Book
from bookshop.rooms import BEHIND, Message, Rooms
from bookshop.state import Shop


def test_everybody_in_a_room_hears_everybody(client: TestClient, ann: Person, ben: Person, book: Book) -> None:
    path = f"/books/{book.id}/chat"
    with client.websocket_connect(path, headers=ann.headers) as of_ann:
        of_ann.send_json({"text": "anybody?"})
        assert of_ann.receive_json()["who"] == "Ann"
        with client.websocket_connect(path, headers=ben.headers) as of_ben:
            of_ben.send_json({"text": "me"})
            for heard in (of_ann, of_ben):
                message = heard.receive_json()
                assert (message["who"], message["text"]) == ("Ben", "me")


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"x-api-key": "the key of a partner"}, 403), ({"origin": "https://elsewhere.example"}, 403)],
)
def test_strangers_stay_outside(
    client: TestClient, ann: Person, book: Book, headers: dict[str, str], status: int
) -> None:
    who = ann.headers if "origin" in headers else {}
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect(f"/books/{book.id}/chat", headers={**who, **headers}),
    ):
        pass
    assert denied.value.status_code == status


def test_there_is_no_room_without_a_book(client: TestClient, ann: Person) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect(f"/books/{uuid4()}/chat", headers=ann.headers),
    ):
        pass
    assert denied.value.status_code == 404


@pytest.mark.parametrize("said", ["no json", '{"text": ""}', '{"text": "' + "x" * 501 + '"}'])
def test_who_does_not_keep_to_the_rules_is_let_go(
    client: TestClient, app: Ziggurat, ann: Person, book: Book, said: str
) -> None:
    with client.websocket_connect(f"/books/{book.id}/chat", headers=ann.headers) as ws:
        ws.send_text(said)
        with pytest.raises(WebSocketDisconnect) as end:
            ws.receive_json()
    assert end.value.code == 1008
    assert isinstance(app.state, Shop)
    assert app.state.rooms.people() == 0


def test_who_is_slow_misses_the_oldest(book: Book) -> None:
    rooms = Rooms()
    with rooms.entered(book.id) as heard:
        for number in range(BEHIND + 2):
            rooms.say(book.id, Message(who="Ann", text=str(number), at=book.created_at))
        assert heard.get_nowait().text == "2"
    assert rooms.people() == 0
