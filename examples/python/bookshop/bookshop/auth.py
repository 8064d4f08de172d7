"""Signing in and out. Who a token stands for is read in Rust; only this much is left."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr
from ziggurat import PUBLIC, Claims, F, HTTPException, Response, Router, layers
from ziggurat.security import verify_password

from .models import Customer, Email
from .sessions import ISSUER
from .state import Shop

router = Router(tags=["session"])


class Credentials(BaseModel):
    """What is typed in."""

    email: Email
    password: Annotated[SecretStr, Field(max_length=200)]


class Session(BaseModel):
    """For programs, which send the token as `Authorization: Bearer ...`. A browser has the cookie."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"
    expires_in: int


class Me(BaseModel):
    """Who is signed in."""

    id: UUID
    name: str
    roles: list[str]


@router.post(
    "/login",
    auth=PUBLIC,
    layers=[layers.RateLimit(limit=10, period=60, policy="login")],
)
async def login(given: Credentials, shop: Shop, response: Response) -> Session:
    """Ten times a minute from one address. It takes as long for an address of mail that nobody has."""
    password = given.password.get_secret_value()
    customer = await Customer.find(F.email.iequals(given.email)).first()
    kept = None if customer is None else customer.password
    if not await verify_password(password, kept) or customer is None:
        raise HTTPException(401, "there is no customer with this password", {"www-authenticate": "Bearer"})
    token = shop.sessions.token(customer)
    shop.sessions.begin(response, token, secure=shop.settings.https)
    return Session(access_token=token, expires_in=int(shop.sessions.lifetime.total_seconds()))


@router.post("/logout", auth=PUBLIC, status=204)
async def logout(shop: Shop, response: Response) -> None:
    """The browser forgets its cookie. A token that was copied holds until it expires."""
    shop.sessions.end(response)


@router.get("/me")
async def me(claims: Claims | None) -> Me | None:
    """Who is signed in, if anybody is: what the token says, and nothing is looked up."""
    if claims is None or claims.get("iss") != ISSUER:
        return None
    return Me.model_validate({"id": claims.sub, **claims})
