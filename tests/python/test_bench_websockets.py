"""The benchmark of WebSockets goes on working."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parents[2] / "benches" / "websockets" / "run"


def test_it_measures() -> None:
    command = [sys.executable, str(RUN), "--idle", "5", "--seconds", "0.1"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert re.search(r"idle: 5 sockets, -?[0-9.]+ KiB each", told)
    assert len(re.findall(r"[0-9.]+ µs of CPU a message", told)) == 3
