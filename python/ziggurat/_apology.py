"""What a browser is shown while an app that is being worked on does not start."""

from __future__ import annotations

import contextlib
import html
import ipaddress
import os
import selectors
import socket
import threading

__all__ = ["Apology"]

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>The app does not start</title><meta http-equiv="refresh" content="1">
<meta name="viewport" content="width=device-width"><style>
:root {{ color-scheme: light dark }} body {{ font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 60rem; padding: 0 1rem }}
pre {{ overflow-x: auto; padding: 1rem; border: 1px solid #8884; border-left: 4px solid #d33; border-radius: 4px }}
</style></head><body><h1>The app does not start</h1><pre>{report}</pre><p>It is started again when a file changes.</p></body></html>
"""
LONGEST_HEAD = 65536
PATIENCE = 1.0


class Apology:
    """Answers every request with 503 and what is wrong, on a thread, until it is stopped."""

    def __init__(self, listener: socket.socket, report: str) -> None:
        self._listener = listener
        self._report = report
        self._stopped, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run, name="ziggurat-apology", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns once the socket is left to others."""
        os.close(self._stop)
        self._thread.join()
        os.close(self._stopped)

    def _run(self) -> None:
        # Those that serve have the same socket, and have it so.
        self._listener.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._stopped, selectors.EVENT_READ)
            while True:
                if any(key.fd == self._stopped for key, _ in selector.select()):
                    return
                with contextlib.suppress(OSError):
                    connection, peer = self._listener.accept()
                    with connection:
                        self._answer(connection, peer[0])

    def _answer(self, connection: socket.socket, peer: str) -> None:
        connection.settimeout(PATIENCE)
        head = b""
        while b"\r\n\r\n" not in head and len(head) < LONGEST_HEAD:
            more = connection.recv(8192)
            if not more:
                return
            head += more
        connection.sendall(answer(head, peer, self._report))
        connection.shutdown(socket.SHUT_WR)
        # Closed with something unread, the connection would be reset, and the answer with it.
        while connection.recv(8192):
            pass


def answer(head: bytes, peer: str, report: str) -> bytes:
    """The whole answer to a request with this head."""
    fields = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    if not (_is_loopback(peer) and _is_local_name(fields.get("host", ""))):
        # Only who works on it is told of the code.
        report = "see the terminal"
    if "text/html" in fields.get("accept", ""):
        kind, body = "text/html; charset=utf-8", PAGE.format(report=html.escape(report))
    else:
        kind, body = "text/plain; charset=utf-8", f"The app does not start.\n\n{report}\n"
    sent = b"" if head.startswith(b"HEAD ") else body.encode()
    lines = [
        "HTTP/1.1 503 Service Unavailable",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body.encode())}",
        "Cache-Control: no-store",
        "Retry-After: 1",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + sent


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def _is_local_name(host: str) -> bool:
    """Not a name that a page of somebody else made point here."""
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    return name in ("", "localhost") or name.endswith(".localhost") or _is_loopback(name)
