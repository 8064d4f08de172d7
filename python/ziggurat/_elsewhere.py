"""What apps of other frameworks are called by, and what is written here."""

from __future__ import annotations

__all__ = ["missing"]

_HERE = {
    "add_middleware": "give layers=[layers.Cors(...)] and the like, or decorate a function with @{}.middleware",
    "on_event": "decorate the function with @app.on_startup or @app.on_shutdown, or give lifespan=",
    "add_event_handler": "decorate the function with @app.on_startup or @app.on_shutdown, or give lifespan=",
    "api_route": "write @{}.route(path, methods=[...])",
    "add_api_route": "write {}.get(path)(function), or {}.route(path, methods=[...])(function)",
    "add_route": "write {}.get(path)(function), or {}.route(path, methods=[...])(function)",
    "add_websocket_route": "write {}.websocket(path)(function)",
    "add_api_websocket_route": "write {}.websocket(path)(function)",
    "add_exception_handler": "write {}.exception_handler(kind)(function)",
    "register_blueprint": "write {}.include_router(router)",
    "errorhandler": "write @{}.exception_handler(kind)",
    "before_request": "write @{}.middleware",
    "after_request": "write @{}.middleware",
}


def missing(owner: object, name: str) -> AttributeError:
    """The error for a member that `owner` does not have, with what is written here in its place."""
    kind = type(owner).__name__
    cure = _HERE.get(name)
    what = f"{kind!r} object has no attribute {name!r}"
    told = what if cure is None else f"{what}; {cure.format(*['router' if kind == 'Router' else 'app'] * 2)}"
    return AttributeError(told, name=name, obj=owner)
