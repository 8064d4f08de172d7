"""What an app says of its operations for the OpenAPI document alone: of routes, of resources, and of routers for all that they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .exceptions import ConfigError

__all__ = ["Responses", "Shown"]

Responses: TypeAlias = Mapping[int | str, Mapping[str, Any]]
"""Other answers, by status: `{404: {"description": "No such item", "model": Problem}}`, and whatever OpenAPI has of an answer."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Whether operations are shown, and what is said of them beside what they do."""

    include_in_schema: bool = True
    deprecated: bool = False
    responses: Responses = field(default_factory=dict)

    @classmethod
    def checked(
        cls, include_in_schema: bool, deprecated: bool, responses: Responses | None, what: str, location: str
    ) -> Shown:
        """Of what the user gave; `what` names the route or the router."""
        for name, given in (("include_in_schema", include_in_schema), ("deprecated", deprecated)):
            if not isinstance(given, bool):
                raise ConfigError(
                    f"{what}: {name}={given!r} says neither", cure="write True or False", location=location
                )
        _check_responses(responses or {}, what, location)
        return cls(include_in_schema, deprecated, responses or {})

    def outside_of(self, inner: Shown) -> Shown:
        """Both: what one of them does not show is not shown, and of the same status what stands inside holds."""
        own = {str(status) for status in inner.responses}
        outer = {status: said for status, said in self.responses.items() if str(status) not in own}
        return Shown(
            self.include_in_schema and inner.include_in_schema,
            self.deprecated or inner.deprecated,
            {**outer, **inner.responses},
        )


def _check_responses(responses: Responses, what: str, location: str) -> None:
    if not isinstance(responses, Mapping):
        raise ConfigError(
            f"{what}: responses={responses!r} is no dict of answers",
            cure='write {404: {"description": ...}}',
            location=location,
        )
    for status, said in responses.items():
        if str(status) != "default" and not re.fullmatch(r"[1-5](\d\d|XX)", str(status)):
            raise ConfigError(
                f"{what}: responses names {status!r}", cure='write a status, "4XX" or "default"', location=location
            )
        if not isinstance(said, Mapping):
            raise ConfigError(
                f"{what}: responses says {said!r} of {status}",
                cure='write {"description": ..., "model": ...}',
                location=location,
            )
        model = said.get("model")
        if isinstance(model, str | int | Mapping | list | tuple):
            raise ConfigError(
                f"{what}: responses says that {status} has the model {model!r}, which is no type",
                cure="give a model, or a type as list[Item]",
                location=location,
            )
