"""The documents in `docs/`: those whose Python is whole are run from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
# The pieces of the one stand for themselves; the programs of the other are run in processes of their own (tests/programs).
APART = {"crud.md", "pyloop.md"}


def _with_python() -> list[str]:
    return sorted(
        path.name for path in DOCS.glob("*.md") if "```python\n" in path.read_text() and path.name not in APART
    )


@pytest.mark.parametrize("name", _with_python())
def test_the_python_of_a_document_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stores that it makes are made there.
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
    assert blocks
    module = tmp_path / f"{name.removesuffix('.md')}_document.py"
    module.write_text("\n".join(blocks))
    # Its annotations are what they are there, and not what those of this file are.
    exec(compile(module.read_text(), module, "exec", dont_inherit=True), {"__name__": module.stem})
