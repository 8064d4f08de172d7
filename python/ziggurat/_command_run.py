"""`ziggurat run` and `dev`: serving an app, in this process or in some that this one looks after."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from ._configured import layers_of, prepare, run_arguments
from ._loading import load
from ._options import BY_NAME, Value
from ._terminal import paint, say
from .exceptions import ConfigError

__all__ = ["dev", "hand_on", "run"]

DRAIN_IN_DEVELOPMENT = 1.0
"""Who works on an app does not wait for requests that hang."""
STUCK_AFTER = 30.0
"""Where others take over, a worker does not serve on that answers nothing in Python."""


def run(settings: Mapping[str, Value], target: Mapping[str, Any], *, traceback: bool) -> int:
    """Serves until a signal comes."""
    hand_on(settings)
    if settings["reload"].value:
        _refuse_workers(settings)
        return _follow_files(settings, target, traceback=traceback)
    if settings["workers"].value > 1:
        from ._supervisor import Supervisor

        listener = _listen(settings)
        if settings["timeout_worker_healthcheck"].source == "default":
            settings = {**settings, "timeout_worker_healthcheck": Value(STUCK_AFTER, "workers")}
        plan = _plan(settings, target, traceback=traceback)
        return Supervisor(listener, plan, workers=settings["workers"].value).run()
    app = load(**target)
    prepare(app, layers_of(settings))
    app.run(**run_arguments(settings))
    return 0


def _refuse_workers(settings: Mapping[str, Value]) -> None:
    workers, reload = settings["workers"], settings["reload"]
    if workers.value > 1:
        raise ConfigError(
            f"{workers.source} asks for {workers.value} workers, and {reload.source} for one that is started anew when a file changes",
            cure="leave one of the two out; `ziggurat dev` follows the files, whatever the number of workers is elsewhere",
        )


def dev(settings: Mapping[str, Value], target: Mapping[str, Any], *, traceback: bool) -> int:
    """Serves while files change."""
    os.environ.setdefault("ZIGGURAT_ENV", "development")
    hand_on(settings)
    return _follow_files(settings, target, traceback=traceback)


def _follow_files(settings: Mapping[str, Value], target: Mapping[str, Any], *, traceback: bool) -> int:
    from ._supervisor import Supervisor
    from ._watching import Files, watch

    files = Files(settings["reload_dir"].value, settings["reload_include"].value, settings["reload_exclude"].value)
    drain = settings["timeout_graceful_shutdown"]
    if drain.source == "default":
        settings = {**settings, "timeout_graceful_shutdown": Value(DRAIN_IN_DEVELOPMENT, "development")}
    plan = _plan(settings, target, traceback=traceback)
    changed: list[Any] = []
    # It is found out first whether files can be watched.
    begin = watch(files, lambda paths: changed[0](paths))
    supervisor = Supervisor(_listen(settings), plan, reloading=True)
    changed.append(supervisor.changed)
    shown = ", ".join(os.path.relpath(folder) for folder in files.folders)
    say(f"{paint('ziggurat', 'blue', sys.stderr)}: watching {shown}; ^C ends it", sys.stderr)
    return supervisor.run(begin)


def hand_on(settings: Mapping[str, Value]) -> None:
    """The command line and files are stronger than what `app.run` and processes of ours read in the environment."""
    store = settings["store"]
    if store.source not in ("default", BY_NAME["store"].variable):
        os.environ["ZIGGURAT_STORE"] = store.value


def _listen(settings: Mapping[str, Value]) -> Any:
    from ._supervisor import listen

    return listen(*(settings[name].value for name in ("host", "port", "backlog", "fd")))


def _plan(settings: Mapping[str, Value], target: Mapping[str, Any], *, traceback: bool) -> dict[str, Any]:
    """What a process is told to serve."""
    return {
        "argv": sys.argv,
        "app": target["target"],
        "factory": target["factory"],
        "app_dir": target["app_dir"],
        "layers": layers_of(settings),
        "run": run_arguments(settings),
        "drain": settings["timeout_graceful_shutdown"].value,
        "traceback": traceback,
    }
