"""Starlette without FastAPI around it, and a pure ASGI middleware around one of its routes; run by uvicorn."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route


class Marks:
    """A pure ASGI middleware, as Starlette's documentation writes it where speed counts: it adds a header to the answer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def marking(message):
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-seen", b"yes"))
            await send(message)

        await self.app(scope, receive, marking)


async def plaintext(request):
    return PlainTextResponse("Hello, World!")


app = Starlette(
    routes=[
        Route("/plaintext", plaintext),
        Route("/wrapped", plaintext, middleware=[Middleware(Marks)]),
    ]
)
