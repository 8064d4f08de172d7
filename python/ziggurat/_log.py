"""The log as lines of JSON, as the native half writes it for `layers.Trace(format="json")`."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import Ziggurat


def logs_json(app: Ziggurat) -> bool:
    """Whether a layer of the app asks for it."""
    if not app.layers:
        return False
    # An app that has no layers of its own loads none.
    from .layers import Trace

    return any(isinstance(layer, Trace) and layer.format == "json" for layer in app.layers)


class JsonFormatter(logging.Formatter):
    """One object a line, with the members that the native half gives its events; a traceback is `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told = {
            "timestamp": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="microseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname,
            "message": record.getMessage(),
            "target": record.name,
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)
