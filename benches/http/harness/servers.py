"""The servers: how each is built and started, and which workloads it has an answer for."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .handlers import GROUP
from .people import HERE, PEOPLE
from .process import Failed
from .workloads import Workload

ROOT = HERE.parent.parent
VENV = HERE / ".venv"
PYTHON = VENV / "bin" / "python"
WEFT = HERE / ".venv-weft"
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
    _venv(VENV, HERE / "requirements.txt", lambda: sys.executable)


def _venv(folder: Path, pins: Path, interpreter: Callable[[], str]) -> None:
    stamp = folder / "pins.txt"
    if stamp.exists() and stamp.read_text() == pins.read_text():
        return
    _run("the virtual environment", [interpreter(), "-m", "venv", str(folder)], HERE)
    _run("pip", [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(pins)], HERE)
    stamp.write_text(pins.read_text())


def _weft() -> None:
    """Its wheel for CPython 3.11 cannot be loaded, so it has an interpreter of its own, which is a quicker one."""

    def interpreter() -> str:
        if sys.version_info >= (3, 13):
            return sys.executable
        for name in (os.environ.get("BENCH_PYTHON313"), "python3.13", "python3.14"):
            found = shutil.which(name or "")
            # One may be there that only tells where others are.
            if found and subprocess.run([found, "-V"], capture_output=True).returncode == 0:
                return found
        raise Failed("Weft needs CPython 3.13 or later; BENCH_PYTHON313 says where it is")

    _venv(WEFT, HERE / "handlers" / "requirements-weft.txt", interpreter)


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
    _wheel_for(PYTHON, target_dir() / "bench-wheels")


def _wheel_313() -> None:
    """The same for the interpreter that Weft has."""
    _weft()
    _wheel_for(WEFT / "bin" / "python", target_dir() / "bench-wheels-313")


def _wheel_for(python: Path, out: Path) -> None:
    for old in out.glob("*.whl"):
        old.unlink()
    maturin = [
        str(VENV / "bin" / "maturin"),
        "build",
        "--release",
        "--interpreter",
        str(python),
        "--out",
        str(out),
    ]
    _run("building the wheel", maturin, ROOT, {"CARGO_TARGET_DIR": str(target_dir()), "PYO3_PYTHON": str(python)})
    wheels = [str(wheel) for wheel in out.glob("*.whl")]
    install = [str(python), "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", *wheels]
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
    # What answers the workloads of handlers, and those that it has no answer for.
    handlers: Callable[[int], list[str]] | None = None
    lacks: frozenset[str] = frozenset()

    def answers(self, workload: Workload) -> bool:
        if workload.group == GROUP:
            return self.handlers is not None and workload.name.removeprefix(f"{GROUP} ") not in self.lacks
        return workload.name in self.workloads or workload.group in self.groups


def _python(*argv: str) -> Callable[[int], list[str]]:
    return lambda port: [str(PYTHON), *(part.format(port=port) for part in argv)]


def _program(name: str) -> Callable[[int], list[str]]:
    return lambda _: [str(target_dir() / "release" / name)]


UVICORN = "--host 127.0.0.1 --port {port} --loop uvloop --http httptools --no-access-log --log-level warning"
GRANIAN = "-m granian {app} --host 127.0.0.1 --port {{port}} --interface {interface} --workers 1 --runtime-threads 1 --loop uvloop --log-level warning"
ROBYN = "--processes 1 --workers 1 --log-level ERROR --disable-openapi"


def _granian(app: str, interface: str, *more: str) -> Callable[[int], list[str]]:
    return _python(*GRANIAN.format(app=app, interface=interface).split(), *more)


def _of_weft(port: int) -> list[str]:
    argv = "handlers.asgi_app:app --host 127.0.0.1 --no-auto-venv --log-level error --port"
    return [str(WEFT / "bin" / "python"), "-m", "weft", *argv.split(), str(port)]


def _on_313(port: int) -> list[str]:
    return [str(WEFT / "bin" / "python"), "-m", "handlers.ziggurat_app"]


AXUM = _cargo("axum")
build_load = _cargo("load")

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
        handlers=_python("-m", "handlers.ziggurat_app"),
    ),
    Server(
        "ziggurat-fused",
        "the same with `io_threads=0`: connections are served on the thread of the event loop",
        _python("ziggurat_app.py"),
        WEB | {"native", "wrapped"},
        build=_wheel,
        env=(("ZIGGURAT_IO_THREADS", "0"),),
        handlers=_python("-m", "handlers.ziggurat_app"),
    ),
    Server(
        "ziggurat-313",
        "the same as `ziggurat`, on the CPython 3.13 of Weft",
        _on_313,
        frozenset(),
        build=_wheel_313,
        handlers=_on_313,
    ),
    Server(
        "ziggurat-fused-313",
        "the same as `ziggurat-fused`, on the CPython 3.13 of Weft",
        _on_313,
        frozenset(),
        build=_wheel_313,
        env=(("ZIGGURAT_IO_THREADS", "0"),),
        handlers=_on_313,
    ),
    Server(
        "granian",
        "Granian, bare RSGI, one worker, one runtime thread, uvloop",
        _granian("granian_app:app", "rsgi", "--no-ws"),
        handlers=_granian("handlers.rsgi_app:app", "rsgi"),
        lacks=frozenset({"upload"}),
    ),
    Server(
        "litestar",
        "Litestar on Granian likewise, over ASGI",
        _granian("handlers.litestar_app:app", "asgi"),
        frozenset(),
        handlers=_granian("handlers.litestar_app:app", "asgi"),
    ),
    Server(
        "blacksheep",
        "BlackSheep on Granian likewise, over ASGI",
        _granian("handlers.blacksheep_app:app", "asgi"),
        frozenset(),
        handlers=_granian("handlers.blacksheep_app:app", "asgi"),
    ),
    Server(
        "weft",
        "Weft, bare ASGI, one worker, on CPython 3.13",
        _of_weft,
        frozenset(),
        build=_weft,
        handlers=_of_weft,
        lacks=frozenset({"upload"}),
    ),
    Server(
        "robyn",
        "Robyn, one process, one worker",
        _python("robyn_app.py", *ROBYN.split()),
        WEB | {"native"},
        handlers=_python("-m", "handlers.robyn_app", *ROBYN.split()),
    ),
    Server(
        "fastapi",
        "FastAPI on uvicorn[standard], one worker, uvloop, httptools, no access log",
        _python("-m", "uvicorn", "fastapi_app:app", *UVICORN.split()),
        groups=CRUD,
        handlers=_python("-m", "uvicorn", "handlers.fastapi_app:app", *UVICORN.split()),
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
    wanted |= {"litestar", "blacksheep", "msgspec", "python-multipart", "multipart", "websockets"}
    wanted |= {"pydantic_core", "orjson", "pymongo", "secantusdb", "sqlalchemy", "aiosqlite"}
    found = dict(line.split("==", 1) for line in said.splitlines() if "==" in line)
    found = {name: version for name, version in found.items() if name.lower() in wanted}
    lock = (ROOT / "Cargo.lock").read_text().split("[[package]]")
    for package in lock:
        lines = dict(line.split(" = ", 1) for line in package.splitlines() if " = " in line)
        name = lines.get("name", "").strip('"')
        if name in {"axum", "hyper", "tokio", "mongodb", "rusqlite", "tower-http"}:
            found[f"{name} (crate)"] = lines["version"].strip('"')
    if WEFT.exists():
        of_weft = _run("pip", [str(WEFT / "bin" / "python"), "-m", "pip", "list", "--format=freeze"], HERE)
        found |= dict(line.split("==", 1) for line in of_weft.splitlines() if line.startswith("weft-server=="))
        found["python of weft"] = _run("python", [str(WEFT / "bin" / "python"), "-V"], HERE).split()[-1]
    found["python"] = _run("python", [str(PYTHON), "-V"], HERE).split()[-1]
    found["rustc"] = _run("rustc", ["rustc", "--version"], HERE).split()[1]
    wrk = subprocess.run(["wrk", "--version"], capture_output=True, text=True).stdout.split()
    found["wrk"] = wrk[1] if len(wrk) > 1 else "?"
    return found
