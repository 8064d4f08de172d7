"""The documents in `docs/`: those whose Python is whole are run from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    "name",
    [
        "dependencies.md",
        "development.md",
        "exceptions.md",
        "layers.md",
        "middleware.md",
        "mounting.md",
        "openapi.md",
        "parameters.md",
        "responses.md",
        "testing.md",
    ],
)
def test_the_python_of_a_document_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stores that it makes are made there.
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
    assert blocks
    module = tmp_path / f"{name.removesuffix('.md')}_document.py"
    module.write_text("\n".join(blocks))
    exec(compile(module.read_text(), module, "exec", dont_inherit=True), {"__name__": module.stem})
