"""What an app declares: its routes and layers, its store and the models whose rows are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ._layer_python import Middleware
from ._location import user_location
from ._specs import AnyLayer, CrudSpec, MountSpec, NativeSpec, Pending, RouteSpec, layer_of
from .exceptions import ConfigError
from .routers import AnySpec, Around, specs_of
from .routing import Routes

if TYPE_CHECKING:
    from .models import Model

__all__ = ["Declared"]


class Kept(NamedTuple):
    """How the rows of a model are kept that is not served."""

    location: str
    shard_key: str | None


class Declared(Routes):
    """Collects what an app declares, and tells of it before the app is built."""

    def __init__(
        self,
        *,
        layers: Iterable[AnyLayer],
        store: str | None,
        migrate: Literal["auto", "never"] | None,
        int64: Literal["number", "string"],
        naive: Literal["refuse", "utc"],
    ) -> None:
        super().__init__()
        if int64 not in ("number", "string"):
            raise ConfigError(f"int64={int64!r} is no way to write ints", cure='write "number" or "string"')
        if naive not in ("refuse", "utc"):
            raise ConfigError(f"naive={naive!r} says of no time where it is", cure='write "refuse" or "utc"')
        self.layers = [layer_of(layer, "", user_location()) for layer in layers]
        self._middleware: list[Middleware] = []
        self._store = store
        self._migrate = migrate
        self._int64 = int64
        self._naive = naive
        self._kept: dict[type[Model], Kept] = {}
        self._listed: tuple[AnySpec, ...] | None = None
        """All that is served, once nothing is added."""

    def layer(self, layer: AnyLayer) -> None:
        """Adds a layer of the app, inside those that it has."""
        location = user_location()
        self._refuse_when_built("a layer", location)
        self.layers.append(layer_of(layer, "", location))

    def _add_middleware(self, middleware: Middleware) -> None:
        self._middleware.append(middleware)

    def _add_handler(self, handler: Pending) -> None:
        # At once, so that what is wrong with it is told where it is written.
        handler.at("")
        super()._add_handler(handler)

    def _specs(self) -> Iterable[AnySpec]:
        if self._listed is not None:
            return self._listed
        return specs_of(self, Around(catches=(self._catches,) if self._catches else ()))

    @property
    def route_specs(self) -> list[RouteSpec]:
        """The Python handlers, as they were declared, with what routers add."""
        return [spec for spec in self._specs() if isinstance(spec, RouteSpec)]

    @property
    def crud_specs(self) -> list[CrudSpec]:
        """The models that are served, as they were declared, with what routers add."""
        return [spec for spec in self._specs() if isinstance(spec, CrudSpec)]

    @property
    def native_specs(self) -> list[NativeSpec]:
        """The handlers in Rust, as they were declared, with what routers add."""
        return [spec for spec in self._specs() if isinstance(spec, NativeSpec)]

    @property
    def mount_specs(self) -> list[MountSpec]:
        """What is mounted, as it was declared, with what routers add."""
        return [spec for spec in self._specs() if isinstance(spec, MountSpec)]

    def use_store(self, url: str | None) -> None:
        """Replaces the store, as a deployment or a test may want; before the app is built."""
        if url != self._store:
            self._refuse_when_built(f"the store {url}", user_location())
            self._store = url

    @property
    def store(self) -> str | None:
        """The URL of the store."""
        return self._store

    @property
    def migrate(self) -> str:
        """Whether the store is brought in line with the models when the app is built: `auto` or `never`."""
        from . import _settings

        return _settings.setting("migrate", self._migrate, _settings.migrate, "auto")

    def models(self) -> list[type[Any]]:
        """The models that are served or kept, each once."""
        return list(dict.fromkeys([*(crud.model for crud in self.crud_specs), *self._kept]))

    def _describe(
        self, model: type[Any], *, lax: bool = False, search: Sequence[str] = (), shard_key: str | None = None
    ) -> str:
        from . import _schema

        return _schema.describe(
            model,
            lax=lax,
            int64=self._int64 == "string",
            naive="utc" if self._naive == "utc" else None,
            search=search,
            shard_key=shard_key,
        )

    def descriptions(self) -> list[str]:
        """What the native side is told of each of the models, for those who look after a store."""
        served = {crud.model: crud for crud in reversed(self.crud_specs)}
        found = []
        for model in self.models():
            crud = served.get(model)
            search, shard_key = ((), self._kept[model].shard_key) if crud is None else (crud.search, crud.shard_key)
            found.append(self._describe(model, search=search, shard_key=shard_key))
        return found

    def keep(self, *models: type[Model], shard_key: str | None = None) -> None:
        """Keeps rows of `models` in the store for Python code, without serving them: `await Counter.get(1)`.

        `shard_key` is that of `crud`, for each of them.
        """
        from .models import Model

        location = user_location()
        for model in models:
            if not (isinstance(model, type) and issubclass(model, Model)):
                raise TypeError(f"keep takes classes that are ziggurat.Model, not {model!r}")
            self._refuse_when_built(f"the model {model.__name__}", location)
            self._kept[model] = Kept(location, shard_key)
