"""Processes: started on one core, watched through /proc, stopped by the group they were given."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Failed(Exception):
    """A server could not be built, started or checked; the message says why."""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _fields(pid: int) -> list[str] | None:
    """The fields of /proc/pid/stat after the command's name, or None when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


class Process:
    """A process and its descendants, pinned to one core and in a session of their own."""

    def __init__(self, name: str, argv: list[str], core: int, log: Path, env: dict[str, str], cwd: Path) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as out:
            self.popen = subprocess.Popen(
                ["taskset", "-c", str(core), *argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                cwd=cwd,
                start_new_session=True,
            )

    def wait_for_port(self, port: int, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.popen.poll() is not None:
                raise Failed(f"{self.name} stopped with status {self.popen.returncode}\n{self.tail()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        raise Failed(f"{self.name} did not listen on port {port} within {seconds:.0f} s\n{self.tail()}")

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def pids(self) -> list[int]:
        """The process and all its living descendants."""
        found, queue = [], [self.popen.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            with contextlib.suppress(OSError):
                for task in os.listdir(f"/proc/{pid}/task"):
                    with contextlib.suppress(OSError):
                        queue += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        return found

    def cpu(self) -> float:
        """Seconds of processor time, user and system, of the tree; children that ended count too."""
        return self._ticks(slice(11, 15)) / TICK

    def kernel(self) -> float:
        """Those of them that were the system's."""
        return self._ticks(slice(12, 15, 2)) / TICK

    def _ticks(self, which: slice) -> int:
        return sum(sum(map(int, fields[which])) for pid in self.pids() if (fields := _fields(pid)))

    def rss(self) -> float:
        """Resident MB (10^6 bytes) of the tree now. Shared pages count in each process that maps them."""
        pages = 0
        for pid in self.pids():
            if fields := _fields(pid):
                pages += int(fields[21])
        return pages * PAGE / 1e6

    def peak_rss(self) -> float:
        """The sum of the most that each living process of the tree ever had resident, in MB."""
        kib = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        kib += int(line.split()[1])
        return kib * 1024 / 1e6

    def settle(self, seconds: float = 2) -> None:
        """Waits until the tree has done nothing for a tenth of a second."""
        deadline = time.monotonic() + seconds
        before = self.cpu()
        while time.monotonic() < deadline:
            time.sleep(0.1)
            now = self.cpu()
            if now == before:
                return
            before = now

    def stop(self) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(5)
        # What a parent left behind is still in the session that this object made.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


def core_busy(core: int) -> tuple[float, float]:
    """Seconds that `core` has been busy with anything at all, and those the hypervisor kept from it."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *numbers = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(int, numbers)
            return (user + nice + system + irq + softirq) / TICK, steal / TICK
    raise Failed(f"/proc/stat knows no core {core}")
