"""The loop benchmark goes on working: each workload runs once, small, on both loops."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "benches" / "loop"
sys.path.insert(0, str(BENCH))

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


def test_the_echoes_run() -> None:
    command = [sys.executable, str(BENCH / "run"), "--rounds", "1", "--seconds", "0.05", "--loops", "pyloop"]
    refused = subprocess.run([*command, "--only", "nonsense"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "unknown: nonsense" in refused.stderr
    with subprocess.Popen(
        [sys.executable, str(BENCH / "echo.py"), "pyloop", "streams"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as server:
        assert server.stdin is not None and server.stdout is not None
        assert int(server.stdout.readline()) > 0
        print(file=server.stdin)
        assert float(server.stdout.readline()) > 0
        server.stdin.close()
        assert server.wait(10) == 0
