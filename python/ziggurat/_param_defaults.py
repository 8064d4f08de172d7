"""Defaults that a handler may change."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

__all__ = ["copied"]


def copied(default: object) -> Callable[[], object] | None:
    """What makes a copy for each request, so that none sees what another has done to it; None for a default that stays as it is."""
    try:
        hash(default)
    except TypeError:
        if not default and type(default) in (list, dict, set):
            return type(default)
        return functools.partial(copy.deepcopy, default)
    return None
