"""The settings of the command line: a flag, else the environment, else a file, else a default; and which of them it was."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _settings
from ._arguments import REFUSED
from .exceptions import ConfigError

__all__ = ["SETTINGS", "Setting", "Value", "add_flags", "resolve", "target_of"]


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise ValueError("give a number from 1")
    return int(text)


def _descriptor(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("give the number of a descriptor, as 3")
    return int(text)


def _switch(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise ValueError("write true or false")
    return known[text.lower()]


@dataclass(frozen=True)
class Setting:
    """One setting, as flags, the environment (`ZIGGURAT_<NAME>`) and files call it."""

    name: str
    read: Callable[[str], Any]
    help: str
    default: Any = None
    shown: str | None = None
    """What the default is called where it is none that can be written."""
    metavar: str | None = None
    many: bool = False
    """Whether it may be given several times, or with commas in between."""
    commands: tuple[str, ...] = ("run", "dev")

    @property
    def flag(self) -> str:
        """As it is written on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """As it is called in the environment."""
        return f"ZIGGURAT_{self.name.upper()}"

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off."""
        return self.read is _switch


ANY = ("run", "dev", "app")
SETTINGS = (
    Setting("app", str, "the app, as module:attribute or path/to/file.py:attribute", commands=()),
    Setting("app_dir", str, "folder in which modules are looked for first", ".", metavar="FOLDER", commands=ANY),
    Setting("factory", _switch, "the app is what calling that attribute gives", False, commands=ANY),
    Setting("env_file", str, "file of environment variables; those that are set stand", metavar="FILE", commands=ANY),
    Setting("host", str, "address to listen on", "127.0.0.1"),
    Setting("port", _settings.port, "port to listen on, 0 for a free one", 8000),
    Setting("fd", _descriptor, "a socket that listens already, handed over under this number", metavar="N"),
    Setting("store", str, "store URL instead of the app's own", shown="the app's", metavar="URL"),
    Setting(
        "io_threads",
        _settings.io_threads,
        "threads that serve connections; 0: the event loop's own",
        shown="one for each processor",
        metavar="N",
    ),
    Setting("workers", _number, "processes that serve", 1, metavar="N", commands=("run",)),
    Setting("log_level", _settings.log_level, "least level that is logged", shown="info", metavar="LEVEL"),
    Setting("access_log", _switch, "a line of the log for each request, as layers.Trace writes it", shown="the app's"),
    Setting(
        "forwarded_allow_ips",
        str,
        "proxies whose X-Forwarded-For is believed, as layers.ClientIp does",
        (),
        metavar="NETWORK",
        many=True,
    ),
    Setting("limit_concurrency", _number, "open connections; others are answered 503", 10_000, metavar="N"),
    Setting("backlog", _number, "connections that the system holds before they are accepted", 2048, metavar="N"),
    Setting("timeout_keep_alive", _settings.seconds, "time for which a connection may idle", 75.0, metavar="SECONDS"),
    Setting(
        "timeout_graceful_shutdown",
        _settings.seconds,
        "time that requests in flight have to finish",
        30.0,
        metavar="SECONDS",
    ),
    Setting(
        "slow_callback_duration",
        _settings.seconds,
        "time for which something may hold the event loop before it is logged; 0: any",
        shown="1, in development 0.1",
        metavar="SECONDS",
    ),
    Setting(
        "timeout_worker_healthcheck",
        _settings.seconds,
        "time for which something may hold the event loop before the process is ended, and replaced; 0: any",
        shown="30 with --workers, else 0",
        metavar="SECONDS",
        commands=("run",),
    ),
    Setting("reload", _switch, "start anew when a file changes; `dev` does", False, commands=("run",)),
    Setting("reload_dir", str, "folder that is watched", (".",), metavar="FOLDER", many=True),
    Setting("reload_include", str, "files that count, beside *.py", (), metavar="PATTERN", many=True),
    Setting("reload_exclude", str, "files and folders that do not count", (), metavar="PATTERN", many=True),
)

BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True)
class Value:
    """What a setting is, and where that was said."""

    value: Any
    source: str
    """`--port`, `ZIGGURAT_PORT`, `ziggurat.toml:3`, or `default`."""


def add_flags(parser: argparse.ArgumentParser, command: str) -> None:
    """The flags of `ziggurat run` or `dev`."""
    for setting in SETTINGS:
        if command not in setting.commands:
            continue
        default = setting.shown or ("" if setting.default in (None, (), False) else _written(setting.default))
        told = f"{setting.help} [{', '.join(filter(None, (setting.variable, default)))}]"
        if setting.is_switch:
            parser.add_argument(setting.flag, action=argparse.BooleanOptionalAction, default=None, help=told)
        else:
            parser.add_argument(
                setting.flag,
                action="append" if setting.many else "store",
                type=_typed(setting),
                metavar=setting.metavar or setting.name.upper(),
                help=told,
            )


def _written(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def _typed(setting: Setting) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return setting.read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def resolve(given: Mapping[str, Any], folder: Path) -> dict[str, Value]:
    """Every setting: `given` are the flags, and `folder` is where a file of settings is looked for."""
    in_file = read_file(folder)
    env_file = _resolved(BY_NAME["env_file"], given, in_file)
    if env_file.value is not None:
        _load_environment(str(env_file.value), env_file.source)
    for flag, instead in REFUSED.items():
        variable = f"ZIGGURAT_{flag.removeprefix('--').replace('-', '_').upper()}"
        if os.environ.get(variable, "").strip():
            raise ConfigError(f"the environment variable {variable} is not taken: {instead}", cure="do not set it")
    return {setting.name: _resolved(setting, given, in_file) for setting in SETTINGS}


def _resolved(setting: Setting, given: Mapping[str, Any], in_file: Mapping[str, Value]) -> Value:
    flag = given.get(setting.name)
    if flag is not None and flag != []:
        many = [part for text in flag for part in _settings.addresses(text)] if setting.many else flag
        return Value(tuple(many) if setting.many else many, setting.flag if setting.name != "app" else "command line")
    text = os.environ.get(setting.variable, "").strip()
    if text:
        try:
            found = _settings.addresses(text) if setting.many else setting.read(text)
        except ValueError as error:
            raise ConfigError(f"the environment variable {setting.variable} is {text!r}", cure=str(error)) from None
        return Value(found, setting.variable)
    return in_file.get(setting.name) or Value(setting.default, "default")


def target_of(settings: Mapping[str, Value]) -> dict[str, Any]:
    """Which app, as `load` is told."""
    app = settings["app"].value
    if app is None:
        raise ConfigError(
            "no app is named",
            cure='write module:app, or app = "module:app" in ziggurat.toml or [tool.ziggurat] of pyproject.toml',
        )
    folder = settings["app_dir"]
    return {
        "target": app,
        "factory": settings["factory"].value,
        "app_dir": None if folder.source == "default" else folder.value,
    }


def _load_environment(path: str, source: str) -> None:
    try:
        import dotenv
    except ModuleNotFoundError:
        raise ConfigError(
            f"{source} names the file {path}, which the package python-dotenv reads",
            cure="install it with: pip install python-dotenv",
        ) from None
    if not os.path.isfile(path):
        raise ConfigError(f"there is no file {path!r}, which {source} names", cure="give the path of a file")
    # What is set stands: the file is for what is not.
    dotenv.load_dotenv(path, override=False)


# Files


def read_file(folder: Path) -> dict[str, Value]:
    """The settings of `ziggurat.toml`, or of `[tool.ziggurat]` in `pyproject.toml`."""
    own, project = folder / "ziggurat.toml", folder / "pyproject.toml"
    in_own = _table(own, ())
    in_project = _table(project, ("tool", "ziggurat"))
    if in_own is not None and in_project:
        raise ConfigError(
            "there are settings in ziggurat.toml, and in [tool.ziggurat] of pyproject.toml",
            cure="keep them in one of the two",
            location=f"{own}:1",
        )
    path, table = (own, in_own) if in_own is not None else (project, in_project or {})
    return dict(_read_entry(path, name, value) for name, value in table.items())


def _table(path: Path, keys: Sequence[str]) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        found: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is no TOML: {error}", cure="save it as UTF-8", location=f"{path}:1") from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError(
            f"{path.name} is no TOML: {error}", cure="mend it", location=f"{path}:{line[1] if line else 1}"
        ) from None
    for depth, key in enumerate(keys, 1):
        found = found.get(key, {})
        if not isinstance(found, dict):
            raise ConfigError(
                f"{path.name}: {'.'.join(keys[:depth])} is {found!r}",
                cure=f"write a table: [{'.'.join(keys)}]",
                location=f"{path}:{_line_of(path, key)}",
            )
    table: dict[str, Any] = found
    return table


def _read_entry(path: Path, name: str, value: Any) -> tuple[str, Value]:
    setting = BY_NAME.get(name.replace("-", "_"))
    place = f"{path}:{_line_of(path, name)}"
    if instead := REFUSED.get("--" + name.replace("_", "-")):
        raise ConfigError(f"{path.name}: {name} is not taken: {instead}", cure="leave it out", location=place)
    if setting is None and isinstance(value, dict):
        raise ConfigError(
            f"{path.name} has the table [{name}], and settings have none",
            cure="write them at the top" if path.name == "ziggurat.toml" else "write them into [tool.ziggurat]",
            location=place,
        )
    if setting is None:
        raise ConfigError(
            f"{path.name} has the setting {name!r}, which does not exist",
            cure=_nearest(name.replace("-", "_"), BY_NAME, "{}") or f"choose from {', '.join(BY_NAME)}",
            location=place,
        )
    try:
        found = _read_value(setting, value)
    except ValueError as error:
        raise ConfigError(f"{path.name}: {name} is {value!r}", cure=str(error), location=place) from None
    return setting.name, Value(found, f"{path.name}:{_line_of(path, name)}")


def _read_value(setting: Setting, value: Any) -> Any:
    if setting.many:
        parts = [value] if isinstance(value, str) else value
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise ValueError("write a list of texts")
        return tuple(parts)
    if isinstance(value, bool) or setting.is_switch:
        if not (isinstance(value, bool) and setting.is_switch):
            raise ValueError("write true or false" if setting.is_switch else "it is no switch")
        return value
    if not isinstance(value, str | int | float):
        raise ValueError("write a text or a number")
    return setting.read(str(value))


def _line_of(path: Path, name: str) -> int:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if re.match(rf"""\s*(?:["']?{re.escape(name)}["']?\s*=|\[(?:.*\.)?\s*{re.escape(name)}\s*[.\]])""", line):
            return number
    return 1


def _nearest(name: str, known: Mapping[str, Any] | Sequence[str], written: str) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {written.format(close[0])}?" if close else None
