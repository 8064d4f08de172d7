"""What apps of other frameworks are called by, and what is written here."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any, get_args

__all__ = [
    "instead_of_module",
    "is_elsewhere",
    "left_behind",
    "missing",
    "to_answer",
    "unexpected",
    "unknown",
    "written_here",
]

_FRAMEWORKS = ("fastapi", "starlette")
"""Packages with classes that are called as those here, which an import that was left behind brings along."""

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

_OF_REQUESTS = {
    "query_params": "write {0}.query",
    "base_url": "write {0}.url_for(name), or take it from {0}.url with urllib.parse",
    "session": "keep it in a cookie, as a token that ziggurat.security.sign_token makes",
    "user": "write {0}.auth, or take claims: Claims | None",
    "scope": "write {0}.path, {0}.headers and so on; {0}.state is what middleware leaves",
    "send_denial_response": "raise HTTPException(...)",
}

_OF_INVALID = {
    "body": "leave it out; what was sent is not kept, as it may hold secrets, and a middleware can read it before"
}

_OPTIONS = {
    "response_class": "annotate what is returned, as -> HTMLResponse, and return one",
    "default_response_class": "annotate what handlers return, as -> HTMLResponse, and return one",
    "response_description": 'write responses={200: {"description": ...}}',
    "openapi_extra": "say it of models and answers, with Field(json_schema_extra=...) and responses=",
    "docs_url": "write docs_path=",
    "redoc_url": "leave it out; the page that shows the document is at docs_path=",
    "openapi_url": "write openapi_path=",
    "root_path": 'write servers=[{"url": "/prefix"}]',
    "root_path_in_servers": "write servers=",
    "redirect_slashes": "write layers=[layers.NormalizePath()]",
    "middleware": "write layers=[layers.Cors(...), a_middleware]",
    "on_startup": "decorate the function with @app.on_startup, or give lifespan=",
    "on_shutdown": "decorate the function with @app.on_shutdown, or give lifespan=",
    "swagger_ui_parameters": "leave it out; the page is served as it is",
    "regex": "write pattern=",
    "example": "write examples=[...]",
    "validation_alias": "write alias=",
    "serialization_alias": "write alias=",
    "strict": "leave it out; what is read is a text, of which its type makes what it is",
    "allow_inf_nan": "leave it out; numbers that are read are finite",
    "json_schema_extra": "write title=, description=, examples= and limits, or give the model of the parameters one",
    "discriminator": "write Annotated[..., Body(), Field(discriminator=...)]",
    "generate_unique_id_function": "say operation_id= of routes; operations are called as their functions are",
    "separate_input_output_schemas": "leave it out; a model whose bodies and answers differ is shown as two",
    "callbacks": "leave it out, and put them into the document with a method openapi() of a class of your own",
    "webhooks": "leave it out, and put them into the document with a method openapi() of a class of your own",
    "route_class": "decorate a function with @app.middleware",
    "url_prefix": "write prefix=",
}

_CLASSES = {
    "FastAPI": "import Ziggurat from ziggurat",
    "Starlette": "import Ziggurat from ziggurat",
    "APIRouter": "import Router from ziggurat",
    "HTTPConnection": "import Request from ziggurat",
    "Security": "import Depends from ziggurat, and ask for scopes with auth=[...] of the route",
    "SecurityScopes": "ask for scopes with auth=[...] of the route, and take claims: Claims",
    "OAuth2PasswordRequestForm": "import OAuth2PasswordRequestForm from ziggurat.security",
    "OAuth2PasswordRequestFormStrict": "import OAuth2PasswordRequestForm from ziggurat.security",
    "OAuth2": "give layers=[layers.Jwt(...)], and take claims: Claims",
    "OAuth2PasswordBearer": "import OAuth2PasswordBearer from ziggurat.security",
    "OAuth2AuthorizationCodeBearer": "give layers=[layers.Jwt(...)], and take claims: Claims",
    "OpenIdConnect": "give layers=[layers.Jwt(jwks=layers.Jwks(discover=...))], and take claims: Claims",
    "HTTPBearer": "import HTTPBearer from ziggurat.security",
    "HTTPAuthorizationCredentials": "import HTTPAuthorizationCredentials from ziggurat.security",
    "HTTPBasic": "import HTTPBasic from ziggurat.security",
    "HTTPBasicCredentials": "import HTTPBasicCredentials from ziggurat.security",
    "APIKeyHeader": "import APIKeyHeader from ziggurat.security",
    "APIKeyQuery": "import APIKeyQuery from ziggurat.security",
    "APIKeyCookie": "import APIKeyCookie from ziggurat.security",
}

_NAMES = _CLASSES | {
    "status": "write the number, as 201, or http.HTTPStatus.CREATED",
    "APIRoute": "decorate a function with @app.middleware, or say operation_id= of routes",
    "ORJSONResponse": "return the value, of which Rust makes JSON",
    "UJSONResponse": "return the value, of which Rust makes JSON",
    "TestClient": "import TestClient from ziggurat.testing",
    "StaticFiles": "give layers=[layers.Static(...)]",
    "CORSMiddleware": "give layers=[layers.Cors(...)]",
    "GZipMiddleware": "give layers=[layers.Compression()]",
    "TrustedHostMiddleware": "give layers=[layers.Hosts(...)]",
    "HTTPSRedirectMiddleware": "give layers=[layers.Redirect(...)]",
    "BaseHTTPMiddleware": "decorate a function with @app.middleware",
    "Jinja2Templates": "return HTMLResponse(template.render(...))",
    "run_in_threadpool": "write await asyncio.to_thread(function)",
    "jsonable_encoder": "return the value as it is",
}


_MODULES = {
    "applications": "import Ziggurat from ziggurat",
    "concurrency": "write await asyncio.to_thread(function)",
    "datastructures": "import from ziggurat, or from ziggurat.requests",
    "encoders": "return the value as it is",
    "middleware": "give layers=[layers.Cors(...)] and the like, or decorate a function with @app.middleware",
    "staticfiles": "give layers=[layers.Static(...)]",
    "status": "write the number, as 201, or http.HTTPStatus.CREATED",
    "templating": "return HTMLResponse(template.render(...))",
    "testclient": "import TestClient from ziggurat.testing",
}


def instead_of_module(name: str | None) -> str | None:
    """What is written in the place of a module that is not there, if that would be one of ours."""
    package, _, rest = (name or "").partition(".")
    return _MODULES.get(rest.partition(".")[0]) if package == "ziggurat" else None


def unknown(module: str, name: str) -> ImportError | AttributeError:
    """The error for a name that a module of ours does not have. One of another framework is told with what is written here, which `from`
    would hide behind words of its own if it were no ImportError."""
    cure = _NAMES.get(name)
    if cure is None:
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    return ImportError(f"{module} has no {name}; {cure}", name=module)


def is_elsewhere(kind: type) -> bool:
    """Whether a class is another framework's, or derived from one of its."""
    if not any(name in sys.modules for name in _FRAMEWORKS):
        return False
    return any(each.__module__.partition(".")[0] in _FRAMEWORKS for each in kind.__mro__)


