"""Keys and passwords: the settings of `layers.ApiKey` and `layers.Basic`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ._layer import Layer, Settings
from ._layer_jwt import FromCookie, FromHeader

if TYPE_CHECKING:
    from ._ziggurat import LayerHandle

_HASH = re.compile(r"sha256:[0-9A-Fa-f]{64}")
_HASH_CURE = "give sha256: and 64 hexadecimal digits, as `ziggurat api-key` prints them"
_EXAMPLE = "layers.Key(hash=..., subject=...)"
# Every app hears of changes in the order in which they were made.
_CHANGING = Lock()
_RESERVED = ("sub", "scope", "scp", "scopes")


@dataclass(frozen=True)
class FromQuery(Settings):
    """A parameter of the query string has it, which logs and histories show: for clients that cannot send headers."""

    query: str
    """What the parameter is called."""

    def __post_init__(self) -> None:
        self._check_text("query")
        if not self.query:
            raise self._wrong("query is empty", "name it, as api_key")


class _Caller(Settings):
    """Whom a credential stands for."""

    scopes: Sequence[str]
    claims: Mapping[str, Any]

    def _check_caller(self) -> None:
        self._freeze("scopes")
        try:
            claims = json.loads(json.dumps(dict(self.claims), allow_nan=False))
        except (TypeError, ValueError):
            raise self._wrong(
                "claims cannot be told as JSON", "give a dict of texts, numbers, lists and dicts"
            ) from None
        for name in claims:
            if name in _RESERVED:
                raise self._wrong(f"the claim {name} is said otherwise", "give the subject and the scopes as such")
        object.__setattr__(self, "claims", MappingProxyType(claims))


@dataclass(frozen=True, kw_only=True)
class Key(_Caller):
    """A key that `ApiKey` knows by its hash. `ziggurat api-key` makes one and prints both."""

    hash: str = field(repr=False)
    """The SHA-256 of the key: `sha256:` and 64 hexadecimal digits."""
    subject: str
    """Whom it was given to, the `sub` of `request.auth`; where tokens are taken too, one that no token has."""
    scopes: Sequence[str] = ()
    """What it allows."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """What else is known of the subject, as `{"roles": ["editor"]}`."""

    def __post_init__(self) -> None:
        self._check_text("hash", "subject")
        if not self.subject:
            raise self._wrong("subject is empty", "say whom the key stands for")
        if not _HASH.fullmatch(self.hash):
            raise self._wrong(f"the hash of the key of {self.subject!r} is none", _HASH_CURE)
        self._check_caller()


@dataclass(frozen=True, kw_only=True)
class ApiKey(Layer):
    """Asks for a key; handlers find whom it was given to in `request.auth`, as they find the claims of a token.

    A bad key is a 401 on every route. A missing one is a 401 where `required`, unless a layer further out has found out who the
    caller is, and on routes with `auth=`. Where none is needed so, a bad one from a cookie counts as missing.

    `replace`, `add` and `revoke` change the keys while the app serves, from any thread: from the next request on, in all apps of this
    process that are built with this object. Each process, as those of `workers`, has to be told.
    """

    keys: Sequence[Key]
    """The keys that are known; what `replace`, `add` and `revoke` make of them is seen here, and by apps that are built later."""
    sources: Sequence[FromHeader | FromCookie | FromQuery] | None = None
    """Where the key is looked for, the first that is there counts; left out, `FromHeader("x-api-key")`."""
    required: bool = True
    """Whether a request without a key is refused on every route, rather than only on those with `auth=`."""

    def __post_init__(self) -> None:
        self._freeze_of("keys", Key, _EXAMPLE, empty=False)
        self._freeze_of("sources", FromHeader | FromCookie | FromQuery, 'FromHeader("x-api-key")', empty=False)
        self._check_bool("required")
        self._check_once(self.keys)

    def replace(self, keys: Iterable[Key]) -> None:
        """Knows these keys from now on, and no others: what a file or a table has now. With none of them nobody can call.

        Where one is there twice, it is a `ConfigError` and nothing is changed.
        """
        if isinstance(keys, str) or not isinstance(keys, Iterable):
            raise self._wrong(f"keys must be a list, not {type(keys).__name__}", f"write replace([{_EXAMPLE}])")
        given = tuple(keys)
        if given:
            # Checks them.
            ApiKey(keys=given)
        with _CHANGING:
            self._knows(given)
            for handle in self._living():
                handle.replace_keys(_json(given))

    def add(self, key: Key) -> None:
        """Knows this key, too. Where it is known already, it is a `ConfigError`."""
        if not isinstance(key, Key):
            raise self._wrong(f"{key!r} is no key", f"write {_EXAMPLE}")
        with _CHANGING:
            keys = (*self.keys, key)
            self._check_once(keys)
            self._knows(keys)
            for handle in self._living():
                handle.add_key(json.dumps(key.to_spec()))

    def revoke(self, subject: str, *, hash: str | None = None) -> int:
        """Forgets the keys that were given to `subject`, or of these the one with this hash, and tells how many that were. It may be the last
        one: nobody can call then.
        """
        if hash is not None and (not isinstance(hash, str) or not _HASH.fullmatch(hash)):
            raise self._wrong(f"the hash of the key of {subject!r} is none", _HASH_CURE)
        of = None if hash is None else hash.lower()
        with _CHANGING:
            keys = tuple(key for key in self.keys if key.subject != subject or of not in (None, key.hash.lower()))
            revoked = len(self.keys) - len(keys)
            self._knows(keys)
            for handle in self._living():
                handle.revoke_keys(subject, hash)
        return revoked

    def _knows(self, keys: Sequence[Key]) -> None:
        self.__dict__["_changed"] = True
        object.__setattr__(self, "keys", keys)

    def _bind(self, handle: LayerHandle) -> None:
        with _CHANGING:
            super()._bind(handle)
            # Perhaps while the app was built.
            if self.__dict__.get("_changed"):
                handle.replace_keys(_json(self.keys))

    def _check_once(self, keys: Sequence[Key]) -> None:
        known: set[str] = set()
        for key in keys:
            if key.hash.lower() in known:
                raise self._wrong(f"the key of {key.subject!r} is there twice", "give everybody a key of their own")
            known.add(key.hash.lower())


def _json(keys: Sequence[Key]) -> str:
    return json.dumps([key.to_spec() for key in keys])


@dataclass(frozen=True, kw_only=True)
class User(_Caller):
    """A user whose password `Basic` knows by its hash."""

    name: str
    """The name, the `sub` of `request.auth`; where tokens are taken too, one that no token has."""
    hash: str = field(repr=False)
    """The PHC string of the password's argon2id hash, as `ziggurat.security.hash_password` makes it: `$argon2id$v=19$m=19456,t=2,p=1$...`."""
    scopes: Sequence[str] = ()
    """What the user may do."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """What else is known of the user, as `{"roles": ["admin"]}`."""

    def __post_init__(self) -> None:
        self._check_text("hash", "name")
        if not self.name or any(c == ":" or not c.isprintable() for c in self.name):
            raise self._wrong(f"{self.name!r} cannot be the name of a user", "leave out colons and control characters")
        if not self.hash.startswith("$argon2id$"):
            cure = "give the PHC string of an argon2id hash, which begins with $argon2id$"
            raise self._wrong(f"the hash of {self.name!r} is not of argon2id", cure)
        self._check_caller()


@dataclass(frozen=True, kw_only=True)
class Basic(Layer):
    """Asks for name and password; handlers find the user in `request.auth`, as they find the claims of a token.

    A bad password is a 401 on every route. A missing one is a 401 where `required`, unless a layer further out has found out who the
    caller is, and on routes with `auth=`. Nobody is locked out: limit the rate of requests, too.
    """

    users: Sequence[User]
    """The users that are known."""
    realm: str = "restricted"
    """What is protected, as browsers show it."""
    parallel: int = 2
    """How many passwords are checked at the same time; each takes the memory that its hash says. 64 more wait."""
    remember: float = 60.0
    """For how many seconds a good password is not checked again; 0 checks each time."""
    required: bool = True
    """Whether a request without a password is refused on every route, rather than only on those with `auth=`."""

    def __post_init__(self) -> None:
        self._freeze_of("users", User, "layers.User(name=..., hash=...)", empty=False)
        self._check_text("realm")
        if not self.realm.isascii() or any(c in '"\\' or not c.isprintable() for c in self.realm):
            raise self._wrong(f"{self.realm!r} cannot be a realm", "use plain ASCII without quotes and backslashes")
        self._check_int("parallel", 1, 1024)
        self._check_number("remember", 0, 86_400)
        self._check_bool("required")
        names = [user.name for user in self.users]
        for name in names:
            if names.count(name) > 1:
                raise self._wrong(f"the user {name!r} is there twice", "give everybody a name of their own")
