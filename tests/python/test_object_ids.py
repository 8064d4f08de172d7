"""Ids as MongoDB makes them, on both stores."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

import pytest
from pydantic import Field

from ziggurat import CORE, ConfigError, Indexed, Model, ObjectId, Ref, Ziggurat, new_event_loop, object_id
from ziggurat.testing import TestClient

pytestmark = pytest.mark.usefixtures("mode")

HEX = re.compile("[0-9a-f]{24}")


class Shop(Model):
    id: ObjectId = Field(default_factory=object_id)
    name: str


class Sale(Model):
    id: ObjectId
    shop: Annotated[ObjectId, Ref(Shop), Indexed()]
    others: list[ObjectId] = []  # noqa: RUF012 - pydantic copies it
    code: Annotated[ObjectId | None, Indexed(unique=True)] = None


def app_at(store: str) -> Ziggurat:
    app = Ziggurat(store=store)
    app.crud(Shop, ops=CORE | {"export"})(type("Shops", (), {}))
    app.crud(Sale, ops=CORE | {"group"}, dimensions=["shop"])(type("Sales", (), {}))
    return app


def test_rows_are_told_by_object_ids(store_url: str) -> None:
    with TestClient(app_at(store_url)) as client:
        shops = [client.post("/shop", json={"name": name}).json() for name in "abc"]
        assert all(HEX.fullmatch(shop["id"]) for shop in shops) and len({shop["id"] for shop in shops}) == 3
        first = shops[0]["id"]
        assert client.get(f"/shop/{first}").json() == shops[0]
        assert client.put(f"/shop/{first}", json={"name": "d"}).json()["name"] == "d"
        assert client.patch(f"/shop/{first}", json={"name": "a"}).status_code == 200
        for wrong in ("x", first[:23], first.upper() if first.upper() != first else "X" * 24, "0" * 25):
            assert client.get(f"/shop/{wrong}").status_code == 404

        sale = client.post("/sale", json={"shop": first, "others": [shops[1]["id"]], "code": "0" * 24}).json()
        assert client.get(f"/sale?shop={first}").json()["items"] == [sale]
        assert client.get(f"/sale?others=has.{shops[1]['id']}").json()["items"] == [sale]
        assert client.get(f"/sale?id=in.({sale['id']},{'f' * 24})").json()["items"] == [sale]
        assert client.get(f"/sale/{sale['id']}?expand=shop").json()["shop"] == shops[0]
        assert client.post("/sale", json={"shop": first, "code": "0" * 24}).status_code == 409
        assert client.get("/sale/_group?by=shop").json()["items"] == [{"by": {"shop": first}, "count": 1}]

        # Pages follow the ids.
        ids = sorted(shop["id"] for shop in shops)
        page = client.get("/shop?limit=2&sort=-id").json()
        assert [shop["id"] for shop in page["items"]] == ids[:0:-1]
        assert [s["id"] for s in client.get(f"/shop?limit=2&sort=-id&cursor={page['next']}").json()["items"]] == ids[:1]

        for body, pointer in [
            ({"shop": "x"}, "/shop"),
            ({"shop": first.upper() + "G"}, "/shop"),
            ({"shop": first, "others": ["0" * 23]}, "/others/0"),
        ]:
            refused = client.post("/sale", json=body)
            [error] = refused.json()["errors"]
            assert (refused.status_code, error["pointer"], error["code"]) == (422, pointer, "string_pattern_mismatch")
        assert client.get("/sale?shop=x").status_code == 422
        assert client.delete(f"/shop/{first}").status_code == 204
        schemas = app_at("sqlite:///:memory:").openapi()["components"]["schemas"]
        assert schemas["Shop"]["properties"]["id"]["pattern"] == "^[0-9a-f]{24}$"
        assert "id" not in schemas["ShopCreate"].get("required", [])


def test_code_makes_them_too(store_url: str) -> None:
    app = app_at(store_url)
    native = app.build()

    async def main() -> None:
        shop = await Shop(name="a").insert()
        assert HEX.fullmatch(shop.id)
        assert await Shop.get(shop.id) == shop
        assert [each.id async for each in Shop.find(Shop.id == shop.id)] == [shop.id]

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(asyncio.wait_for(main(), 60))
    native.close()


def test_texts_are_none() -> None:
    class Page(Model):
        id: Annotated[str, Field(pattern="^[0-9a-f]{24}$")]

    app = Ziggurat(store="sqlite:///:memory:")
    app.crud(Page)(type("Pages", (), {}))
    with pytest.raises(ConfigError, match="the server chooses only UUIDs and ObjectIds"):
        app.build()
