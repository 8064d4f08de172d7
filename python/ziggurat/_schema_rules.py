"""What of a core schema is known: the nodes, the rules in them, and the settings of models."""

from __future__ import annotations

# What may stand in a node of each type beside `type`, `ref` and `metadata`. Other keys are rules that are not known here.
KEYS: dict[str, frozenset[str]] = {
    "bool": frozenset({"strict"}),
    "int": frozenset({"strict", "gt", "ge", "lt", "le", "multiple_of"}),
    "float": frozenset({"strict", "gt", "ge", "lt", "le", "multiple_of", "allow_inf_nan"}),
    "str": frozenset(
        {"strict", "min_length", "max_length", "pattern", "strip_whitespace", "to_lower", "to_upper", "regex_engine"}
    ),
    "uuid": frozenset({"strict"}),
    "datetime": frozenset({"strict", "tz_constraint", "microseconds_precision"}),
    "date": frozenset({"strict", "gt", "ge", "lt", "le"}),
    "time": frozenset({"strict", "gt", "ge", "lt", "le", "tz_constraint", "microseconds_precision"}),
    "timedelta": frozenset({"strict", "gt", "ge", "lt", "le", "microseconds_precision"}),
    "decimal": frozenset(
        {"strict", "gt", "ge", "lt", "le", "multiple_of", "max_digits", "decimal_places", "allow_inf_nan"}
    ),
    "enum": frozenset({"strict", "cls", "members", "sub_type"}),
    "literal": frozenset({"expected"}),
    "nullable": frozenset({"strict", "schema"}),
    "any": frozenset(),
    "none": frozenset(),
    "union": frozenset({"strict", "choices", "mode", "auto_collapse"}),
    "tagged-union": frozenset({"strict", "choices", "discriminator", "from_attributes"}),
    "bytes": frozenset({"strict", "min_length", "max_length"}),
    "dict": frozenset({"strict", "keys_schema", "values_schema", "min_length", "max_length", "fail_fast"}),
    "list": frozenset({"strict", "items_schema", "min_length", "max_length", "fail_fast"}),
    "set": frozenset({"strict", "items_schema", "min_length", "max_length", "fail_fast"}),
    "frozenset": frozenset({"strict", "items_schema", "min_length", "max_length", "fail_fast"}),
    "tuple": frozenset({"strict", "items_schema", "variadic_item_index", "min_length", "max_length", "fail_fast"}),
    "model": frozenset(
        {
            "cls",
            "generic_origin",
            "schema",
            "custom_init",
            "root_model",
            "post_init",
            "revalidate_instances",
            "strict",
            "frozen",
            "config",
        }
    ),
    "model-fields": frozenset(
        {"fields", "model_name", "computed_fields", "extra_behavior", "from_attributes", "strict"}
    ),
    "model-field": frozenset({"schema", "frozen", "validation_alias", "serialization_alias"}),
    "dataclass": frozenset(
        {
            "cls",
            "generic_origin",
            "schema",
            "fields",
            "post_init",
            "revalidate_instances",
            "strict",
            "frozen",
            "slots",
            "config",
        }
    ),
    "dataclass-args": frozenset({"dataclass_name", "fields", "computed_fields", "collect_init_only"}),
    "dataclass-field": frozenset(
        {"name", "schema", "kw_only", "init", "frozen", "validation_alias", "serialization_alias"}
    ),
    "typed-dict": frozenset(
        {"cls", "cls_name", "fields", "computed_fields", "strict", "total", "extra_behavior", "config"}
    ),
    "typed-dict-field": frozenset({"schema", "required", "validation_alias", "serialization_alias"}),
    "default": frozenset(
        {"schema", "default", "default_factory", "default_factory_takes_data", "validate_default", "copy_default"}
    ),
}

# Settings of a model that either change nothing for JSON or are honoured below.
CONFIG = frozenset(
    {
        "title",
        "strict",
        "extra_fields_behavior",
        "from_attributes",
        "loc_by_alias",
        "revalidate_instances",
        "validate_default",
        "validate_by_alias",
        "validate_by_name",
        "serialize_by_alias",
        "str_max_length",
        "str_min_length",
        "str_strip_whitespace",
        "str_to_lower",
        "str_to_upper",
        "allow_inf_nan",
        "ser_json_timedelta",
        "ser_json_bytes",
        "ser_json_inf_nan",
        "val_json_bytes",
        "hide_input_in_errors",
        "validation_error_cause",
        "cache_strings",
        "url_preserve_empty_path",
        "regex_engine",
        "coerce_numbers_to_str",
        "ser_json_temporal",
        "val_temporal_unit",
    }
)

# Settings that are fine as they are by default.
CONFIG_DEFAULTS: dict[str, object] = {
    "coerce_numbers_to_str": False,
    "ser_json_temporal": "iso8601",
    "ser_json_timedelta": "iso8601",
}

# Settings that are fine as they are by default where bodies are read in pydantic's lax mode.
LAX_DEFAULTS: dict[str, object] = {"strict": False, "val_temporal_unit": "infer"}

NAMES = {
    "arguments": "a callable's arguments",
    "call": "a callable",
    "callable": "a callable",
    "chain": "a chain of validators",
    "complex": "complex",
    "custom-error": "a custom error",
    "generator": "an iterable",
    "is-instance": "an arbitrary class",
    "is-subclass": "a class object",
    "json": "Json",
    "json-or-python": "a type that reads JSON its own way",
    "lax-or-strict": "a type that reads JSON its own way",
    "missing-sentinel": "MISSING",
    "multi-host-url": "a URL type",
    "named-tuple": "a NamedTuple",
    "none": "None alone",
    "tuple": "tuple",
    "url": "a URL type",
}
SUPPORTED = (
    "bool, int, float, Decimal, str, UUID, datetime, date, time, timedelta, Enum, Literal, bytes, list, set, tuple[T, ...], tuple[A, B], "
    "dict[str, T], Any, nested models, Optional and unions of these are; "
    "serve this model from Python handlers if it needs more"
)
MODELS = ("model", "dataclass", "typed-dict")
PARTS = ("model-fields", "model-field", "dataclass-args", "dataclass-field", "typed-dict-field")
PYTHON_CURE = "native CRUD runs no Python: express it with Field(...) constraints, remove it, or serve the model from Python handlers"
