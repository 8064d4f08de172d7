"""The servers: how each is built and started, and which workloads it has an answer for."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .people import HERE, PEOPLE
from .process import Failed
from .workloads import Workload

ROOT = HERE.parent.parent
VENV = HERE / ".venv"
PYTHON = VENV / "bin" / "python"
WEB = frozenset({"plaintext", "json", "typed", "validated", "sleep0"})
CRUD = frozenset({"sqlite", "mongodb"})
LISTS = frozenset({f"{store} {size}" for store in CRUD for size in PEOPLE})


def _run(what: str, argv: list[str], cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{what} failed: {' '.join(argv)}\n{done.stdout[-1500:]}{done.stderr[-3000:]}")
    return done.stdout


def target_dir() -> Path:
    """Where cargo leaves the programs; `CARGO_TARGET_DIR` is shared by all packages when it is set."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()


def make_venv() -> None:
    """The virtual environment of the Python peers, made anew when the pins changed."""
    pins = HERE / "requirements.txt"
    stamp = VENV / "pins.txt"
    if stamp.exists() and stamp.read_text() == pins.read_text():
        return
    _run("the virtual environment", [sys.executable, "-m", "venv", str(VENV)], HERE)
    _run("pip", [str(PYTHON), "-m", "pip", "install", "--quiet", "-r", str(pins)], HERE)
    stamp.write_text(pins.read_text())


def _cargo(package: str) -> Callable[[], None]:
    def build() -> None:
        argv = [
            "cargo",
            "build",
            "--release",
            "--quiet",
            "--manifest-path",
            str(HERE / package / "Cargo.toml"),
        ]
        _run(f"building {package}", argv, ROOT, {"CARGO_TARGET_DIR": str(target_dir())})

    return build


def _wheel() -> None:
    """Builds the wheel of this tree in the release profile and installs it into the virtual environment."""
    out = target_dir() / "bench-wheels"
    for old in out.glob("*.whl"):
        old.unlink()
    maturin = [
        str(VENV / "bin" / "maturin"),
        "build",
        "--release",
        "--interpreter",
        str(PYTHON),
        "--out",
        str(out),
    ]
    _run("building the wheel", maturin, ROOT, {"CARGO_TARGET_DIR": str(target_dir())})
    wheels = [str(wheel) for wheel in out.glob("*.whl")]
    install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", *wheels]
    _run("installing the wheel", install, ROOT)


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Server:
    name: str
    says: str
    argv: Callable[[int], list[str]]
    workloads: frozenset[str] = WEB
    groups: frozenset[str] = frozenset()
    build: Callable[[], None] = _nothing
    env: tuple[tuple[str, str], ...] = ()

    def answers(self, workload: Workload) -> bool:
        return workload.name in self.workloads or workload.group in self.groups


def _python(*argv: str) -> Callable[[int], list[str]]:
    return lambda port: [str(PYTHON), *(part.format(port=port) for part in argv)]


def _program(name: str) -> Callable[[int], list[str]]:
    return lambda _: [str(target_dir() / "release" / name)]


UVICORN = "--host 127.0.0.1 --port {port} --loop uvloop --http httptools --no-access-log --log-level warning"
GRANIAN = "-m granian granian_app:app --host 127.0.0.1 --port {port} --interface rsgi --workers 1"

AXUM = _cargo("axum")

SERVERS = [
    Server(
        "axum",
        "axum by hand, no layers; Tokio's multi-thread runtime with one worker",
        _program("axum-peer"),
        WEB | {"native"},
        CRUD | LISTS,
        AXUM,
    ),
    Server(
        "ziggurat",
        "Ziggurat from Python, default layers and settings",
        _python("ziggurat_app.py"),
        WEB | {"native", "wrapped"},
        CRUD | LISTS,
        _wheel,
    ),
    Server(
        "ziggurat-fused",
        "the same with `io_threads=0`: connections are served on the thread of the event loop",
        _python("ziggurat_app.py"),
        WEB | {"native", "wrapped"},
        build=_wheel,
        env=(("ZIGGURAT_IO_THREADS", "0"),),
    ),
    Server(
        "granian",
        "Granian, bare RSGI, one worker, one runtime thread, uvloop",
        _python(
            *GRANIAN.split(),
            "--runtime-threads",
            "1",
            "--loop",
            "uvloop",
            "--no-ws",
            "--log-level",
            "warning",
        ),
    ),
    Server(
        "robyn",
        "Robyn, one process, one worker",
        _python("robyn_app.py", "--processes", "1", "--workers", "1", "--log-level", "ERROR", "--disable-openapi"),
        WEB | {"native"},
    ),
    Server(
        "fastapi",
        "FastAPI on uvicorn[standard], one worker, uvloop, httptools, no access log",
        _python("-m", "uvicorn", "fastapi_app:app", *UVICORN.split()),
        groups=CRUD,
    ),
    Server(
        "starlette",
        "Starlette on uvicorn likewise",
        _python("-m", "uvicorn", "starlette_app:app", *UVICORN.split()),
        frozenset({"plaintext", "wrapped"}),
    ),
    Server(
        "sqlalchemy",
        "FastAPI likewise, over SQLAlchemy's asyncio extension and aiosqlite",
        _python("-m", "uvicorn", "sqlalchemy_app:app", *UVICORN.split()),
        frozenset(),
        frozenset({"sqlite"}),
    ),
    Server(
        "ziggurat-rs",
        "Ziggurat from Rust, no layers; the counterpart of `axum`",
        _program("ziggurat-native"),
        frozenset({"plaintext", "json", "native"}),
        build=_cargo("native"),
    ),
    Server(
        "axum-layers",
        "`axum` inside tower-http's catch-panic, request-id, timeout and body limit, as `ziggurat`",
        _program("axum-peer"),
        frozenset({"plaintext", "json", "native"}),
        build=AXUM,
        env=(("BENCH_LAYERS", "1"),),
    ),
]


def versions() -> dict[str, str]:
    """What was measured, for the report."""
    said = _run("pip", [str(PYTHON), "-m", "pip", "list", "--format=freeze"], HERE)
    wanted = {
        "ziggurat",
        "fastapi",
        "starlette",
        "uvicorn",
        "uvloop",
        "httptools",
        "granian",
        "robyn",
        "pydantic",
    }
    wanted |= {"pydantic_core", "orjson", "pymongo", "secantusdb", "sqlalchemy", "aiosqlite"}
    found = dict(line.split("==", 1) for line in said.splitlines() if "==" in line)
    found = {name: version for name, version in found.items() if name.lower() in wanted}
    lock = (HERE / "axum" / "Cargo.lock").read_text().split("[[package]]")
    for package in lock:
        lines = dict(line.split(" = ", 1) for line in package.splitlines() if " = " in line)
        name = lines.get("name", "").strip('"')
        if name in {"axum", "hyper", "tokio", "mongodb", "rusqlite", "tower-http"}:
            found[f"{name} (crate)"] = lines["version"].strip('"')
    found["python"] = _run("python", [str(PYTHON), "-V"], HERE).split()[-1]
    found["rustc"] = _run("rustc", ["rustc", "--version"], HERE).split()[1]
    wrk = subprocess.run(["wrk", "--version"], capture_output=True, text=True).stdout.split()
    found["wrk"] = wrk[1] if len(wrk) > 1 else "?"
    return found
