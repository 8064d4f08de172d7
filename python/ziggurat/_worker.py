"""A process that serves for a supervisor: `python -m ziggurat._worker`.

It loads what every app needs and waits to be told which one to serve, so that what is started anew is the app alone. It ends when the
supervisor does, however that ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from typing import Any

__all__ = ["VARIABLE", "main"]

VARIABLE = "ZIGGURAT_WORKER"
"""Where it finds the descriptors over which it talks with the supervisor."""

FAILED = 1


class _Told:
    """What the supervisor is told: one JSON object a line."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, **what: Any) -> None:
        # It may be gone, which the other pipe tells of.
        with contextlib.suppress(OSError):
            os.write(self._descriptor, json.dumps(what).encode() + b"\n")


def main() -> int:
    """Waits for its orders and carries them out."""
    # Ctrl-C is for all that run on the terminal; who waits has nothing to clean up.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # The supervisor has it wait until here.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    ends = json.loads(os.environ.pop(VARIABLE))
    told = _Told(ends["told"])
    from . import _extensions

    assert _extensions, "it may bring the native half, so it comes first"
    from . import _configured, _loading, _terminal, app, hooks, openapi

    assert app and hooks and openapi, "what every app needs"
    orders = os.fdopen(ends["orders"], "rb", closefd=False)
    told.tell(is_="ready")
    line = orders.readline()
    if not line:
        return 0
    plan = json.loads(line)
    sys.argv = plan["argv"]
    if plan["reloading"]:
        # What is cached of a module counts as long as its file has the same size and second, which one that is edited may well have.
        sys.dont_write_bytecode = True
    threading.Thread(
        target=_end_with, args=(ends["orders"], plan["drain"]), name="ziggurat-parent", daemon=True
    ).start()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        loaded = _loading.load(plan["app"], factory=plan["factory"], app_dir=plan["app_dir"])
        _configured.prepare(loaded, plan["layers"])

        def on_started(started: Any) -> None:
            _configured.tell_started(loaded, started, quiet=plan["quiet"])
            told.tell(is_="started", url=started.url)

        loaded.run(**plan["run"], on_started=on_started)
    except KeyboardInterrupt:
        return 130
    except SystemExit:
        raise
    except BaseException as error:
        report = _terminal.error_report(error, sys.stderr)
        if plan["traceback"]:
            traceback.print_exception(error)
        else:
            _terminal.say(report, sys.stderr)
        told.tell(is_="failed", report=_terminal.plain(report))
        return FAILED
    return 0


def _end_with(descriptor: int, drain: float) -> None:
    """Ends this process once the supervisor has, which closes its end of the pipe."""
    while os.read(descriptor, 100):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(drain + 1)
    os._exit(FAILED)


if __name__ == "__main__":
    sys.exit(main())
