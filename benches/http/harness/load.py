"""The load that wrk has no word for: clients of events and of WebSockets, which `load/` is."""

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
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as client:
        assert client.stdin is not None and client.stdout is not None and client.stderr is not None
        try:
            ready = client.stdout.readline().strip()
            cpu, busy = process.cpu(), core_busy(server_core)
            client.stdin.write("\n")
            client.stdin.flush()
            said = client.stdout.readline()
            cpu = process.cpu() - cpu
            busy = tuple(after - before for after, before in zip(core_busy(server_core), busy, strict=True))
        except BrokenPipeError:
            said = ""
        finally:
            client.kill()
        if ready != "ready" or not said.startswith("{"):
            raise Failed(f"the client of {workload.name} failed: {client.stderr.read()[-500:]}\n{process.tail()}")
    return answered(said, process, workload, cpu, _children() - spent, busy)
