"""In what a store differs from the models of an app, for the command line."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from . import _ziggurat
from ._terminal import paint

__all__ = ["Differences", "Step", "apply"]


@dataclass(frozen=True)
class Step:
    """One of the differences, and what becomes of it."""

    model: str
    field: str | None
    kind: str
    safety: str
    what: str
    rows: int
    ids: list[Any]
    cure: str | None

    def __str__(self) -> str:
        place = f"{self.model}.{self.field}" if self.field else self.model
        return f"{place}: {self.what}" if place else self.what


@dataclass(frozen=True)
class Differences:
    """All of them."""

    store: str
    steps: list[Step]

    @classmethod
    def of(cls, descriptions: Sequence[str], url: str) -> Differences:
        """Looks for them; nothing is written."""
        found = json.loads(_ziggurat.plan_store(descriptions, url))
        return cls(found["store"], [Step(**step) for step in found["steps"]])

    @property
    def conflicts(self) -> list[Step]:
        """Those that nobody resolves but people."""
        return [step for step in self.steps if step.safety == "conflict"]

    def as_json(self) -> dict[str, Any]:
        """The same as it is printed with `--json`."""
        return asdict(self)

    def lines(self, target: str, stream: TextIO, *, never: bool) -> Iterator[str]:
        """The same in words; `never` is whether the app leaves its store as it is."""
        if not self.steps:
            yield f"{self.store}: nothing to do"
            return
        command = f"`{f'ziggurat db apply {target}'.rstrip()}`"
        on_request = f"{self.store}: only {command} does this, and the app does not start before"
        heads = {
            "safe": on_request if never else f"{self.store}: the app does this when it starts, and so does {command}",
            "on_request": on_request,
            "conflict": f"{self.store}: this stands in the way, and nothing is done before it is cleared",
        }
        shown = None
        for safety, head in heads.items():
            found = [step for step in self.steps if step.safety == safety]
            if found and head != shown:
                shown = head
                yield paint(head, "bold", stream)
            for step in found:
                yield f"  {step}"
                if step.cure:
                    yield f"    {paint('help', 'green', stream)}: {step.cure}"
        if self.store.startswith("mongodb"):
            yield "MongoDB does one after the other: when one fails, those before it are done, and `db apply` goes on from there."


def apply(descriptions: Sequence[str], url: str) -> None:
    """Brings the store in line with the models, and tells how far it is."""
    shows = sys.stderr.isatty()
    begun = time.monotonic()

    def told(model: str, rows: int, steps: str | None) -> None:
        if shows and rows:
            end = "\n" if steps is not None else ""
            print(f"\r{model}: {rows:,} rows written", end=end, file=sys.stderr, flush=True)
        for step in json.loads(steps or "[]"):
            print(f"done: {Step(**step)}", flush=True)

    _ziggurat.apply_store(descriptions, url, told)
    print(f"done in {time.monotonic() - begun:.1f} s")
