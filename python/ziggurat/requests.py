"""What a handler or middleware learns about a request."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from ._state import Claims, State
from ._ziggurat import Headers, QueryParams, Request

__all__ = ["Claims", "Headers", "QueryParams", "Request", "State"]

MutableMapping.register(Headers)
Mapping.register(QueryParams)
