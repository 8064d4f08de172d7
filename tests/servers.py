"""Servers that tests talk to, each a process of its own on a free port with its data in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def identity(user: str | None) -> dict[str, Any]:
    """What makes `subprocess` run a program as this user."""
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


class Process:
    """A server process, which answers on `port` once `start` has returned."""

    # What asks it to end without delay.
    stop_signal = signal.SIGKILL

    def __init__(self, prefix: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-"))
        self.log = self.folder / "log"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def user(self) -> str | None:
        """Who runs it, where that is not who runs the tests."""
        return None

    def start(self) -> None:
        user = self.user()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **identity(user)
            )
        deadline = time.monotonic() + 60
        while True:
            if self.answers():
                return
            text = self.log.read_text(errors="replace")
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{text}"
            assert time.monotonic() < deadline, f"it does not answer:\n{text}"
            time.sleep(0.02)

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Mongo(Process):
    """A MongoDB-compatible server."""

    def __init__(self, program: str, sync: bool = False) -> None:
        """With `sync` every commit waits for the disk, which on a busy one takes tens of seconds in a test."""
        super().__init__("mongo")
        self.program = program
        self.sync = sync

    def command(self) -> list[str]:
        command = [self.program, "--port", str(self.port), "--storage-path", str(self.folder / "data")]
        command += ["--cache-size", "256M", "--log-level", "WARNING"]
        return command + ["--sync-on-commit"] * self.sync

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"


class Redis(Process):
    """Debian's redis-server."""

    def __init__(self, program: str) -> None:
        super().__init__("redis")
        self.program = program

    def command(self) -> list[str]:
        return [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]


class Postgres(Process):
    """Debian's PostgreSQL, which refuses to run as root."""

    # A fast shutdown: sessions are ended, memory segments are given back.
    stop_signal = signal.SIGINT
    password = "a password for tests"

    def __init__(self, programs: Path, certificate: bytes, key: bytes) -> None:
        super().__init__("postgres")
        self.programs = programs
        self.data = self.folder / "data"
        self.data.mkdir(mode=0o700)
        secret = self.folder / "password"
        secret.write_text(self.password)
        for name, text in (("server.crt", certificate), ("server.key", key)):
            (self.folder / name).write_bytes(text)
            (self.folder / name).chmod(0o600)
        user = self.user()
        if user:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, user, pwd.getpwnam(user).pw_gid)
        command = [str(programs / "initdb"), "-D", str(self.data), "-U", "tester", "-E", "UTF8", "--locale=C", "-N"]
        command += ["--auth-host=scram-sha-256", "--auth-local=trust", f"--pwfile={secret}"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, timeout=120, **identity(user))
        assert done.returncode == 0, done.stderr

    def answers(self) -> bool:
        # It listens before it lets anyone in.
        command = [str(self.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command).returncode == 0

    def user(self) -> str | None:
        return "postgres" if os.geteuid() == 0 else None

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "ssl": "on",
            "ssl_cert_file": str(self.folder / "server.crt"),
            "ssl_key_file": str(self.folder / "server.key"),
            "fsync": "off",
            "max_connections": "40",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]
