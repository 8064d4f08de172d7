"""What an app raises, and what is raised when an app is put together wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

__all__ = ["ConfigError", "HTTPException"]


class ConfigError(Exception):
    """A mistake in how an app is put together, found before the first request.

    The message names what was wrong, what to write instead, and the file and line of the app's code.
    """

    def __init__(self, what: str, *, cure: str | None = None, location: str | None = None) -> None:
        self.what = what
        self.cure = cure
        self.location = location
        message = what
        if cure:
            message += f"; {cure}"
        if location:
            message += f" (at {location})"
        super().__init__(message)


class HTTPException(Exception):
    """Ends a request with this status; answered as a problem document.

    `detail` is shown to the client. `headers` are added to the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"an HTTPException has a status from 400 to 599, not {status}")
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        super().__init__(status, detail)

    def __str__(self) -> str:
        return f"{self.status}: {self.detail or self.title}"

    @property
    def title(self) -> str:
        """The standing phrase of the status."""
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return "Error"
