"""What is written to the terminal: the start-up banner, errors that point at the user's line, colours where they show."""

from __future__ import annotations

import contextlib
import errno
import linecache
import os
import platform
import re
import sys
import traceback
from typing import TYPE_CHECKING, TextIO

from . import _ziggurat
from .exceptions import ConfigError

if TYPE_CHECKING:
    from ._info import Started
    from .app import Ziggurat

__all__ = ["banner", "error_report", "open_writes", "paint", "plain", "say"]

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "bold": "1", "dim": "2"}
OUTER_FRAMES = 4
"""So many lines of the user's code that led to an error are shown beside that where it is."""
EARLIER_ERRORS = 3
CANNOT_LISTEN = "cannot listen on "
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def say(text: str, stream: TextIO | None) -> None:
    """Writes a line where somebody reads it. Who serves goes on when the reader of its log has gone, or there never was one."""
    if stream is not None:
        with contextlib.suppress(OSError, ValueError):
            print(text, file=stream, flush=True)


def paint(text: str, colour: str, stream: TextIO | None) -> str:
    """`text` in `colour`, if `stream` is a terminal that shows it (https://no-color.org)."""
    if not text or os.environ.get("NO_COLOR") or not _is_terminal(stream):
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def plain(text: str) -> str:
    """`text` without colours."""
    return re.sub(r"\x1b\[\d+m", "", text)


def banner(app: Ziggurat, started: Started, stream: TextIO | None) -> str:
    """What a run says once it listens."""
    name = paint(f"Ziggurat {_ziggurat.__version__}", "bold", stream)
    lines = [
        f"{name} on {platform.python_implementation()} {platform.python_version()}",
        f"  address  {paint(started.url, 'green', stream)}",
    ]
    if started.store:
        lines.append(f"  store    {started.store}")
    lines.append(f"  routes   {started.native_routes} native, {started.python_routes} Python")
    if app.docs_path is not None:
        lines.append(f"  docs     {started.url}{app.docs_path}")
    if app.live_path is not None:
        lines.append(f"  live     {started.url}{app.live_path}")
    for route in started.natives_with_hooks:
        lines.append(f"  hooks    {route.method} {route.path} enters Python for {', '.join(route.hooks)}")
    entering = started.natives_entering_python
    if entering:
        names = ", ".join(f"{route.method or '*'} {route.path}" for route in entering)
        warning = paint("warning", "yellow", stream)
        lines.append(f"{warning}: a Python middleware wraps these native routes: {names}")
    if app._open_writes:
        warning = paint("warning", "yellow", stream)
        lines.append(f"{warning}: {open_writes(app)}")
    return "\n".join(lines)


def open_writes(app: Ziggurat) -> str:
    """Says which native routes change rows for anybody who asks."""
    return (
        f"everybody may write through {', '.join(app._open_writes)}; "
        "give @app.crud an auth= or a policy=, or auth=PUBLIC if it is meant"
    )


def error_report(error: BaseException, stream: TextIO | None) -> str:
    """The error in one sentence, what to do about it, and the lines of the user's code that led there, without a traceback."""
    column = 0
    if isinstance(error, ConfigError):
        what, cure, place = _config_error(error)
    elif isinstance(error, SyntaxError):
        what, cure, place = error.msg, None, f"{error.filename}:{error.lineno}" if error.filename else None
        column = error.offset or 0
    elif isinstance(error, OSError) and CANNOT_LISTEN in str(error):
        what, cure, place = _cannot_listen(error)
    else:
        what, cure, place = f"{type(error).__name__}: {error}", _cure_of(error), _user_frame(error)
    lines = [f"{paint('error', 'red', stream)}: {what}"]
    if cure:
        lines.append(f"{paint('help', 'green', stream)}: {cure}")
    if place:
        lines += _excerpt(place, stream, column=column)
        for outer in [frame for frame in reversed(_user_frames(error)) if frame != place][:OUTER_FRAMES]:
            lines += _excerpt(outer, stream, mark="from")
    for earlier in _earlier(error):
        lines.append(f"{paint('after', 'red', stream)}: {type(earlier).__name__}: {earlier}")
        if place := _user_frame(earlier):
            lines += _excerpt(place, stream)
    return "\n".join(lines)


def _cure_of(error: BaseException) -> str | None:
    if not isinstance(error, ModuleNotFoundError):
        return None
    from ._elsewhere import instead_of_module

    return instead_of_module(error.name)


def _earlier(error: BaseException) -> list[BaseException]:
    """The errors that this one came of, or that were on their way when it was raised, as a start-up's when closing fails as well."""
    found: list[BaseException] = []
    seen = {error}
    while len(found) < EARLIER_ERRORS:
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is None or before in seen:
            break
        if error.__cause__ is not None or _user_frames(before):
            found.append(before)
        seen.add(before)
        error = before
    return found


def _cannot_listen(error: OSError) -> tuple[str, str, None]:
    # Of the system's number and its words one will do.
    what = re.sub(r" \(os error \d+\)$", "", str(error.strerror or error))
    cures = {
        errno.EADDRINUSE: "another process listens there: end that one, or give another --port, 0 for a free one",
        errno.EACCES: "ports below 1024 are for root: give a higher --port, or hand over a listening socket with --fd",
    }
    return (
        what,
        cures.get(
            error.errno or 0, "give an address of this machine with --host, as 127.0.0.1, or 0.0.0.0 for all of them"
        ),
        None,
    )


def _config_error(error: ConfigError) -> tuple[str, str | None, str | None]:
    if error.location is not None:
        return error.what, error.cure, error.location
    # The native side gives one text, with the place at its end.
    match = re.fullmatch(r"(.*?)(?: \(at ([^()]+:\d+)\))?", str(error.what), re.DOTALL)
    assert match is not None
    return match[1], error.cure, match[2] or _user_frame(error)


def _user_frame(error: BaseException) -> str | None:
    """The innermost frame of the traceback that is the user's own code."""
    own = _user_frames(error)
    return own[-1] if own else None


def _user_frames(error: BaseException) -> list[str]:
    """The frames of the traceback that are the user's own code, the innermost last."""
    return [
        f"{frame.filename}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_PACKAGE, "<")) and not _is_library(frame.filename)
    ]


def _is_library(path: str) -> bool:
    folders = (os.path.dirname(os.__file__), sys.prefix + os.sep, sys.base_prefix + os.sep)
    return path.startswith(folders)


def _excerpt(place: str, stream: TextIO | None, *, mark: str = "-->", column: int = 0) -> list[str]:
    name, _, number = place.rpartition(":")
    if os.path.isabs(name):
        relative = os.path.relpath(name)
        shown = name if relative.startswith("..") else relative
    else:
        shown = name
    lines = [f"  {paint(mark, 'blue', stream)} {shown}:{number}"]
    # It may have been mended since it was read first.
    linecache.checkcache(name)
    source = linecache.getline(name, int(number)).rstrip() if number.isdigit() else ""
    if source:
        lines.append(f"  {paint(f'{number} |', 'blue', stream)} {source}")
        if column:
            gap = re.sub(r"[^\t]", " ", source[: column - 1])
            lines.append(f"  {paint(' ' * len(number) + ' |', 'blue', stream)} {gap}{paint('^', 'red', stream)}")
    return lines
