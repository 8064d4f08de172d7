"""Puts the app together: what stands around it, and what it serves."""

from __future__ import annotations

from pathlib import Path

from ziggurat import Ziggurat, layers

from . import auth, books, chat, covers, customers, feed, orders
from .settings import Settings
from .state import Shop

PAGE = Path(__file__).parent / "page"
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def create_app(settings: Settings) -> Ziggurat:
    """An app of its own, as tests want one each."""
    settings.covers.mkdir(parents=True, exist_ok=True)
    shop = Shop.of(settings)
    app = Ziggurat(
        title="Bookshop",
        store=settings.store,
        state=shop,
        # Nothing is written by anybody unless the route says so.
        strict=True,
        # Outermost first; all of them are Rust.
        layers=[
            layers.HealthCheck(),
            layers.ClientIp(),
            layers.Metrics(),
            layers.Trace(),
            layers.SecurityHeaders(content_security_policy=POLICY, hsts_seconds=31_536_000 if settings.https else None),
            # The page has a cookie: no other site's page may send anything with it.
            layers.Csrf(),
            layers.Compression(),
            layers.Etag(),
            layers.Static(directory=settings.covers, path="/covers", index=None, max_age=31_536_000, immutable=True),
            layers.Static(directory=PAGE, path="/"),
            shop.sessions.layer(),
            *feed.keys(settings.partners),
        ],
    )
    # What everybody reads is kept for a moment.
    app.include_router(books.router, layers=[shop.cache])
    for part in (auth, customers, covers, orders, chat, feed):
        app.include_router(part.router)
    return app
