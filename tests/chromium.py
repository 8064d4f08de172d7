"""Chromium without a window, driven over a pipe by the DevTools protocol: https://chromedevtools.github.io/devtools-protocol/"""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_PATIENCE = 20.0
# Nothing of the browser's own is to be asked for over the network: what is left is what pages ask for.
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--hide-scrollbars",
    "--mute-audio",
    "--password-store=basic",
    "--use-mock-keychain",
    # A name that is looked up all the same leads nowhere.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)


def program() -> str:
    """Chromium, or a test that is left out where there is none; `ZIGGURAT_CHROMIUM=required` makes that a failure."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        if os.environ.get("ZIGGURAT_CHROMIUM") == "required":
            pytest.fail("Chromium is missing (Debian: apt install chromium)")
        pytest.skip("left out, as there is no Chromium (Debian: apt install chromium)")
    return found


class Chromium:
    """A browser of its own, without a past."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="chromium-")
        into, self._to = os.pipe()
        self._from, out = os.pipe()
        flags = [*_FLAGS, f"--user-data-dir={self._folder}/profile"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")
        # The protocol is spoken on descriptors 3 and 4. They go by way of others, as these may be 3 and 4 themselves.
        shell = f'exec 13<&{into} 14>&{out}; exec "$0" "$@" 3<&13 4>&14'
        with open(f"{self._folder}/log", "wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", shell, program(), *flags, "about:blank"],
                pass_fds=(into, out),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "HOME": self._folder},
            )
        os.close(into)
        os.close(out)
        self._last = 0
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._pages: dict[str, Callable[[str, dict[str, Any]], None]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        rest = b""
        while chunk := os.read(self._from, 1 << 16):
            *messages, rest = (rest + chunk).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    if waiting := self._answers.pop(message["id"], None):
                        waiting.put(message)
                elif told := self._pages.get(message.get("sessionId", "")):
                    told(message["method"], message.get("params", {}))

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Calls a method of the protocol."""
        answer: queue.Queue[dict[str, Any]] = queue.Queue()
        with self._lock:
            self._last += 1
            number = self._last
            self._answers[number] = answer
            message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
            os.write(self._to, json.dumps(message).encode() + b"\0")
        try:
            got = answer.get(timeout=_PATIENCE)
        except queue.Empty:
            self._give_up(method)
        assert "error" not in got, f"{method}: {got['error']}"
        result: dict[str, Any] = got["result"]
        return result

    def _give_up(self, what: str) -> NoReturn:
        log = Path(self._folder, "log").read_text(errors="replace")
        raise AssertionError(f"Chromium does not answer to {what}:\n{log[-2000:]}")

    def page(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        """A page with nothing in it."""
        return Page(self, width, height, dark)

    def listen(self, session: str, told: Callable[[str, dict[str, Any]], None]) -> None:
        """Tells `told` of the events of a page."""
        self._pages[session] = told

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        shutil.rmtree(self._folder, ignore_errors=True)


class Page:
    """A page, with all that it asked for and all that it complained of."""

    def __init__(self, browser: Chromium, width: int, height: int, dark: bool) -> None:
        self._browser = browser
        context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.requests: list[str] = []
        self.complaints: list[str] = []
        browser.listen(self._session, self._event)
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")
        self.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)

    def _event(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.complaints.append(str([one.get("value") or one.get("description") for one in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(f"{params['entry']['text']} ({params['entry'].get('url')})")

    def resize(self, width: int, height: int) -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def go(self, url: str) -> None:
        """Opens an address, and returns once something of it is there."""
        answer = self._call("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """What an expression gives."""
        got = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, f"{script}: {got['exceptionDetails']}"
        return got["result"].get("value")

    def wait(self, script: str) -> Any:
        """What an expression gives once that is something."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            # An element has no value that could be handed over.
            if value := self.run(f"((value) => value instanceof Node || value)({script})"):
                return value
            time.sleep(0.05)
        text = self.run("document.body.innerText")
        raise AssertionError(f"this did not come true: {script}\n{self.complaints}\n{text[:2000]}")

    def click(self, selector: str) -> None:
        """Clicks on the first element of a selector."""
        self.wait(f"document.querySelector({json.dumps(selector)})")
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def type(self, selector: str, text: str) -> None:
        """Types into an element, as a person does."""
        self.wait(f"document.querySelector({json.dumps(selector)})")
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self._call("Input.insertText", text=text)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Writes what the page looks like to a PNG file."""
        got = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(got["data"]))
