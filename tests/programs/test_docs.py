"""The programs in docs/pyloop.md run, each in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/pyloop.md").read_text()
# Each begins with the name of its file.
BLOCKS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(set(BLOCKS) - {"conftest.py", "test_with_anyio.py"}))
def test_a_program_of_the_page_ends_well(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(BLOCKS[name])
    run("-W", "error", name, cwd=tmp_path)


def test_the_loop_of_each_pytest_plugin_is_pyloop(tmp_path: Path) -> None:
    for name in ("conftest.py", "test_with_anyio.py"):
        (tmp_path / name).write_text(BLOCKS[name])
    (tmp_path / "test_with_pytest_asyncio.py").write_text(
        "import asyncio, pytest, ziggurat\n\n@pytest.mark.asyncio\nasync def test_it():\n"
        "    assert isinstance(asyncio.get_running_loop(), ziggurat.PyLoop)\n"
    )
    options = ("-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:cacheprovider", "--rootdir", ".")
    assert "2 passed" in run("-m", "pytest", *options, ".", cwd=tmp_path)


def test_every_python_block_is_run() -> None:
    assert len(BLOCKS) == PAGE.count("```python") >= 7


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_the_names_it_promises_are_there() -> None:
    import ziggurat

    for name in re.findall(r"`ziggurat\.(\w+)", PAGE):
        assert hasattr(ziggurat, name), name
