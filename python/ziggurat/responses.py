"""What a handler may answer when a plain value does not say enough."""

from __future__ import annotations

from ._ziggurat import Response

__all__ = ["Response"]
