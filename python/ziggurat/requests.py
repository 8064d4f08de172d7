"""What a handler or middleware learns about a request."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from ._forms import FormData
from ._state import Address, Claims, State
from ._ziggurat import Headers, QueryParams, Request, UploadFile

__all__ = ["Address", "Claims", "FormData", "Headers", "QueryParams", "Request", "State", "UploadFile"]

MutableMapping.register(Headers)
Mapping.register(QueryParams)
