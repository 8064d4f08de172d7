"""`ziggurat dev` and `run --workers`: processes that are started anew, and that all end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ziggurat._apology import answer
from ziggurat._supervisor import Process
from ziggurat._watching import Files

APP = """
import os
from ziggurat import Ziggurat
import asyncio

app = Ziggurat(openapi_path=None)
app.on_shutdown(lambda: print("shut down", flush=True))

@app.get("/")
async def root() -> str:
    return "first"

@app.get("/slow")
async def slow() -> str:
    await asyncio.sleep(0.5)
    return "slow"

@app.get("/pid")
async def pid() -> list[int]:
    return [os.getpid(), os.getppid()]

@app.get("/environment")
async def environment() -> str:
    return os.environ.get("ZIGGURAT_ENV", "")

@app.get("/dies")
async def dies() -> None:
    os._exit(7)
"""


class Running:
    """A command that looks after others."""

    def __init__(self, folder: Path, *arguments: str, **env: str) -> None:
        self.log = folder / f"log-{time.monotonic_ns()}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ziggurat", *arguments, "--port", "0"],
                cwd=folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "NO_COLOR": "1", **env},
            )
        self.url = self.until(r"address +(http://\S+)")

    def output(self) -> str:
        return self.log.read_text()

    def until(self, pattern: str, seconds: float = 30) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := re.search(pattern, self.output()):
                return found[found.re.groups]
            assert self.process.poll() is None, self.output()
            time.sleep(0.01)
        raise AssertionError(f"no {pattern} in:\n{self.output()}")

    def get(self, path: str = "/", **parts: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, **parts)

    def answers(self, text: str) -> None:
        """Waits until / is answered so."""
        end = time.monotonic() + 30
        while (got := self.get().text) != text:
            assert time.monotonic() < end, f"{got!r}\n{self.output()}"
            time.sleep(0.01)

    def children(self) -> list[int]:
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in found.split()]

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=30)


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def all_end(pids: list[int]) -> None:
    end = time.monotonic() + 10
    while any(map(is_alive, pids)):
        assert time.monotonic() < end, f"of {pids} some live on"
        time.sleep(0.02)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


@pytest.fixture
def start(project: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def begin(*arguments: str, **env: str) -> Running:
        running.append(Running(project, *arguments, **env))
        return running[-1]

    yield begin
    for each in running:
        pids = each.children() if each.process.poll() is None else []
        with contextlib.suppress(subprocess.TimeoutExpired):
            each.end()
        each.process.kill()
        each.process.wait()
        all_end(pids)


def test_a_change_is_served_at_once(project: Path, start: Callable[..., Running]) -> None:
    dev = start("dev", "shop")
    assert (dev.get().text, dev.get("/environment").text) == ("first", "development")
    (project / "notes.txt").write_text("does not count")
    (project / "shop.py").write_text(APP.replace('"first"', '"second"'))
    dev.answers("second")
    dev.until(r"shop.py changed")
    dev.until(r"serving again after \d\.\d\d s")
    assert dev.output().count("changed") == 1
    dev.until(r"shut down")
    # The next one waits with what does not change loaded, and again is quick.
    (project / "shop.py").write_text(APP.replace('"first"', '"third"'))
    dev.answers("third")


def test_no_connection_is_refused_meanwhile(project: Path, start: Callable[..., Running]) -> None:
    dev = start("dev", "shop")
    for text in ("one", "two"):
        (project / "shop.py").write_text(APP.replace('"first"', f'"{text}"'))
        end = time.monotonic() + 30
        while dev.get().text != text:
            assert time.monotonic() < end
    # What was begun before is finished.
    with socket.create_connection((httpx.URL(dev.url).host, httpx.URL(dev.url).port)) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        time.sleep(0.1)
        (project / "shop.py").write_text(APP.replace('"first"', '"three"'))
        assert b"slow" in connection.makefile("rb").read()
    dev.answers("three")


def test_a_change_of_the_same_second_and_size_is_seen(
    project: Path, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    dev = start("dev", "shop")
    now = time.time()
    for text in ("one", "two"):
        (project / "shop.py").write_text(APP.replace('"first"', f'"{text}"'))
        os.utime(project / "shop.py", (now, now))
        dev.answers(text)


def test_a_mistake_is_shown_until_it_is_mended(project: Path, start: Callable[..., Running]) -> None:
    dev = start("dev", "shop")
    (project / "shop.py").write_text(APP + "\ndef f(:\n")
    dev.until(r"it is started again when a file changes")
    line = APP.count("\n") + 2
    assert f"--> shop.py:{line}" in dev.output() and "def f(:" in dev.output()
    assert "Traceback" not in dev.output()
    shown = dev.get()
    assert (shown.status_code, shown.headers["retry-after"]) == (503, "1")
    assert "invalid syntax" in shown.text and f"shop.py:{line}" in shown.text
    page = dev.get(headers={"accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html") and "invalid syntax" in page.text
    # A page of somebody else that points its name here learns nothing.
    assert "invalid syntax" not in dev.get(headers={"host": "evil.example"}).text
    (project / "shop.py").write_text(APP.replace('"first"', '"mended"'))
    dev.answers("mended")


def test_an_app_that_dies_is_started_by_the_next_change(project: Path, start: Callable[..., Running]) -> None:
    dev = start("dev", "shop")
    with pytest.raises(httpx.HTTPError):
        dev.get("/dies")
    dev.until(r"the app ended with code 7")
    assert dev.get().status_code == 503
    (project / "shop.py").write_text(APP.replace('"first"', '"again"'))
    dev.answers("again")


def test_it_begins_with_a_mistake_as_well(project: Path) -> None:
    (project / "shop.py").write_text("import nothing_of_this_name\n")
    log = project / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ziggurat", "dev", "shop", "--port", "0"], cwd=project, stdout=output, stderr=output
        )
    try:
        end = time.monotonic() + 30
        while "started again when a file changes" not in log.read_text():
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)
        (project / "shop.py").write_text(APP)
        while "address" not in log.read_text():
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("arguments", [("dev", "shop"), ("run", "shop", "--workers", "2")], ids=["dev", "workers"])
def test_all_end_with_it(start: Callable[..., Running], arguments: tuple[str, ...], number: int) -> None:
    running = start(*arguments)
    running.get()
    pids = running.children()
    assert pids
    assert running.end(number) == 0
    all_end(pids)
    assert "shut down" in running.output()
    assert "Traceback" not in running.output()


@pytest.mark.parametrize("arguments", [("dev", "shop"), ("run", "shop", "--workers", "2")], ids=["dev", "workers"])
def test_none_lives_on_when_it_is_killed(start: Callable[..., Running], arguments: tuple[str, ...]) -> None:
    running = start(*arguments)
    running.get()
    pids = running.children()
    running.process.kill()
    running.process.wait()
    all_end(pids)


def test_control_c_on_a_terminal_ends_all_at_once(start: Callable[..., Running]) -> None:
    dev = start("dev", "shop")
    pids = dev.children()
    with socket.create_connection((httpx.URL(dev.url).host, httpx.URL(dev.url).port)) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(0.1)
        begun = time.monotonic()
        for pid in (*pids, dev.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        assert dev.process.wait(timeout=30) == 0
        assert time.monotonic() - begun < 3
    all_end(pids)
    assert "Traceback" not in dev.output()


def test_control_c_is_no_traceback_while_a_process_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with socket.socket() as listener, contextlib.closing(Process(listener)) as process:
        assert process.process.wait(timeout=30) == -signal.SIGINT
    assert capfd.readouterr().err == ""


def workers_of(running: Running, count: int) -> set[int]:
    """The processes that answer."""
    found: set[int] = set()
    end = time.monotonic() + 30
    while len(found) < count:
        assert time.monotonic() < end, f"only {found}\n{running.output()}"
        found.add(running.get("/pid").json()[0])
    return found


def test_workers_share_a_socket_and_are_replaced(start: Callable[..., Running]) -> None:
    running = start("run", "shop", "--workers", "2")
    before = workers_of(running, 2)
    assert running.output().count("address") == 1
    with pytest.raises(httpx.HTTPError):
        running.get("/dies")
    running.until(r"a worker ended with code 7, and is replaced")
    end = time.monotonic() + 30
    while not (new := workers_of(running, 2) - before):
        assert time.monotonic() < end
    assert len(new) == 1


def test_workers_are_rolled_on_sighup_without_a_refused_request(start: Callable[..., Running]) -> None:
    running = start("run", "shop", "--workers", "2")
    before = workers_of(running, 2)
    running.process.send_signal(signal.SIGHUP)
    seen: set[int] = set()
    end = time.monotonic() + 30
    while len(seen - before) < 2:
        assert time.monotonic() < end, running.output()
        seen.add(running.get("/pid").json()[0])
    all_end(list(before))


def test_another_sighup_in_the_midst_leaves_nobody_of_before(project: Path, start: Callable[..., Running]) -> None:
    running = start("run", "shop", "--workers", "2")
    before = workers_of(running, 2)
    running.process.send_signal(signal.SIGHUP)
    running.until("workers are replaced one by one")
    (project / "shop.py").write_text(APP.replace("first", "second"))
    meanwhile = set(running.children())
    running.process.send_signal(signal.SIGHUP)
    all_end([*before, *meanwhile])
    workers_of(running, 2)
    end = time.monotonic() + 10
    while len(running.children()) != 2:
        assert time.monotonic() < end, running.output()
        time.sleep(0.02)
    assert {running.get().text for _ in range(20)} == {"second"}


def test_workers_that_cannot_start_end_it(project: Path) -> None:
    (project / "shop.py").write_text("raise ValueError('no')\n")
    command = [sys.executable, "-m", "ziggurat", "run", "shop", "--workers", "2", "--port", "0"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "ValueError: no" in done.stderr


def test_without_watchfiles_the_cure_is_told(project: Path) -> None:
    (project / "watchfiles.py").write_text(
        "raise ModuleNotFoundError('No module named watchfiles', name='watchfiles')\n"
    )
    command = [sys.executable, "-m", "ziggurat", "dev", "shop", "--port", "0"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert 'pip install "ziggurat[dev]"' in done.stderr


def test_which_files_count(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    files = Files([str(tmp_path)], ["*.html"], ["test_*.py", "generated/", "app/skipped.py"])
    counts = {
        name: files.counts(str(tmp_path / name))
        for name in ("a.py", "a.txt", "t.html", "test_a.py", "generated/a.py", "app/a.py", "app/skipped.py")
    }
    assert counts == {
        "a.py": True,
        "a.txt": False,
        "t.html": True,
        "test_a.py": False,
        "generated/a.py": False,
        "app/a.py": True,
        "app/skipped.py": False,
    }


def test_only_who_works_on_it_is_told_of_the_code() -> None:
    def told(head: str, peer: str = "127.0.0.1") -> bool:
        return b"secret line" in answer(head.encode() + b"\r\n\r\n", peer, "secret line")

    assert told("GET / HTTP/1.1\r\nHost: localhost:8000")
    assert told("GET / HTTP/1.1\r\nHost: [::1]:8000", "::ffff:127.0.0.1")
    assert told("GET / HTTP/1.1\r\nHost: app.localhost")
    assert not told("GET / HTTP/1.1\r\nHost: localhost", "192.168.1.7")
    assert not told("GET / HTTP/1.1\r\nHost: evil.example")
    assert not told("HEAD / HTTP/1.1\r\nHost: localhost")
    assert b"&lt;b&gt;" in answer(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n", "::1", "<b>")
