"""A store of a type that the crate does not know, by the scheme of its URL."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import pytest

from ziggurat import ConfigError, Indexed, Model, Ziggurat
from ziggurat.testing import TestClient


class Cat(Model):
    id: UUID
    name: Annotated[str, Indexed()]
    age: Annotated[int, Indexed()]


def app_of(store: str) -> Ziggurat:
    app = Ziggurat(store=store)

    @app.crud(Cat)
    class Cats: ...

    @app.get("/oldest")
    async def oldest() -> list[str]:
        return [cat.name async for cat in Cat.find().sort("-age").limit(1)]

    @app.post("/grown/{id}")
    async def grown(id: UUID) -> int:
        cat = await Cat.get(id)
        assert cat is not None
        cat.age += 1
        await cat.save()
        return cat.age

    return app


def test_routes_and_handlers_use_it() -> None:
    app = app_of("memory://cats")
    with TestClient(app) as client:
        entered = app.attach_counts()["crud"]
        made = [client.post("/cat", json={"name": name, "age": age}) for name, age in (("tom", 3), ("kit", 9))]
        assert [answer.status_code for answer in made] == [201, 201]
        tom, kit = (answer.headers["location"] for answer in made)
        listed = client.get("/cat?sort=-age&age=gte.3").json()["items"]
        assert [cat["name"] for cat in listed] == ["kit", "tom"]
        assert client.patch(tom, json={"age": 4}).json()["age"] == 4
        assert client.delete(kit).status_code == 204
        assert client.get(kit).status_code == 404
        assert app.attach_counts()["crud"] == entered
        assert client.post(tom.replace("/cat/", "/grown/")).json() == 5
        assert client.get("/oldest").json() == ["tom"]
    # Each app has opened its own.
    with TestClient(app_of("memory://cats")) as client:
        assert client.get("/cat").json()["items"] == []


def test_what_it_says_at_the_start_is_what_python_says() -> None:
    with pytest.raises(ConfigError, match="memory://none holds nothing; name another one"):
        app_of("memory://none").build()
    with pytest.raises(ConfigError, match="nowhere"):
        app_of("nowhere://cats").build()
