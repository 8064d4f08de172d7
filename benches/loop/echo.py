"""An echo server on the loop under test: `python benches/loop/echo.py LOOP OVER HOW FOLDER`.

OVER is tcp, unix, tls, udp, HOW is protocol, streams or sock (tcp and udp alone). FOLDER is one of its own: the Unix socket and the certificate go there.
It prints its address, and the CPU seconds that it has used for each line on standard input.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
from pathlib import Path

from workloads import cpu, make


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]


class Datagrams(asyncio.DatagramProtocol):
    """The same by datagrams."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.transport.sendto(data, addr)  # type: ignore[attr-defined]


async def streams(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The same by streams."""
    while data := await reader.read(1 << 17):
        writer.write(data)
        await writer.drain()
    writer.close()


async def accept(listener: socket.socket) -> None:
    """The same by the coroutines for sockets."""
    loop = asyncio.get_running_loop()
    tasks = set()
    while True:
        peer, _ = await loop.sock_accept(listener)
        tasks.add(loop.create_task(talk(peer)))


async def talk(peer: socket.socket) -> None:
    """Sends back what one peer sends."""
    loop = asyncio.get_running_loop()
    with peer:
        while data := await loop.sock_recv(peer, 1 << 17):
            await loop.sock_sendall(peer, data)


async def datagrams(sock: socket.socket) -> None:
    """Sends back datagrams, by the coroutines for sockets."""
    loop = asyncio.get_running_loop()
    while True:
        data, address = await loop.sock_recvfrom(sock, 1 << 17)
        await loop.sock_sendto(sock, data, address)


def certificate(folder: Path) -> ssl.SSLContext:
    """A server's context, with a certificate that was made just now."""
    key, chain = str(folder / "key.pem"), str(folder / "chain.pem")
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(["openssl", *made.split(), "-keyout", key, "-out", chain], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


def connect(over: str, address: str) -> socket.socket:
    """A blocking client of such a server."""
    if over == "unix":
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(address)
        return peer
    if over == "udp":
        peer = socket.socket(type=socket.SOCK_DGRAM)
        peer.settimeout(10)
        peer.connect(("127.0.0.1", int(address)))
        return peer
    peer = socket.create_connection(("127.0.0.1", int(address)))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if over == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(peer)
    return peer


async def main(over: str, how: str, folder: Path) -> None:
    """Serves until standard input ends."""
    loop = asyncio.get_running_loop()
    path = str(folder / "socket")
    serving = None
    tls = certificate(folder) if over == "tls" else None
    if how == "sock":
        sock = socket.socket(type=socket.SOCK_DGRAM if over == "udp" else socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        if over == "tcp":
            sock.listen()
        serving = loop.create_task(datagrams(sock) if over == "udp" else accept(sock))
        address = sock.getsockname()[1]
    elif over == "udp":
        transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
        address = transport.get_extra_info("sockname")[1]
    elif over == "unix" and how == "streams":
        await asyncio.start_unix_server(streams, path)
        address = path
    elif over == "unix":
        await loop.create_unix_server(Echo, path)
        address = path
    elif how == "streams":
        server = await asyncio.start_server(streams, "127.0.0.1", 0, ssl=tls)
        address = server.sockets[0].getsockname()[1]
    else:
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=tls)
        address = server.sockets[0].getsockname()[1]
    print(address, flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        print(cpu(), flush=True)
    if serving is not None:
        serving.cancel()


if __name__ == "__main__":
    make(sys.argv[1]).run_until_complete(main(sys.argv[2], sys.argv[3], Path(sys.argv[4])))
