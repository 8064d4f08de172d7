"""The loop benchmark goes on working: each workload runs once, small, on both loops."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "benches" / "loop"
sys.path.insert(0, str(BENCH))

from echo import connect  # noqa: E402
from workloads import WORKLOADS, make  # noqa: E402


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("kind", ["pyloop", "asyncio"])
def test_a_workload_does_what_it_counts(kind: str, name: str) -> None:
    loop = make(kind)
    try:
        assert WORKLOADS[name][0](loop, 1) > 0
        assert not loop.is_running()
    finally:
        loop.close()
        asyncio.set_event_loop(None)


@pytest.mark.parametrize(
    ("over", "how"),
    [
        *((over, how) for over in ("tcp", "unix", "tls") for how in ("protocol", "streams")),
        ("udp", "protocol"),
        ("tcp", "sock"),
        ("udp", "sock"),
    ],
)
def test_an_echo_sends_back_and_tells_its_time(over: str, how: str, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH / "echo.py"), "pyloop", over, how, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as server:
        assert server.stdin is not None and server.stdout is not None
        with connect(over, server.stdout.readline().strip()) as peer:
            peer.settimeout(10)
            peer.sendall(b"x" * 1000)
            got = b""
            while len(got) < 1000:
                got += peer.recv(1000)
            assert got == b"x" * 1000
        print(file=server.stdin)
        assert float(server.stdout.readline()) > 0
        server.stdin.close()
        assert server.wait(10) == 0


def test_what_is_not_there_is_refused() -> None:
    command = [sys.executable, str(BENCH / "run"), "--rounds", "1", "--seconds", "0.05", "--loops", "pyloop"]
    refused = subprocess.run([*command, "--only", "nonsense"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "unknown: nonsense" in refused.stderr
