"""What of a pydantic model reaches native CRUD, and what is refused by name."""

from __future__ import annotations

import dataclasses
import enum
import json
import re
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional
from uuid import UUID

import pytest
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NaiveDatetime,
    PastDate,
    PastDatetime,
    PositiveInt,
    RootModel,
    SecretStr,
    StringConstraints,
    Tag,
    computed_field,
    create_model,
    field_serializer,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from ziggurat import Ziggurat
from ziggurat._schema import describe
from ziggurat.exceptions import ConfigError
from ziggurat.models import (
    CreatedAt,
    DeletedAt,
    Hidden,
    Immutable,
    Indexed,
    Model,
    ReadOnly,
    UnsupportedModelError,
    UpdatedAt,
    WriteOnly,
    now,
    uuid7,
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Shape(enum.StrEnum):
    ROUND = "round"


class Address(BaseModel):
    city: str
    zip: str = "0"


def described(annotation: Any, default: Any = ..., *, config: ConfigDict | None = None) -> dict[str, Any]:
    """The description of a field with this annotation."""
    namespace: dict[str, Any] = {"__annotations__": {"id": uuid.UUID, "x": annotation}, "__module__": __name__}
    if default is not ...:
        namespace["x"] = default
    if config is not None:
        namespace["model_config"] = config
    description = json.loads(describe(type("M", (BaseModel,), namespace)))
    field: dict[str, Any] = description["fields"][1]
    assert field.pop("name") == "x"
    return field


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (bool, {"type": "bool"}),
        (int, {"type": "int"}),
        (PositiveInt, {"type": "int", "gt": 0}),
        (Annotated[int, Field(ge=1, le=9, multiple_of=2)], {"type": "int", "ge": 1, "le": 9, "multiple_of": 2}),
        (Annotated[int, Field(ge=1.0)], {"type": "int", "ge": 1}),
        (Annotated[float, Field(lt=1)], {"type": "float", "lt": 1.0}),
        (str, {"type": "str"}),
        (
            Annotated[str, Field(min_length=1, max_length=5, pattern="^a")],
            {"type": "str", "min_length": 1, "max_length": 5, "pattern": "^a"},
        ),
        (
            Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True)],
            {"type": "str", "strip": True, "lower": True},
        ),
        (uuid.UUID, {"type": "uuid"}),
        (datetime, {"type": "datetime"}),
        (AwareDatetime, {"type": "datetime"}),
        (date, {"type": "date"}),
        (set[int], {"type": "list", "sort": "set", "items": {"type": "int"}}),
        (frozenset[str], {"type": "list", "sort": "frozenset", "items": {"type": "str"}}),
        (tuple[int, ...], {"type": "list", "sort": "tuple", "items": {"type": "int"}}),
        (tuple[int, str], {"type": "fixed", "items": [{"type": "int"}, {"type": "str"}]}),
        (Annotated[date, Field(ge=date(1900, 1, 1))], {"type": "date", "ge": "1900-01-01"}),
        (Annotated[time, Field(lt=time(12, 30))], {"type": "time", "lt": "12:30:00"}),
        (Colour, {"type": "enum", "values": ["red", "blue"]}),
        (Level, {"type": "enum", "values": [1, 2], "int": True}),
        (Shape, {"type": "enum", "values": ["round"]}),
        (Literal["a", 1, True], {"type": "literal", "values": ["a", 1, True]}),
        (Literal["a", None], {"type": "optional", "of": {"type": "literal", "values": ["a"]}}),
        (Optional[int], {"type": "optional", "of": {"type": "int"}}),  # noqa: UP045
        (Annotated[int | None, Field(ge=0)], {"type": "optional", "of": {"type": "int", "ge": 0}}),
        (
            Annotated[list[Annotated[str, Field(max_length=4)]], Field(min_length=1, max_length=3)],
            {"type": "list", "items": {"type": "str", "max_length": 4}, "min_length": 1, "max_length": 3},
        ),
        (
            list[Address | None],
            {
                "type": "list",
                "items": {
                    "type": "optional",
                    "of": {
                        "type": "model",
                        "schema": {
                            "name": "Address",
                            "unknown": "forbid",
                            "fields": [
                                {"name": "city", "type": {"type": "str"}},
                                {"name": "zip", "type": {"type": "str"}, "default": {"value": "0"}},
                            ],
                        },
                    },
                },
            },
        ),
    ],
)
def test_types_and_constraints(annotation: Any, expected: dict[str, Any]) -> None:
    assert described(annotation) == {"type": expected}


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        (int, 3, {"value": 3}),
        (int | None, None, {"value": None}),
        (Colour, Colour.BLUE, {"value": "blue"}),
        (list[int], [1], {"value": [1]}),
        (list[int], Field(default_factory=list), {"value": []}),
        (set[int], {3, 1}, {"value": [1, 3]}),
        (set[int], Field(default_factory=set), {"value": []}),
        (tuple[int, ...], (2, 1), {"value": [2, 1]}),
        (Address, Address(city="Ur"), {"value": {"city": "Ur", "zip": "0"}}),
        (datetime, datetime(2024, 5, 1, tzinfo=UTC), {"value": "2024-05-01T00:00:00+00:00"}),
        (date, date(2024, 5, 1), {"value": "2024-05-01"}),
        (time, time(9, 30), {"value": "09:30:00"}),
        (uuid.UUID, Field(default_factory=uuid.uuid4), {"factory": "uuid4"}),
        (uuid.UUID, Field(default_factory=uuid7), {"factory": "uuid7"}),
        (datetime, Field(default_factory=now), {"factory": "now"}),
    ],
)
def test_defaults(annotation: Any, default: Any, expected: dict[str, Any]) -> None:
    assert described(annotation, default)["default"] == expected


