"""How what a handler returns is written: decided once, by its return annotation or by `response_model`."""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Set
from dataclasses import field
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, is_typeddict
from uuid import UUID

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from ._param_models import is_attrs
from ._record import record
from ._ziggurat import Response
from .exceptions import ConfigError, ResponseValidationError
from .params import MISSING, Plan

if TYPE_CHECKING:
    from ._yields import Stream

IncEx = Set[str] | Set[int] | Mapping[str, Any] | Mapping[int, Any]
"""Which fields: their names, or a mapping from them to those of what they hold, as pydantic takes it."""

Write = Callable[[Any], bytes]
WITHOUT_CONTENT = frozenset((204, 205, 304))
"""The statuses whose answers have none (RFC 9110, 15.3.5, 15.3.6 and 15.4.5)."""
_UNIONS = (Union, types.UnionType)
_LISTS = (list, tuple, set, frozenset)
_KNOWN = (str, int, float, bytes, *_LISTS, dict, types.NoneType, enum.Enum, UUID, Decimal, date, time, Response)
"""What the encoder writes by itself; a datetime is a date."""


@record
class Options:
    """Which fields of a model are written, and how they are called."""

    include: IncEx | None = None
    exclude: IncEx | None = None
    exclude_unset: bool = False
    exclude_defaults: bool = False
    exclude_none: bool = False
    by_alias: bool = True

    @property
    def may_lack(self) -> bool:
        """Whether a field with a default may be missing."""
        return self.exclude_unset or self.exclude_defaults or self.exclude_none

    def given(self) -> dict[str, Any]:
        """Those that say something, as the serializer takes them."""
        return {
            each.name: getattr(self, each.name)
            for each in dataclasses.fields(self)
            if getattr(self, each.name) != each.default
        }


@record
class Returned:
    """What a handler returns."""

    model: Any = MISSING
    """For the document; `MISSING` is any JSON value."""
    options: Options = field(default_factory=Options)
    write: Write | None = None
    """Gives JSON. None leaves it to the encoder, which writes every value as it is."""
    stream: Stream | None = None
    """Of a handler that yields; `model` is then that of each thing."""


def returned_by(plan: Plan, response_model: Any, options: Options, media_type: str | None = None) -> Returned:
    """What the handler of `plan` returns; `response_model` is `MISSING` where its annotation is to say so, and None for nothing."""
    name, location = plan.name, plan.location
    if plan.yields:
        from ._yields import stream_of

        stream, item = stream_of(plan, media_type)
        made = _written(plan, item, response_model, options)
        return dataclasses.replace(made, stream=stream)
    if media_type is not None:
        raise ConfigError(
            f"{name}: media_type is of what a handler yields",
            cure="return Response(content=..., media_type=...)",
            location=location,
        )
    return _written(plan, plan.returns, response_model, options)


def check_status(plan: Plan, response_model: Any, status: int) -> None:
    """Raises `ConfigError` where something is said to be returned that cannot be sent."""
    if status not in WITHOUT_CONTENT:
        return
    model = _without_responses(plan.returns if response_model is MISSING else response_model)
    may_be_none = model in (MISSING, None, types.NoneType, Any, object) or types.NoneType in get_args(model)
    if plan.yields or not may_be_none:
        what = "yields" if plan.yields else f"returns {_spelled(model)}"
        raise ConfigError(
            f"{plan.name}: it {what}, and an answer with the status {status} has no content",
            cure="return None, or give it another status",
            location=plan.location,
        )


