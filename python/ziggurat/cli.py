"""The `ziggurat` command."""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import importlib
import importlib.util
import json
import os
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from . import _extensions, _ziggurat  # the extensions first: one of them may be the native half
from ._info import RouteInfo
from ._settings import LOG_LEVELS, io_threads, port
from ._terminal import error_report, paint
from .app import Ziggurat
from .exceptions import ConfigError

__all__ = ["main"]

assert _extensions, "imported for what it does"

OK, FAILED, USAGE, DIFFERS = 0, 1, 2, 3
"""Exit codes; argparse ends with `USAGE` by itself, and `db plan` with `DIFFERS` where there is something to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and gives its exit code."""
    options = _parser().parse_args(argv)
    try:
        code: int = options.command(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader, as `head`, has gone; nothing is wrong. What is still buffered must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except SystemExit:
        raise
    except Exception as error:
        if options.traceback:
            traceback.print_exception(error)
        else:
            print(error_report(error, sys.stderr), file=sys.stderr)
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ziggurat", description="HTTP services on a Rust Tower stack.")
    parser.add_argument("--version", action="version", version=f"ziggurat {_ziggurat.__version__}")
    commands = tops = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(command=function)
        made.add_argument("--traceback", action="store_true", help="show the whole traceback of an error")
        return made

    def with_app(name: str, function: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = command(name, function, text)
        made.add_argument("app", help="module:attribute or path/to/file.py:attribute; the attribute may be left out")
        return made

    run = with_app("run", _run, "Serve an app.")
    run.add_argument("--host", help="address to listen on [ZIGGURAT_HOST, 127.0.0.1]")
    run.add_argument("--port", type=_port, help="port to listen on, 0 for a free one [ZIGGURAT_PORT, 8000]")
    run.add_argument("--store", help="store URL instead of the app's own [ZIGGURAT_STORE]")
    run.add_argument(
        "--io-threads",
        type=_io_threads,
        metavar="N",
        help="threads that serve connections; 0: the event loop's own [ZIGGURAT_IO_THREADS, one for each processor]",
    )
    run.add_argument("--log-level", choices=LOG_LEVELS, help="least level that is logged [ZIGGURAT_LOG_LEVEL, info]")

    routes = with_app("routes", _routes, "List the routes of an app and what each passes.")
    routes.add_argument("--json", action="store_true", help="print JSON")
    routes.add_argument("--path", help="show the whole stack of one concrete path, as /user/1")

    openapi = with_app("openapi", _openapi, "Print the OpenAPI document of an app.")
    openapi.add_argument("--out", metavar="FILE", help="write it to a file")

    db = commands.add_parser(
        "db", help="Look after the store of an app.", description="Look after the store of an app."
    )
    commands = db.add_subparsers(required=True, metavar="COMMAND")
    backup = command("backup", _backup, "Copy a SQLite store to a file, while it is in use.")
    backup.add_argument("source", help="an app, as module:attribute, or the URL of a store")
    backup.add_argument("file", help="the copy, which must not be there yet")
    copy = with_app("copy", _copy, "Copy the rows of an app's models to another store, with ids, versions and times.")
    copy.add_argument("target", help="URL of the store to copy to, which must hold none of them")
    copy.add_argument("--store", help="URL of the store to copy from [ZIGGURAT_STORE, the app's own]")
    plan = with_app("plan", _plan, "Show in what the store differs from an app's models, and what becomes of it.")
    plan.epilog = (
        "Nothing is written. Ends with 0 when there is nothing to do, 3 when there is, 1 when rows stand in the way."
    )
    plan.add_argument("--store", help="URL of the store [ZIGGURAT_STORE, the app's own]")
    plan.add_argument("--json", action="store_true", help="print JSON")
    apply = with_app("apply", _apply, "Bring the store in line with an app's models, where nothing is lost by it.")
    apply.epilog = "Does nothing when rows stand in the way, and ends with 1 then."
    apply.add_argument("--store", help="URL of the store [ZIGGURAT_STORE, the app's own]")
    apply.add_argument("--yes", action="store_true", help="do not ask before it begins")
    commands = tops

    new = command("new", _new, "Write a new project: a Python app with a layer and a handler of its own in Rust.")
    new.add_argument("folder", help="the folder, named as the project")
    new.add_argument("--rust", action="store_true", required=True, help="with Rust of its own")

    token = command("token", _token, "Make an HS256 token for trying out protected routes.")
    token.add_argument("--secret", help="the secret of layers.Jwt [ZIGGURAT_JWT_SECRET]")
    token.add_argument("--sub", required=True, help="who it stands for")
    token.add_argument("--scope", default="", help='what it allows, as "user:read user:write"')
    token.add_argument("--issuer", help="the iss claim")
    token.add_argument("--audience", help="the aud claim")
    token.add_argument("--expires-in", type=int, default=3600, metavar="SECONDS", help="lifetime [3600]")
    command("api-key", _api_key, "Make a key for layers.ApiKey, and print it with the hash that it is known by.")
    return parser


def _port(text: str) -> int:
    try:
        return port(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _io_threads(text: str) -> int:
    try:
        return io_threads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(options: argparse.Namespace) -> int:
    app = load(options.app)
    if options.store is not None:
        # The command line is stronger than the environment, which `run` reads.
        os.environ["ZIGGURAT_STORE"] = options.store
    app.run(options.host, options.port, io_threads=options.io_threads, log_level=options.log_level)
    return OK


def _load_for_reading(target: str) -> Ziggurat:
    """An app that is built but not served: it must not touch its real store."""
    app = load(target)
    app.use_store("sqlite:///:memory:")
    return app


def _routes(options: argparse.Namespace) -> int:
    app = _load_for_reading(options.app)
    if options.path is not None:
        stacks = app.stack(options.path)
        if not stacks:
            raise ConfigError(f"no route answers at {options.path}", cure="list them with: ziggurat routes")
        for stack in stacks:
            print(stack)
        return OK
    routes = app.routes
    if options.json:
        fields = ("method", "path", "name", "kind", "location", "stack", "enters_python")
        print(json.dumps([{name: getattr(route, name) for name in fields} for route in routes], indent=2))
        return OK
    for line in _table(routes):
        print(line)
    return OK


def _table(routes: Sequence[RouteInfo]) -> list[str]:
    rows = [(route.method or "*", route.path, route.kind, route.name) for route in routes]
    head = ("METHOD", "PATH", "KIND", "NAME")
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(row: Sequence[str], stack: str) -> str:
        return "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=True)), stack]).rstrip()

    made = [paint(line(head, "STACK"), "bold", sys.stdout)]
    for row, route in zip(rows, routes, strict=True):
        stack = " > ".join(route.stack)
        made.append(line(row, f"{stack}  {paint('[Python]', 'yellow', sys.stdout)}" if route.enters_python else stack))
    return made


def _openapi(options: argparse.Namespace) -> int:
    text = json.dumps(_load_for_reading(options.app).openapi(), indent=2)
    if options.out is None:
        print(text)
    else:
        with open(options.out, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    return OK


def _backup(options: argparse.Namespace) -> int:
    url = options.source if "://" in options.source else _store_of(load(options.source), None)
    if not url.startswith("sqlite:///"):
        raise ConfigError("only a SQLite store is copied to a file", cure="back MongoDB up with mongodump")
    path = url.removeprefix("sqlite:///").partition("?")[0]
    size = _ziggurat.backup_store(path, options.file)
    print(f"{options.file}: {size:,} bytes, checked and on the disk")
    return OK


def _store_of(app: Ziggurat, given: str | None) -> str:
    url = given or os.environ.get("ZIGGURAT_STORE") or app.store
    if url is None:
        raise ConfigError("the app has no store", cure="give one with --store or ZIGGURAT_STORE")
    return url


def _described(app: Ziggurat) -> list[str]:
    descriptions = app.descriptions()
    if not descriptions:
        raise ConfigError("the app has no models", cure="serve them with @app.crud, or name them in app.keep()")
    return descriptions


def _copy(options: argparse.Namespace) -> int:
    app = load(options.app)
    source = _store_of(app, options.store)
    if source == options.target:
        raise ConfigError("the store cannot be copied to itself", cure="give another target")
    descriptions = _described(app)
    shows = sys.stderr.isatty()
    begun = time.monotonic()

    def copied(model: str, rows: int) -> None:
        if shows:
            print(f"\r{model}: {rows:,} rows", end="", file=sys.stderr, flush=True)

    done = _ziggurat.copy_store(descriptions, source, options.target, copied)
    if shows:
        print(file=sys.stderr)
    for model, rows in done:
        print(f"{model}: {rows:,} rows copied, both sides are equal")
    print(f"done in {time.monotonic() - begun:.1f} s")
    return OK


def _plan(options: argparse.Namespace) -> int:
    from ._differences import Differences

    app = load(options.app)
    found = Differences.of(_described(app), _store_of(app, options.store))
    if options.json:
        print(json.dumps(found.as_json(), indent=2))
    else:
        for line in found.lines(options.app, sys.stdout, never=app.migrate == "never"):
            print(line)
    return FAILED if found.conflicts else DIFFERS if found.steps else OK


def _apply(options: argparse.Namespace) -> int:
    from ._differences import Differences, apply

    app = load(options.app)
    descriptions, store = _described(app), _store_of(app, options.store)
    found = Differences.of(descriptions, store)
    for line in found.lines(options.app, sys.stdout, never=app.migrate == "never"):
        print(line, flush=True)
    if found.conflicts:
        print("nothing was done, since rows stand in the way", file=sys.stderr)
        return FAILED
    if not found.steps:
        return OK
    if not options.yes:
        if not sys.stdin.isatty():
            print("there is no terminal to ask on, so nothing was done; say --yes where it is meant", file=sys.stderr)
            return USAGE
        try:
            answer = input("Do it? [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            print("nothing was done")
            return FAILED
    apply(descriptions, store)
    return OK


def _new(options: argparse.Namespace) -> int:
    from ._scaffold import scaffold

    folder = Path(options.folder)
    for file in scaffold(folder):
        print(f"wrote {file}")
    print(f"next: cd {folder}, and read README.md")
    return OK


def _token(options: argparse.Namespace) -> int:
    secret = options.secret or os.environ.get("ZIGGURAT_JWT_SECRET", "")
    if len(secret.encode()) < 32:
        raise ConfigError("the secret has less than 32 bytes", cure="give the one of layers.Jwt with --secret")
    now = int(time.time())
    claims: dict[str, Any] = {"sub": options.sub, "iat": now, "exp": now + options.expires_in}
    if options.scope:
        claims["scope"] = " ".join(options.scope.replace(",", " ").split())
    if options.issuer:
        claims["iss"] = options.issuer
    if options.audience:
        claims["aud"] = options.audience

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    signed = ".".join(part(json.dumps(each).encode()) for each in ({"alg": "HS256", "typ": "JWT"}, claims))
    print(f"{signed}.{part(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}")
    return OK


def _api_key(_options: argparse.Namespace) -> int:
    key = secrets.token_urlsafe(32)
    print(f"key   {key}")
    print(f"hash  sha256:{hashlib.sha256(key.encode()).hexdigest()}")
    return OK


def load(target: str) -> Ziggurat:
    """The app that `target` names."""
    name, _, attribute = target.partition(":")
    if not name:
        raise ConfigError(f"{target!r} names no module", cure="write module:app")
    # As with `python -m`: modules of the current folder come first.
    if sys.path[:1] not in ([""], [os.getcwd()]):
        sys.path.insert(0, os.getcwd())
    module = _load_file(name) if name.endswith(".py") else _load_module(name)
    found: Any = module
    for step in (attribute or "app").split("."):
        if not hasattr(found, step):
            _refuse_attribute(module, name, attribute or "app")
        found = getattr(found, step)
    if not isinstance(found, Ziggurat):
        raise ConfigError(
            f"{name}:{attribute or 'app'} is a {type(found).__name__}, not a Ziggurat app",
            cure="name the variable that holds Ziggurat(...)",
        )
    found._target = f"{name}:{attribute or 'app'}"
    return found


def _refuse_attribute(module: ModuleType, name: str, attribute: str) -> NoReturn:
    apps = [key for key, value in vars(module).items() if isinstance(value, Ziggurat)]
    cure = f"write {name}:{apps[0]}" if apps else "make one: app = Ziggurat()"
    raise ConfigError(f"{name} has no {attribute!r}", cure=cure, location=f"{module.__file__}:1")


def _load_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(
                f"there is no module {name!r} in {os.getcwd()} or among the installed ones",
                cure="write module:app, with dots for folders, or path/to/file.py:app",
            ) from None
        raise


def _load_file(path: str) -> ModuleType:
    if not os.path.isfile(path):
        raise ConfigError(f"there is no file {path!r}", cure="give the path of a Python file")
    # Its own folder comes first on the path, as with `python path/to/file.py`.
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, os.path.abspath(path))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