def test_settings_of_the_model_reach_its_fields() -> None:
    config = ConfigDict(str_strip_whitespace=True, str_max_length=5, str_to_upper=True, strict=True, frozen=True)
    assert described(str, config=config)["type"] == {"type": "str", "max_length": 5, "strip": True, "upper": True}


def test_unknown_fields_are_forbidden_unless_the_model_says_otherwise() -> None:
    class Plain(BaseModel):
        id: uuid.UUID

    class Ours(Model):
        id: uuid.UUID

    class Lenient(Model):
        model_config = ConfigDict(extra="ignore")
        id: uuid.UUID

    class Open(Model):
        model_config = ConfigDict(extra="allow")
        id: uuid.UUID

    assert [json.loads(describe(model))["unknown"] for model in (Plain, Ours, Lenient, Open)] == [
        "forbid",
        "forbid",
        "ignore",
        "allow",
    ]


def test_indexes() -> None:
    class User(Model):
        id: uuid.UUID
        email: Annotated[str, Indexed(unique=True)]
        nick: Annotated[str, Indexed()] | None = None
        name: str

    fields = json.loads(describe(User))["fields"]
    assert [field.get("index") for field in fields] == [None, {"unique": True}, {"unique": False}, None]


def test_private_attributes_and_forward_references_are_fine() -> None:
    class Later(Model):
        id: uuid.UUID
        next: SoonDefined | None = None  # noqa: F821
        _secret: int = 3

    globals()["SoonDefined"] = Address
    try:
        assert json.loads(describe(Later))["fields"][1]["type"]["of"]["schema"]["name"] == "Address"
    finally:
        del globals()["SoonDefined"]


class Marked(BaseModel):
    inner: Annotated[int, Hidden]


class Sneaky(enum.Enum):
    A = "a"

    @classmethod
    def _missing_(cls, value: object) -> Sneaky:
        return cls.A


@dataclasses.dataclass
class Plain:
    a: Annotated[int, Field(ge=0)]
    b: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Busy:
    a: int

    def __post_init__(self) -> None: ...


@dataclasses.dataclass
class Partly:
    a: int
    late: int = dataclasses.field(default=1, init=False)


class Keys(TypedDict):
    a: int
    inner: Plain


class Loose(TypedDict):
    a: int
    b: NotRequired[str]


class Pair(NamedTuple):
    a: int
    b: str


@dataclasses.dataclass
class Ship:
    id: UUID
    email: Annotated[str, Indexed(unique=True)]
    home: Plain
    secret: Annotated[str, WriteOnly] = "x"
    deleted_at: DeletedAt = None
    default: Plain = dataclasses.field(default_factory=lambda: Plain(1))


class Crate(TypedDict):
    id: Annotated[UUID, "other"]
    weight: Annotated[float, Indexed(), Field(gt=0)]
    made: CreatedAt


class Red(BaseModel):
    kind: Literal["red", "crimson"] = "red"
    depth: int


