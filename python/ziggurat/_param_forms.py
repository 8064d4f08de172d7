"""What is taken from a form."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_origin

from ._callables import Wrong, spell
from ._param_bodies import media_types_of
from ._param_markers import File, Form, Marker
from ._param_models import ModelParam, is_model, is_upload, model
from ._param_scalars import Param, alias_of, scalar
from ._param_texts import value
from ._param_unwrap import Unwrapped, optional

__all__ = ["form", "is_form"]


def is_form(marker: Marker | None, annotation: Any) -> bool:
    """Whether it is marked so, or can only be a file."""
    return isinstance(marker, Form | File) or (marker is None and is_upload(annotation))


def form(name: str, given: Unwrapped, default: object, in_path: list[str], wrong: Wrong) -> Param | ModelParam:
    """The parameter `name` as a field of a form, a file in it, or a model of its fields."""
    marker = given.marker
    if isinstance(marker, Form) and is_model(optional(given.annotation)[0]):
        return model(name, given, marker, default, in_path, wrong)
    if _is_dict(given.annotation):
        raise wrong(
            f"{name!r} is a {spell(given.annotation)}, and the fields of a form have names",
            "take each by its name, or all in a model; await request.form() has whatever was sent",
        )
    if isinstance(marker, File) and not (is_upload(given.annotation) or is_upload(given.annotation, bytes)):
        raise wrong(
            f"{name!r} is a file, and has the type {spell(given.annotation)}",
            "annotate it with UploadFile or bytes, or write Form() for a text",
        )
    if not isinstance(marker, File):
        return value(name, given, "form", alias_of(name, given, marker), default, wrong)
    param = scalar(name, given, "form", alias_of(name, given, marker), default, wrong)
    return dataclasses.replace(param, media_types=media_types_of(marker.media_type, wrong))


def _is_dict(annotation: Any) -> bool:
    inner, _ = optional(annotation)
    return inner is dict or get_origin(inner) is dict or (bool(get_args(inner)) and _is_dict(get_args(inner)[0]))
