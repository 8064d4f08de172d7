"""Tokens for tests, signed by nothing of ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

SECRET = "a secret of thirty-two bytes, or more"


def signed(secret: str = SECRET, /, **claims: Any) -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    text = ".".join(part(json.dumps(each).encode()) for each in ({"alg": "HS256"}, {"exp": 2**33, **claims}))
    return f"{text}.{part(hmac.digest(secret.encode(), text.encode(), hashlib.sha256))}"


def bearer(**claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {signed(**claims)}"}
