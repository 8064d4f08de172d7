"""What an app says for the OpenAPI document of a handler in Rust."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from ziggurat import ConfigError, Router, Ziggurat, _ziggurat


class Busy(BaseModel):
    wait: int


def test_a_handler_in_rust_is_shown_as_its_routers_say() -> None:
    service = _ziggurat.upgrade  # type: ignore[attr-defined]
    router = Router("/a", responses={404: {"description": "outer"}, 429: {"description": "slow", "model": Busy}})
    router.native("/capitals", service, methods=["GET"], responses={"404": {"description": "own"}})
    router.native("/hidden", service, methods=["GET"], include_in_schema=False)
    app = Ziggurat()
    app.include_router(router)
    app.include_router(router, prefix="/old", deprecated=True)
    app.include_router(router, prefix="/hidden", include_in_schema=False)
    document = app.openapi()
    assert document["paths"].keys() == {"/a/capitals", "/old/a/capitals"}
    assert document["paths"]["/old/a/capitals"]["get"]["deprecated"] is True
    operation = document["paths"]["/a/capitals"]["get"]
    assert "deprecated" not in operation
    assert operation["responses"]["404"] == {"description": "own"}
    busy = {"schema": {"$ref": "#/components/schemas/Busy"}}
    assert operation["responses"]["429"] == {"description": "slow", "content": {"application/json": busy}}
    assert "Busy" in document["components"]["schemas"]


def test_a_handler_in_rust_stands_under_the_tags_of_its_routers() -> None:
    service = _ziggurat.upgrade  # type: ignore[attr-defined]
    router = Router("/a", tags=["outer"])
    router.native("/tagged", service, methods=["GET", "POST"], tags=["own"])
    router.native("/plain", service, methods=["GET"])
    app = Ziggurat(openapi_tags=[{"name": "own", "description": "Of its own."}])
    app.include_router(router, tags=["included"])
    app.native("/none", service, methods=["GET"])
    with pytest.raises(ConfigError, match="tags is one text"):
        router.native("/wrong", service, methods=["GET"], tags="own")
    document = app.openapi()
    paths = document["paths"]
    for method in ("get", "post"):
        assert paths["/a/tagged"][method]["tags"] == ["included", "outer", "own"]
    assert paths["/a/plain"]["get"]["tags"] == ["included", "outer"]
    assert "tags" not in paths["/none"]["get"]
    assert document["tags"] == [
        {"name": "own", "description": "Of its own."},
        {"name": "included"},
        {"name": "outer"},
    ]