class Blue(BaseModel):
    kind: Literal["blue"]
    depth: str


@pytest.mark.parametrize(
    ("annotation", "default", "what"),
    [
        (
            Annotated[Decimal, Field(allow_inf_nan=True)],
            ...,
            "M.x: a Decimal that is not finite is not supported natively",
        ),
        (PastDate, ..., "M.x: the rule now_op='past' is not supported natively"),
        (Annotated[timedelta, Field(le=timedelta.max)], ..., "M.x: le is longer than 290 thousand years"),
        (dict[int, int], ..., "M.x: a dict whose keys are more than str is not supported natively"),
        (dict[Annotated[str, Field(min_length=1)], int], ..., "M.x: a dict whose keys are more than str is"),
        (dict[str, complex], ..., "M.x{}: complex is not supported natively"),
        (set[tuple[int, ...]], ..., "M.x: a set of what holds no single value is not supported natively"),
        (None, ..., "M.x: None alone is not supported natively"),
        (int | complex, ..., "M.x: complex is not supported natively"),
        (
            Annotated[Annotated[Red, Tag("r")] | Annotated[Blue, Tag("b")], Discriminator(lambda _: "r")],
            ...,
            "M.x: a discriminator that is a function or a path is not supported natively",
        ),
        (
            Annotated[Red | Annotated[Blue, AfterValidator(abs)], Field(discriminator="kind")],
            ...,
            "M.x: validator abs is Python code",
        ),
        (Sequence[int], ..., "M.x: a type that reads JSON its own way is not supported natively"),
        (SecretStr, ..., "M.x: a type that reads JSON its own way is not supported natively"),
        (Busy, ..., "M.x: __post_init__ is Python code"),
        (Partly, ..., "M.x.late: a field that is only for __init__, or not for it, is Python code"),
        (Loose, ..., "M.x.b: a key that may be missing is not supported natively"),
        (Pair, ..., "M.x: a NamedTuple is not supported natively"),
        (RootModel[int], ..., "M.x: is a RootModel"),
        (Annotated[int, AfterValidator(abs)], ..., "M.x: validator abs is Python code"),
        (list[Annotated[int, AfterValidator(abs)]], ..., "M.x[]: validator abs is Python code"),
        (Sneaky, ..., "M.x: Sneaky._missing_ is Python code"),
        (NaiveDatetime, ..., "M.x: times without an offset are not supported natively"),
        (PastDatetime, ..., "M.x: the rule now_op='past' is not supported natively"),
        (Annotated[int, Field(le=2**63)], ..., "M.x: le=9223372036854775808 is not a 64-bit integer"),
        (Literal[Colour.RED], ..., "M.x: the choice <Colour.RED: 'red'> is not supported natively"),
        (int, Field(alias="y"), "M.x: validation alias 'y' is not supported natively"),
        (int, Field(serialization_alias="y"), "M.x: serialization alias 'y' is not supported natively"),
        (int, Field(exclude=True), "M.x: exclude= is not supported natively"),
        (Annotated[int, ReadOnly, WriteOnly], 1, "M.x: is marked ReadOnly and WriteOnly"),
        (Marked, ..., "M.x.inner: a field of a nested model cannot be Hidden"),
        (int, Field(default_factory=lambda: 1), "M.x: default factory <lambda> is Python code"),
        (datetime, Field(default_factory=datetime.now), "M.x: default factory datetime.now is Python code"),
        (Annotated[list[int], Indexed()], ..., "M.x: what holds no single value cannot be indexed"),
        (Annotated[dict[str, int], Indexed()], ..., "M.x: what holds no single value cannot be indexed"),
    ],
)
def test_what_is_not_honoured_is_refused(annotation: Any, default: Any, what: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        described(annotation, default)
    assert caught.value.problems[0].startswith(what)


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        (Annotated[int, Immutable], ..., {"type": {"type": "int"}, "access": "immutable"}),
        (int, Field(frozen=True), {"type": {"type": "int"}, "access": "immutable"}),
        (Annotated[int, WriteOnly] | None, None, {"default": {"value": None}, "access": "write_only"}),
        (
            Annotated[Decimal, Field(gt=1, multiple_of=0.5, max_digits=5, decimal_places=2)],
            Decimal("1.50"),
            {
                "type": {"type": "decimal", "gt": "1", "multiple_of": "0.5", "max_digits": 5, "decimal_places": 2},
                "default": {"value": "1.50"},
            },
        ),
        (
            Annotated[timedelta, Field(ge=timedelta(seconds=1))],
            timedelta(days=-1, microseconds=5),
            {"type": {"type": "timedelta", "ge": 1_000_000}, "default": {"value": "-PT86399.999995S"}},
        ),
        (Any, Field(default_factory=dict), {"type": {"type": "any"}, "default": {"value": {}}}),
        (list, ..., {"type": {"type": "list", "items": {"type": "any"}}}),
        (
            Annotated[dict[str, list[int]], Field(max_length=3)],
            {"a": [1]},
            {
                "type": {
                    "type": "dict",
                    "values": {"type": "list", "items": {"type": "int"}},
                    "max_length": 3,
                },
                "default": {"value": {"a": [1]}},
            },
        ),
        (
            int | str | None,
            None,
            {"type": {"type": "optional", "of": {"type": "union", "of": [{"type": "int"}, {"type": "str"}]}}},
        ),
        (Annotated[int, ReadOnly], 3, {"default": {"value": 3}, "access": "read_only"}),
        (Annotated[int, Hidden], 3, {"default": {"value": 3}, "access": "hidden"}),
        (CreatedAt, ..., {"default": {"factory": "now"}, "access": "read_only"}),
        (UpdatedAt, ..., {"default": {"factory": "now"}, "access": "read_only", "renew": True}),
    ],
)
def test_types_and_what_clients_may_do_with_them(annotation: Any, default: Any, expected: dict[str, Any]) -> None:
    description = described(annotation, default)
    assert {**description, **expected} == description


