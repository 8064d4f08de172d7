"""What is declared of a WebSocket route, and the checks of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from ._openapi_shown import Shown
from ._param_graph import Known
from ._specs import Auth, RouteSpec, listed
from .exceptions import ConfigError
from .params import Plan, inspect_handler

if TYPE_CHECKING:
    from ._param_depends import Dependency
    from ._specs import AnyLayer, SkippedLayer
    from .guards import Guard

__all__ = ["WEBSOCKET", "WebSocketOptions", "plan_of", "settings_of", "spec_of"]

WEBSOCKET = "WEBSOCKET"
"""Stands for the method of such a route: a GET that asks for an upgrade, or an extended CONNECT."""

_ORIGIN = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://(\[[0-9a-fA-F:.]+\]|[^\s/?#@:\[\]]+)(:[0-9]{1,5})?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class WebSocketOptions(TypedDict, total=False):
    """What a WebSocket route may be given beside its path."""

    auth: Auth
    """Who may open it; everybody unless given. Who may not gets an ordinary answer to the handshake."""
    guards: Sequence[Guard]
    """What else is asked of who opens it; see `ziggurat.guards`."""
    name: str | None
    """What it is called in logs, lists and by `url_for`; the function's name unless given."""
    layers: Sequence[AnyLayer]
    """Layers around the handshake of this route alone, outermost first."""
    skip_layers: Sequence[SkippedLayer]
    """Layers of the app that a handshake of this route does not pass."""
    dependencies: Sequence[Any]
    """`[Depends(function)]`: called before the handler, whatever they give."""
    origins: Sequence[str]
    """The sites whose pages may open it, as `"https://app.example"`, beside those of its own host; `"*"` is any site."""
    subprotocols: Sequence[str]
    """Those that the handler speaks, the best first: `accept()` takes the first that the client offers."""
    max_message_bytes: int
    """How long a message of the client may be, 1 MiB unless given; one that is longer closes the socket with 1009."""
    compression: bool
    """Whether messages are compressed for clients that offer it (permessage-deflate); they are not unless given."""
    compression_context: bool
    """Whether messages are compressed with what was sent before: better where they are short and alike, for some 300 KiB of each socket. Not
    unless given."""
    max_queued_bytes: int
    """How much may wait for the client before `await send(...)` waits as well; 1 MiB unless given."""
    ping_interval: float | None
    """Seconds of silence after which the client is asked whether it is there, 30 unless given; None asks never."""
    ping_timeout: float
    """Seconds within which something has to come then, 20 unless given."""
    send_timeout: float
    """Seconds for which a client may take nothing of what waits for it, 30 unless given; then it is let go, with 1008 for the handler."""
    close_timeout: float
    """Seconds within which the client has to answer a close, 10 unless given."""


_SECONDS = {"ping_interval": 30.0, "ping_timeout": 20.0, "send_timeout": 30.0, "close_timeout": 10.0}
_BYTES = {"max_message_bytes": 1024 * 1024, "max_queued_bytes": 1024 * 1024}


def settings_of(path: str, options: dict[str, Any], location: str) -> str:
    """What the native side is told of the sockets of a route."""

    def wrong(what: str, cure: str) -> ConfigError:
        return ConfigError(f"{path}: {what}", cure=cure, location=location)

    settings: dict[str, Any] = {
        "origins": list(listed(options.pop("origins", ()))),
        "subprotocols": list(listed(options.pop("subprotocols", ()))),
    }
    for origin in settings["origins"]:
        if not isinstance(origin, str) or (origin != "*" and not _is_origin(origin)):
            raise wrong(
                f"{origin!r} is not an origin", 'write "https://app.example", with a port where it has one, or "*"'
            )
    for subprotocol in settings["subprotocols"]:
        if not isinstance(subprotocol, str) or not _TOKEN.fullmatch(subprotocol):
            raise wrong(f"{subprotocol!r} is not a subprotocol", 'write a token, as "chat.v2"')
    flags = {name: options.pop(name, False) for name in ("compression", "compression_context")}
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise wrong(f"{name} is {flag!r}", "give True or False")
    if flags["compression_context"] and not flags["compression"]:
        raise wrong("compression_context is of messages that are compressed", "give compression=True as well")
    settings["compression"] = {"context": flags["compression_context"]} if flags["compression"] else None
    for name, usual in _BYTES.items():
        value = settings[name] = options.pop(name, usual)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise wrong(f"{name} is {value!r}", "give a number of bytes")
    for name, least in _SECONDS.items():
        value = settings[name] = options.pop(name, least)
        if value is None and name == "ping_interval":
            continue
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not 0 < value <= 86400:
            raise wrong(f"{name} is {value!r}", "give a number of seconds, up to a day")
    if options:
        raise TypeError(f"websocket() got an unexpected keyword argument {next(iter(options))!r}")
    return json.dumps(settings)


def _is_origin(text: str) -> bool:
    found = _ORIGIN.fullmatch(text)
    return found is not None and (found[2] is None or int(found[2][1:]) <= 65535)


def plan_of(
    function: Callable[..., Any],
    prefix: str,
    path: str,
    localns: Mapping[str, object] | None,
    dependencies: Sequence[Dependency],
    known: Known,
    location: str,
) -> Plan:
    """Reads a handler of WebSockets: it takes one, and is a coroutine."""
    plan = inspect_handler(
        function, path, localns=localns, prefix=prefix, dependencies=dependencies, answers=False, known=known
    )

    def wrong(what: str, cure: str) -> ConfigError:
        return ConfigError(f"{plan.name}: {what}", cure=cure, location=plan.location or location)

    if plan.call.kind != "async":
        raise wrong("a handler of WebSockets waits for messages, and is not `async def`", "write async def")
    if not any(each.is_special("websocket") for each in plan.call.arguments):
        raise wrong(f"the WebSocket route {path} has a handler that takes no WebSocket", "add ws: WebSocket to it")
    request = next((each.name for each in plan.call.arguments if each.is_special("request")), None)
    if request is not None:
        raise wrong(f"{request!r} is the request, which the WebSocket stands for", "take it out")
    return plan


def spec_of(
    plan: Plan,
    path: str,
    settings: str,
    *,
    auth: list[str] | None,
    guards: tuple[Guard, ...],
    public: bool,
    name: str | None,
    layers: tuple[Any, ...],
    skip_layers: tuple[str, ...],
    location: str,
) -> RouteSpec:
    """The route. No document shows it: OpenAPI knows no WebSockets."""
    return RouteSpec(
        method=WEBSOCKET,
        path=path,
        plan=plan,
        auth=auth,
        guards=guards,
        public=public,
        name=name or plan.name,
        shown=Shown(include_in_schema=False),
        layers=layers,
        skip_layers=skip_layers,
        location=plan.location or location,
        websocket=settings,
    )
