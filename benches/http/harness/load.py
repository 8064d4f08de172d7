"""The load that wrk has no word for: clients of events and of WebSockets, which `load/` is."""

import contextlib
import subprocess

from .process import Failed, Process, core_busy
from .servers import target_dir
from .workloads import Workload
from .wrk import Round, _children, answered


def drive(
    process: Process,
    port: int,
    workload: Workload,
    *,
    seconds: float,
    connections: int,
    server_core: int,
    client_core: int,
) -> Round:
    """What is measured begins when all clients are connected and have had an answer, and ends before they go."""
    argv = ["taskset", "-c", str(client_core), str(target_dir() / "release" / "bench-load")]
    argv += [str(workload.load), str(port), workload.path, str(connections), str(seconds)]
    process.settle()
    spent = _children()
    pipe = subprocess.PIPE
    client = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1)
    assert client.stdin is not None and client.stdout is not None and client.stderr is not None
    said, cpu, kernel, busy = "", 0.0, 0.0, (0.0, 0.0)
    try:
        if client.stdout.readline().strip() == "ready":
            cpu, kernel, before = process.cpu(), process.kernel(), core_busy(server_core)
            client.stdin.write("\n")
            said = client.stdout.readline()
            cpu, kernel = process.cpu() - cpu, process.kernel() - kernel
            after = core_busy(server_core)
            busy = after[0] - before[0], after[1] - before[1]
    finally:
        client.kill()
        with contextlib.suppress(BrokenPipeError):
            client.stdin.close()
        why = client.stderr.read()
        client.wait()
    if not said.startswith("{"):
        raise Failed(f"the client of {workload.name} failed: {why[-500:]}\n{process.tail()}")
    return answered(said, process, workload, cpu, kernel, _children() - spent, busy)
