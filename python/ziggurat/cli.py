"""The `ziggurat` command."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from . import _extensions, _ziggurat  # the extensions first: one of them may be the native half
from ._arguments import Parser, parse
from ._options import Value, add_flags, resolve, target_of
from ._terminal import error_report, say

__all__ = ["main"]

assert _extensions, "imported for what it does"

OK, FAILED = 0, 1
"""Exit codes; the parser ends with 2 by itself, and `db plan` with 3 where there is something to do."""

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and gives its exit code."""
    options = parse(_parser(), argv)
    try:
        code: int = options.command(options)
    except KeyboardInterrupt:
        return 130
    except SystemExit:
        raise
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _has_no_reader():
            # As `head` that has gone; nothing is wrong. What is still buffered must not fail at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return OK
        if options.traceback:
            traceback.print_exception(error)
        else:
            say(error_report(error, sys.stderr), sys.stderr)
        return FAILED
    return code


def _has_no_reader() -> bool:
    """Whether it was our own output that broke, and not a connection of the app's."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return True
    return False


def _parser() -> Parser:
    parser = Parser(prog="ziggurat", description="HTTP services on a Rust Tower stack.")
    parser.add_argument("--version", action="version", version=f"ziggurat {_ziggurat.__version__}")
    commands = tops = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Command, text: str) -> Parser:
        made: Parser = commands.add_parser(name, help=text, description=text)
        made.set_defaults(command=function, parser=made)
        made.add_argument("--traceback", action="store_true", help="show the whole traceback of an error")
        return made

    def with_app(name: str, function: Command, text: str, *, also: str = "") -> Parser:
        made = command(name, function, text)
        made.add_argument(
            "app",
            nargs="?",
            help=f"module:attribute or path/to/file.py:attribute; the attribute may be left out{also} [ZIGGURAT_APP, app in ziggurat.toml]",
        )
        add_flags(made, name if name in ("run", "dev") else "app")
        return made

    with_app("run", _run, "Serve an app.")
    with_app("dev", _dev, "Serve an app while you work on it: it is started anew when a file changes.")

    routes = with_app("routes", _routes, "List the routes of an app and what each passes.")
    routes.add_argument("--json", action="store_true", help="print JSON")
    routes.add_argument("--path", help="show the whole stack of one concrete path, as /user/1")

    openapi = with_app("openapi", _openapi, "Print the OpenAPI document of an app.")
    openapi.add_argument("--output", "--out", metavar="FILE", help="write it to a file")
    openapi.add_argument("--yaml", action="store_true", help="write YAML")

    shell = with_app("shell", _shell, "Start an app, and Python with it at hand.")
    shell.add_argument("--plain", action="store_true", help="Python's own shell, where IPython is there")

    info = command("info", _info, "Print versions, and each setting with where it comes from.")
    info.add_argument("--json", action="store_true", help="print JSON")

    db = commands.add_parser(
        "db", help="Look after the store of an app.", description="Look after the store of an app."
    )
    commands = db.add_subparsers(required=True, metavar="COMMAND")
    backup = with_app(
        "backup", _db("backup"), "Copy a SQLite store to a file, while it is in use.", also=", or the URL of a store"
    )
    backup.add_argument("file", help="the copy, which must not be there yet")
    copy = with_app(
        "copy", _db("copy"), "Copy the rows of an app's models to another store, with ids, versions and times."
    )
    copy.add_argument("target", help="URL of the store to copy to, which must hold none of them")
    copy.add_argument("--store", help="URL of the store to copy from [ZIGGURAT_STORE, the app's own]")
    plan = with_app("plan", _db("plan"), "Show in what the store differs from an app's models, and what becomes of it.")
    plan.epilog = (
        "Nothing is written. Ends with 0 when there is nothing to do, 3 when there is, 1 when rows stand in the way."
    )
    plan.add_argument("--store", help="URL of the store [ZIGGURAT_STORE, the app's own]")
    plan.add_argument("--json", action="store_true", help="print JSON")
    apply = with_app(
        "apply", _db("apply"), "Bring the store in line with an app's models, where nothing is lost by it."
    )
    apply.epilog = "Does nothing when rows stand in the way, and ends with 1 then."
    apply.add_argument("--store", help="URL of the store [ZIGGURAT_STORE, the app's own]")
    apply.add_argument("--yes", action="store_true", help="do not ask before it begins")
    commands = tops

    new = command("new", _new, "Write a new project: an app with its tests.")
    new.add_argument("folder", help="the folder, named as the project")
    new.add_argument("--rust", action="store_true", help="with a layer and a handler of its own in Rust")

    token = command("token", _token, "Make an HS256 token for trying out protected routes.")
    token.add_argument("--secret", help="the secret of layers.Jwt [ZIGGURAT_JWT_SECRET]")
    token.add_argument("--sub", required=True, help="who it stands for")
    token.add_argument("--scope", default="", help='what it allows, as "user:read user:write"')
    token.add_argument("--issuer", help="the iss claim")
    token.add_argument("--audience", help="the aud claim")
    token.add_argument("--expires-in", type=int, default=3600, metavar="SECONDS", help="lifetime [3600]")
    command("api-key", _api_key, "Make a key for layers.ApiKey, and print it with the hash that it is known by.")
    hashed = command(
        "hash-password", _hash_password, "Print the hash of a password, for layers.Basic and verify_password."
    )
    hashed.epilog = "The password is asked for twice, or read from standard input where that is no terminal."
    return parser


# What a command needs is imported when it runs.


def _settings(options: argparse.Namespace) -> dict[str, Value]:
    return resolve(vars(options), Path.cwd())


def _run(options: argparse.Namespace) -> int:
    from ._command_run import run

    settings = _settings(options)
    return run(settings, target_of(settings), traceback=options.traceback)


def _dev(options: argparse.Namespace) -> int:
    from ._command_run import dev

    settings = _settings(options)
    return dev(settings, target_of(settings), traceback=options.traceback)


def _routes(options: argparse.Namespace) -> int:
    from ._command_show import routes

    return routes(options, target_of(_settings(options)))


def _openapi(options: argparse.Namespace) -> int:
    from ._command_show import openapi

    return openapi(options, target_of(_settings(options)))


def _info(options: argparse.Namespace) -> int:
    from ._command_show import info

    return info(options, _settings(options))


def _shell(options: argparse.Namespace) -> int:
    from ._command_run import hand_on
    from ._command_shell import shell

    settings = _settings(options)
    hand_on(settings)
    return shell(target_of(settings), plain=options.plain)


def _db(name: str) -> Command:
    def run(options: argparse.Namespace) -> int:
        from . import _command_db

        code: int = getattr(_command_db, name)(options, _settings(options))
        return code

    return run


def _new(options: argparse.Namespace) -> int:
    from ._scaffold import scaffold

    folder = Path(options.folder)
    for file in scaffold(folder, "rust" if options.rust else "app"):
        print(f"wrote {file}")
    print(f"next: cd {folder}, and read README.md" if folder.name else "next: read README.md")
    return OK


def _token(options: argparse.Namespace) -> int:
    from ._command_keys import token

    return token(options)


def _api_key(options: argparse.Namespace) -> int:
    from ._command_keys import api_key

    return api_key(options)


def _hash_password(options: argparse.Namespace) -> int:
    from ._command_keys import hashed_password

    return hashed_password(options)
