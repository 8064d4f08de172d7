"""References of the OpenAPI document to the schemas that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["REF", "name_of", "ref_to", "refs_in", "renamed"]

REF = "#/components/schemas/{model}"


def ref_to(name: str) -> str:
    """The reference to a schema."""
    return REF.format(model=name)


def name_of(ref: str) -> str:
    """The schema that a reference leads to."""
    return ref.rpartition("/")[2]


def refs_in(node: Any) -> Iterator[str]:
    """The names of the schemas that one refers to."""
    if isinstance(node, list):
        for item in node:
            yield from refs_in(item)
    elif isinstance(node, dict):
        if isinstance(ref := node.get("$ref"), str):
            yield name_of(ref)
        for value in node.values():
            yield from refs_in(value)


def renamed(node: Any, names: Mapping[str, str]) -> Any:
    """A schema with references to other names."""
    refs = {ref_to(name): ref_to(name_now) for name, name_now in names.items()}

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        made = {key: walk(value) for key, value in node.items()}
        if isinstance(ref := made.get("$ref"), str):
            made["$ref"] = refs.get(ref, ref)
        if isinstance(tags := made.get("mapping"), dict):
            # Of a discriminator: the schema that each tag stands for.
            made["mapping"] = {tag: refs.get(ref, ref) if isinstance(ref, str) else ref for tag, ref in tags.items()}
        return made

    return walk(node) if refs else node