def test_dataclasses_and_typed_dicts() -> None:
    plain = {
        "name": "Plain",
        "unknown": "forbid",
        "fields": [
            {"name": "a", "type": {"type": "int", "ge": 0}},
            {"name": "b", "type": {"type": "list", "items": {"type": "str"}}, "default": {"value": []}},
        ],
    }
    assert described(Plain, ...)["type"] == {"type": "model", "schema": plain}
    assert described(Plain, Plain(3, ["x"]))["default"] == {"value": {"a": 3, "b": ["x"]}}
    keys = described(Keys, ...)["type"]["schema"]
    assert (keys["name"], keys["unknown"], [field["name"] for field in keys["fields"]]) == (
        "Keys",
        "forbid",
        ["a", "inner"],
    )

    with pytest.raises(UnsupportedModelError) as caught:
        describe(Ship)
    assert caught.value.problems[0].startswith("Ship.default: default factory Ship.<lambda> is Python code")
    assert len(caught.value.problems) == 1
    crate = json.loads(describe(Crate))
    assert (crate["name"], crate["id"], crate["unknown"]) == ("Crate", "id", "forbid")
    assert crate["fields"][1:] == [
        {"name": "weight", "type": {"type": "float", "gt": 0.0}, "index": {"unique": False}},
        {"name": "made", "type": {"type": "datetime"}, "default": {"factory": "now"}, "access": "read_only"},
    ]
    for wrong in (int, "User", list[int], Pair):
        with pytest.raises(UnsupportedModelError, match="is no pydantic model, dataclass, TypedDict"):
            describe(wrong)  # type: ignore[arg-type]


def test_models_are_told_apart() -> None:
    tagged = described(Annotated[Red | Blue, Field(discriminator="kind")], ...)["type"]
    assert (tagged["type"], tagged["tag"]) == ("tagged", "kind")
    assert [(model["tags"], model["model"]["schema"]["name"]) for model in tagged["models"]] == [
        (["red", "crimson"], "Red"),
        (["blue"], "Blue"),
    ]
    mixed = described(str | Annotated[Red | Blue, Field(discriminator="kind")], ...)["type"]
    assert mixed == {"type": "union", "of": [{"type": "str"}, tagged]}


@pytest.mark.parametrize(
    ("annotation", "what"),
    [
        (int | Decimal, "M.x: int and Decimal look the same"),
        (str | UUID, "M.x: str and UUID look the same"),
        (list[int] | set[str], "M.x: list and set look the same"),
        (timedelta | int, "M.x: timedelta and int look the same"),
        (Colour | str, "M.x: Enum and str look the same"),
        (Red | Blue, "M.x: Red and Blue look the same"),
        (Red | dict[str, int], "M.x: Red and dict look the same"),
        (int | Any, "M.x: int and Any look the same"),
    ],
)
def test_what_looks_the_same_is_no_union(annotation: Any, what: str) -> None:
    app = Ziggurat(store="sqlite:///:memory:")
    model = create_model("M", __base__=Model, id=(UUID, ...), x=(annotation, ...))
    app.crud(model)(type("Routes", (), {}))
    with pytest.raises(ConfigError, match=re.escape(what)) as caught:
        app.build()
    assert "use one of them" in str(caught.value)


