"""What an editor shows: each class and function that users name says what it is, as does each of its members."""

from __future__ import annotations

import ast
import inspect
import types
from pathlib import Path
from typing import Any

import pytest

import ziggurat
from ziggurat import _ziggurat, layers, testing
from ziggurat.routing import RouteOptions

EXPORTED = [getattr(ziggurat, name) for name in ziggurat.__all__ if not name.startswith("__")]
CLASSES = [
    each for each in (*EXPORTED, _ziggurat.Headers, _ziggurat.QueryParams, testing.TestClient) if isinstance(each, type)
]
NATIVE = [each for each in CLASSES if getattr(_ziggurat, each.__name__, None) is each]
DESCRIBED = (
    types.FunctionType,
    property,
    classmethod,
    staticmethod,
    types.GetSetDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)


def public(cls: type) -> dict[str, Any]:
    return {
        name: value for name, value in vars(cls).items() if not name.startswith("_") and isinstance(value, DESCRIBED)
    }


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_member_says_what_it_is(cls: type) -> None:
    assert cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}("), "what dataclasses write by themselves"
    assert [name for name, value in public(cls).items() if not inspect.getdoc(getattr(cls, name))] == []


def test_each_function_and_layer_says_what_it_is() -> None:
    functions = [each for each in EXPORTED if inspect.isroutine(each)]
    assert functions
    assert [each.__name__ for each in functions if not each.__doc__] == []
    assert [name for name in layers.__all__ if not getattr(layers, name).__doc__] == []


def test_the_stub_says_it_as_well() -> None:
    stub = ast.parse((Path(ziggurat.__file__).parent / "_ziggurat.pyi").read_text())
    said: dict[str, dict[str, bool]] = {}
    for cls in stub.body:
        if not isinstance(cls, ast.ClassDef):
            continue
        members = said[cls.name] = {}
        for member in cls.body:
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and not member.name.startswith("_"):
                # One of several overloads, and the getter of what may be set, says it for all.
                members[member.name] = members.get(member.name, False) or ast.get_docstring(member) is not None
    for native in NATIVE:
        assert [name for name, is_said in said[native.__name__].items() if not is_said] == [], native.__name__


def test_each_option_of_a_route_says_what_it_is() -> None:
    source = ast.parse(inspect.getsource(RouteOptions))
    [cls] = source.body
    assert isinstance(cls, ast.ClassDef)
    bare = [
        each.target.id
        for each, after in zip(cls.body, [*cls.body[1:], None], strict=True)
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and not isinstance(after, ast.Expr)
    ]
    assert bare == []
