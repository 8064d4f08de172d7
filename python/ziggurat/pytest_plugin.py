"""Fixtures of pytest: `client` and `async_client`, for the fixture `app` of your tests.

The plugin is there where the package is installed. A fixture of the same name in your own `conftest.py` comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

# Nothing else of the package is imported before a fixture is asked for: most test runs that load the plugin never do.
if TYPE_CHECKING:
    from .app import Ziggurat
    from .testing import AsyncTestClient, TestClient

__all__ = ["async_client", "client"]


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[TestClient]:
    """A `TestClient` of the fixture `app`, whose start-up and shutdown hooks run around the test."""
    from .testing import TestClient

    with TestClient(_app(request, "client")) as client:
        yield client


@pytest.fixture
def async_client(request: pytest.FixtureRequest) -> Iterator[AsyncTestClient]:
    """An `AsyncTestClient` of the fixture `app`, whose start-up and shutdown hooks run around the test.

    It serves tests of pytest-asyncio and of anyio alike, since the app's loop is not that of the test.
    """
    from .testing import AsyncTestClient

    client = AsyncTestClient(_app(request, "async_client"))
    client._app.start()
    try:
        yield client
    finally:
        client._app.stop()


def _app(request: pytest.FixtureRequest, name: str) -> Ziggurat:
    from .app import Ziggurat

    try:
        app = request.getfixturevalue("app")
    except pytest.FixtureLookupError:
        app = None
    if not isinstance(app, Ziggurat):
        pytest.fail(
            f"the fixture {name!r} needs a fixture 'app' that gives the Ziggurat app to be tested", pytrace=False
        )
    return app
