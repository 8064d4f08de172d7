"""Tests of an app, as users write them."""

from __future__ import annotations

from typing import assert_type

from ziggurat import Ziggurat
from ziggurat.testing import AsyncTestClient, TestClient, TestResponse

app = Ziggurat()


@app.get("/")
async def root() -> str:
    return "hello"


def test_root() -> None:
    with TestClient(app, raise_server_exceptions=True, headers={"a": "b"}) as client:
        assert_type(client, TestClient)
        answer = client.get("/", params={"a": "b"})
        assert answer.status_code == 200 and answer.text == "hello"
        sent = client.send(client.build_request("GET", "/"))
        assert_type(sent, TestResponse)
        with client.stream("GET", "/") as pieces:
            assert b"".join(pieces.iter_bytes()) == b"hello"


async def test_root_again() -> None:
    async with AsyncTestClient(app) as client:
        assert_type(client, AsyncTestClient)
        assert (await client.get("/")).text == "hello"
