"""The load: wrk on a core of its own, and the cost to the server while it ran."""

import json
import resource
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from .process import Failed, Process, core_busy
from .workloads import HERE, Seeded, Workload


@dataclass
class Round:
    """One run of wrk against one server."""

    rps: float
    cpu_us: float
    # What of it was spent in the kernel.
    kernel_us: float
    p50_us: float
    p99_us: float
    bytes_per_answer: float
    # Answers outside 2xx and 3xx, and failed or late connections, reads and writes.
    errors: int
    # Shares of the wall time: the server's on its core, wrk's on its own, all others' on the server's core.
    server_busy: float
    client_busy: float
    foreign_busy: float

    def as_dict(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


def arguments(workload: Workload, seeded: Seeded, scratch: Path) -> list[str]:
    paths = "-"
    if workload.by_id:
        file = scratch / "paths.txt"
        file.write_text("".join(f"{workload.path}/{id}\n" for id in seeded.ids))
        paths = str(file)
    headers = [f"{name}={value}" for name, value in workload.headers]
    if workload.body:
        headers.append(f"Content-Type={workload.content_type}")
    return [workload.method, str(workload.body or "-"), paths, *headers]


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def drive(
    process: Process,
    port: int,
    workload: Workload,
    seeded: Seeded,
    *,
    seconds: float,
    connections: int,
    server_core: int,
    client_core: int,
    scratch: Path,
) -> Round:
    path = workload.path if not workload.by_id else "/"
    argv = [
        "taskset",
        "-c",
        str(client_core),
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
    ]
    argv += ["--timeout", "10s", "-s", str(HERE / "wrk.lua"), f"http://127.0.0.1:{port}{path}", "--"]
    argv += arguments(workload, seeded, scratch)
    process.settle()
    cpu, kernel = process.cpu(), process.kernel()
    busy, client, start = core_busy(server_core), _children(), time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True)
    wall = time.monotonic() - start
    cpu, kernel = process.cpu() - cpu, process.kernel() - kernel
    client = _children() - client
    busy = tuple(after - before for after, before in zip(core_busy(server_core), busy, strict=True))
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines or not lines[-1].startswith("{"):
        raise Failed(f"wrk failed on {workload.name}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return answered(lines[-1], process, workload, cpu, kernel, client, busy, wall)


def answered(
    line: str,
    process: Process,
    workload: Workload,
    cpu: float,
    kernel: float,
    client: float,
    busy: tuple[float, ...],
    wall: float | None = None,
) -> Round:
    """A round of what a client said, and of what the server and others spent meanwhile."""
    said = json.loads(line)
    if not said["requests"]:
        raise Failed(f"{process.name} answered nothing on {workload.name}\n{process.tail()}")
    wall = said["micros"] / 1e6 if wall is None else wall
    return Round(
        rps=said["requests"] / (said["micros"] / 1e6),
        cpu_us=cpu * 1e6 / said["requests"],
        kernel_us=kernel * 1e6 / said["requests"],
        p50_us=said["p50"],
        p99_us=said["p99"],
        bytes_per_answer=said["bytes"] / said["requests"],
        errors=said["connect"] + said["read"] + said["write"] + said["status"] + said["timeout"],
        server_busy=cpu / wall,
        client_busy=client / wall,
        foreign_busy=max(0.0, busy[0] - cpu) / wall + busy[1] / wall,
    )
