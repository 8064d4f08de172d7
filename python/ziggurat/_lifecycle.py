"""What an app does before it serves and after it has served."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from ._specs import MountSpec
from .exceptions import ConfigError

if TYPE_CHECKING:
    from .app import Ziggurat

__all__ = ["Hook", "Lifespan", "checked_lifespan", "lifecycle"]

Hook = Callable[[], Awaitable[None] | None]
Lifespan = Callable[["Ziggurat"], AbstractAsyncContextManager[Mapping[str, Any] | None]]

_NO_CONTEXT = "is no async context manager"
_CURE = "write @contextlib.asynccontextmanager above `async def lifespan(app)`, which yields once"


def checked_lifespan(lifespan: Lifespan, location: str) -> Lifespan:
    """The lifespan, or an error where it gives what is no context manager."""
    if not callable(lifespan):
        raise ConfigError(f"lifespan={lifespan!r} is no function", cure=_CURE, location=location)
    kinds = (inspect.isasyncgenfunction, inspect.isgeneratorfunction, inspect.iscoroutinefunction)
    if any(is_of(lifespan) for is_of in kinds):
        name = getattr(lifespan, "__name__", repr(lifespan))
        raise ConfigError(f"lifespan={name} gives what {_NO_CONTEXT}", cure=_CURE, location=location)
    return lifespan


@asynccontextmanager
async def lifecycle(app: Ziggurat) -> AsyncIterator[None]:
    """Start-up hooks, a pause while the app serves, and shutdown hooks; inside of that those of what is mounted."""
    context = app._lifespan(app) if app._lifespan is not None else None
    if context is not None:
        if not isinstance(context, AbstractAsyncContextManager):
            raise ConfigError(f"the lifespan gave {context!r}, which {_NO_CONTEXT}", cure=_CURE)
        with _yields_once(app._lifespan):
            app._lifespan_state = await context.__aenter__()
    try:
        _check_state(app._lifespan_state)
        for hook in app._startup:
            waiting = hook()
            if inspect.isawaitable(waiting):
                await waiting
        try:
            async with AsyncExitStack() as inside:
                for mount in app.mount_specs:
                    await inside.enter_async_context(_lifecycle_of(mount))
                yield
        finally:
            # Also when serving failed, as on a port that is taken: what the start-up hooks opened is closed.
            for hook in reversed(app._shutdown):
                waiting = hook()
                if inspect.isawaitable(waiting):
                    await waiting
    finally:
        if context is not None:
            with _yields_once(app._lifespan):
                await context.__aexit__(None, None, None)
        app._lifespan_state = None


@contextmanager
def _yields_once(lifespan: Lifespan | None) -> Iterator[None]:
    """What `contextlib` says of one that does not, with the name and the line of the lifespan."""
    try:
        yield
    except RuntimeError as error:
        how = {"generator didn't yield": "ended before it yielded", "generator didn't stop": "yielded a second time"}
        if (said := how.get(str(error))) is None:
            raise
        code = getattr(inspect.unwrap(lifespan), "__code__", None) if lifespan is not None else None
        name = getattr(lifespan, "__name__", "lifespan")
        raise ConfigError(
            f"lifespan={name} {said}",
            cure="let it yield once on every way through: what is before that runs first, and what is after it last",
            location=f"{code.co_filename}:{code.co_firstlineno}" if code is not None else None,
        ) from error.__context__


def _check_state(given: object) -> None:
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"the lifespan yielded {given!r}; yield a dict for request.state, or nothing")


def _lifecycle_of(mount: MountSpec) -> AbstractAsyncContextManager[None]:
    from .app import Ziggurat

    if isinstance(mount.app, Ziggurat):
        return lifecycle(mount.app)
    from ._asgi import lifespan

    return lifespan(mount.app, mount.state, mount.name)
