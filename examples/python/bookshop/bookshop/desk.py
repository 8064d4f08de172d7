"""Behind the counter: the same rows, under rules for those who work here."""

from __future__ import annotations

from ziggurat import Router

from .books import STAFF
from .models import Customer, Order, Review

router = Router("/desk", guards=STAFF, tags=["desk"])


@router.crud(
    Order,
    "/orders",
    ops={"list", "get", "patch", "group", "changes"},
    auth=True,
    dimensions=("status", "day(created_at)", "month(created_at)"),
    measures=("total",),
    concurrency="required",
)
class Orders:
    """Sends orders off: `PATCH {"status": "shipped"}`; and `GET /desk/orders/_group?by=month(created_at)&agg=sum(total)`."""


@router.crud(Customer, "/customers", ops={"list", "get"}, auth=True)
class Customers:
    """Whose orders they are, as with `/desk/orders?expand=customer`."""


@router.crud(Review, "/reviews", ops={"list", "delete"}, auth=True)
class Reviews:
    """Takes away what breaks the house rules."""
