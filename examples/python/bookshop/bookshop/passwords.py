"""Passwords: argon2id, on threads of its own, since a hash takes as long as hundreds of requests."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


class Passwords:
    """Hashes passwords, and knows them again. Two at a time, as each takes 64 MiB; others wait for their turn."""

    def __init__(self, parallel: int = 2) -> None:
        self._hasher = PasswordHasher()
        self._threads = ThreadPoolExecutor(parallel, "passwords")
        # What a stranger's password is held against, so that it takes as long as that of somebody who is known.
        self._nobody = self._hasher.hash("nobody has this password")

    async def hashed(self, password: str) -> str:
        """What is kept of a password."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def is_right(self, kept: str | None, password: str) -> bool:
        """Whether it is the password of which `kept` was kept; where that is None it is nobody's."""
        right = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._verify, kept or self._nobody, password
        )
        return right and kept is not None

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False
