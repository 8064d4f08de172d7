"""Quotas that two processes share."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import Redis

PROGRAM = """
import os

from ziggurat import Ziggurat, layers

limit = layers.RateLimit(limit=30, period=3600, store=os.environ["STORE"], on_failure="refuse", store_timeout=20)
app = Ziggurat(layers=[limit])

@app.get("/")
async def root() -> str:
    return "in"

app.run()
"""


@pytest.fixture(params=["sqlite", "redis"])
def quotas_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/quotas.db"
        return
    program = shutil.which("redis-server")
    if program is None:
        missing = "redis-server is missing (Debian: apt install redis-server)"
        if os.environ.get("ZIGGURAT_REDIS") == "required":
            pytest.fail(missing)
        # For who has no server at hand; where the variable is set, as CI does, it fails.
        pytest.skip(missing)
    server = Redis(program)
    try:
        server.start()
        yield f"redis://127.0.0.1:{server.port}/1"
    finally:
        server.remove()


def test_two_processes_allow_together_what_one_would(
    serve: Callable[..., Any], tmp_path: Path, quotas_url: str, mode: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    urls = [serve(str(program), STORE=quotas_url).url for _ in range(2)]

    def ask(number: int) -> list[int]:
        with httpx.Client() as client:
            return [client.get(urls[(number + turn) % 2]).status_code for turn in range(10)]

    with ThreadPoolExecutor(16) as pool:
        counted = Counter(status for statuses in pool.map(ask, range(16)) for status in statuses)
    assert counted == {200: 30, 429: 130}
    # Another one that comes later.
    late = httpx.get(serve(str(program), STORE=quotas_url).url)
    assert late.status_code == 429
    assert late.headers["ratelimit-policy"] == '"default";q=30;w=3600'
