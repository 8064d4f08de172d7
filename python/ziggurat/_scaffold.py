"""What `ziggurat new` writes."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from . import _ziggurat
from .exceptions import ConfigError

__all__ = ["scaffold"]

# The template in Rust is a project that is built and tested as it stands, under this name and beside the crate.
_NAMES = {"app": "new_app", "rust": "custom_rust"}
_BESIDE = 'ziggurat = { path = "../..", features'


def scaffold(folder: Path, kind: str) -> list[Path]:
    """Writes a new project into `folder`, which is named as the project is; gives its files. With the kind "rust" it has Rust in it."""
    template = _NAMES[kind]
    # Of `.` the name is that of the folder it stands for.
    name = folder.name or folder.resolve().name
    if kind == "rust":
        _check_module(name)
    elif not re.fullmatch(r"[a-z][a-z0-9_]*(-[a-z0-9_]+)*", name) or name == "ziggurat":
        raise ConfigError(
            f"{name!r} cannot be the name of a project",
            cure="use small letters, digits, _ and - in between, beginning with a letter",
        )
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty", cure="name a folder that is not there yet")
    written = []
    for path, text in _texts(files("ziggurat") / "_new" / kind, Path()):
        target = folder / Path(*(part.replace(template, name) for part in path.parts))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(
            text.replace(_BESIDE, f'ziggurat = {{ version = "{_ziggurat.__version__}", features').replace(
                template, name
            )
        )
        written.append(target)
    return written


def _check_module(name: str) -> None:
    """A project with Rust is a module and a crate, both under its name."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name == "ziggurat":
        raise ConfigError(
            f"{name!r} cannot be the name of a Python module and of a crate",
            cure="use small letters, digits and _, beginning with a letter",
        )


def _texts(folder: Traversable, below: Path) -> list[tuple[Path, str]]:
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found += _texts(entry, below / entry.name)
        else:
            # So that tools do not take templates for sources.
            found.append((below / entry.name.removesuffix(".txt"), entry.read_text()))
    return found