def written_here(kind: type) -> tuple[str, str]:
    """What a class of another framework is called, and what is written here in its place."""
    whose = next(each for each in kind.__mro__ if each.__module__.partition(".")[0] in _FRAMEWORKS)
    name, package = whose.__name__, whose.__module__.partition(".")[0]
    from . import __all__ as ours

    cure = f"import {name} from ziggurat" if name in ours else _NAMES.get(name)
    return f"{name} of {package}", cure or "write what the guide has in its place, see From FastAPI"


def left_behind(annotation: Any) -> type | None:
    """A class of another framework in an annotation, which no model is derived from."""
    if isinstance(annotation, type) and is_elsewhere(annotation):
        return annotation
    return next((found for each in get_args(annotation) if (found := left_behind(each))), None)


def to_answer(kind: type) -> str:
    """The cure where a value of a class cannot be answered as JSON."""
    return written_here(kind)[1] if is_elsewhere(kind) else "make a dict, list, scalar, dataclass or model of it"


def unexpected(what: str, function: Callable[..., object], given: Iterable[str]) -> TypeError:
    """The error for options that `function` does not have, with what is written here in the place of the first. `what` is what they are of."""
    name = next(iter(given))
    cure = _OPTIONS.get(name)
    if cure is None:
        close = difflib.get_close_matches(name, inspect.signature(function).parameters, n=1)
        cure = f"did you mean {close[0]}=?" if close else "the reference has those that there are"
    return TypeError(f"{what} has no option {name}; {cure}")


def missing(owner: object, name: str) -> AttributeError:
    """The error for a member that `owner` does not have, with what is written here in its place."""
    kind = type(owner).__name__
    if kind in ("Request", "WebSocket"):
        cure, names = _OF_REQUESTS.get(name), ["request" if kind == "Request" else "ws"]
    elif kind == "RequestValidationError":
        cure, names = _OF_INVALID.get(name), []
    else:
        cure, names = _HERE.get(name), ["router" if kind == "Router" else "app"] * 2
    what = f"{kind!r} object has no attribute {name!r}"
    told = what if cure is None else f"{what}; {cure.format(*names)}"
    return AttributeError(told, name=name, obj=owner)
