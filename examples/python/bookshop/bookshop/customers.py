"""Who buys: signing up and changing what is one's own are native, but for the hash of the password."""

from __future__ import annotations

from ziggurat import PUBLIC, Claim, F, HookContext, Policy, Router, layers
from ziggurat.security import hash_password

from .models import Customer
from .sessions import STAFF

router = Router(tags=["customers"])


@router.crud(
    Customer,
    "/customers",
    ops={"create", "list", "get", "patch"},
    auth={"create": PUBLIC, "list": True, "get": True, "patch": True},
    # Everybody sees themselves, the staff all; who signs up is nobody yet.
    policy=Policy(read=(F.id == Claim("sub")) | STAFF, write=F.id == Claim("sub"), create=True),
    layers=[layers.RateLimit(limit=60, policy="customers")],
)
class Customers:
    """A password is kept as its hash."""

    async def before_create(self, ctx: HookContext[Customer], doc: Customer) -> None:
        """Somebody signs up."""
        doc.password = await hash_password(doc.password)

    async def before_patch(self, ctx: HookContext[Customer], doc: Customer) -> None:
        """Somebody changes their name, or their password."""
        if ctx.stored is None or doc.password != ctx.stored.password:
            doc.password = await hash_password(doc.password)
