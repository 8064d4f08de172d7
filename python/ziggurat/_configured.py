"""An app, with what the command line adds to it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._log import logs_json
from ._options import Value
from ._terminal import banner, open_writes, say
from .exceptions import ConfigError
from .layers import ClientIp, Trace

if TYPE_CHECKING:
    from ._info import Started
    from .app import Ziggurat

__all__ = ["layers_of", "prepare", "run_arguments", "tell_started"]

OUTSIDE_OF_TRACE = ("ClientIp", "CatchPanic", "RequestId", "Metrics", "Otel")

SERVER = {
    "fd": "fd",
    "backlog": "backlog",
    "limit_concurrency": "max_connections",
    "timeout_keep_alive": "keep_alive_timeout",
    "timeout_graceful_shutdown": "drain_timeout",
    "timeout_worker_healthcheck": "stuck_timeout",
}
"""Settings that the server takes under another name."""


def run_arguments(settings: Mapping[str, Value]) -> dict[str, Any]:
    """What `app.run` is called with; a default is left to it."""
    names = {name: name for name in ("host", "port", "io_threads", "log_level", "slow_callback_duration")} | SERVER
    return {theirs: settings[ours].value for ours, theirs in names.items() if settings[ours].source != "default"}


def layers_of(settings: Mapping[str, Value]) -> dict[str, Any]:
    """What `prepare` is to add, as JSON can hold it."""
    return {"access_log": settings["access_log"].value, "proxies": list(settings["forwarded_allow_ips"].value)}


def prepare(app: Ziggurat, wanted: Mapping[str, Any]) -> None:
    """Adds the layers that are wanted, and takes away those that are not."""
    access_log, proxies = wanted["access_log"], wanted["proxies"]
    if access_log is None and not proxies:
        return
    if app._is_built():
        raise ConfigError(
            "the app was built while its module was imported, so the command line cannot change its layers",
            cure="leave out --access-log and --forwarded-allow-ips, or build it later",
        )
    if proxies:
        if any(isinstance(layer, ClientIp) for layer in app.layers):
            raise ConfigError(
                "proxies are given on the command line, and the app has layers.ClientIp(...)",
                cure="leave --forwarded-allow-ips out, or the layer",
            )
        app.layers.insert(0, ClientIp(trusted=proxies))
    logs = any(isinstance(layer, Trace) for layer in app.layers)
    if access_log is False and logs:
        app.layers = [layer for layer in app.layers if not isinstance(layer, Trace)]
    elif access_log and not logs:
        place = 0
        while place < len(app.layers) and type(app.layers[place]).__name__ in OUTSIDE_OF_TRACE:
            place += 1
        app.layers.insert(place, Trace())


def tell_started(app: Ziggurat, started: Started, *, quiet: bool) -> None:
    """Says where the app listens, unless it was said before."""
    if quiet:
        return
    if logs_json(app):
        logging.getLogger("ziggurat").info("%s", started)
        if app._open_writes:
            logging.getLogger("ziggurat").warning("%s", open_writes(app))
    else:
        say(banner(app, started, sys.stderr), sys.stderr)
