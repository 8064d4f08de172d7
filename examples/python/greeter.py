"""A small app that `examples/embed_python_app.rs` mounts; it also runs alone: `python -m ziggurat run greeter:app`."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from ziggurat import Ziggurat

app = Ziggurat(title="Greeter")


class Greeting(BaseModel):
    text: str
    times: int = 1


@app.get("/hello/{name}")
async def hello(name: str, excited: bool = False) -> Greeting:
    """Greets somebody."""
    await asyncio.sleep(0)
    return Greeting(text=f"Hello, {name}{'!' * excited}")


@app.post("/shout")
def shout(greeting: Greeting) -> list[str]:
    """Says it as often as it is asked to."""
    return [greeting.text.upper()] * greeting.times