def test_bytes_are_base64() -> None:
    class Photo(Model):
        id: int
        raw: Annotated[bytes, Field(max_length=3)] = b"\xfb"

    assert json.loads(describe(Photo))["fields"][1] == {
        "name": "raw",
        "type": {"type": "bytes", "max_length": 3},
        "default": {"value": "-w=="},
    }
    assert Photo.model_validate_json(Photo(id=1).model_dump_json()).raw == b"\xfb"


def test_python_code_in_a_model_is_refused_all_at_once() -> None:
    class User(Model):
        id: uuid.UUID
        name: str
        born: complex

        @field_validator("name")
        @classmethod
        def tidy(cls, value: str) -> str:
            return value

        @field_serializer("name")
        def shout(self, value: str) -> str:
            return value.upper()

        @model_validator(mode="after")
        def whole(self) -> User:
            return self

        @computed_field  # type: ignore[prop-decorator]
        @property
        def initial(self) -> str:
            return self.name[:1]

        def model_post_init(self, context: Any) -> None:
            pass

    with pytest.raises(UnsupportedModelError) as caught:
        describe(User)
    text = str(caught.value)
    for part in ("tidy", "shout", "whole", "User.initial: computed field", "model_post_init", "User.born: complex"):
        assert part in text
    assert isinstance(caught.value, ConfigError)
    assert f"(at {__file__}:" in text


def test_validators_before_and_wrapping_the_model_are_refused() -> None:
    class User(Model):
        id: uuid.UUID

        @model_validator(mode="before")
        @classmethod
        def early(cls, data: Any) -> Any:
            return data

    with pytest.raises(UnsupportedModelError, match=r"model validator .*early is Python code"):
        describe(User)


def test_a_custom_init_is_refused() -> None:
    class User(Model):
        id: uuid.UUID

        def __init__(self, **data: Any) -> None:
            super().__init__(**data)

    with pytest.raises(UnsupportedModelError, match="__init__ is Python code"):
        describe(User)


@pytest.mark.parametrize(
    "config",
    [
        ConfigDict(coerce_numbers_to_str=True),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(config: ConfigDict) -> None:
    with pytest.raises(UnsupportedModelError, match="not supported natively"):
        described(int, config=config)


def test_patterns_of_pythons_own_engine_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match=r"M\.x: a pattern of Python's own engine"):
        described(Annotated[str, Field(pattern="a(?=b)")], config=ConfigDict(regex_engine="python-re"))


def test_a_model_may_hold_itself() -> None:
    kids = json.loads(describe(Tree))["fields"][1]["type"]["items"]
    assert (kids["type"], kids["schema"]["name"]) == ("model", "Tree")
    assert kids["schema"]["fields"][1]["type"]["items"] == {"type": "back", "ref": kids["schema"]["ref"]}


class Tree(Model):
    id: uuid.UUID
    kids: list[Tree]


def test_undefined_types_are_named() -> None:
    class User(Model):
        id: uuid.UUID
        pet: NeverDefined  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(UnsupportedModelError, match="NeverDefined is not defined"):
        describe(User)


@pytest.mark.parametrize(
    ("annotations", "what"),
    [
        ({"name": str}, "M.id: is missing"),
        ({"id": float}, "M.id: cannot identify rows"),
        ({"id": uuid.UUID | None}, "M.id: cannot identify rows"),
    ],
)
def test_every_model_has_an_id(annotations: dict[str, Any], what: str) -> None:
    with pytest.raises(UnsupportedModelError, match=what):
        describe(type("M", (BaseModel,), {"__annotations__": annotations}))


def test_uuid7_sorts_by_time() -> None:
    made = [uuid7() for _ in range(3)]
    assert all(value.version == 7 and value.variant == uuid.RFC_4122 for value in made)
    assert abs((made[0].int >> 80) / 1000 - now().timestamp()) < 60
