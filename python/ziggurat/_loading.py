"""From `module:attribute` to an app."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from types import ModuleType
from typing import Any, NoReturn

from ._elsewhere import is_elsewhere
from .app import Ziggurat
from .exceptions import ConfigError

__all__ = ["load", "load_for_reading"]

MAKERS = ("create_app", "make_app", "get_app", "build_app")
"""Functions of these names are taken for ones that make an app, where one is looked for."""


def load(target: str, *, factory: bool = False, app_dir: str | None = None) -> Ziggurat:
    """The app that `target` names, or with `factory` the one that what it names makes."""
    name, _, attribute = target.partition(":")
    if not name:
        raise ConfigError(f"{target!r} names no module", cure="write module:app")
    # As with `python -m`: modules of the current folder come first.
    folder = os.path.abspath(app_dir) if app_dir else os.getcwd()
    if sys.path[:1] not in ([""], [folder]) or app_dir:
        sys.path.insert(0, folder)
    module = _load_file(name, folder) if name.endswith(".py") else _load_module(name, folder)
    found: Any = module
    for step in (attribute or "app").split("."):
        if not hasattr(found, step):
            _refuse_attribute(module, name, attribute or "app")
        found = getattr(found, step)
    named = f"{name}:{attribute or 'app'}"
    if factory:
        if isinstance(found, Ziggurat) or not callable(found):
            raise ConfigError(f"{named} makes no app", cure="name a function that makes one, or leave --factory out")
        found = found()
        named += "()"
        if inspect.iscoroutine(found):
            found.close()
            raise ConfigError(
                f"{name}:{attribute or 'app'} is async, and an app is made before there is an event loop",
                cure="write it with def; what has to be awaited goes into the lifespan of the app",
            )
    elif is_elsewhere(type(found)):
        raise ConfigError(
            f"{named} is a {type(found).__name__}, not a Ziggurat app",
            cure=f'mount it in one: app = Ziggurat(); app.mount("", {attribute or "app"})',
        )
    elif not isinstance(found, Ziggurat) and callable(found) and not isinstance(found, type):
        raise ConfigError(
            f"{named} is a {type(found).__name__}, not a Ziggurat app",
            cure="name the variable that holds Ziggurat(...), or add --factory if this makes one",
        )
    if not isinstance(found, Ziggurat):
        is_class = isinstance(found, type) and issubclass(found, Ziggurat)
        raise ConfigError(
            f"{named} is a {type(found).__name__}, not a Ziggurat app",
            cure=f"make one of it: app = {found.__name__}()"
            if is_class
            else "name the variable that holds Ziggurat(...)",
        )
    found._target = named.removesuffix("()")
    return found


def load_for_reading(target: str, *, factory: bool = False, app_dir: str | None = None) -> Ziggurat:
    """An app that is built but not served: it must not touch its real store, nor may those that are mounted in it."""
    app = load(target, factory=factory, app_dir=app_dir)
    _forget_stores(app)
    return app


def _forget_stores(app: Ziggurat) -> None:
    app.use_store("sqlite:///:memory:")
    for mount in app.mount_specs:
        if isinstance(mount.app, Ziggurat):
            _forget_stores(mount.app)


def _refuse_attribute(module: ModuleType, name: str, attribute: str) -> NoReturn:
    apps = [key for key, value in vars(module).items() if isinstance(value, Ziggurat)]
    makers = [key for key, value in vars(module).items() if _makes_an_app(key, value)]
    cure = "make one: app = Ziggurat()"
    if apps:
        cure = f"write {name}:{apps[0]}"
    elif makers:
        cure = f"write {name}:{makers[0]} --factory"
    raise ConfigError(f"{name} has no {attribute!r}", cure=cure, location=f"{module.__file__}:1")


def _makes_an_app(name: str, value: object) -> bool:
    if not inspect.isfunction(value):
        return False
    try:
        made = value.__annotations__.get("return")
    except NameError:  # Python 3.14 reads them only now.
        made = None
    return name in MAKERS or made in (Ziggurat, "Ziggurat")


def _load_module(name: str, folder: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(
                f"there is no module {name!r} in {folder} or among the installed ones",
                cure=_cure_for(name, folder) or "write module:app, with dots for folders, or path/to/file.py:app",
            ) from None
        raise


def _cure_for(name: str, folder: str) -> str | None:
    """What was perhaps meant by the name of a module that there is not."""
    path = name.replace(".", os.sep)
    for below in ("", "src"):
        start = os.path.join(folder, below, path)
        if os.path.isfile(f"{start}.py") or os.path.isfile(os.path.join(start, "__init__.py")):
            dotted = path.strip(os.sep).replace(os.sep, ".")
            return f"write {dotted}:app{' --app-dir src' if below else ''}"
    outer, _, last = name.rpartition(".")
    if outer in sys.modules and not hasattr(sys.modules[outer], "__path__"):
        return f"write {outer}:{last}, with a colon before the attribute"
    return None


def _load_file(path: str, folder: str) -> ModuleType:
    whole = os.path.join(folder, path)
    if not os.path.isfile(whole):
        raise ConfigError(f"there is no file {path!r}", cure="give the path of a Python file")
    # Its own folder comes first on the path, as with `python path/to/file.py`.
    own = os.path.dirname(os.path.abspath(whole))
    sys.path.insert(0, own)
    name = os.path.splitext(os.path.basename(path))[0]
    outer, packages = own, list[str]()
    while os.path.isfile(os.path.join(outer, "__init__.py")):
        outer, package = os.path.split(outer)
        packages.insert(0, package)
    if packages:
        # Of a package it is a module, which may import from what is beside it: `from .models import Book`.
        sys.path.insert(0, outer)
        return importlib.import_module(".".join(packages if name == "__init__" else [*packages, name]))
    spec = importlib.util.spec_from_file_location(name, whole)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
