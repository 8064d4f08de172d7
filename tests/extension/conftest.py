"""Loads the extension module before the package, and makes the package's native half the one inside it.

Run by `make test-extension`, which builds the module and says in `ZIGGURAT_EXTENSION` in which folder it is.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

sys.path.insert(0, os.environ["ZIGGURAT_EXTENSION"])

import ziggurat_extension

# The plugin of pytest may have imported the package, and nothing native with it.
assert "ziggurat._ziggurat" not in sys.modules
ziggurat_extension.provide()

import ziggurat  # noqa: E402

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def run() -> Run:
    """Runs a coroutine on a PyLoop of its own, in debug mode or not."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=ziggurat.new_event_loop) as runner:
            return runner.run(main)

    return run
