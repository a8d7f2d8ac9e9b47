"""Differences of fields, sets and objects, as a job's diff is made of them: flat fields first, then the parts below.

In a diff that shows context, an object that changed also names its unchanged fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lab.nomad.model.store import Record

_MAPS = frozenset({"CanaryMeta", "Env", "GetterHeaders", "GetterOptions", "Meta", "TaggedAddresses", "Target"})
"""What is a map to Nomad; every other object is a part of its own."""
_WEIGHT = {"Edited": 0, "Added": 1, "Deleted": 2, "None": 3}

type Flat = dict[str, str]
type Parts = Callable[[Record, Record], list[Record]]
"""Answers what differs below an object: from its old and its new record (empty: there is none)."""


def text(value: Any) -> str:  # noqa: ANN401 - a JSON value
    """Write a value as Go's %v does."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def primitive(record: Record | None, *, without: Iterable[str] = ()) -> Flat:
    """Answer an object's own fields: text, numbers, booleans, and maps of these; no lists, no objects below."""
    flat: Flat = {}
    for key, value in (record or {}).items():
        if key in _MAPS and not isinstance(value, bool):
            flat |= {f"{key}[{name}]": text(v) for name, v in (value or {}).items()}
        elif value is not None and not isinstance(value, (dict, list)):
            flat[key] = text(value)
    return {key: value for key, value in flat.items() if key not in without}


def everything(value: Any, prefix: str = "") -> Flat:  # noqa: ANN401 - a JSON value
    """Answer a free-form value flat: `args[0]`, `labels[0][x]`."""
    return dict(_walk(prefix, value))


def _walk(prefix: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a JSON value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(f"{prefix}[{key}]" if prefix else key, inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _walk(f"{prefix}[{number}]", inner)
    else:
        yield prefix, "nil" if value is None else text(value)


def field(name: str, before: str, after: str) -> Record:
    """Answer the difference of one field."""
    kind = "None" if before == after else "Added" if not before else "Edited" if after else "Deleted"
    return {"Annotations": None, "Name": name, "New": after, "Old": before, "Type": kind}


def fields(before: Flat, after: Flat, *, context: bool) -> list[Record]:
    """Answer the differences of flat fields in order of their names."""
    names = sorted({*before, *after})
    pairs = ((name, before.get(name, ""), after.get(name, "")) for name in names)
    return [field(name, old, new) for name, old, new in pairs if context or old != new]


def change(before: object, after: object) -> str:
    """Answer what became of something that differs."""
    return "Edited" if before and after else "Added" if after else "Deleted"


def made(name: str, kind: str, own: list[Record], parts: list[Record] | None = None) -> Record:
    """Answer the difference of an object."""
    return {"Fields": own or None, "Name": name, "Objects": parts or None, "Type": kind}


def whole(
    name: str, before: Record | None, after: Record | None, parts: Parts | None = None, without: Iterable[str] = ()
) -> list[Record]:
    """Answer the difference of two objects, none when they are the same."""
    if before == after:
        return []
    flat = [{} if side is None else primitive(side, without=without) for side in (before, after)]
    kind = "Added" if before is None else "Deleted" if after is None else "Edited"
    below = parts(before or {}, after or {}) if parts is not None else []
    return [made(name, kind, fields(*flat, context=True), below)]


def by_fields(name: str, before: Record | None, after: Record | None, without: Iterable[str] = ()) -> list[Record]:
    """Answer the difference of two objects that have fields only; what is not seen in these is none."""
    own = fields(primitive(before, without=without), primitive(after, without=without), context=True)
    kinds = {one["Type"] for one in own} - {"None"}
    if not kinds:
        return []
    return [made(name, kinds.pop() if len(kinds) == 1 else "Edited", own)]


def free_form(name: str, before: Record | None, after: Record | None, *, context: bool = True) -> list[Record]:
    """Answer the difference of two free-form maps."""
    if (before or None) == (after or None):
        return []
    own = fields(everything(before or {}), everything(after or {}), context=context)
    return [made(name, change(before, after), own)]


def texts(name: str, before: list[str] | None, after: list[str] | None, *, unchanged: bool = True) -> list[Record]:
    """Answer the difference of two sets of texts; `unchanged` ones are shown too unless that is all there is to say."""
    old, new = set(before or ()), set(after or ())
    own = [field(name, value, value if value in new else "") for value in old]
    own += [field(name, "", value) for value in new - old]
    added, deleted = bool(new - old), bool(old - new)
    kind = "Edited" if added and deleted else "Added" if added else "Deleted" if deleted else "None"
    if not own or (kind == "None" and not unchanged):
        return []
    return [made(name, kind, sorted(own, key=_field_key))]


def alike(name: str, before: list[Record] | None, after: list[Record] | None) -> list[Record]:
    """Answer the differences of two sets of objects that have no names: each is there or not."""
    old, new = before or [], after or []
    found = [part for one in old if one not in new for part in by_fields(name, one, None)]
    return ordered(found + [part for one in new if one not in old for part in by_fields(name, None, one)])


def named(
    before: Iterable[Record], after: Iterable[Record], key: str, diff: Callable[[Record | None, Record | None], Any]
) -> list[Any]:
    """Answer the differences of objects that are told apart by a field, in order of it."""
    old, new = {one[key]: one for one in before}, {one[key]: one for one in after}
    return [diff(old.get(name), new.get(name)) for name in sorted({*old, *new})]


def _field_key(one: Record) -> tuple[str, str, str]:
    return one["Name"], one["Old"], one["New"]


def ordered(found: list[Record]) -> list[Record]:
    """Sort differences of objects: by name, then edited, added, deleted, then by how much there is, then by fields."""
    return sorted(found, key=_rank)


def _rank(one: Record) -> tuple[Any, ...]:
    own, parts = one["Fields"] or [], one["Objects"] or []
    keys = sorted(_field_key(each) for each in own)
    return one["Name"], _WEIGHT[one["Type"]], len(own), len(parts), keys, [_rank(part) for part in parts]