def _written(plan: Plan, annotation: Any, response_model: Any, options: Options) -> Returned:
    annotation = annotation if response_model is MISSING else response_model
    name, location = plan.name, plan.location
    model = _without_responses(annotation)
    wanted = response_model is not MISSING and response_model is not None
    if model is MISSING or response_model is None or not (wanted or _declares(model)):
        if options.given():
            option = next(iter(options.given()))
            raise ConfigError(
                f"{name}: response_model_{option} is given, but no model of what it returns",
                cure="annotate what it returns with a pydantic model, or give response_model=",
                location=location,
            )
        return Returned(MISSING if response_model is None else annotation)
    _check_places(model, options, name, location)
    by = _by_msgspec if is_of_msgspec(model) else _by_pydantic
    return Returned(model, options, by(model, options, plan))


def _check_places(model: Any, options: Options, name: str, location: str) -> None:
    """What is in a list has no name there, and with a name nothing of the list would be written."""
    if get_origin(model) not in _LISTS:
        return
    for option in ("include", "exclude"):
        given = getattr(options, option) or ()
        named = next((each for each in given if isinstance(each, str) and each != "__all__"), None)
        if named is not None:
            raise ConfigError(
                f"{name}: response_model_{option} names {named!r}, and what is returned is a list",
                cure=f'say it of each that is in it, as response_model_{option}={{"__all__": {{{named!r}}}}}',
                location=location,
            )


def _members(annotation: Any) -> tuple[Any, ...]:
    """The types that a union, a list or a dict holds."""
    return tuple(each for each in get_args(annotation) if each is not Ellipsis and each is not types.NoneType)


def bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _is_response(annotation: Any) -> bool:
    annotation = bare(annotation)
    return isinstance(annotation, type) and issubclass(annotation, Response)


def _without_responses(annotation: Any) -> Any:
    """A response of its own is written as it is, whatever else may be returned."""
    if _is_response(annotation):
        return MISSING
    if get_origin(annotation) in _UNIONS:
        left = [each for each in get_args(annotation) if not _is_response(each)]
        if len(left) < len(get_args(annotation)):
            return functools.reduce(lambda one, other: one | other, left) if left else MISSING
    return annotation


def _is_model(annotation: Any) -> bool:
    if _is_typeddict(annotation):
        return True
    return isinstance(annotation, type) and (
        issubclass(annotation, BaseModel)
        or dataclasses.is_dataclass(annotation)
        or _is_struct(annotation)
        or is_attrs(annotation)
    )


def _is_typeddict(annotation: Any) -> bool:
    # That of typing_extensions, too, which pydantic asks for before Python 3.12.
    return is_typeddict(annotation) or (isinstance(annotation, type) and hasattr(annotation, "__required_keys__"))


def _is_struct(annotation: Any) -> bool:
    # Without importing msgspec, which is not always there.
    return isinstance(annotation, type) and hasattr(annotation, "__struct_fields__")


def _declares(annotation: Any) -> bool:
    """Whether there are models in it, which say what may be told, or what only pydantic may be able to write."""
    annotation = bare(annotation)
    kind = get_origin(annotation) or annotation
    return _is_model(kind) or _is_strange(kind) or any(map(_declares, _members(annotation)))


def _is_strange(kind: Any) -> bool:
    """Whether it is a class that the encoder does not know. Values of one that is abstract may well be of another that it knows."""
    if not isinstance(kind, type) or kind in (Any, object, types.UnionType) or inspect.isabstract(kind):
        return False
    return not issubclass(kind, _KNOWN) and not getattr(kind, "_is_protocol", False)


def is_of_msgspec(annotation: Any) -> bool:
    """Whether there is a `msgspec.Struct` or a class of attrs in it, which msgspec writes."""
    annotation = bare(annotation)
    kind = get_origin(annotation) or annotation
    return _is_struct(kind) or is_attrs(kind) or any(map(is_of_msgspec, _members(annotation)))


# By pydantic


