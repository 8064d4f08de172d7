"""Describes an exception that nobody expected: for the page that shows it, while an app is developed or watched."""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from collections.abc import Iterator
from html import escape
from types import TracebackType
from typing import NamedTuple

__all__ = ["Described", "described", "is_users"]

_MOST_FRAMES = 60
_MOST_TEXT = 16_000
_MOST_MESSAGE = 2_000
_MOST_CHAIN = 8
_AROUND = 4
"""How many lines are shown before and after the one that runs."""

_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LIBRARIES = tuple(
    os.path.abspath(path) + os.sep
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
    if (path := sysconfig.get_path(name))
)


class Described(NamedTuple):
    """What is told of an exception."""

    kind: str
    message: str
    place: str
    """`file:line` of the innermost frame in the user's code."""
    text: str
    """The traceback, cut in its middle where it is too long."""
    page: str
    """The frames as HTML, those of the user first."""


class _Frame(NamedTuple):
    file: str
    line: int
    function: str

    @property
    def is_users(self) -> bool:
        return is_users(self.file)


def is_users(file: str) -> bool:
    """Whether a file is neither of a library nor of this package."""
    return not file.startswith((*_LIBRARIES, _OWN, "<"))


def described(error: BaseException, trace: TracebackType | None) -> Described:
    """What to tell of it. Values of variables are not told: they may be secrets."""
    told = traceback.TracebackException(type(error), error, trace, limit=-_MOST_FRAMES, compact=True)
    text = "".join(told.format())
    chain = list(_chain(told))
    frames = _frames(told)
    place = next((f"{frame.file}:{frame.line}" for frame in reversed(frames) if frame.is_users), "")
    if not place and frames:
        place = f"{frames[-1].file}:{frames[-1].line}"
    return Described(type(error).__qualname__, _message(error), place, _cut(text, _MOST_TEXT), "".join(_html(chain)))


def _message(error: BaseException) -> str:
    try:
        return _cut(str(error), _MOST_MESSAGE)
    except Exception:
        return "(its message cannot be made)"


def _cut(text: str, most: int) -> str:
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}\n...\n{text[-half:]}"


def _chain(told: traceback.TracebackException) -> Iterator[tuple[str, traceback.TracebackException]]:
    """It, and what led to it, each with how that led to the one before."""
    how = ""
    seen: set[int] = set()
    one: traceback.TracebackException | None = told
    while one is not None and id(one) not in seen and len(seen) < _MOST_CHAIN:
        seen.add(id(one))
        yield how, one
        if one.__cause__ is not None:
            how, one = "It was raised from", one.__cause__
        elif one.__context__ is not None and not one.__suppress_context__:
            how, one = "It was raised while this was handled", one.__context__
        else:
            one = None


def _frames(told: traceback.TracebackException) -> list[_Frame]:
    return [_Frame(frame.filename, frame.lineno or 0, frame.name) for frame in told.stack]


def _html(chain: list[tuple[str, traceback.TracebackException]]) -> Iterator[str]:
    for how, told in chain:
        if how:
            last = "".join(told.format_exception_only()).strip()
            yield f"<h2><small>{escape(how)}</small>{escape(_cut(last, _MOST_MESSAGE))}</h2>"
        frames = _frames(told)
        users = [frame for frame in reversed(frames) if frame.is_users]
        others = [frame for frame in reversed(frames) if not frame.is_users]
        if users:
            yield f'<ol class="frames">{"".join(map(_frame, users))}</ol>'
        elif not others:
            yield '<p class="none">It has no traceback.</p>'
        if others:
            opened = "" if users else " open"
            many = f"{len(others)} frame{'s' if len(others) > 1 else ''} of libraries"
            yield f'<details{opened}><summary>{many}</summary><ol class="frames">{"".join(map(_frame, others))}</ol></details>'
        for inner in (getattr(told, "exceptions", None) or ())[:_MOST_CHAIN]:
            last = "".join(inner.format_exception_only()).strip()
            yield f"<h2><small>It is a group of</small>{escape(_cut(last, _MOST_MESSAGE))}</h2>"
            own = [frame for frame in reversed(_frames(inner)) if frame.is_users]
            yield f'<ol class="frames">{"".join(map(_frame, own))}</ol>'


def _frame(frame: _Frame) -> str:
    where = _shown(frame.file)
    head = f"<p><b>{escape(where)}:{frame.line}</b> <span>in</span> {escape(frame.function)}</p>"
    lines = linecache.getlines(frame.file)
    first = max(1, frame.line - _AROUND)
    shown = list(enumerate(lines[first - 1 : frame.line + _AROUND], first))
    # What is empty at either end tells nothing.
    while shown and not shown[0][1].strip() and shown[0][0] != frame.line:
        del shown[0]
    while shown and not shown[-1][1].strip() and shown[-1][0] != frame.line:
        del shown[-1]
    if not shown:
        return f"<li>{head}</li>"
    rows = (
        f'<span{" class=here" if number == frame.line else ""} data-line="{number}">{escape(line.rstrip()) or " "}</span>'
        for number, line in shown
    )
    return f"<li>{head}<pre>{''.join(rows)}</pre></li>"


def _shown(file: str) -> str:
    """Below the folder where the program was started, as people read it."""
    try:
        below = os.path.relpath(file)
    except ValueError:
        return file
    return file if below.startswith("..") else below
