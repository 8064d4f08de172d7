"""Books, those who wrote them, and what readers think: native CRUD, with two rules in Python."""

from __future__ import annotations

from ziggurat import CORE, Claim, F, HookContext, HTTPException, Policy, Router

from .models import Author, Book, Review
from .sessions import CUSTOMER, STAFF
from .state import Shop

router = Router()
OWN = F.customer == Claim("sub")


@router.crud(
    Author,
    "/authors",
    guards={"create": [STAFF], "replace": [STAFF], "patch": [STAFF], "delete": [STAFF]},
    tags=["books"],
    cache="public, max-age=60",
)
class Authors:
    """Anybody reads, the staff writes; none of it enters Python."""


@router.crud(
    Book,
    "/books",
    ops=CORE | {"count", "changes", "import"},
    guards={"create": [STAFF], "replace": [STAFF], "patch": [STAFF], "delete": [STAFF], "import": [STAFF]},
    tags=["books"],
    # `?q=`, and only what an index finds.
    search=("title", "text"),
    filterable=("id", "isbn", "title", "author", "price", "stock", "published"),
    sortable=("title", "price", "created_at"),
    default_limit=20,
    max_limit=100,
    # The same for everybody, so that `layers.Cache` answers it.
    cache="public, max-age=5",
)
class Books:
    """Prices and stock are written by the staff; stock is taken by orders, too (orders.py)."""

    async def before_create(self, ctx: HookContext[Book], doc: Book) -> None:
        """A new book."""
        _is_no_loss(doc)

    async def before_replace(self, ctx: HookContext[Book], doc: Book) -> None:
        """A book that is written anew."""
        _is_no_loss(doc)

    async def before_patch(self, ctx: HookContext[Book], doc: Book) -> None:
        """A price that changes."""
        _is_no_loss(doc)

    async def after_create(self, ctx: HookContext[Book], doc: Book) -> None:
        """Lists that were kept do not have it."""
        Shop.at(ctx.request).books_changed(doc.id)

    async def after_replace(self, ctx: HookContext[Book], doc: Book) -> None:
        """Lists that were kept have it as it was."""
        Shop.at(ctx.request).books_changed(doc.id)

    async def after_patch(self, ctx: HookContext[Book], doc: Book) -> None:
        """Lists that were kept have it as it was."""
        Shop.at(ctx.request).books_changed(doc.id)

    async def after_delete(self, ctx: HookContext[Book], doc: Book) -> None:
        """Lists that were kept still have it."""
        Shop.at(ctx.request).books_changed(doc.id)


def _is_no_loss(book: Book) -> None:
    """A rule over two fields, which no constraint of one could say."""
    if book.price < book.cost:
        raise HTTPException(422, f"{book.price} is less than what was paid for it")


@router.crud(
    Review,
    "/reviews",
    ops=CORE | {"group"},
    guards={"create": [CUSTOMER], "replace": [CUSTOMER], "patch": [CUSTOMER], "delete": [CUSTOMER]},
    tags=["reviews"],
    # Anybody reads; who wrote one changes it, and the staff takes away what breaks the rules of the house. `customer` is set from
    # the token.
    policy=Policy(write=OWN | STAFF, create=OWN),
    dimensions=("book",),
    measures=("rating",),
)
class Reviews:
    """`GET /reviews/_group?by=book&agg=count,avg(rating)` has the stars of all books."""

    async def before_create(self, ctx: HookContext[Review], doc: Review) -> None:
        """Of a book that there is, and once: another one breaks the rule that `once` is unique (409)."""
        if await Book.get(doc.book) is None:
            raise HTTPException(422, "there is no such book")
        doc.once = f"{doc.book} {doc.customer}"
