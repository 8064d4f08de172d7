"""What a type checker tells of: each line is an error, or the comment on it is one."""

from __future__ import annotations

import ziggurat
import ziggurat.security
from ziggurat import CreatedAt, HookContext, Model, Request, Response, Ziggurat, layers, now
from ziggurat.testing import TestClient

app = Ziggurat()

ziggurat.Rooter  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] # noqa: B018
ziggurat.security.sign_tokens  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] # noqa: B018


@app.get("/", stauts=201)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue, reportUntypedFunctionDecorator]
async def misspelt() -> str:
    return "hello"


@app.get("/", status_code="201")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
async def of_text() -> str:
    return "hello"


@app.get("/", errors="xml")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
async def unknown() -> str:
    return "hello"


class Row(Model):
    id: int
    made: CreatedAt


Row(id=1, made=now(), nmae="x")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
Row(id="1", made=now())  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
# A default that stands in the annotation is none to a type checker.
Row(id=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


@app.crud(Row, ops={"lists"})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
class Rows:
    async def before_create(self, ctx: HookContext[Row], doc: Row) -> None:
        ctx.stored.id  # type: ignore[union-attr] # pyright: ignore[reportOptionalMemberAccess] # noqa: B018


layers.Timeout(secs=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
Response(200, headers=[1])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]
TestClient("app")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def changes(request: Request) -> None:
    request.method = "GET"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
