"""`ziggurat shell`: Python with the app at hand, in which `await` works."""

from __future__ import annotations

import ast
import asyncio
import code
import concurrent.futures
import inspect
import sys
import types
from collections.abc import Coroutine, Mapping
from typing import Any

from . import _ziggurat
from ._loading import load
from .app import Ziggurat

__all__ = ["Console", "names", "shell"]


def shell(target: Mapping[str, Any], *, plain: bool) -> int:
    """Starts the app and reads lines until the end of input."""
    app = load(**target)
    app.start()
    try:
        given = names(app)
        told = f"Ziggurat {_ziggurat.__version__}; there are {', '.join(given)}, and await works"
        if not plain and _in_ipython(app, given, told):
            return 0
        Console(app, given).interact(f"{told}; ^D ends it", exitmsg="")
    finally:
        app.stop()
    return 0


def names(app: Ziggurat) -> dict[str, Any]:
    """What is at hand: the app, its models, and a client where httpx is there."""
    found: dict[str, Any] = {"app": app}
    try:
        from .testing import TestClient

        found["client"] = TestClient(app)
    except ModuleNotFoundError:
        pass
    return found | {model.__name__: model for model in app.models()}


def wait(app: Ziggurat, work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine gives, which runs on the app's loop, as its models and handlers do."""
    running = app._in_process
    future: concurrent.futures.Future[Any] = asyncio.run_coroutine_threadsafe(work, running.loop)
    try:
        return future.result()
    except BaseException:
        # ^C ends what is waited for, and not the shell.
        future.cancel()
        raise


class Console(code.InteractiveConsole):
    """Python's own, which hands coroutines to the app's loop."""

    def __init__(self, app: Ziggurat, given: dict[str, Any]) -> None:
        super().__init__({"__name__": "__console__", "__doc__": None, **given})
        self._app = app
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def runcode(self, code: types.CodeType) -> None:
        """Runs a statement. One that awaits nothing runs here, so that `client` can wait for the loop."""
        try:
            if code.co_flags & inspect.CO_COROUTINE:
                wait(self._app, types.FunctionType(code, self.locals)())
            else:
                exec(code, self.locals)
        except SystemExit:
            raise
        except BaseException:
            self.showtraceback()


def _in_ipython(app: Ziggurat, given: dict[str, Any], told: str) -> bool:
    try:
        from IPython.terminal.embed import InteractiveShellEmbed  # type: ignore[import-not-found,unused-ignore]
    except ModuleNotFoundError:
        return False
    embedded = InteractiveShellEmbed(user_ns=dict(given), banner1=told)
    embedded.loop_runner = lambda work: wait(app, work)
    embedded.autoawait = True
    embedded.mainloop(local_ns=None)
    sys.stdout.flush()
    return True
