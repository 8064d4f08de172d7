"""The interpreter's own tests of asyncio, with PyLoop in place of the selector loop.

Only modules that make loops; `run_test_asyncio.py` runs all of them, and also with every wait in Tokio.
"""

from __future__ import annotations

import importlib.util
import os

import pytest
from run_test_asyncio import run_module

MODULES = [
    "test_base_events",
    "test_buffered_proto",
    "test_context",
    "test_events",
    "test_futures2",
    "test_locks",
    "test_queues",
    "test_sendfile",
    "test_server",
    "test_sock_lowlevel",
    "test_ssl",
    "test_sslproto",
    "test_streams",
    "test_subprocess",
    "test_taskgroups",
    "test_tasks",
    "test_threads",
    "test_timeouts",
    "test_unix_events",
    "test_waitfor",
]


@pytest.mark.skipif(
    os.environ.get("ZIGGURAT_ASYNCIO") == "apart", reason=".ci/pythons runs all of them, on each version of Python"
)
@pytest.mark.skipif(
    importlib.util.find_spec("test") is None or importlib.util.find_spec("test.test_asyncio") is None,
    reason="this interpreter came without its tests",
)
@pytest.mark.parametrize("module", MODULES)
def test_module(module: str) -> None:
    result = run_module(module, "pyloop", timeout=180)
    assert not result["bad"], "\n\n".join(f"{name}\n{text}" for name, text in result["bad"])
    assert result["run"] > 0
    assert result["loops"] > 0, "no test used the loop"
