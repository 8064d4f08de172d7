"""HTTP services in Python on a Rust Tower stack.

Every request passes a stack of Rust layers to a leaf: a native CRUD service, any other native service, or a Python
handler. Python runs only where business logic needs it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import layers
    from ._forms import FormLimits
    from ._loop import PyLoop, install, new_event_loop
    from ._pages import Page
    from ._ziggurat import __version__, spawn_blocking
    from .app import Ziggurat
    from .background import BackgroundTask, BackgroundTasks
    from .exceptions import (
        ConfigError,
        DuplicateValue,
        HTTPException,
        InvalidRow,
        RequestValidationError,
        ResponseValidationError,
        RowChanged,
        RowNotFound,
        StoreFailure,
        StoreTimeout,
        StoreUnavailable,
        WebSocketDisconnect,
        WebSocketException,
    )
    from .expressions import Claim, F
    from .guards import Authenticated, ClaimIs, HasRole, HasScope
    from .hooks import HookContext
    from .models import (
        CreatedAt,
        DeletedAt,
        Hidden,
        Immutable,
        Indexed,
        Micro,
        Model,
        ObjectId,
        ReadOnly,
        Ref,
        Stored,
        UnsupportedModelError,
        UpdatedAt,
        WriteOnly,
        now,
        object_id,
        token,
        uuid7,
    )
    from .params import Body, Cookie, Depends, File, Form, Header, Path, Query
    from .policy import Policy
    from .requests import Claims, FormData, Request, State, UploadFile
    from .responses import (
        EventSourceResponse,
        EventStream,
        FileResponse,
        HTMLResponse,
        JSONResponse,
        PlainTextResponse,
        RedirectResponse,
        Response,
        ServerSentEvent,
        StreamingResponse,
    )
    from .routers import Router
    from .routing import CORE, PUBLIC
    from .transactions import Transaction, run_transaction, transaction
    from .websockets import WebSocket, WebSocketState

__all__ = [
    "CORE",
    "PUBLIC",
    "Authenticated",
    "BackgroundTask",
    "BackgroundTasks",
    "Body",
    "Claim",
    "ClaimIs",
    "Claims",
    "ConfigError",
    "Cookie",
    "CreatedAt",
    "DeletedAt",
    "Depends",
    "DuplicateValue",
    "EventSourceResponse",
    "EventStream",
    "F",
    "File",
    "FileResponse",
    "Form",
    "FormData",
    "FormLimits",
    "HTMLResponse",
    "HTTPException",
    "HasRole",
    "HasScope",
    "Header",
    "Hidden",
    "HookContext",
    "Immutable",
    "Indexed",
    "InvalidRow",
    "JSONResponse",
    "Micro",
    "Model",
    "ObjectId",
    "Page",
    "Path",
    "PlainTextResponse",
    "Policy",
    "PyLoop",
    "Query",
    "ReadOnly",
    "RedirectResponse",
    "Ref",
    "Request",
    "RequestValidationError",
    "Response",
    "ResponseValidationError",
    "Router",
    "RowChanged",
    "RowNotFound",
    "ServerSentEvent",
    "State",
    "StoreFailure",
    "StoreTimeout",
    "StoreUnavailable",
    "Stored",
    "StreamingResponse",
    "Transaction",
    "UnsupportedModelError",
    "UpdatedAt",
    "UploadFile",
    "WebSocket",
    "WebSocketDisconnect",
    "WebSocketException",
    "WebSocketState",
    "WriteOnly",
    "Ziggurat",
    "__version__",
    "install",
    "layers",
    "new_event_loop",
    "now",
    "object_id",
    "run_transaction",
    "spawn_blocking",
    "token",
    "transaction",
    "uuid7",
]

# Where each public name comes from. They are imported when they are first asked for, so that whoever wants only the event
# loop does not load the validation of models: what is loaded is walked by each full run of the garbage collector. The native half
# waits as well, as an extension module may take its place.
_MODULES = {
    "_ziggurat": ("__version__", "spawn_blocking"),
    "_loop": ("PyLoop", "install", "new_event_loop"),
    "_forms": ("FormLimits",),
    "_pages": ("Page",),
    "app": ("Ziggurat",),
    "background": ("BackgroundTask", "BackgroundTasks"),
    "exceptions": (
        "ConfigError",
        "DuplicateValue",
        "HTTPException",
        "InvalidRow",
        "RequestValidationError",
        "ResponseValidationError",
        "RowChanged",
        "RowNotFound",
        "StoreFailure",
        "StoreTimeout",
        "StoreUnavailable",
        "WebSocketDisconnect",
        "WebSocketException",
    ),
    "expressions": ("Claim", "F"),
    "guards": ("Authenticated", "ClaimIs", "HasRole", "HasScope"),
    "hooks": ("HookContext",),
    "models": (
        "CreatedAt",
        "DeletedAt",
        "Hidden",
        "Immutable",
        "Indexed",
        "Micro",
        "Model",
        "ObjectId",
        "ReadOnly",
        "Ref",
        "Stored",
        "UnsupportedModelError",
        "UpdatedAt",
        "WriteOnly",
        "now",
        "object_id",
        "token",
        "uuid7",
    ),
    "params": ("Body", "Cookie", "Depends", "File", "Form", "Header", "Path", "Query"),
    "policy": ("Policy",),
    "requests": ("Claims", "FormData", "Request", "State", "UploadFile"),
    "responses": (
        "EventSourceResponse",
        "EventStream",
        "FileResponse",
        "HTMLResponse",
        "JSONResponse",
        "PlainTextResponse",
        "RedirectResponse",
        "Response",
        "ServerSentEvent",
        "StreamingResponse",
    ),
    "routers": ("Router",),
    "routing": ("CORE", "PUBLIC"),
    "transactions": ("Transaction", "run_transaction", "transaction"),
    "websockets": ("WebSocket", "WebSocketState"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # which would take every name for one that is there

    def __getattr__(name: str) -> Any:
        if name == "layers":
            return importlib.import_module(".layers", __name__)
        module = _MODULE_OF.get(name)
        if module is None:
            from ._elsewhere import unknown

            raise unknown(__name__, name)
        value = getattr(importlib.import_module(f".{module}", __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
