"""Extension modules that bring the native half along, with Rust of an app in it: found by the entry point `ziggurat.native`.

The command imports this first. A program that is run by itself imports such a module before anything of `ziggurat` is used.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys

__all__: list[str] = []


def _load() -> None:
    if "ziggurat._ziggurat" in sys.modules:
        return
    for found in importlib.metadata.entry_points(group="ziggurat.native"):
        try:
            importlib.import_module(found.value)
        except ImportError as error:
            raise ImportError(f"the native module {found.value}, an entry point of {found.name}: {error}") from error


_load()
