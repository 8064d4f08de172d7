"""Which fields of a model are meant, as `include` and `exclude` of pydantic name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import TypeAlias

__all__ = ["ALL", "Tree", "kept", "tree_of"]

ALL = "__all__"

Tree: TypeAlias = "bool | dict[object, Tree]"
"""What is meant: True is all of it, False nothing, and else these keys of it. `__all__` stands for each."""


def tree_of(given: object, otherwise: Callable[[object], Tree]) -> Tree:
    """What is meant; what says of no field whether it is meant is left to `otherwise`."""
    if given is True or given is ...:
        return True
    if isinstance(given, Mapping):
        return {key: tree_of(inner, otherwise) for key, inner in given.items()}
    if isinstance(given, Set):
        return dict.fromkeys(given, True)
    return otherwise(given)


def kept(include: Tree, exclude: Tree, key: object, of: int | None = None) -> tuple[Tree, Tree] | None:
    """What is meant within this key, or within this place of a list of so many; None where it is not there at all."""
    included, excluded = _within(include, key, of), _within(exclude, key, of)
    return None if included is False or excluded is True else (included, excluded)


def _within(tree: Tree, key: object, of: int | None) -> Tree:
    if not isinstance(tree, dict):
        return tree
    found = _both(tree.get(key, False), tree.get(ALL, False))
    if of is not None and isinstance(key, int):
        found = _both(found, tree.get(key - of, False))
    return found


def _both(one: Tree, other: Tree) -> Tree:
    """What either means."""
    if one is True or other is True:
        return True
    if not isinstance(one, dict):
        return other
    if not isinstance(other, dict):
        return one
    return one | {key: _both(one.get(key, False), inner) for key, inner in other.items()}
