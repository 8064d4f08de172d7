"""Tokens: signed here, and checked by `layers.Jwt` in Rust before a request comes any further."""

from __future__ import annotations

from datetime import timedelta

from ziggurat import ClaimIs, HasRole, Response, layers
from ziggurat.security import sign_token

from .models import Customer

COOKIE = "bookshop"
ISSUER = "bookshop"
CUSTOMER = ClaimIs("iss", ISSUER)
"""Somebody who has signed in, and not a partner with a key."""
STAFF = HasRole("staff")


class Sessions:
    """Says who somebody is, and for how long."""

    def __init__(self, secret: str, lifetime: timedelta) -> None:
        self._secret = secret
        self.lifetime = lifetime

    def token(self, customer: Customer) -> str:
        """A token for a customer."""
        claims = {"iss": ISSUER, "sub": customer.id, "name": customer.name, "roles": customer.roles}
        return sign_token(claims, self._secret, expires_in=self.lifetime)

    def layer(self) -> layers.Jwt:
        """Who checks them. Programs send a header; a page has a cookie, which its scripts cannot read."""
        return layers.Jwt(
            secret=self._secret,
            issuer=ISSUER,
            sources=[layers.FromHeader("authorization"), layers.FromCookie(COOKIE)],
            required=False,
        )

    def begin(self, response: Response, token: str, *, secure: bool) -> None:
        """Gives a browser the cookie."""
        seconds = int(self.lifetime.total_seconds())
        response.set_cookie(COOKIE, token, max_age=seconds, secure=secure, httponly=True, samesite="strict")

    def end(self, response: Response) -> None:
        """Has a browser forget it."""
        response.delete_cookie(COOKIE)
