"""An echo server on the loop under test: `python benches/loop/echo.py LOOP HOW`.

It prints its address, and the CPU seconds that it has used for each line on standard input.
"""

from __future__ import annotations

import asyncio
import sys

from workloads import cpu, make


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]


async def streams(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The same by streams."""
    while data := await reader.read(1 << 17):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main(how: str) -> None:
    """Serves until standard input ends."""
    loop = asyncio.get_running_loop()
    if how == "streams":
        server = await asyncio.start_server(streams, "127.0.0.1", 0)
    else:
        server = await loop.create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        print(cpu(), flush=True)


if __name__ == "__main__":
    make(sys.argv[1]).run_until_complete(main(sys.argv[2]))
