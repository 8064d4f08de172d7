"""Tokens for tests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

SECRET = "a secret of thirty-two bytes, or more"


def bearer(**claims: Any) -> dict[str, str]:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    signed = ".".join(part(json.dumps(each).encode()) for each in ({"alg": "HS256"}, {"exp": 2**33, **claims}))
    signature = hmac.digest(SECRET.encode(), signed.encode(), hashlib.sha256)
    return {"authorization": f"Bearer {signed}.{part(signature)}"}
