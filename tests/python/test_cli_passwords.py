"""`ziggurat hash-password`."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from ziggurat import new_event_loop
from ziggurat.security import needs_rehash, verify_password

COMMAND = [sys.executable, "-m", "ziggurat", "hash-password"]


def piped(cwd: Path, text: bytes) -> tuple[int, str, str]:
    done = subprocess.run(COMMAND, cwd=cwd, input=text, capture_output=True, timeout=120, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def fits(password: str, printed: str) -> bool:
    """Whether what was printed is the hash of this password, and nothing else."""
    hashed = printed.removesuffix("\n")
    assert printed == f"{hashed}\n" and hashed.startswith("$argon2id$") and not needs_rehash(hashed)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(verify_password(password, hashed))


def test_standard_input_is_a_password(tmp_path: Path) -> None:
    for text in (b"open s\xc3\xa9same", b"open s\xc3\xa9same\n", b"open s\xc3\xa9same\r\n"):
        code, printed, _ = piped(tmp_path, text)
        assert code == 0 and fits("open sésame", printed)
    code, printed, _ = piped(tmp_path, b" spaces stay \n")
    assert code == 0 and fits(" spaces stay ", printed) and not fits("spaces stay", printed)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "the password is empty"),
        (b"\n", "the password is empty"),
        (b"one\ntwo\n", "standard input has several lines"),
        (b"\xff", "the password is no UTF-8"),
        (b"x" * 1025, "a password has at most 1024 bytes"),
    ],
)
def test_what_is_no_password_is_told(tmp_path: Path, text: bytes, says: str) -> None:
    code, printed, told = piped(tmp_path, text)
    assert (code, printed) == (1, "")
    assert says in told and "Traceback" not in told


def test_who_sits_at_a_terminal_is_asked_twice_and_shown_nothing(tmp_path: Path) -> None:
    for second, code in (("open sesame", 0), ("open sesamy", 1)):
        ours, theirs = pty.openpty()
        # Without a terminal of its own it asks at its standard input.
        asking = subprocess.Popen(
            COMMAND,
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert asking.stderr is not None and asking.stdout is not None
        wait_for(asking.stderr, b"Password: ")
        os.write(ours, b"open sesame\n")
        wait_for(asking.stderr, b"Once more: ")
        os.write(ours, f"{second}\n".encode())
        printed, told = asking.communicate(timeout=60)
        assert asking.returncode == code, told
        if code == 0:
            assert fits("open sesame", printed.decode())
        else:
            assert printed == b"" and b"the two passwords differ" in told
        shown = os.read(ours, 1000) if select.select([ours], [], [], 0)[0] else b""
        assert b"sesam" not in shown
        os.close(ours)
        os.close(theirs)


def wait_for(stream: IO[bytes], text: bytes) -> None:
    read = b""
    while text not in read:
        more = os.read(stream.fileno(), 1000)
        assert more, read
        read += more
