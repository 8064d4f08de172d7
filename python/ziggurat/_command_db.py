"""`ziggurat db`: looking after the store of an app."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping

from . import _ziggurat
from ._loading import load
from ._options import Value, target_of
from .app import Ziggurat
from .exceptions import ConfigError

__all__ = ["apply", "backup", "copy", "plan"]

OK, FAILED, USAGE, DIFFERS = 0, 1, 2, 3
"""Exit codes; `plan` ends with `DIFFERS` where there is something to do."""


Settings = Mapping[str, Value]


def backup(options: argparse.Namespace, settings: Settings) -> int:
    """Copies a SQLite store to a file."""
    is_store = options.app is not None and "://" in options.app
    url = options.app if is_store else _store_of(load(**target_of(settings)), settings)
    if not url.startswith("sqlite:///"):
        raise ConfigError("only a SQLite store is copied to a file", cure="back MongoDB up with mongodump")
    path = url.removeprefix("sqlite:///").partition("?")[0]
    size = _ziggurat.backup_store(path, options.file)
    print(f"{options.file}: {size:,} bytes, checked and on the disk")
    return OK


def _store_of(app: Ziggurat, settings: Settings) -> str:
    """The one that `ziggurat run` would serve."""
    url: str | None = settings["store"].value or app.store
    if url is None:
        raise ConfigError("the app has no store", cure="give one with --store or ZIGGURAT_STORE")
    return url


def _described(app: Ziggurat) -> list[str]:
    descriptions = app.descriptions()
    if not descriptions:
        raise ConfigError("the app has no models", cure="serve them with @app.crud, or name them in app.keep()")
    return descriptions


def copy(options: argparse.Namespace, settings: Settings) -> int:
    """Copies the rows of the models of an app to another store."""
    app = load(**target_of(settings))
    source = _store_of(app, settings)
    if source == options.target:
        raise ConfigError("the store cannot be copied to itself", cure="give another target")
    descriptions = _described(app)
    shows = sys.stderr.isatty()
    begun = time.monotonic()

    def copied(model: str, rows: int) -> None:
        if shows:
            print(f"\r{model}: {rows:,} rows", end="", file=sys.stderr, flush=True)

    done = _ziggurat.copy_store(descriptions, source, options.target, copied)
    if shows:
        print(file=sys.stderr)
    for model, rows in done:
        print(f"{model}: {rows:,} rows copied, both sides are equal")
    print(f"done in {time.monotonic() - begun:.1f} s")
    return OK


def plan(options: argparse.Namespace, settings: Settings) -> int:
    """Shows in what the store differs from the models."""
    from ._differences import Differences

    app = load(**target_of(settings))
    found = Differences.of(_described(app), _store_of(app, settings))
    if options.json:
        print(json.dumps(found.as_json(), indent=2))
    else:
        for line in found.lines(options.app or "", sys.stdout, never=app.migrate == "never"):
            print(line)
    return FAILED if found.conflicts else DIFFERS if found.steps else OK


def apply(options: argparse.Namespace, settings: Settings) -> int:
    """Brings the store in line with the models."""
    from . import _differences

    app = load(**target_of(settings))
    descriptions, store = _described(app), _store_of(app, settings)
    found = _differences.Differences.of(descriptions, store)
    for line in found.lines(options.app or "", sys.stdout, never=app.migrate == "never"):
        print(line, flush=True)
    if found.conflicts:
        print("nothing was done, since rows stand in the way", file=sys.stderr)
        return FAILED
    if not found.steps:
        return OK
    if not options.yes:
        if not sys.stdin.isatty():
            print("there is no terminal to ask on, so nothing was done; say --yes where it is meant", file=sys.stderr)
            return USAGE
        try:
            answer = input("Do it? [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            print("nothing was done")
            return FAILED
    _differences.apply(descriptions, store)
    return OK
