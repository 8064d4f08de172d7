"""The pages of an app in a real browser: what people see there, and that nothing is fetched from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from chromium import Chromium, Page
from shop import app
from tokens import bearer

SHOP = str(Path(__file__).with_name("shop.py"))
SESSIONS = str(Path(__file__).with_name("sessions.py"))
SIZES = {"wide": 1280, "narrow": 390}


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    browser = Chromium()
    yield browser
    browser.close()


@pytest.fixture
def shop(serve: Callable[..., Any]) -> str:
    url: str = serve(SHOP, ZIGGURAT_ENV="development").url
    return url


def check(page: Page, url: str) -> None:
    """Nothing was asked of anybody else, and the browser had no complaint, of the policy or of scripts."""
    assert page.requests
    strange = [asked for asked in page.requests if not asked.startswith((url, "data:", "about:"))]
    assert strange == []
    assert page.complaints == []


def fits(page: Page) -> bool:
    """Whether nobody has to scroll sideways."""
    return bool(page.run("document.documentElement.scrollWidth <= innerWidth"))


def test_the_docs_list_the_routes_and_send_requests(browser: Chromium, shop: str, tmp_path: Path) -> None:
    page = browser.page()
    page.go(f"{shop}/docs")
    document = httpx.get(f"{shop}/openapi.json").json()
    verbs = {"get", "put", "post", "delete", "patch"}
    operations = {(verb.upper(), path) for path, item in document["paths"].items() for verb in verbs & item.keys()}
    page.wait(f"document.querySelectorAll('.opblock').length === {len(operations)}")
    listed = page.run(
        "[...document.querySelectorAll('.opblock-summary')].map((one) => ["
        "one.querySelector('.opblock-summary-method').textContent,"
        "one.querySelector('[data-path]').dataset.path])"
    )
    assert {(method, path) for method, path in listed} == operations
    assert page.run("document.title") == "Shop <&>"
    assert "bolts" in page.run("document.querySelector('.info strong').textContent")
    for name, width in SIZES.items():
        page.resize(width, 900)
        page.screenshot(tmp_path / f"docs-{name}.png")
        assert fits(page)
    page.resize(1280, 900)

    # A token goes where it is asked for, and the answer is shown.
    page.click(".btn.authorize")
    page.type(".auth-container input", bearer(sub="ada")["authorization"].removeprefix("Bearer "))
    page.click(".auth-btn-wrapper .authorize")
    page.click(".auth-btn-wrapper .btn-done")
    page.click("#operations-orders-me .opblock-summary-control")
    # It is resolved once its answers are listed.
    page.wait("document.querySelector('#operations-orders-me .responses-table .response')")
    page.click("#operations-orders-me .execute")
    shown = page.wait(
        "document.querySelector('#operations-orders-me .live-responses-table code.language-json')?.textContent"
    )
    assert json.loads(shown) == {"sub": "ada"}
    assert page.run(
        "document.querySelector('#operations-orders-me .live-responses-table tr.response .response-col_status').innerText"
    ).startswith("200")
    page.run("document.querySelector('#operations-orders-me').scrollIntoView()")
    page.screenshot(tmp_path / "docs-tried.png")
    check(page, shop)


def test_the_docs_sign_in_by_name_and_password(browser: Chromium, serve: Callable[..., Any], tmp_path: Path) -> None:
    url = serve(SESSIONS, ZIGGURAT_ENV="development").url
    page = browser.page()
    page.go(f"{url}/docs")
    page.click(".btn.authorize")
    page.type(".auth-container #oauth_username", "ada")
    page.type(".auth-container #oauth_password", "engine")
    page.click(".auth-btn-wrapper .authorize")
    page.wait("document.querySelector('.auth-container h6')?.textContent === 'Authorized'")
    page.screenshot(tmp_path / "docs-signed-in.png")
    page.click(".auth-btn-wrapper .btn-done")
    page.click("#operations-users-me .opblock-summary-control")
    page.wait("document.querySelector('#operations-users-me .responses-table .response')")
    page.click("#operations-users-me .execute")
    shown = page.wait(
        "document.querySelector('#operations-users-me .live-responses-table code.language-json')?.textContent"
    )
    assert json.loads(shown) == {"token": "session of ada"}
    check(page, url)


def test_the_docs_follow_the_scheme_of_the_system(browser: Chromium, shop: str, tmp_path: Path) -> None:
    page = browser.page(dark=True)
    page.go(f"{shop}/docs")
    page.wait("document.querySelectorAll('.opblock').length > 5")
    page.screenshot(tmp_path / "docs-dark.png")
    assert page.run("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    check(page, shop)


def test_the_live_page_draws_towers_and_shows_what_happens(browser: Chromium, shop: str, tmp_path: Path) -> None:
    page = browser.page()
    page.go(f"{shop}/_ziggurat")
    routes = [route for route in app.routes if not route.path.startswith("/_ziggurat")]
    page.wait(f"document.querySelectorAll('.route').length === {len(routes)}")
    page.run("document.querySelectorAll('.route > summary').forEach((one) => one.click())")
    page.wait(f"document.querySelectorAll('.tower svg').length === {len(routes)}")
    towers = page.run(
        "Object.fromEntries([...document.querySelectorAll('.route')].map((one) => [one.dataset.route,"
        "[...one.querySelectorAll('.tower g')].map((step) => step.querySelector('title').textContent"
        " + (step.classList.contains('in-python') ? '!' : ''))]))"
    )
    # Those that look are outside of all, and there while the app is developed.
    outside = ["ErrorPages", "Live"]
    for route in routes:
        tower = towers[f"{route.method or '*'} {route.path}"]
        assert tower[:2] == outside
        assert [step.removesuffix("!") for step in tower[2:]] == list(route.stack)
        assert any(step.endswith("!") for step in tower) == route.enters_python
    assert towers["GET /hello/{name}"][-2:] == ["timed!", "hello!"]
    page.run("document.querySelectorAll('.route > summary').forEach((one) => one.click())")

    with httpx.Client(base_url=shop) as client:
        for number in range(30):
            client.get(f"/hello/{number}")
            client.get("/item")
            client.get("/reports")
            client.get("/prices")
        assert client.get("/broken").status_code == 500
    hello = "[data-route='GET /hello/{name}']"
    page.wait(f"parseFloat(document.querySelector(`{hello} .number`).textContent) > 0")
    page.wait("parseFloat(document.getElementById('rate').textContent) > 0")
    page.click(f"{hello} summary")
    page.wait(f"document.querySelector(`{hello} .facts dd`).textContent.startsWith('30')")
    grown = page.run(f"[...document.querySelectorAll(`{hello} .split i`)].map((part) => Number(part.style.flexGrow))")
    assert abs(sum(grown) - 1) < 0.01 and grown[2] > 0, "some of it was in Python"
    prices = "[data-route='WEBSOCKET /prices']"
    assert page.run(f"document.querySelector(`{prices} .method`).textContent") == "WS"
    page.wait(f"parseFloat(document.querySelector(`{prices} .number`).textContent) > 0")
    stored = page.run(
        "[...document.querySelectorAll(`[data-route='GET /item'] .split i`)].map((part) => Number(part.style.flexGrow))"
    )
    assert stored[3] > 0 and stored[2] == 0, "some of it was in the store, and none in Python"
    assert page.wait("document.getElementById('lag').textContent.endsWith('ms')")

    title = page.wait("document.querySelector('.error .title')?.textContent")
    assert title == "RuntimeError: no price is known"
    assert "GET /broken" in page.run("document.querySelector('.error p').textContent")
    page.click(".error summary")
    assert "KeyError" in page.run("document.querySelector('.error pre').textContent")
    page.run("scrollTo(0, 0)")
    for name, width in SIZES.items():
        page.resize(width, 900)
        page.screenshot(tmp_path / f"live-{name}.png", whole=True)
        assert fits(page)
        numbers = "[...document.querySelectorAll('.route > summary .number')]"
        assert page.run(f"{numbers}.every((one) => one.scrollWidth <= one.clientWidth)"), "they keep to their columns"
    check(page, shop)


def test_the_live_page_in_the_dark(browser: Chromium, shop: str, tmp_path: Path) -> None:
    page = browser.page(dark=True, height=1200)
    page.go(f"{shop}/_ziggurat")
    httpx.get(f"{shop}/hello/ada")
    page.click("[data-route='GET /hello/{name}'] summary")
    page.wait("document.querySelector('.tower svg')")
    page.wait("document.getElementById('state').className === 'on'")
    page.screenshot(tmp_path / "live-dark.png")
    # What is typed there is looked for in method, path and name.
    page.type("#filter", "post item")
    assert page.run(
        "[...document.querySelectorAll('.route')].filter((one) => !one.hidden).map((one) => one.dataset.route)"
    ) == ["POST /item"]
    check(page, shop)


@pytest.mark.parametrize("dark", [False, True])
def test_an_error_is_shown_with_its_lines(browser: Chromium, shop: str, tmp_path: Path, dark: bool) -> None:
    page = browser.page(dark=dark)
    page.go(f"{shop}/broken?secret=1")
    assert page.run("document.querySelector('h1').textContent") == "RuntimeError"
    assert page.run("document.querySelector('.message').textContent") == "no price is known"
    assert page.run("document.querySelector('.request code').textContent") == "GET /broken"
    first = page.run("document.querySelector('.frames li').innerText")
    assert "shop.py" in first and 'raise RuntimeError("no price is known") from error' in first
    assert page.run("document.querySelector('.here').textContent").strip() == (
        'raise RuntimeError("no price is known") from error'
    )
    assert "<script>alert(1)</script>" in page.run("document.querySelector('h2').textContent")
    assert page.run("document.scripts.length") == 0
    for name, width in SIZES.items():
        page.resize(width, 900)
        page.screenshot(tmp_path / f"error-{name}{'-dark' if dark else ''}.png", whole=True)
        assert fits(page)
    # The one complaint is of the status that was asked for.
    page.complaints = [one for one in page.complaints if "status of 500" not in one]
    check(page, shop)
