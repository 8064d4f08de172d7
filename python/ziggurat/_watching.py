"""Which files an app that is being worked on is started anew for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from .exceptions import ConfigError

__all__ = ["Files", "watch"]

PATTERNS = ("*.py",)
GATHERED = 20
"""Milliseconds without a change after which those before are told of: an editor writes a file in several steps."""
LONGEST = 200


class Files:
    """The files below some folders that count."""

    def __init__(self, folders: Sequence[str], include: Sequence[str], exclude: Sequence[str]) -> None:
        self.folders = [str(Path(folder).resolve()) for folder in folders]
        for folder in self.folders:
            if not os.path.isdir(folder):
                raise ConfigError(f"there is no folder {folder!r} to watch", cure="give another with --reload-dir")
        self._include = (*PATTERNS, *include)
        self._exclude = tuple(exclude)

    def counts(self, path: str) -> bool:
        """Whether a change of this file does."""
        within = next((folder for folder in self.folders if path.startswith(folder + os.sep)), None)
        relative = os.path.relpath(path, within) if within else path
        names = (os.path.basename(path), relative)
        if any(fnmatch(name, pattern) for pattern in self._exclude for name in names):
            return False
        # A folder that does not count is named as it is, or with a slash.
        folders = [part.as_posix() for part in Path(relative).parents if part != Path(".")]
        if any(fnmatch(folder, pattern.rstrip("/")) for pattern in self._exclude for folder in folders):
            return False
        return any(fnmatch(name, pattern) for pattern in self._include for name in names)


def watch(files: Files, changed: Callable[[list[str]], None]) -> Callable[[], None]:
    """Gives what begins to watch, on a thread that ends with the process."""
    try:
        import watchfiles
    except ModuleNotFoundError:
        raise ConfigError(
            "files are watched by the package watchfiles, which is not installed",
            cure='install it with: pip install "ziggurat[dev]"',
        ) from None

    class Filter(watchfiles.DefaultFilter):
        def __call__(self, change: watchfiles.Change, path: str) -> bool:
            return super().__call__(change, path) and files.counts(path)

    def run() -> None:
        for changes in watchfiles.watch(
            *files.folders, watch_filter=Filter(), debounce=LONGEST, step=GATHERED, raise_interrupt=False
        ):
            changed([path for _, path in changes])

    return threading.Thread(target=run, name="ziggurat-watch", daemon=True).start
