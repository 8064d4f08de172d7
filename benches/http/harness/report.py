"""Figures: medians over rounds, ratios round by round, and what was aimed at."""

import json
import platform
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .handlers import HANDLERS
from .people import PEOPLE
from .wrk import Round


@dataclass
class Cell:
    """One server on one workload."""

    rounds: list[Round] = field(default_factory=list)
    failed: str | None = None

    def median(self, figure: str) -> float:
        return statistics.median(getattr(r, figure) for r in self.rounds)

    def spread(self, figure: str) -> float:
        """Half of the distance between the extremes, as a share of the median."""
        values = [getattr(r, figure) for r in self.rounds]
        return (max(values) - min(values)) / 2 / statistics.median(values)


@dataclass
class Memory:
    idle: float
    peak: float = 0.0
    # Processor time while nobody asks for anything, in ms per second.
    idle_ms: float = 0.0


@dataclass(frozen=True)
class Target:
    workload: str
    server: str
    against: str
    most: float

    def says(self) -> str:
        return f"{self.workload}: CPU of {self.server} at most {self.most}x of {self.against}"


TARGETS = [
    Target("native", "ziggurat", "axum", 1.15),
    Target("native", "ziggurat-rs", "axum", 1.15),
    Target("json", "ziggurat", "axum", 1.7),
    Target("json", "ziggurat-fused", "axum", 1.3),
    Target("json", "ziggurat", "fastapi", 0.2),
    Target("json", "ziggurat", "granian", 1.0),
    Target("wrapped", "ziggurat", "starlette", 1.0),
    Target("mongodb get", "ziggurat", "fastapi", 0.2),
    *(Target(f"sqlite {what}", "ziggurat", "sqlalchemy", 0.1) for what in ("get", "list", "create")),
    *(Target(workload.name, "ziggurat", "fastapi", 0.2) for workload in HANDLERS),
    *(
        Target(workload.name, "ziggurat", peer, 1.0)
        for workload in HANDLERS
        for peer in ("granian", "litestar", "blacksheep", "weft", "robyn")
    ),
    Target("mongodb get", "ziggurat", "axum", 0.95),
    Target("mongodb list", "ziggurat", "axum", 0.7),
    *(Target(f"mongodb {size} by {key}", "ziggurat", "axum", 0.7) for size in PEOPLE for key in ("id", "age")),
    Target("mongodb create", "ziggurat", "axum", 1.0),
]
IDLE_RSS_MB = 60


@dataclass
class Report:
    settings: dict[str, Any]
    versions: dict[str, str]
    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)
    memory: dict[str, dict[str, Memory]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def cell(self, workload: str, server: str) -> Cell:
        return self.cells.setdefault(workload, {}).setdefault(server, Cell())

    def ratio(self, workload: str, server: str, against: str) -> float | None:
        """The median of the ratios of CPU per request, each within one round."""
        row = self.cells.get(workload, {})
        if server not in row or against not in row:
            return None
        pairs = [(a.cpu_us, b.cpu_us) for a, b in zip(row[server].rounds, row[against].rounds, strict=False)]
        return statistics.median(a / b for a, b in pairs) if pairs else None

    def machine(self) -> str:
        info = Path("/proc/cpuinfo").read_text()
        model = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), "?")
        cores = info.count("processor\t:")
        total = int(Path("/proc/meminfo").read_text().split()[1]) / 1e6
        return f"{model}, {cores} cores, {total:.0f} GB, Linux {platform.release()}"

    def _table(self, workload: str, row: dict[str, Cell]) -> list[str]:
        bases = [base for base in ("axum", "fastapi", "starlette", "sqlalchemy", "granian", "weft") if base in row]
        lines = [f"### {workload}", ""]
        head = ["server", "CPU µs/request", "±", "kernel", *(f"/ {base}" for base in bases)]
        head += ["requests/s", "p50 ms", "p99 ms", "core", "errors"]
        lines += ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
        for server, cell in row.items():
            if not cell.rounds:
                lines.append(f"| {server} | not measured: {(cell.failed or '').splitlines()[0]} |")
                continue
            ratios = [self.ratio(workload, server, base) for base in bases]
            errors = sum(r.errors for r in cell.rounds)
            line = [
                server,
                f"{cell.median('cpu_us'):.1f}",
                f"{cell.spread('cpu_us'):.0%}",
                f"{cell.median('kernel_us'):.1f}",
            ]
            line += ["" if r is None else f"{r:.2f}" for r in ratios]
            line += [f"{cell.median('rps'):,.0f}"]
            line += [f"{cell.median('p50_us') / 1000:.2f}", f"{cell.median('p99_us') / 1000:.2f}"]
            line += [f"{cell.median('server_busy'):.0%}", str(errors)]
            lines.append("| " + " | ".join(line) + " |")
        return [*lines, ""]

    def markdown(self) -> str:
        s = self.settings
        lines = [
            f"Measured {s['date']} on {self.machine()}; {s['rounds']} rounds of {s['seconds']} s,"
            f" {s['connections']} connections ({s['mongo_connections']} on MongoDB: {s['mongodb']}),"
            f" revision {s['revision']}.",
            "",
            "Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(self.versions.items())) + ".",
            "",
        ]
        foreign = [r.foreign_busy for row in self.cells.values() for cell in row.values() for r in cell.rounds]
        if foreign:
            lines += [
                f"Others used {statistics.median(foreign):.1%} of the server's core at the median"
                f" and {max(foreign):.1%} at worst.",
                "",
            ]
        if targets := self._targets():
            lines += ["### Aims", "", "| aim | measured | |", "|---|---:|---|", *targets, ""]
        for workload, row in self.cells.items():
            lines += self._table(workload, row)
        lines += [
            "### Memory",
            "",
            "Resident MB of the process tree: idle after start, and the peak after all load.",
            "",
        ]
        lines += ["| store | server | idle | peak | idle CPU ms/s |", "|---|---|---:|---:|---:|"]
        for group, servers in self.memory.items():
            for server, m in servers.items():
                lines.append(f"| {group} | {server} | {m.idle:.1f} | {m.peak:.1f} | {m.idle_ms:.1f} |")
        if self.failures:
            lines += ["", "### Failures", "", *(f"- {f.splitlines()[0]}" for f in self.failures)]
        return "\n".join(lines) + "\n"

    def _targets(self) -> list[str]:
        lines = []
        for target in TARGETS:
            ratio = self.ratio(target.workload, target.server, target.against)
            if ratio is not None:
                lines.append(f"| {target.says()} | {ratio:.2f} | {'met' if ratio <= target.most else 'missed'} |")
        for group, servers in self.memory.items():
            if m := servers.get("ziggurat"):
                met = "met" if m.idle < IDLE_RSS_MB else "missed"
                lines.append(f"| idle RSS of ziggurat ({group}) under {IDLE_RSS_MB} MB | {m.idle:.1f} | {met} |")
        return lines

    def json(self) -> str:
        cells = {
            workload: {
                server: {"failed": cell.failed, "rounds": [r.as_dict() for r in cell.rounds]}
                for server, cell in row.items()
            }
            for workload, row in self.cells.items()
        }
        memory = {g: {s: vars(m) for s, m in servers.items()} for g, servers in self.memory.items()}
        return json.dumps(
            {
                "machine": self.machine(),
                "settings": self.settings,
                "versions": self.versions,
                "memory": memory,
                "workloads": cells,
                "failures": self.failures,
            },
            indent=1,
        )
