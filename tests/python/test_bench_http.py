"""The HTTP benchmarks go on working: the app of handlers answers all that its peers are asked, and the app of 500 routes starts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCHES = Path(__file__).parents[2] / "benches"
sys.path.insert(0, str(BENCHES / "http"))

from harness.handlers import FILE, GROUP, HANDLERS, prepare  # noqa: E402
from harness.process import Failed, Process, free_port  # noqa: E402
from harness.servers import SERVERS  # noqa: E402
from harness.workloads import Client, Seeded, Workload, check  # noqa: E402

CORE = min(os.sched_getaffinity(0))
OURS = next(server for server in SERVERS if server.name == "ziggurat")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    prepare()
    port = free_port()
    argv = [sys.executable, "-m", "handlers.ziggurat_app"]
    log = tmp_path_factory.mktemp("bench") / "server.log"
    server = Process("ziggurat", argv, CORE, log, {"BENCH_PORT": str(port), "BENCH_FILE": str(FILE)}, BENCHES / "http")
    try:
        server.wait_for_port(port)
        yield port
    finally:
        server.stop()


@pytest.mark.parametrize("workload", [each for each in HANDLERS if OURS.answers(each)], ids=lambda each: each.name)
def test_a_workload_is_answered(port: int, workload: Workload) -> None:
    with contextlib.closing(Client(port)) as client:
        check(workload, client, Seeded())


def test_another_answer_is_found(port: int) -> None:
    json, text = (next(each for each in HANDLERS if each.name == f"{GROUP} {name}") for name in ("json", "text"))
    wrong = Workload(json.name, GROUP, text.path, json.check)
    with contextlib.closing(Client(port)) as client, pytest.raises(Failed, match="content-type is 'text/plain"):
        check(wrong, client, Seeded())


def test_an_app_of_many_routes_starts() -> None:
    command = [sys.executable, str(BENCHES / "startup" / "run"), "--rounds", "1", "--servers", "ziggurat"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "| ziggurat | " in done.stdout, done.stderr
