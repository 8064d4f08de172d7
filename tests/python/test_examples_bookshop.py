"""The page of the bookshop in a real browser, served as its README says. Its own tests are beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from chromium import Chromium, Page
from helpers import until

SHOP = Path(__file__).parents[2] / "examples/python/bookshop"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SIZES = {"wide": 1280, "narrow": 390}


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    browser = Chromium()
    yield browser
    browser.close()


@pytest.fixture
def shop(serve: Callable[..., Any], tmp_path: Path) -> tuple[str, dict[str, str]]:
    """Where it is, and how its staff signs in."""
    path = os.pathsep.join(filter(None, (str(SHOP), os.environ.get("PYTHONPATH"))))
    env = {"PYTHONPATH": path, "BOOKSHOP_SECRET": "a secret for as long as the test runs"}
    command = [sys.executable, "-m", "bookshop.seed"]
    seeded = subprocess.run(command, cwd=tmp_path, env={**os.environ, **env}, capture_output=True, text=True)
    told = re.search(r"sign in as (\S+) with the password (\S+)", seeded.stdout)
    assert told is not None, seeded.stderr
    url: str = serve("-m", "ziggurat", "run", "bookshop.app:app", **env).url
    return url, {"email": told[1], "password": told[2]}


def fits(page: Page) -> bool:
    """Whether nobody has to scroll sideways."""
    return bool(page.run("document.documentElement.scrollWidth <= innerWidth"))


def field(page: Page, selector: str, text: str) -> None:
    page.run(f"document.querySelector({selector!r}).value = ''")
    page.type(selector, text)


def test_somebody_buys_a_book(browser: Chromium, shop: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    url, staff = shop
    page = browser.page()
    page.go(f"{url}/")
    page.wait("document.querySelectorAll('.book').length === 4")
    assert page.run("document.querySelector('.book [data-of=author]').textContent")
    page.type("#search [name=q]", "engine")
    page.wait("document.querySelectorAll('.book').length === 1")

    # Somebody new signs up, with a password that is too short at first.
    page.click("#login [name=new]")
    for name, text in {"name": "Ann <b>", "email": "ann@example.org", "password": "short"}.items():
        field(page, f"#login [name={name}]", text)
    page.click("#login button")
    assert "password" in page.wait("document.querySelector('#message:not([hidden])')?.textContent")
    page.complaints = [one for one in page.complaints if "status of 422" not in one]
    field(page, "#login [name=password]", "a good password")
    page.click("#login button")
    assert page.wait("document.querySelector('#customer:not([hidden]) #name')?.textContent") == "Ann <b>"

    # Two of three books.
    for _ in range(2):
        page.click(".book .take")
    assert page.run("document.querySelector('#total').textContent") == "48.00"
    page.type("#order [name=address]", "12 St James's Square, London")
    page.click("#order button")
    page.wait("document.querySelector('#message').textContent.includes('48.00')")
    page.wait("document.querySelector('.book [data-of=stock]').textContent === '1'")
    page.wait("document.querySelector('#orders li')?.textContent.includes('placed')")
    # It is written behind the answer.
    until(lambda: any((tmp_path / "outbox").glob("*.eml")))
    [mail] = (tmp_path / "outbox").glob("*.eml")
    assert b"2 x Sketch of the Analytical Engine" in mail.read_bytes()
    for name, width in SIZES.items():
        page.resize(width, 900)
        page.screenshot(tmp_path / f"bookshop-{name}.png", whole=True)
        assert fits(page)

    # Somebody else sells the last one, and the page knows.
    with httpx.Client(base_url=url) as desk:
        desk.post("/login", json=staff).raise_for_status()
        [book] = desk.get("/books?q=engine").json()["items"]
        desk.patch(f"/books/{book['id']}", json={"stock": 0}).raise_for_status()
        page.wait("document.querySelector('.book .take').disabled")
        [order] = desk.get("/orders?expand=customer").json()["items"]
        assert order["customer"]["email"] == "ann@example.org"

    # They talk about it.
    page.click(".book .talk")
    assert page.run("document.querySelector('#room').textContent") == "Sketch of the Analytical Engine"
    page.type("#say [name=text]", "who wants <i>one</i>?")
    # Once the room is open it is heard.
    page.wait("document.querySelector('#say button').click() || document.querySelector('#said li')")
    assert page.run("document.querySelector('#said li').textContent") == "Ann <b>: who wants <i>one</i>?"

    page.click("#orders button")
    page.wait("document.querySelector('#orders li').textContent.includes('cancelled')")
    page.wait("document.querySelector('.book [data-of=stock]').textContent === '2'")
    page.click("#logout")
    page.wait("!document.querySelector('#stranger').hidden")

    # Who is of the staff gives it a cover.
    for name, text in {"email": staff["email"], "password": staff["password"]}.items():
        field(page, f"#login [name={name}]", text)
    page.click("#login button")
    page.wait("document.querySelector('#books.staff')")
    page.run(
        f"const chosen = new DataTransfer(), bytes = Uint8Array.from(atob('{PNG}'), (one) => one.charCodeAt());"
        "chosen.items.add(new File([bytes], 'cover.png', { type: 'image/png' }));"
        "const input = document.querySelector('.book .cover input');"
        "input.files = chosen.files; input.dispatchEvent(new Event('change', { bubbles: true }))"
    )
    page.wait("document.querySelector('.book img:not([hidden])')?.naturalWidth === 1")

    assert [asked for asked in page.requests if not asked.startswith(url)] == []
    assert page.complaints == []
