"""What the document is told of a dependency that reads a credential."""

from __future__ import annotations

from typing import Any

__all__ = ["SecurityScheme"]


class SecurityScheme:
    """A dependency that gives the credential of a request, for a dependency of the app to check: `Depends(scheme)`.

    The document shows it at each route that depends on it, so that `/docs` asks for it. Those that there are stand in `ziggurat.security`.
    """

    def __init__(
        self, scheme: dict[str, Any], scheme_name: str | None, description: str | None, *, auto_error: bool
    ) -> None:
        self.scheme = scheme if description is None else {**scheme, "description": description}
        """The Security Scheme Object of OpenAPI 3.1."""
        self.scheme_name = scheme_name or type(self).__name__
        """What the document calls it."""
        self.auto_error = auto_error
        """Whether a request without the credential is answered 401; else the dependency gives None."""
