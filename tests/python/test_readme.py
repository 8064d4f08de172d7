"""The README: its curl walk is run against the quickstart, its Python against the package."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def walk() -> list[tuple[str, list[str]]]:
    """Each command of the curl walk with the lines it should print."""
    section = README.split("## A walk with curl")[1].split("\n## ")[0]
    steps: list[tuple[str, list[str]]] = []
    for line in "".join(blocks("sh", section)).splitlines():
        if line.startswith("# "):
            steps[-1][1].append(line[2:])
        elif line.strip():
            steps.append((line, []))
    return steps


def pattern(expected: str) -> str:
    """`…` stands for anything."""
    return ".*".join(re.escape(part) for part in expected.split("…"))


def test_the_walk_covers_what_it_promises() -> None:
    commands = "\n".join(command for command, _ in walk())
    for part in ("-X PUT", "-X PATCH", "-X DELETE", "/me", "/hello/", "accept-encoding", "/openapi.json"):
        assert part in commands
    assert sum(bool(lines) for _, lines in walk()) >= 15


def test_the_curl_walk_answers_what_it_shows(serve: Callable[..., Any], tmp_path: Path) -> None:
    served = serve(str(ROOT / "examples/python/quickstart.py"))
    host = served.url.removeprefix("http://")
    script = ["set -o pipefail"]
    for number, (command, _) in enumerate(walk()):
        command = command.replace("localhost:8000", host).replace(".venv/bin/ziggurat", f"{sys.executable} -m ziggurat")
        script += [f"echo '@@{number}'", command, "echo"]
    done = subprocess.run(["bash", "-c", "\n".join(script)], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = re.split(r"^@@\d+\n", done.stdout, flags=re.MULTILINE)[1:]
    assert len(answers) == len(walk())
    for (command, lines), answer in zip(walk(), answers, strict=True):
        got = [line.rstrip("\r") for line in answer.strip().splitlines()]
        for position, expected in enumerate(lines):
            line = got[position] if position < len(got) else ""
            whole = re.fullmatch(pattern(expected), line)
            assert whole, f"{command}\nexpected {expected}\ngot      {answer}\n{served.output()}"


def test_the_python_in_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "readme"}
    program = tmp_path / "readme.py"
    program.write_text("\n".join(blocks("python")))
    exec(compile(program.read_text(), str(program), "exec", dont_inherit=True), namespace)


def test_links_into_the_repository_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("word", ["run", "test", "help", "bench"])
def test_make_knows_the_commands_named(word: str) -> None:
    assert re.search(rf"^{word}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
