"""How what a handler yields is sent: decided once, by its return annotation."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from ._record import record
from ._ziggurat import ServerSentEvent
from .exceptions import ConfigError
from .params import MISSING, Plan
from .responses import EVENTS

_ITERATORS = (AsyncIterator, AsyncIterable, AsyncGenerator, Iterator, Iterable, Generator)
_CHUNKS = (bytes, str, bytearray, memoryview)
_CURE = (
    "write -> AsyncIterator[bytes], AsyncIterator[Item] for lines of JSON, or EventStream[Item]; Iterator[...] of a def"
)


@record
class Stream:
    """How a body in pieces is made of what a handler yields."""

    form: Literal["chunks", "lines", "events"]
    media_type: str

    def to_spec(self) -> dict[str, str]:
        return {"form": self.form, "media_type": self.media_type}


def stream_of(plan: Plan, media_type: str | None) -> tuple[Stream, Any]:
    """What the handler of `plan` sends, and the type of what becomes JSON; `MISSING` is any."""

    def wrong(what: str, cure: str) -> ConfigError:
        return ConfigError(f"{plan.name}: {what}", cure=cure, location=plan.location)

    if any(each.is_special("response") for each in plan.call.arguments):
        raise wrong(
            "it yields, and has a parameter of the type Response, which would come too late",
            "return StreamingResponse(generator(), headers=...) from a handler that does not yield",
        )
    annotation, is_events = plan.returns, False
    while get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)
        is_events = is_events or any(extra is EVENTS for extra in extras)
    if get_origin(annotation) not in _ITERATORS:
        raise wrong("it yields, and does not say what", _CURE)
    item = get_args(annotation)[0]
    # A generator is told of what is sent into it, too.
    members = _union(item)
    events = [each for each in members if each is ServerSentEvent]
    if is_events or events:
        _only(media_type, "text/event-stream", wrong)
        rest = [each for each in members if each is not ServerSentEvent]
        if events and rest and not is_events:
            raise wrong("it yields events and other things", "write -> EventStream[Item | ServerSentEvent]")
        left: Any = functools.reduce(lambda one, other: one | other, rest) if rest else MISSING
        return Stream("events", "text/event-stream"), MISSING if left is str else left
    if all(each in _CHUNKS for each in members):
        if item is not str:
            return Stream("chunks", media_type or "application/octet-stream"), MISSING
        kind = media_type or "text/plain"
        # A text whose charset nobody names is taken for another one than UTF-8.
        is_named = "charset=" in kind.lower() or not kind.lower().startswith("text/")
        return Stream("chunks", kind if is_named else f"{kind}; charset=utf-8"), MISSING
    if any(each in _CHUNKS for each in members):
        raise wrong("it yields chunks and other things", "yield chunks alone, or what becomes lines of JSON")
    return Stream("lines", media_type or "application/x-ndjson"), item


def _union(annotation: Any) -> tuple[Any, ...]:
    from types import UnionType
    from typing import Union

    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _only(given: str | None, kind: str, wrong: Any) -> None:
    if given is not None and given != kind:
        raise wrong(f"media_type={given!r}, and what it yields is a {kind}", "leave media_type out")
