"""The server that is measured: an echo."""

from __future__ import annotations

from ziggurat import WebSocket, Ziggurat

app = Ziggurat(openapi_path=None)


@app.websocket("/")
async def echo(ws: WebSocket) -> None:
    """Sends back what comes."""
    await ws.accept()
    async for message in ws:
        await ws.send(message)


if __name__ == "__main__":
    app.run(port=0, on_started=lambda started: print(started.port, flush=True), max_connections=100_000)
