"""What `Annotated` says of a field beside its type: indexes, what clients may do with it, and the rows that it refers to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from .models import Access, Deletion, Indexed, Micro, Ref, Renewed, Stored

__all__ = ["NOT_SINGLE", "Description", "Marks", "bare"]

Description = dict[str, Any]

NOT_SINGLE = ("list", "fixed", "model", "back", "dict", "bytes", "union", "tagged", "any")

_STORED = {"datetime": "date", "pythonLegacy": "uuid", "javaLegacy": "uuid", "csharpLegacy": "uuid"}
"""What may be stored so."""

_NAMES = {"date": "date", "uuid": "UUID"}


def bare(kind: Description) -> Description:
    while kind["type"] == "optional":
        kind = kind["of"]
    return kind


def _is_of_milliseconds(kind: Description) -> bool:
    return bool(kind["type"] == "datetime" and not kind.get("micro"))


def _marked(kind: Description, of: str, key: str, *, value: object) -> bool:
    """Marks what is of a type in another; whether there is some."""
    match kind["type"]:
        case name if name == of:
            kind[key] = value
            return True
        case "optional":
            within = [kind["of"]]
        case "list" | "fixed":
            within = kind["items"] if isinstance(kind["items"], list) else [kind["items"]]
        case "dict":
            within = [kind["values"]]
        case "union":
            within = kind["of"]
        case _:
            within = []
    return any([_marked(inner, of, key, value=value) for inner in within])


class Marks:
    """Adds to the descriptions of fields; collects what is wrong instead of stopping at the first."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.together: list[list[str]] = []
        """The fields that are unique together, in the order of their index."""

    def refuse(self, place: str, what: str, cure: str) -> None:
        problem = f"{place}: {what} ({cure})"
        if problem not in self.problems:
            self.problems.append(problem)

    def mark(self, description: Description, markers: list[Any], place: str, *, top: bool) -> None:
        """What `Annotated` says of a field."""
        factory = description.get("default", {}).get("factory")
        if isinstance(factory, dict) and "claim" in factory:
            if not top:
                self.refuse(place, "a field of a nested model is not taken from a claim", "take one of the row")
            elif Renewed in markers:
                self.refuse(
                    place, "what is renewed at each write cannot be a claim, as code has no caller", "use a hook"
                )
        if Micro in markers and not _marked(description["type"], "datetime", "micro", value=True):
            self.refuse(place, "Micro is for a datetime", "remove it")
        for marker in markers:
            if not isinstance(marker, Stored):
                continue
            of = _STORED.get(marker.kind)
            if of is None:
                self.refuse(place, f"{marker!r} is none of {', '.join(map(repr, _STORED))}", "choose one of these")
            elif not _marked(description["type"], of, "stored", value=marker.kind):
                self.refuse(place, f"{marker!r} is for a {_NAMES[of]}", "remove it")
        self.index([marker for marker in markers if isinstance(marker, Indexed)], description, place, top=top)
        self.access({marker for marker in markers if isinstance(marker, Access)}, description, place, top=top)
        self.reference([marker for marker in markers if isinstance(marker, Ref)], description, place)
        if top and description["name"] == "id":
            self.id(description["type"], description.get("default"), place)

    def rules(self, description: Description) -> None:
        """What has been said of several fields together."""
        if self.together:
            description["unique"] = self.together

    def reference(self, markers: list[Ref], description: Description, place: str) -> None:
        """The model whose ids a field holds."""
        kind = bare(description["type"])
        if kind["type"] == "list":
            kind = bare(kind["items"])
        for marker in markers:
            if kind["type"] not in ("uuid", "object_id", "int", "str"):
                self.refuse(place, f"holds no ids of {marker.name}", "give it the type of that id, or a list of it")
            description["ref"] = marker.name

    def index(self, markers: list[Indexed], description: Description, place: str, *, top: bool) -> None:
        for marker in markers:
            if not top:
                self.refuse(place, "a field of a nested model cannot be indexed", "remove Indexed()")
            elif bare(description["type"])["type"] in NOT_SINGLE:
                self.refuse(place, "what holds no single value cannot be indexed", "remove Indexed()")
            if marker.unique_with != ():
                self.unique_with(marker, description["name"], place)
        alone = [marker for marker in markers if marker.unique_with == ()]
        if not alone:
            return
        settings: Description = {
            "case_insensitive": any(marker.case_insensitive for marker in alone) or None,
            "sparse": any(marker.sparse for marker in alone) or None,
            "ttl": self.ttl_of_all(alone, place),
        }
        given = {name: value for name, value in settings.items() if value is not None}
        description["index"] = {"unique": any(marker.unique for marker in alone), **given}

    def ttl_of_all(self, markers: list[Indexed], place: str) -> int | None:
        """What the markers say of it that one field has, as that of its type and its own; in seconds."""
        found = dict.fromkeys(ttl for marker in markers if (ttl := self.ttl(marker.ttl, place)) is not None)
        if len(found) > 1:
            said = " and ".join(map(str, found))
            self.refuse(
                place, f"is Indexed with a ttl of {said} seconds", "keep one Indexed(ttl=...), also in its type"
            )
        return next(iter(found), None)

    def unique_with(self, marker: Indexed, name: str, place: str) -> None:
        """Others that the field is unique with; whether there are such, the native side says."""
        others = (marker.unique_with,) if isinstance(marker.unique_with, str) else marker.unique_with
        if not isinstance(others, tuple) or not all(isinstance(other, str) for other in others):
            self.refuse(
                place, f"unique_with={marker.unique_with!r} names no fields", 'write unique_with="a", or ("a", "b")'
            )
        elif marker.unique or marker.case_insensitive or marker.sparse or marker.ttl is not None:
            self.refuse(
                place,
                "unique_with stands beside what is said of the field alone",
                "say that in a second Indexed(); letters can be made small with StringConstraints(to_lower=True)",
            )
        else:
            self.together.append([*others, name])

    def ttl(self, ttl: timedelta | int | None, place: str) -> int | None:
        """In seconds."""
        if ttl is None:
            return None
        seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
        if isinstance(seconds, bool) or seconds != int(seconds) or not 0 < seconds < 2**31:
            self.refuse(place, f"rows cannot expire after {ttl!r}", "give whole seconds, or a timedelta of such")
            return None
        return int(seconds)

    def access(self, access: set[Access], description: Description, place: str, *, top: bool) -> None:
        """What clients may do with a field."""
        if Renewed in access:
            access.remove(Renewed)
            description["renew"] = True
        if Deletion in access:
            access.remove(Deletion)
            description["deletion"] = True
            if not top:
                self.refuse(place, "a nested model is not deleted by itself", "mark the field of the row")
            elif not (description["type"]["type"] == "optional" and _is_of_milliseconds(description["type"]["of"])):
                self.refuse(place, "cannot hold when a row was deleted", "write deleted_at: DeletedAt")
        if not access:
            return
        names = sorted(marker.name for marker in access)
        if len(access) > 1:
            self.refuse(place, f"is marked {' and '.join(names)}", "choose one of them")
        elif not top:
            self.refuse(place, f"a field of a nested model cannot be {names[0]}", "mark the field that holds the model")
        elif description["name"] == "id":
            self.refuse(place, f"an id cannot be {names[0]}", "remove the marker; clients cannot change ids anyway")
        description["access"] = access.pop().value

    def id(self, kind: Description, default: Description | None, place: str) -> None:
        if kind["type"] not in ("uuid", "object_id", "int", "str"):
            self.refuse(place, "cannot identify rows", "make it a UUID, an int or a str that is always there")
        elif default is not None and "value" in default:
            self.refuse(place, "an id cannot have a constant default", "leave the default out")
        elif default is not None and isinstance(default["factory"], dict):
            self.refuse(place, "an id is no token and no claim", "use uuid7, uuid4 or object_id, or client_id=True")
