"""How models are registered whose rows are served natively: `@app.crud(User)`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

from ._location import user_location
from ._openapi_shown import Responses, Shown
from ._routing_registry import Registry
from ._specs import (
    CORE,
    OPS,
    PUBLIC,
    AnyLayer,
    Auth,
    CrudSpec,
    Op,
    ReadFrom,
    SkippedLayer,
    guards_of,
    layers_of,
    members,
    scopes_of,
    skips_of,
    tags_of,
)
from .exceptions import ConfigError
from .guards import Guard
from .policy import Policy

__all__ = ["CrudRoutes"]

Class = TypeVar("Class", bound=type)


class CrudRoutes(Registry):
    """Registers models, with the operations on their rows that clients may call."""

    def crud(
        self,
        model: type[Any],
        path: str | None = None,
        *,
        ops: Iterable[Op] = CORE,
        auth: Auth | Mapping[Op, Auth] = False,
        guards: Sequence[Guard] | Mapping[Op, Sequence[Guard]] = (),
        policy: Policy | None = None,
        client_id: bool = False,
        tags: Sequence[str] = (),
        default_limit: int = 50,
        max_limit: int = 1000,
        body_limit: int | None = None,
        import_limit: int = 1024 * 1024 * 1024,
        max_affected: int = 1000,
        gone: bool = False,
        unindexed: Literal["allow", "warn", "deny"] = "allow",
        filterable: Iterable[str] | None = None,
        sortable: Iterable[str] | None = None,
        expandable: bool = True,
        search: Iterable[str] = (),
        shard_key: str | None = None,
        read_from: ReadFrom | Mapping[Op, ReadFrom] | None = None,
        dimensions: Iterable[str] = (),
        measures: Iterable[str] = (),
        offset: bool = True,
        envelope: bool = True,
        cache: str | None = None,
        upsert: bool = False,
        bulk: bool = False,
        idempotency: bool = False,
        concurrency: Literal["optional", "required"] = "optional",
        coerce: Literal["strict", "pydantic"] = "strict",
        errors: Literal["problem", "fastapi"] = "problem",
        layers: Sequence[AnyLayer] = (),
        skip_layers: Sequence[SkippedLayer] = (),
        include_in_schema: bool = True,
        deprecated: bool = False,
        responses: Responses | None = None,
    ) -> Callable[[Class], Class]:
        """Serves the rows of `model` natively, and gives the decorated class back unchanged.

        A model is a `ziggurat.Model`, any other pydantic model, a dataclass, a TypedDict or a `msgspec.Struct`.

        The path is `/` and the model's name in small letters unless it is given. `auth` is one rule for all operations, or a
        rule for each; operations that such a mapping does not name are open. `policy` says which rows a caller may see and write.
        So are `guards`, which ask for more than scopes: see `ziggurat.guards`.

        With `client_id` clients choose the ids of new rows, and with `upsert` PUT makes a row that is not there. With `bulk` POST takes
        arrays of rows, too, which are added all or none; on MongoDB that needs a replica set. `concurrency="required"`
        refuses writes to a row that do not say with If-Match which version they are meant for. `offset=False` takes `?offset=` away
        from lists, `envelope=False` answers them as bare arrays. `cache="public, max-age=30"` is the `Cache-Control` of rows, lists, counts and groups that
        everybody may read; without it caches ask each time.

        With `idempotency` a POST, or a PATCH of a row, that comes again with the same Idempotency-Key within a day is answered as it was, and
        not done again; on MongoDB that needs a replica set, too. Other writes with a key are refused.

        The operations "patch_many" and "delete_many" write all rows that a filter holds for, or none when these are more than
        `max_affected`; on MongoDB that needs a replica set, too.

        A model with a field `deleted_at: DeletedAt` has its rows marked as deleted instead of removed: "deleted" lists them, "restore" brings one
        back, and with `gone` they are answered 410 and not 404.

        `filterable` and `sortable` name the fields that rows may be filtered and sorted by; all that clients see unless they are given. `unindexed`
        says what becomes of a query that would read every row: it is answered, tells the log, or is refused.

        Answers of models that refer to this one show its rows with `?expand=` to whom these routes show them, unless `expandable` is False. Of a
        model that is served several times, in ways that differ in who may read what, one may be so.

        `search` names texts whose words `?q=` looks for, by an index of their words.

        `shard_key` names the field by which a sharded MongoDB spreads the rows: one that is required and `Immutable`, as a tenant, or the id.
        Writes to a row say what it holds, so that one shard is asked. Nothing but it and the id may be unique, and no fields together. On
        SQLite the model is checked in the same way, and nothing else comes of it.

        `read_from` says which members of a MongoDB replica set operations that only read ask: "secondaryPreferred" for all of them, or
        `{"list": "nearest"}`. Others than the primary may not know of the last writes.

        The operation "group" computes over rows: `dimensions` name what they may be grouped by, as `status` or `month(created_at)`, and `measures` the
        fields of which there are sums, means, least and greatest values.

        A body may have `body_limit` bytes, whatever the app's `BodyLimit` says, or 1 MiB where that says no less. The operation "import" adds rows that
        come in lines (NDJSON), each of up to `body_limit` bytes and all together of up to `import_limit`, 1 GiB unless given.

        `coerce="pydantic"` reads bodies as pydantic does in its lax mode, in which `"5"` is an int and `1` a bool; a value is one of its field's type
        otherwise. It is not for a `msgspec.Struct`.

        `errors="fastapi"` tells what was wrong as FastAPI does, `{"detail": ...}`, and not in problem documents.

        `layers` stand around its operations alone, inside the layers and the middleware of the app and of its router, outermost first; `skip_layers` names layers of the
        app that requests to them do not pass.

        With `include_in_schema=False` the document shows neither its operations nor its models. `deprecated` says of all of them that they should be
        used no more, and `responses` tells of other answers, as for routes.

        Methods of the class are hooks: `async def before_create(self, ctx, doc)` may change the row that is to be written, or raise an
        `HTTPException`; `after_create` is told once it is written, and the client does not wait for it. So are the others of `replace`,
        `patch` and `delete`. Only an operation that has a hook enters Python. `ctx` is a `HookContext`. What they take behind these two is
        filled as the parameters of handlers are: `db: Annotated[Db, Depends(connect)]`, the app's `State`, a header.
        """
        location = user_location()
        self._refuse_when_built(f"the model {model.__name__}", location)
        wanted = _wanted(ops, model, location)
        for name, rules in (("auth", auth), ("guards", guards)):
            _check_served(rules, wanted, f"{model.__name__}: {name}", location)
        given: dict[Op, Auth] = {op: auth.get(op, False) if isinstance(auth, Mapping) else auth for op in wanted}
        if policy is not None and not isinstance(policy, Policy):
            raise ConfigError(
                f"{model.__name__}: policy={policy!r} is not a policy",
                cure='write Policy(read=F.owner == Claim("sub"))',
                location=location,
            )
        if coerce == "pydantic":
            _check_pydantic_reads(model, location)
        spec = CrudSpec(
            model=model,
            path=path if path is not None else f"/{model.__name__.lower()}",
            ops=wanted,
            auth={op: scopes_of(rule, model.__name__, location) for op, rule in given.items()},
            guards={
                op: guards_of(
                    guards.get(op, ()) if isinstance(guards, Mapping) else guards, rule, model.__name__, location
                )
                for op, rule in given.items()
            },
            public=tuple(op for op, rule in given.items() if rule is PUBLIC),
            policy=policy,
            tags=tags_of(tags, model.__name__, location) or (model.__name__,),
            client_id=client_id,
            default_limit=default_limit,
            max_limit=max_limit,
            body_limit=body_limit,
            import_limit=import_limit,
            max_affected=max_affected,
            gone=gone,
            unindexed=unindexed,
            filterable=None if filterable is None else tuple(filterable),
            sortable=None if sortable is None else tuple(sortable),
            expandable=expandable,
            read_from=members(read_from, wanted),
            search=(search,) if isinstance(search, str) else tuple(search),
            shard_key=shard_key,
            dimensions=(dimensions,) if isinstance(dimensions, str) else tuple(dimensions),
            measures=(measures,) if isinstance(measures, str) else tuple(measures),
            offset=offset,
            envelope=envelope,
            cache=cache,
            upsert=upsert,
            bulk=bulk,
            idempotency=idempotency,
            concurrency=concurrency,
            coerce=coerce,
            errors=errors,
            layers=layers_of(layers, model.__name__, location),
            skip_layers=skips_of(skip_layers, model.__name__, location),
            hooks=None,
            location=location,
            shown=Shown.checked(include_in_schema, deprecated, responses, model.__name__, location),
        )

        unused = self._awaits(f"@app.crud({model.__name__}, ...) above a class", location)

        def decorator(routes: Class) -> Class:
            self._used(unused)
            from .hooks import hooks_of

            hooks = hooks_of(
                routes,
                model,
                wanted,
                upsert=upsert,
                location=location,
                localns=sys._getframe(1).f_locals,
                known=self._known,
            )
            self._entries.append(replace(spec, hooks=hooks))
            return routes

        return decorator


def _wanted(ops: Iterable[Op], model: type[Any], location: str) -> tuple[Op, ...]:
    """The operations, each once and in the order in which they are told."""
    ops = tuple(ops)
    for op in ops:
        if op not in OPS:
            raise ConfigError(
                f"{model.__name__}: {op!r} is not a CRUD operation",
                cure=f"choose from {', '.join(OPS)}",
                location=location,
            )
    return tuple(op for op in OPS if op in ops)


def _check_served(rules: object, wanted: tuple[Op, ...], what: str, location: str) -> None:
    for op in rules if isinstance(rules, Mapping) else ():
        if op not in wanted:
            raise ConfigError(
                f"{what} names {op!r}, which is not served", cure=f"choose from {', '.join(wanted)}", location=location
            )


def _check_pydantic_reads(model: type[Any], location: str) -> None:
    from ._schema import is_struct

    if is_struct(model):
        raise ConfigError(
            f'{model.__name__}: coerce="pydantic" reads as pydantic does, which does not know a msgspec.Struct',
            cure="leave coerce out, or use a pydantic model, a dataclass or a TypedDict",
            location=location,
        )
