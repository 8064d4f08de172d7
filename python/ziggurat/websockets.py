"""WebSockets: what their handlers are given, and what they may raise."""

from __future__ import annotations

import enum

from ._ziggurat import WebSocket
from .exceptions import WebSocketDisconnect, WebSocketException

__all__ = ["WebSocket", "WebSocketDisconnect", "WebSocketException", "WebSocketState"]


class WebSocketState(enum.Enum):
    """How far a socket is."""

    CONNECTING = 0
    """The handshake is not answered yet."""
    CONNECTED = 1
    DISCONNECTED = 2
