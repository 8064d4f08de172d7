"""A stand-in for a MongoDB server: each search is asked of the real one once, and answered from memory from then on.

`python -m harness.remember PORT REAL_PORT`, by an interpreter that has PyMongo and uvloop. What is measured is the server in front, which
would wait for seconds while the real one walks through 100,000 documents. Writes make it forget; what is no search passes through.
"""

import asyncio
import struct
import sys
from collections.abc import Coroutine
from typing import Any

import bson
import uvloop

HEADER = struct.Struct("<iiii")
OP_MSG = 2013
WRITES = (b"insert\0", b"update\0", b"delete\0", b"findAndModify\0")
# These differ from one request to the next, or would have the real server give up.
PASSING = ("lsid", "$clusterTime", "maxTimeMS")


class Frames(asyncio.Protocol):
    """Cuts what comes into messages."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        while len(data) >= 4 and len(data) >= (length := HEADER.unpack_from(data.ljust(16))[0]):
            self.message(data[:length])
            data = data[length:]
        self._rest = data

    def message(self, frame: bytes) -> None:
        raise NotImplementedError


class Memory:
    def __init__(self, real_port: int) -> None:
        self.real_port = real_port
        # By the whole message, and by what it asks for.
        self.known: dict[bytes, bytes] = {}
        self.asked: dict[bytes, asyncio.Future[bytes]] = {}

    def forget(self) -> None:
        self.known.clear()
        self.asked.clear()

    async def answer(self, body: bytes, command: dict[str, object]) -> bytes:
        for name in PASSING:
            command.pop(name, None)
        key = bson.encode(command)
        if key not in self.asked or (self.asked[key].done() and self.asked[key].exception()):
            self.asked[key] = asyncio.ensure_future(self._ask(key))
        # Who asked may give up; who asks again gets it.
        answer = await asyncio.shield(self.asked[key])
        self.known[body] = answer
        return answer

    async def _ask(self, command: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.real_port)
        message = bytes(4) + b"\0" + command
        writer.write(HEADER.pack(16 + len(message), 1, 0, OP_MSG) + message)
        length, *_ = HEADER.unpack(await reader.readexactly(16))
        answer = await reader.readexactly(length - 16)
        writer.close()
        said = bson.decode(answer[5:])
        if said.get("ok") != 1 or said["cursor"]["id"] != 0:
            raise ValueError(f"not an answer to remember: {said}")
        return answer


class Real(Frames):
    """The connection to the real server for all else."""

    def __init__(self, client: "Client") -> None:
        super().__init__()
        self.client = client

    def message(self, frame: bytes) -> None:
        self.client.transport.write(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self.client.transport.close()


class Client(Frames):
    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.memory = memory
        self.tasks: set[asyncio.Task[None]] = set()
        self.real: asyncio.Task[tuple[asyncio.Transport, Real]] | None = None

    def message(self, frame: bytes) -> None:
        body = frame[16:]
        known = self.memory.known.get(body)
        if known is not None:
            self.reply(frame, known)
            return
        # Flags, the kind of the section, and the length and the type of the first element stand before its name.
        name = body[10:30]
        if name.startswith(WRITES):
            self.memory.forget()
        if name.startswith(b"find\0") and (command := bson.decode(body[5:])).get("limit", 0) > 1:
            self.later(self.find(frame, command))
        else:
            self.later(self.forward(frame))

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.done)

    def done(self, task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        if error := task.exception():
            print(f"{error!r}", file=sys.stderr, flush=True)
            self.transport.close()

    def reply(self, frame: bytes, body: bytes) -> None:
        self.transport.write(HEADER.pack(16 + len(body), 1, HEADER.unpack_from(frame)[1], OP_MSG) + body)

    async def find(self, frame: bytes, command: dict[str, object]) -> None:
        self.reply(frame, await self.memory.answer(frame[16:], command))

    async def forward(self, frame: bytes) -> None:
        if self.real is None:
            connect = asyncio.get_running_loop().create_connection(
                lambda: Real(self), "127.0.0.1", self.memory.real_port
            )
            self.real = asyncio.ensure_future(connect)
        transport, _ = await self.real
        transport.write(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.real is not None and self.real.done() and not self.real.exception():
            self.real.result()[0].close()


async def main(port: int, real_port: int) -> None:
    memory = Memory(real_port)
    server = await asyncio.get_running_loop().create_server(lambda: Client(memory), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