def _by_pydantic(model: Any, options: Options, plan: Plan) -> Write:
    name, location = plan.name, plan.location
    try:
        if isinstance(model, type) and issubclass(model, BaseModel) and model.__pydantic_complete__:
            # What an adapter would find, which takes long to make.
            serializer, validator = model.__pydantic_serializer__, model.__pydantic_validator__
        else:
            adapter: TypeAdapter[Any] = TypeAdapter(model)
            serializer, validator = adapter.serializer, adapter.validator
    except Exception as error:  # pydantic has no common base for what it raises here
        from ._elsewhere import left_behind, written_here

        kind = left_behind(model)
        if kind is not None:
            told, cure = written_here(kind)
            raise ConfigError(f"{name}: it returns {told}", cure=cure, location=location) from None
        raise ConfigError(
            f"{name}: what it returns cannot be written as {_spelled(model)}: {error}",
            cure="return a pydantic model, a dataclass, a TypedDict, a msgspec.Struct or a class of attrs, or say response_model=None",
            location=location,
        ) from error
    _check_names(model, options, name, location)
    # What is not of the type that was declared is never written as it is, since it may hold more than was to be told.
    given: dict[str, Any] = {"warnings": "error", "by_alias": True, **options.given()}
    to_json: Write = functools.partial(serializer.to_json, **given)
    validate: Callable[[Any], Any] = functools.partial(validator.validate_python, from_attributes=True)
    fits = _fits(model)

    def write(value: Any) -> bytes:
        try:
            if fits is None or fits(value):
                return to_json(value)
        except PydanticSerializationError:
            pass
        try:
            return to_json(validate(value))
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}"
                for each in error.errors(include_url=False, include_input=False)[:10]
            )
            raise _unfit(plan, value, model, wrong) from None
        except PydanticSerializationError as error:
            # What it holds is not for the log, either.
            wrong = re.sub(r"input_value=.*?, (?=input_type=)", "", str(error), flags=re.DOTALL)
            raise _unfit(plan, value, model, wrong) from None

    return write


def _unfit(plan: Plan, value: Any, model: Any, wrong: str) -> ResponseValidationError:
    return ResponseValidationError(
        f"{plan.name} {'yielded' if plan.yields else 'returned'} {_spelled(type(value))}, which is not the {_spelled(model)} that it "
        f"declares: {wrong} (at {plan.location})"
    )


def _check_names(model: Any, options: Options, name: str, location: str) -> None:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return
    for option in ("include", "exclude"):
        for given in getattr(options, option) or ():
            if isinstance(given, str) and given not in {"__all__", *model.model_fields, *model.model_computed_fields}:
                raise ConfigError(
                    f"{name}: response_model_{option} names {given!r}, which {model.__name__} does not have",
                    cure=f"choose from {', '.join(model.model_fields)}",
                    location=location,
                )


def names_in_json(model: Any) -> dict[str, str]:
    """The names of the fields of a model by those that they have in JSON; none where it is no single model."""
    if is_of_msgspec(model):
        from ._struct_fields import struct_of

        struct = struct_of(model)
        return (
            {} if struct is None else dict(zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True))
        )
    if get_origin(model) in _UNIONS:
        left = [each for each in get_args(model) if each is not types.NoneType]
        model = left[0] if len(left) == 1 else None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return {}
    known = {field.serialization_alias or field.alias or name: name for name, field in model.model_fields.items()}
    return known | {field.alias or name: name for name, field in model.model_computed_fields.items()}


Check = Callable[[Any], bool]


def _fits(annotation: Any) -> Check | None:
    """Tells whether a value is what its type says as far as the serializer does not see to it: None is always."""
    annotation = bare(annotation)
    origin, members = get_origin(annotation), get_args(annotation)
    if _is_typeddict(annotation):
        required: frozenset[str] = annotation.__required_keys__
        return lambda value: type(value) is dict and required <= value.keys()
    kind = origin or annotation
    if isinstance(kind, type) and (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind)):
        return lambda value: isinstance(value, kind)
    if origin is list and members:
        return _all_fit(list, _fits(members[0]), lambda value: value)
    if origin is dict and len(members) == 2:
        return _all_fit(dict, _fits(members[1]), lambda value: value.values())
    if origin in _UNIONS:
        checks = [_is_none if each is types.NoneType else _fits(each) for each in members]
        known = [check for check in checks if check is not None]
        if len(known) == len(checks):
            return lambda value: any(check(value) for check in known)
    return None


