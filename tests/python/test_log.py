"""The log of an app that asks for lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

PROGRAM = """
from ziggurat import Ziggurat, layers

app = Ziggurat(layers=[layers.Trace(format="json")])

@app.get("/fine")
async def fine() -> str:
    return "fine"

@app.get("/broken")
async def broken() -> str:
    raise ValueError("two\\nlines")

app.run()
"""


def test_every_line_is_an_object(serve: Callable[..., Any], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    served = serve(str(program))
    with urlopen(served.url + "/fine", timeout=20) as answer:
        assert answer.read() == b"fine"
    with pytest.raises(HTTPError, match="500"):
        urlopen(served.url + "/broken", timeout=20)
    assert served.stop() == 0
    lines = [json.loads(line) for line in served.output().splitlines()]
    assert all({"timestamp", "level", "target"} <= line.keys() for line in lines)
    assert lines[0]["message"].startswith("listening on http://127.0.0.1:")
    requests = [line for line in lines if "status" in line]
    assert [(line["status"], line["level"]) for line in requests] == [(200, "INFO"), (500, "ERROR")]
    [raised] = [line for line in lines if "exception" in line]
    assert raised["level"] == "ERROR" and "ValueError: two\nlines" in raised["exception"]
    assert raised["message"] == "broken raised an exception"
