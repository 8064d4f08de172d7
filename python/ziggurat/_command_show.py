"""`ziggurat routes`, `openapi` and `info`: what is known of an app without serving it."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import _ziggurat
from ._info import RouteInfo
from ._loading import load_for_reading
from ._options import Value
from ._specs import CrudSpec, NativeSpec, RouteSpec
from ._terminal import paint
from .app import Ziggurat
from .exceptions import ConfigError

__all__ = ["info", "openapi", "routes"]

PACKAGES = ("pydantic", "msgspec", "httpx", "watchfiles", "python-dotenv", "ipython", "PyYAML")


def routes(options: argparse.Namespace, target: Mapping[str, Any]) -> int:
    """Lists the routes of an app."""
    app = load_for_reading(**target)
    if options.path is not None:
        stacks = app.stack(options.path)
        if not stacks:
            raise ConfigError(f"no route answers at {options.path}", cure="list them with: ziggurat routes")
        for stack in stacks:
            print(stack)
        return 0
    found = app.routes
    guards = dict(_guards(app))
    if options.json:
        names = ("method", "path", "name", "kind", "location", "stack", "enters_python", "middleware", "hooks")
        rows = [{name: getattr(route, name) for name in names} for route in found]
        for row, route in zip(rows, found, strict=True):
            row["guards"] = guards.get((route.method, route.path), [])
        print(json.dumps(rows, indent=2))
        return 0
    for line in table(found, guards):
        print(line)
    return 0


def _guards(app: Ziggurat, prefix: str = "") -> Iterator[tuple[tuple[str | None, str], list[str]]]:
    """What each route asks of its caller."""
    declared: list[RouteSpec | NativeSpec] = [*app.route_specs, *app.native_specs]
    for route in declared:
        yield (route.method, prefix + route.path), _asked(app.asked(route))
    for mount in app.mount_specs:
        outer = _asked(app.asked(mount))
        if isinstance(mount.app, Ziggurat):
            for key, inner in _guards(mount.app, prefix + mount.path):
                yield key, [*outer, *(each for each in inner if each not in outer)]
        else:
            yield (None, f"{prefix}{mount.path}/{{path:path}}"), outer
    by_location: dict[str, CrudSpec] = {crud.location: crud for crud in app.crud_specs}
    for info in app.routes if not prefix else ():
        crud = by_location.get(info.location)
        if crud is None or info.kind != "crud":
            continue
        for op in crud.ops:
            if info.name.endswith(f".{op}"):
                yield (info.method, info.path), _asked(app.asked_of(crud, op))


def _asked(specs: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """In words: `scope notes:read`, or `anybody known`."""
    if specs is None:
        return []
    words = []
    for spec in specs:
        if "claim" in spec:
            words.append(f"{spec['claim']} in {'|'.join(map(str, spec['is']))}")
        else:
            words += [f"{kind} {value}" for kind, value in spec.items()]
    return words or ["known"]


def table(routes: Sequence[RouteInfo], guards: Mapping[tuple[str | None, str], Sequence[str]]) -> list[str]:
    """The lines of the list."""
    rows = [
        (
            route.method or "*",
            route.path,
            route.kind,
            route.name,
            ", ".join(guards.get((route.method, route.path), ())),
            _relative(route.location),
        )
        for route in routes
    ]
    head = ("METHOD", "PATH", "KIND", "NAME", "ASKS FOR", "DECLARED")
    shown = [column for column in range(len(head)) if column < 4 or any(row[column] for row in rows)]
    widths = {column: max(len(row[column]) for row in [head, *rows]) for column in shown}

    def line(row: Sequence[str], stack: str) -> str:
        return "  ".join([*(row[column].ljust(widths[column]) for column in shown), stack]).rstrip()

    made = [paint(line(head, "PASSES"), "bold", sys.stdout)]
    for row, route in zip(rows, routes, strict=True):
        stack = " > ".join(route.stack)
        made.append(line(row, f"{stack}  {paint('[Python]', 'yellow', sys.stdout)}" if route.enters_python else stack))
    return made


def _relative(location: str) -> str:
    name, _, line = location.rpartition(":")
    if not name:
        return location
    relative = os.path.relpath(name)
    return location if relative.startswith("..") else f"{relative}:{line}"


def openapi(options: argparse.Namespace, target: Mapping[str, Any]) -> int:
    """Prints the document, or writes it to a file."""
    document = load_for_reading(**target).openapi()
    if options.yaml:
        try:
            import yaml  # type: ignore[import-untyped,unused-ignore]
        except ModuleNotFoundError:
            raise ConfigError(
                "YAML is written by the package PyYAML, which is not installed",
                cure="install it with: pip install PyYAML, or write JSON",
            ) from None
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    else:
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if options.output is None:
        print(text, end="")
    else:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(text)
    return 0


def info(options: argparse.Namespace, settings: Mapping[str, Value]) -> int:
    """Prints versions, and each setting with where it comes from."""
    facts = {
        "ziggurat": _ziggurat.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})",
        "platform": f"{platform.platform()}, {os.cpu_count()} processors",
        "package": os.path.dirname(os.path.abspath(__file__)),
        "environment": os.environ.get("ZIGGURAT_ENV", "production"),
    }
    packages = {name: _version(name) for name in PACKAGES}
    if options.json:
        values = {name: {"value": _shown(name, each.value), "source": each.source} for name, each in settings.items()}
        print(json.dumps({**facts, "packages": packages, "settings": values}, indent=2))
        return 0
    for name, fact in facts.items():
        print(f"{name:<12} {fact}")
    versions = ", ".join(f"{name} {version or 'none'}" for name, version in packages.items())
    print(f"{'packages':<12} {versions}")
    print()
    rows = [("SETTING", "VALUE", "FROM")]
    rows += [(name, _written(_shown(name, each.value)), each.source) for name, each in settings.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        print(paint(line, "bold" if number == 0 else "dim" if row[2] == "default" else "green", sys.stdout))
    return 0


def _shown(name: str, value: Any) -> Any:
    """Without what must not be read over a shoulder."""
    if name == "store" and isinstance(value, str) and "@" in value:
        scheme, _, rest = value.partition("://")
        return f"{scheme}://***@{rest.rpartition('@')[2]}"
    return list(value) if isinstance(value, tuple) else value


def _written(value: Any) -> str:
    if value is None or value == []:
        return "-"
    return ", ".join(value) if isinstance(value, list) else json.dumps(value) if isinstance(value, bool) else str(value)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
