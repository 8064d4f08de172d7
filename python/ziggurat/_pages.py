"""The pages that an app serves of itself: its OpenAPI document, its documentation, and the page that shows it at work."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ._layer import Layer
from ._location import user_location
from ._specs import AnyLayer, NativeSpec, RouteSpec, SkippedLayer, layers_of, skips_of
from .exceptions import ConfigError
from .guards import Guard, asked, checked

if TYPE_CHECKING:
    from ._building import Building
    from .app import Ziggurat

__all__ = ["DOCS_PATH", "LIVE_PATH", "Page", "Pages", "is_debug"]


class _Unasked(str):
    """A path that stands where nobody gave one."""


DOCS_PATH: Final = _Unasked("/docs")
LIVE_PATH: Final = _Unasked("/_ziggurat")
ENVIRONMENTS = ("development", "production", "test")


@dataclass(frozen=True, init=False)
class Page:
    """Where a page of the app is, and what stands before it: `Ziggurat(docs_path=Page("/docs", layers=[layers.Basic(users=[...])]))`."""

    path: str
    """Where it is."""
    guards: tuple[Guard, ...]
    """What is asked of who looks at it, as `[HasRole("staff")]`."""
    layers: tuple[Layer, ...]
    """Layers around it alone, outermost first."""
    skip_layers: tuple[str, ...]
    """Layers of the app that it does without."""
    location: str

    def __init__(
        self,
        path: str,
        *,
        guards: Sequence[Guard] = (),
        layers: Sequence[AnyLayer] = (),
        skip_layers: Sequence[SkippedLayer] = (),
    ) -> None:
        location = user_location()
        if not isinstance(path, str) or not path.startswith("/") or set(path) & set("?#{} ") or path[1:].endswith("/"):
            raise ConfigError(
                f"{path!r} is no path of a page",
                cure="begin it with a slash, end it without, and write it without parameters, as /docs",
                location=location,
            )
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "guards", checked(guards, path, location))
        object.__setattr__(self, "layers", layers_of(layers, path, location))
        object.__setattr__(self, "skip_layers", skips_of(skip_layers, path, location))
        object.__setattr__(self, "location", location)

    @property
    def files(self) -> str:
        """The folder of the files that it is made of."""
        return "/_docs" if self.path == "/" else self.path

    def settings(self, building: Building) -> str:
        """What the native side is told of what stands before it."""
        declared = {
            "auth": asked(None, self.guards),
            "layers": [building.made(layer, self.location) for layer in self.layers],
            "skip_layers": list(self.skip_layers),
            "location": self.location,
        }
        return json.dumps(declared)


def page_of(given: str | Page | None, what: str) -> Page | None:
    """The page, however it was said."""
    if given is None or isinstance(given, Page):
        return given
    if not isinstance(given, str):
        raise ConfigError(f"{what} is {given!r}", cure="give a path, a Page or None", location=user_location())
    return Page(given)


def is_debug(given: bool | None) -> bool:
    """Whether the app is being developed: what was said, else what `ZIGGURAT_ENV` says."""
    if given is not None:
        if not isinstance(given, bool):
            raise ConfigError(f"debug={given!r} is not a bool", cure="give True or False", location=user_location())
        return given
    environment = os.environ.get("ZIGGURAT_ENV", "").strip()
    if environment and environment not in ENVIRONMENTS:
        raise ConfigError(
            f"the environment variable ZIGGURAT_ENV is {environment!r}", cure=f"choose from {', '.join(ENVIRONMENTS)}"
        )
    return environment == "development"


class Pages:
    """Those of one app."""

    def __init__(
        self,
        *,
        openapi_path: str | Page | None,
        docs_path: str | Page | None,
        live_path: str | Page | None,
        debug: bool,
    ) -> None:
        location = user_location()
        self.document = page_of(openapi_path, "openapi_path")
        # One that was not asked for gives way.
        self._docs_may_give_way = isinstance(docs_path, _Unasked)
        self.docs = page_of(docs_path, "docs_path")
        self.live = page_of(live_path, "live_path") if debug or not isinstance(live_path, _Unasked) else None
        if self.document is None:
            if not self._docs_may_give_way and self.docs is not None:
                raise ConfigError(
                    "docs_path shows the OpenAPI document, and openapi_path is None",
                    cure="give openapi_path, too, or neither",
                    location=location,
                )
            self.docs = None
        if self.docs is not None and not isinstance(docs_path, Page) and isinstance(openapi_path, Page):
            # What stands before the document stands before the page that shows it.
            for name in ("guards", "layers", "skip_layers", "location"):
                object.__setattr__(self.docs, name, getattr(openapi_path, name))
        if self.live is not None and not debug and not self.live.guards:
            raise ConfigError(
                f"the live page at {self.live.path} would show errors to everybody",
                cure='ask something of who looks at it, as live_path=Page("/_ziggurat", guards=[HasRole("staff")]); in '
                "development, with debug=True or ZIGGURAT_ENV=development, it is there for this machine alone",
                location=self.live.location,
            )
        self._debug = debug
        paths = [page.path for page in (self.document, self.docs, self.live) if page is not None]
        for path in paths:
            if paths.count(path) > 1:
                raise ConfigError(f"two pages are at {path}", cure="give each its own path", location=location)

    def add(self, building: Building) -> None:
        """Mounts them."""
        app, native = building.app, building.native
        if self.document is not None:

            def text() -> bytes:
                from . import openapi

                return openapi.text(app)

            native.add_document(self.document.path, "application/json", text, self.document.settings(building))
        docs = self.docs
        if docs is not None and self.document is not None and not (self._docs_may_give_way and _is_taken(app, docs)):
            page = {
                "title": app.title,
                "document": _seen_from(docs.path, self.document.path),
                "files": _seen_from(docs.path, docs.files) + "/",
                "servers": _origins(app.servers),
            }
            settings = docs.settings(building)
            native.add_docs(docs.path, docs.files + "/{file}", json.dumps(page), settings)
        if self.live is not None:
            live = self.live
            if self._debug and not live.guards:
                # It has a door of its own, and is there whatever the layers of the app ask for.
                around = {layer.name: None for layer in (*app.layers, *app._middleware)}
                object.__setattr__(live, "skip_layers", tuple(around))
            shown = {
                "title": app.title,
                "files": _seen_from(live.path, live.files) + "/",
                "guarded": bool(live.guards),
                "path": live.path,
                "below": live.files + "/{file}",
            }
            native.add_live(json.dumps(shown), live.settings(building))


def _is_taken(app: Ziggurat, page: Page) -> bool:
    """Whether a route of the app is where the page would be, or its files."""
    specs: list[RouteSpec | NativeSpec] = [*app.route_specs, *app.native_specs]
    own = [spec.path for spec in specs if spec.method in (None, "GET", "HEAD")]
    own += [*(spec.path for spec in app.crud_specs), *(spec.path for spec in app.mount_specs)]
    # One that is mounted as the whole has pages of its own.
    return any(path in ("", page.path) or path.startswith(f"{page.files}/{{") for path in own)


def _seen_from(page: str, path: str) -> str:
    """A path as the page links to it, so that both may stand behind a prefix that a proxy takes off."""
    return posixpath.relpath(path, posixpath.dirname(page))


def _origins(servers: Sequence[dict[str, Any]]) -> list[str]:
    """Servers that are elsewhere, as a policy names them: each of those that callers may choose."""
    found = []
    for server in servers:
        urls = [server["url"]]
        for name, variable in server.get("variables", {}).items():
            values = variable.get("enum") or [variable["default"]]
            urls = [url.replace(f"{{{name}}}", value) for url in urls for value in values]
        for parts in map(urlsplit, urls):
            if parts.scheme in ("http", "https") and parts.netloc and "{" not in parts.netloc:
                found.append(f"{parts.scheme}://{parts.netloc}")
    return list(dict.fromkeys(found))
