"""What an app says of itself in its OpenAPI document: checked when the app is made."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Required, TypedDict, get_args, get_origin, get_type_hints

from .exceptions import ConfigError

__all__ = ["Contact", "ExternalDocs", "License", "Server", "ServerVariable", "Tag"]

Json = dict[str, Any]


class Contact(TypedDict, total=False):
    """Who answers questions about the API."""

    name: str
    url: str
    email: str


class License(TypedDict, total=False):
    """Under which terms the API may be used."""

    name: Required[str]
    identifier: str
    """As SPDX writes it, `Apache-2.0`; in place of `url`."""
    url: str


class ExternalDocs(TypedDict, total=False):
    """More to read, elsewhere."""

    url: Required[str]
    description: str


class Tag(TypedDict, total=False):
    """What a tag of routes stands for."""

    name: Required[str]
    description: str
    """May have Markdown."""
    externalDocs: ExternalDocs


class ServerVariable(TypedDict, total=False):
    """A part of a server's URL that callers choose."""

    default: Required[str]
    enum: Sequence[str]
    description: str


class Server(TypedDict, total=False):
    """Where the API is served."""

    url: Required[str]
    """`https://api.example.com/v1`, or a path; `{region}` names one of `variables`."""
    description: str
    variables: Mapping[str, ServerVariable]


def info(
    location: str,
    *,
    title: str,
    version: str,
    summary: str | None,
    description: str | None,
    terms_of_service: str | None,
    contact: Contact | None,
    license_info: License | None,
) -> Json:
    """The `info` of the document."""
    made: Json = {"title": title, "version": version}
    if summary:
        made["summary"] = summary
    if description:
        made["description"] = description
    if terms_of_service:
        made["termsOfService"] = terms_of_service
    if contact is not None:
        made["contact"] = _checked(Contact, contact, "contact", location)
    if license_info is not None:
        made["license"] = _checked(License, license_info, "license_info", location)
        if {"identifier", "url"} <= made["license"].keys():
            raise ConfigError("license_info has identifier and url", cure="give one of them", location=location)
    return made


def servers(given: Sequence[Server], location: str) -> list[Json]:
    """The `servers` of the document."""
    made = [
        _checked(Server, server, f"servers[{at}]", location)
        for at, server in enumerate(_listed(given, "servers", location))
    ]
    for at, server in enumerate(made):
        url: str = server["url"]
        if not url.startswith(("/", "https://", "http://", "{")):
            raise ConfigError(
                f"servers[{at}]: {url!r} is no address",
                cure="begin it with https://, or with a slash for a path of this server",
                location=location,
            )
    return made


def tags(given: Sequence[Tag], location: str) -> list[Json]:
    """The `tags` of the document that are described."""
    made = [
        _checked(Tag, tag, f"openapi_tags[{at}]", location)
        for at, tag in enumerate(_listed(given, "openapi_tags", location))
    ]
    names = [tag["name"] for tag in made]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"openapi_tags describes {name!r} twice", cure="name each tag once", location=location)
    return made


def _listed(given: object, what: str, location: str) -> Sequence[Any]:
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise ConfigError(f"{what} is no list", cure=f"write {what}=[{{...}}]", location=location)
    return given


def _checked(kind: Any, given: object, what: str, location: str) -> Json:
    """A copy of `given`, which has the members of `kind` and no others."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{what} is {given!r}", cure="write it as a dict", location=location)
    hints = get_type_hints(kind, include_extras=True)
    members = {name: get_args(hint)[0] if get_origin(hint) is Required else hint for name, hint in hints.items()}
    made: Json = {}
    for name, value in given.items():
        if name not in members:
            near = difflib.get_close_matches(str(name), members, 1)
            cure = f"write {near[0]!r}" if near else f"it may have {', '.join(sorted(members))}"
            raise ConfigError(f"{what} has {name!r}, which is not known", cure=cure, location=location)
        made[name] = _member(members[name], value, f"{what}[{name!r}]", location)
    # As `__required_keys__` would tell, were the annotations no strings.
    for name in sorted(name for name, hint in hints.items() if get_origin(hint) is Required and name not in made):
        raise ConfigError(f"{what} has no {name!r}", cure="give it", location=location)
    return made


def _member(kind: Any, value: object, what: str, location: str) -> Any:
    if kind is str:
        if isinstance(value, str):
            return value
        raise ConfigError(f"{what} is {value!r}", cure="give a text", location=location)
    if get_origin(kind) is None:
        return _checked(kind, value, what, location)
    inner = get_args(kind)[-1]
    if isinstance(value, Mapping):
        return {str(name): _member(inner, item, f"{what}[{name!r}]", location) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_member(inner, item, f"{what}[{at}]", location) for at, item in enumerate(value)]
    raise ConfigError(f"{what} is {value!r}", cure="see ziggurat.openapi for its form", location=location)
