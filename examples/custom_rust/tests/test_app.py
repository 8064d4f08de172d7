import custom_rust
import pytest
from app import app

from ziggurat import ConfigError, Ziggurat
from ziggurat.testing import TestClient


def test_the_handler_answers_without_python() -> None:
    with TestClient(app) as client:
        assert client.get("/double/21").text == "42"
        assert client.get("/double/x").status_code == 400
        assert client.post("/double/21").status_code == 405
        assert app.attach_counts()["native"] == 0
        assert client.get("/hello").text == "hello from Python"


def test_the_layer_stands_around_both() -> None:
    with TestClient(app) as client:
        for path in ("/double/1", "/hello"):
            assert client.get(path, headers={"cf-ipcountry": "aq"}).status_code == 451
            assert client.get(path, headers={"cf-ipcountry": "NO"}).status_code == 200
    assert [entry.passes[-2:] for entry in app.stack("/double/1")] == [("GeoBlock", "double")]


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ConfigError, match="'Norway' is no country"):
        custom_rust.GeoBlock(countries=["Norway"])
    with pytest.raises(ConfigError, match="is not a header name"):
        Ziggurat(layers=[custom_rust.GeoBlock(countries=[], header="a b")]).build()
