"""What is said of an app that does not start, or does not end well."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import cli

LIFESPAN = """
from contextlib import asynccontextmanager
from ziggurat import Ziggurat

@asynccontextmanager
async def pool(app):
    {body}

app = Ziggurat(lifespan=pool)

@app.on_startup
async def connect() -> None:
    raise ConnectionRefusedError(111, "no database")
"""


def test_what_failed_first_is_told_when_closing_fails_as_well(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(LIFESPAN.format(body="yield\n    raise ValueError('not open')"))
    done = cli(tmp_path, "run", "shop", "--port", "0")
    assert done.returncode == 1
    assert "error: ValueError: not open\n  --> shop.py:8\n" in done.stderr
    assert "after: ConnectionRefusedError: [Errno 111] no database\n  --> shop.py:14\n" in done.stderr


@pytest.mark.parametrize(
    ("body", "says", "first"),
    [
        ("if app is None: yield", "lifespan=pool ended before it yielded", False),
        ("yield\n    yield", "lifespan=pool yielded a second time", True),
    ],
    ids=["never", "twice"],
)
def test_a_lifespan_that_does_not_yield_once_is_named(tmp_path: Path, body: str, says: str, first: bool) -> None:
    (tmp_path / "shop.py").write_text(LIFESPAN.format(body=body))
    done = cli(tmp_path, "run", "shop", "--port", "0")
    assert done.returncode == 1
    assert f"error: {says}\nhelp: let it yield once" in done.stderr
    assert "--> shop.py:5" in done.stderr
    assert ("no database" in done.stderr) is first


def test_what_an_error_came_of_is_told(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "try:\n    {}['DATABASE']\nexcept KeyError as error:\n    raise RuntimeError('settings are missing') from error\n"
    )
    done = cli(tmp_path, "routes", "shop")
    assert "error: RuntimeError: settings are missing\n  --> shop.py:4\n" in done.stderr
    assert "after: KeyError: 'DATABASE'\n  --> shop.py:2\n" in done.stderr