def _is_none(value: Any) -> bool:
    return value is None


def _all_fit(kind: type, item: Check | None, items: Callable[[Any], Any]) -> Check | None:
    return None if item is None else lambda value: isinstance(value, kind) and all(map(item, items(value)))


# By msgspec


def _by_msgspec(model: Any, options: Options, plan: Plan) -> Write:
    name, location = plan.name, plan.location
    try:
        import msgspec
    except ImportError:
        raise ConfigError(
            f"{name}: it returns {_spelled(model)}, and classes of attrs are written by msgspec",
            cure="run `pip install msgspec`",
            location=location,
        ) from None
    try:
        msgspec.json.schema(model)
    except TypeError as error:
        raise ConfigError(
            f"{name}: what it returns cannot be written as {_spelled(model)}: {error}",
            cure="keep models of msgspec and of pydantic apart",
            location=location,
        ) from error
    encode = msgspec.json.Encoder().encode
    if options.given():
        from ._struct_fields import shown

        show, encode_all = shown(model, options, name, location), encode

        def encode(value: Any) -> bytes:
            return encode_all(show(value))

    is_exact = _exact(model, {})

    def write(value: Any) -> bytes:
        # What msgspec writes has all of its own class.
        if is_exact(value):
            return encode(value)
        try:
            try:
                plain = msgspec.to_builtins(value)
            except TypeError:
                plain = msgspec.to_builtins(msgspec.convert(value, model, from_attributes=True))
            return encode(msgspec.convert(plain, model))
        except (msgspec.ValidationError, TypeError) as error:
            raise _unfit(plan, value, model, str(error)) from None

    return write


def _exact(annotation: Any, known: dict[Any, Check]) -> Check:
    """Tells whether the Structs and the classes of attrs in a value are just those that were declared."""
    annotation = bare(annotation)
    origin, members = get_origin(annotation), get_args(annotation)
    if _is_struct(origin or annotation) or is_attrs(annotation):
        return _exact_class(annotation, known)
    if origin in _UNIONS:
        checks = [_exact(each, known) for each in members]
        return lambda value: any(check(value) for check in checks)
    if origin in _LISTS and members and not (origin is tuple and members[-1] is not Ellipsis):
        item = _exact(members[0], known)
        return lambda value: isinstance(value, origin) and all(map(item, value))
    if origin is dict and len(members) == 2:
        item = _exact(members[1], known)
        return lambda value: isinstance(value, dict) and all(map(item, value.values()))
    if annotation in (None, types.NoneType):
        return _is_none
    if annotation in (Any, object):
        return lambda value: True
    if _declares(annotation):
        # Told apart by converting them.
        return lambda value: False
    kind = origin or annotation
    return (
        (lambda value: isinstance(value, kind))
        if isinstance(kind, type)
        else (lambda value: not _is_struct(type(value)) and not is_attrs(type(value)))
    )


def _exact_class(annotation: Any, known: dict[Any, Check]) -> Check:
    import msgspec

    if annotation in known:
        return known[annotation]
    kind = get_origin(annotation) or annotation
    checks: list[tuple[str, Check]] = []
    known[annotation] = check = lambda value: (
        type(value) is kind and all(inner(getattr(value, name)) for name, inner in checks)
    )
    if _is_struct(kind):
        fields = [(each.name, each.type) for each in msgspec.structs.fields(annotation)]
    else:
        hints = typing.get_type_hints(kind, include_extras=True)
        fields = [(each.name, hints.get(each.name, Any)) for each in kind.__attrs_attrs__]
    checks.extend((field, _exact(of, known)) for field, of in fields)
    return check


def _spelled(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
