"""What a hook of CRUD takes beside the context and the row: read once, and compiled as what a handler takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from ._param_driver import compiled
from ._param_graph import Call, Graph, Known, call_of
from ._record import record
from ._state import State
from .params import Compiled

if TYPE_CHECKING:
    from ._specs import Op

__all__ = ["HookPlan", "callers", "plan_of"]

_GIVEN = ("ctx", "doc")
"""What every hook is given."""


@record
class HookPlan:
    """Everything that is known of a hook without calling it."""

    call: Call
    name: str
    """As `UserRoutes.before_create`."""
    localns: Mapping[str, object] | None = field(repr=False)
    known: Known = field(repr=False)
    """What was read of handlers."""

    def compile(
        self,
        overrides: Mapping[Callable[..., Any], Callable[..., Any]] | None = None,
        state: State | None = None,
    ) -> Compiled:
        """The hook as it is called: with what the native side reads of the request, and then the context and the row.

        What yields is cleaned up when the hook has returned. Raises `ConfigError` when something cannot be filled.
        """
        graph = Graph([], self.localns, overrides or {}, state, "hook", known=self.known)
        hook = graph.step(self.call, scope="function")
        for param in graph.params:
            if param.source == "form":
                raise self.call.wrong(
                    f"{param.name!r} is taken from a form, and the body of the request was read for the row",
                    "use the row, or take it from the query, a header or a cookie",
                )
        args = [f"a{place}" for place in range(len(graph.args))]
        hook = replace(hook, function=_told(self.call.function), args=(*_GIVEN, *hook.args))
        function, mode, is_async = compiled(graph.steps, hook, [*args, *_GIVEN], answers=False)
        return Compiled.of(
            graph,
            name=self.name,
            location=self.call.location,
            function=function,
            mode=mode,
            is_async=is_async,
            args=tuple(graph.args),
        )


def _told(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[tuple[Any]]]:
    """Tells that the hook has come to its end, and what it gave, from None: that is what there is where it raised an exception which a
    dependency kept to itself."""

    async def told(*args: Any, **kwargs: Any) -> tuple[Any]:
        return (await method(*args, **kwargs),)

    return told


def callers(hook: str, ops: Collection[Op], *, upsert: bool) -> list[Op]:
    """The operations, of those that are served, that call the hook of this name."""
    op = hook.partition("_")[2]
    calling = {op}
    if op == "create":
        calling |= {"import", "replace"} if upsert else {"import"}
    return [each for each in ops if each in calling]


def plan_of(method: Callable[..., Any], name: str, localns: Mapping[str, object] | None, known: Known) -> HookPlan:
    """Reads what `method` takes behind the context and the row.

    Raises `ConfigError` when a parameter cannot be filled.
    """
    call = call_of(method, [], localns, known, is_handler=True, given=len(_GIVEN))
    plan = HookPlan(call, name, localns, known)
    # What its dependencies need is told at once as well.
    plan.compile()
    return plan
