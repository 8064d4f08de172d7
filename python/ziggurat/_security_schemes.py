"""Credentials that an app checks itself, as FastAPI has them: read here, and shown in the document."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple

from ._location import user_location
from ._param_markers import Form
from ._security_scheme import SecurityScheme
from ._ziggurat import Request
from .exceptions import ConfigError, HTTPException

__all__ = [
    "APIKeyCookie",
    "APIKeyHeader",
    "APIKeyQuery",
    "HTTPAuthorizationCredentials",
    "HTTPBasic",
    "HTTPBasicCredentials",
    "HTTPBearer",
    "OAuth2PasswordBearer",
    "OAuth2PasswordRequestForm",
]


class HTTPAuthorizationCredentials(NamedTuple):
    """What the header `Authorization` says."""

    scheme: str
    """As it was sent, `Bearer`."""
    credentials: str
    """What follows it."""


class HTTPBasicCredentials(NamedTuple):
    """Name and password of a person."""

    username: str
    password: str


def _authorization(request: Request, scheme: str) -> HTTPAuthorizationCredentials | None:
    """The credentials of this scheme (RFC 9110, 11.4); a request that has several has none."""
    given = request.headers.getlist("authorization")
    if len(given) != 1:
        return None
    kind, _, rest = given[0].strip().partition(" ")
    credentials = rest.strip()
    if kind.lower() != scheme or not credentials:
        return None
    return HTTPAuthorizationCredentials(kind, credentials)


class _Scheme(SecurityScheme):
    _kind: ClassVar[str]
    """Of the challenge."""

    def _absent(self, detail: str) -> None:
        """What is given where there is no credential."""
        if self.auto_error:
            raise HTTPException(401, detail, {"www-authenticate": self._challenge()})

    def _challenge(self) -> str:
        return self._kind


class HTTPBearer(_Scheme):
    """Gives the bearer token of a request (RFC 6750) as `HTTPAuthorizationCredentials`: `Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]`.

    A token that is a JSON Web Token is better checked by `layers.Jwt`, in Rust. Without one, or with several, the answer is 401, or the value is None with
    `auto_error=False`. `scheme_name`, `description` and `bearerFormat` are for the document.
    """

    _kind = "Bearer"

    def __init__(
        self,
        *,
        bearerFormat: str | None = None,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        scheme = {"type": "http", "scheme": "bearer"}
        if bearerFormat is not None:
            scheme["bearerFormat"] = bearerFormat
        super().__init__(scheme, scheme_name, description, auto_error=auto_error)

    async def __call__(self, request: Request) -> HTTPAuthorizationCredentials | None:
        found = _authorization(request, "bearer")
        if found is None:
            self._absent("the request has no bearer token")
        return found


class OAuth2PasswordBearer(_Scheme):
    """Gives the bearer token of a request as a text, and has `/docs` sign in by name and password for it: `Annotated[str, Depends(OAuth2PasswordBearer("token"))]`.

    `tokenUrl` is the route that takes an `OAuth2PasswordRequestForm`, as the document would link to it, and `scopes` are those that there are, with what each is
    for. The rest is as of `HTTPBearer`.
    """

    _kind = "Bearer"

    def __init__(
        self,
        tokenUrl: str,
        scheme_name: str | None = None,
        scopes: Mapping[str, str] | None = None,
        description: str | None = None,
        auto_error: bool = True,
        refreshUrl: str | None = None,
    ) -> None:
        flow: dict[str, Any] = {"tokenUrl": tokenUrl, "scopes": dict(scopes or {})}
        if refreshUrl is not None:
            flow["refreshUrl"] = refreshUrl
        scheme = {"type": "oauth2", "flows": {"password": flow}}
        super().__init__(scheme, scheme_name, description, auto_error=auto_error)

    async def __call__(self, request: Request) -> str | None:
        found = _authorization(request, "bearer")
        if found is None:
            self._absent("the request has no bearer token")
            return None
        return found.credentials


class HTTPBasic(_Scheme):
    """Gives name and password of a request (RFC 7617) as `HTTPBasicCredentials`. `layers.Basic` checks those that are known beforehand, in Rust."""

    def __init__(
        self,
        *,
        scheme_name: str | None = None,
        realm: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        if realm is not None and (not realm.isascii() or not realm.isprintable() or '"' in realm or "\\" in realm):
            raise ConfigError(
                f"HTTPBasic: the realm {realm!r} cannot stand in a header",
                cure="use ASCII without quotes and backslashes",
                location=user_location(),
            )
        self.realm = realm
        super().__init__({"type": "http", "scheme": "basic"}, scheme_name, description, auto_error=auto_error)

    def _challenge(self) -> str:
        return f'Basic realm="{self.realm or "restricted"}", charset="UTF-8"'

    async def __call__(self, request: Request) -> HTTPBasicCredentials | None:
        found = _authorization(request, "basic")
        try:
            told = "" if found is None else base64.b64decode(found.credentials, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            told = ""
        name, colon, password = told.partition(":")
        if not colon:
            self._absent("the request has no name and password")
            return None
        return HTTPBasicCredentials(name, password)


_KEYS: dict[str, Callable[[Request, str], Sequence[str]]] = {
    "header": lambda request, name: request.headers.getlist(name),
    "query": lambda request, name: request.query.getlist(name),
    "cookie": lambda request, name: [value for key, value in request.cookies.items() if key == name],
}
"""All keys of a name, by where they stand."""


class _ApiKey(_Scheme):
    _kind = "ApiKey"
    _place: ClassVar[str]

    def __init__(
        self, *, name: str, scheme_name: str | None = None, description: str | None = None, auto_error: bool = True
    ) -> None:
        self.name = name
        """Of the header, the parameter or the cookie."""
        scheme = {"type": "apiKey", "in": self._place, "name": name}
        super().__init__(scheme, scheme_name, description, auto_error=auto_error)

    async def __call__(self, request: Request) -> str | None:
        found = _KEYS[self._place](request, self.name)
        if len(found) != 1 or not found[0]:
            self._absent(f"the request has no key in the {self._place} {self.name!r}")
            return None
        return found[0]


class APIKeyHeader(_ApiKey):
    """Gives the key that stands in a header, as a text: `Annotated[str, Depends(APIKeyHeader(name="x-api-key"))]`. `layers.ApiKey` checks those that are known
    beforehand, in Rust.

    Without one, or with several, the answer is 401, or the value is None with `auto_error=False`. `scheme_name` and `description` are for the document.
    """

    _place = "header"


class APIKeyQuery(_ApiKey):
    """Gives the key that stands in the query; as `APIKeyHeader`. Addresses stand in logs and histories, so a header is the better place."""

    _place = "query"


class APIKeyCookie(_ApiKey):
    """Gives the key that stands in a cookie; as `APIKeyHeader`. Browsers send it along for pages of others, see `layers.Csrf`."""

    _place = "cookie"


class OAuth2PasswordRequestForm:
    """The form by which a user signs in (RFC 6749, 4.3.2): `form: Annotated[OAuth2PasswordRequestForm, Depends()]`."""

    def __init__(
        self,
        *,
        grant_type: Annotated[str | None, Form(pattern="^password$")] = None,
        username: Annotated[str, Form()],
        password: Annotated[str, Form()],
        scope: Annotated[str, Form()] = "",
        client_id: Annotated[str | None, Form()] = None,
        client_secret: Annotated[str | None, Form()] = None,
    ) -> None:
        self.grant_type = grant_type
        """`password`, where it was sent."""
        self.username = username
        self.password = password
        self.scopes = scope.split()
        """What is asked for; `scope` in the form, with spaces between."""
        self.client_id = client_id
        self.client_secret = client_secret
