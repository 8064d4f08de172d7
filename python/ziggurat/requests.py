"""What a handler or middleware learns about a request."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from ._ziggurat import Headers, QueryParams, Request

__all__ = ["Headers", "QueryParams", "Request"]

MutableMapping.register(Headers)
Mapping.register(QueryParams)
