"""Python code that native writes pass through."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

from pydantic import TypeAdapter
from typing_extensions import is_typeddict

from ._schema import is_struct
from .exceptions import ConfigError
from .models import Model
from .params import describe_callable

if TYPE_CHECKING:
    from ._hook_plans import HookPlan
    from ._param_graph import Known
    from .requests import Request

__all__ = ["HookContext", "Hooks"]

Row = TypeVar("Row")
WriteOp = Literal["create", "replace", "patch", "delete"]
Stored = tuple[int | None, bytes]
"""Version and JSON of a row; a document that is not written yet has no version."""

_OPS: Final[tuple[WriteOp, ...]] = ("create", "replace", "patch", "delete")
_NAMES: Final = {f"{when}_{op}": op for op in _OPS for when in ("before", "after")}


@dataclass(frozen=True, slots=True)
class HookContext(Generic[Row]):
    """What a hook is told beside the row: `async def before_patch(self, ctx: HookContext[User], doc: User)`."""

    op: WriteOp
    """What happens to the row. A PUT that makes a row which was not there is a `create`."""
    request: Request
    """The request, with the claims of its token in `auth`. Its body was read for the row."""
    stored: Row | None
    """The row as it was before; None where it is made."""


class Hooks:
    """The hooks of one resource, as the native side calls them."""

    def __init__(
        self,
        model: type[Any],
        name: str,
        methods: dict[str, Callable[..., Awaitable[Any]]],
        plans: dict[str, HookPlan],
    ) -> None:
        self.name = name
        self.plans = plans
        """Those of hooks that take more than the context and the row."""
        self._model = model
        self._adapter: Any = _Structs(model) if is_struct(model) else TypeAdapter(model)
        # Rows of a TypedDict are dicts.
        self._class = dict if is_typeddict(model) else model
        self._methods = methods

    @property
    def names(self) -> list[str]:
        """As `before_create`."""
        return list(self._methods)

    async def run(
        self,
        when: Literal["before", "after"],
        op: WriteOp,
        request: Request,
        stored: Stored | None,
        document: Stored,
        call: Callable[..., Awaitable[Any]] | None = None,
        taken: tuple[Any, ...] = (),
    ) -> bytes | None:
        """Calls a hook; gives the document as it is to be written, and nothing where it is written already. `call` is called in the place of a hook
        that takes more, with what is `taken` of the request."""
        name = f"{when}_{op}"
        row = self._read(document)
        ctx = HookContext(op, request, None if stored is None else self._read(stored))
        given = await self._called(name, call, taken, ctx, row)
        if when == "after":
            return None
        return document[1] if op == "delete" else self._written(name, row if given is None else given)

    async def _called(
        self,
        name: str,
        call: Callable[..., Awaitable[Any]] | None,
        taken: tuple[Any, ...],
        ctx: HookContext[Any],
        row: Any,
    ) -> Any:
        """What the hook gives."""
        if call is None:
            return await self._methods[name](ctx, row)
        told: tuple[Any] | None = await call(*taken, ctx, row)
        if told is None:
            # What was meant as a refusal must not become a leave.
            raise RuntimeError(
                f"a dependency of {self.name}.{name} kept an exception to itself; raise it again after the yield, or raise an HTTPException"
            )
        return told[0]

    def _written(self, name: str, row: Any) -> bytes:
        if not isinstance(row, self._class):
            raise TypeError(
                f"{self.name}.{name} gave {type(row).__name__}: give the {self._model.__name__} that is to be written, or nothing"
            )
        json: bytes = self._adapter.dump_json(row)
        return json

    def _read(self, row: Stored) -> Any:
        version, document = row
        if version is not None and issubclass(self._model, Model):
            return self._model._read(version, document)
        return self._adapter.validate_json(document)


class _Structs:
    """JSON to a `msgspec.Struct` and back, as a `TypeAdapter` does it for other models."""

    def __init__(self, model: type[Any]) -> None:
        import msgspec

        # Ints may stand in strings; what is read has been checked.
        self.validate_json = msgspec.json.Decoder(model, strict=False).decode
        self.dump_json = msgspec.json.Encoder().encode


def hooks_of(
    routes: type,
    model: type[Any],
    ops: Iterable[str],
    *,
    upsert: bool,
    location: str,
    localns: Mapping[str, object] | None,
    known: Known,
) -> Hooks | None:
    """The hooks that the class has; None when it has none. `known` has what was read of handlers.

    Raises:
        ConfigError: a method is no hook, does not fit, or would never be called.
    """
    found: dict[str, Any] = {}
    ops = set(ops)
    served = {*ops, *(["create"] if upsert or "import" in ops else [])}
    for name in sorted(key for base in routes.__mro__[:-1] for key in vars(base)):
        if name.startswith("_") or not callable(getattr(routes, name)):
            continue
        what = f"{routes.__name__}.{name}"
        op = _NAMES.get(name)
        if op is None:
            close = difflib.get_close_matches(name, _NAMES, n=1)
            hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(_NAMES)}"
            raise ConfigError(
                f"{what} is no hook of CRUD routes", cure=f"{hint} Helpers begin with _", location=location
            )
        if op not in served:
            raise ConfigError(
                f"{what} is never called: {model.__name__} is served without {op}",
                cure=f'add "{op}" to ops, or remove the hook',
                location=location,
            )
        found[name] = what
    if not found:
        return None
    try:
        instance = routes()
    except TypeError as error:
        raise ConfigError(
            f"{routes.__name__} cannot be made: {error}", cure="let its __init__ take no arguments", location=location
        ) from error
    methods = {name: _checked(getattr(instance, name), what, location) for name, what in found.items()}
    plans: dict[str, HookPlan] = {}
    for name, method in methods.items():
        if len(inspect.signature(method).parameters) > 2:
            from ._hook_plans import plan_of

            plans[name] = plan_of(method, found[name], localns, known)
    return Hooks(model, routes.__name__, methods, plans)


def _checked(method: Callable[..., Any], what: str, location: str) -> Callable[..., Awaitable[Any]]:
    name = what.rpartition(".")[2]
    _, where, target = describe_callable(method)
    cure = f"write async def {name}(self, ctx, doc)"
    if not inspect.iscoroutinefunction(target):
        raise ConfigError(f"{what} is not an async function", cure=cure, location=where or location)
    parameters = list(inspect.signature(method).parameters.values())[:2]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(parameters) < 2 or any(parameter.kind not in positional for parameter in parameters):
        raise ConfigError(
            f"{what} cannot be called with a context and a row, which come first", cure=cure, location=where or location
        )
    return method
