"""What is sent to a MongoDB server: a proxy that reads along, and loses answers where it is told to."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

MESSAGE = 2013
"""Messages of all commands (`OP_MSG`)."""


class Wire:
    """A proxy before the server that `uri` names."""

    def __init__(self, uri: str) -> None:
        found = re.fullmatch(r"mongodb://(?:[^@/]*@)?([^:/,]+):(\d+)(/.*)", uri)
        assert found, uri
        self._server = (found[1], int(found[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._commands: list[dict[str, Any]] = []
        self._sockets = [self._listener]
        self.lost: Callable[[str], bool] = lambda name: False
        """Whether the answer to a command of this name is lost, and the connection with it."""
        self._unanswered: set[tuple[socket.socket, int]] = set()
        self.uri = f"mongodb://127.0.0.1:{self._listener.getsockname()[1]}{found[3]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def heard(self, collection: str) -> list[tuple[str, dict[str, Any]]]:
        """The commands to a collection since the last call: their names, and the filters of the rows that they are about."""
        commands, self._commands = self._commands, []
        return [(next(iter(each)), _filter(each)) for each in commands if next(iter(each.values())) == collection]

    def close(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._sockets += [client, server]
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        stream = source.makefile("rb")
        with contextlib.suppress(OSError, ValueError):
            while len(head := stream.read(16)) == 16:
                length, number, answered, kind = struct.unpack("<iiii", head)
                body = stream.read(length - 16)
                if asks and kind == MESSAGE:
                    command = _command(body)
                    self._commands.append(command)
                    if self.lost(next(iter(command))):
                        self._unanswered.add((target, number))
                elif (source, answered) in self._unanswered:
                    target.shutdown(socket.SHUT_RDWR)
                    return
                target.sendall(head + body)


def _filter(command: dict[str, Any]) -> dict[str, Any]:
    many = command.get("updates") or command.get("deletes")
    found: dict[str, Any] = command.get("filter") or command.get("query") or (many[0]["q"] if many else {})
    return found


def _command(body: bytes) -> dict[str, Any]:
    command: dict[str, Any] = {}
    more: dict[str, Any] = {}
    at = 4
    while at < len(body):
        kind, (size,) = body[at], struct.unpack_from("<i", body, at + 1)
        part = body[at + 1 : at + 1 + size]
        if kind == 0:
            command = _document(part)
        else:
            name, _, rest = part[4:].partition(b"\0")
            documents = []
            while rest:
                (size_of_one,) = struct.unpack_from("<i", rest)
                documents.append(_document(rest[:size_of_one]))
                rest = rest[size_of_one:]
            more[name.decode()] = documents
        at += 1 + size
    return command | more


_SIZES = {0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8}


def _document(data: bytes) -> dict[str, Any]:
    """BSON, of which texts, numbers and what is nested are read, and the rest is left as bytes."""
    found: dict[str, Any] = {}
    at = 4
    while data[at]:
        kind = data[at]
        end = data.index(0, at + 1)
        name = data[at + 1 : end].decode()
        at = end + 1
        if kind in (0x03, 0x04):
            size = struct.unpack_from("<i", data, at)[0]
            nested = _document(data[at : at + size])
            found[name] = list(nested.values()) if kind == 0x04 else nested
        elif kind in (0x02, 0x05):
            size = 4 + struct.unpack_from("<i", data, at)[0] + (kind == 0x05)
            found[name] = data[at + 4 : at + size - 1].decode() if kind == 0x02 else data[at : at + size]
        else:
            size = _SIZES[kind]
            number = {0x10: "<i", 0x12: "<q"}.get(kind)
            found[name] = struct.unpack_from(number, data, at)[0] if number else data[at : at + size]
        at += size
    return found
