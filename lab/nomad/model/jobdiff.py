"""The difference between two versions of a job, as `plan` and `versions` show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.nomad.model.store import Record

_UNSHOWN = frozenset(
    {
        "ID",
        "Status",
        "StatusDescription",
        "Version",
        "Stable",
        "CreateIndex",
        "ModifyIndex",
        "JobModifyIndex",
        "SubmitTime",
        "NomadTokenID",
        "VaultToken",
        "ConsulToken",
        "Payload",
        "TaskGroups",
        "Tasks",
        "Name",
    }
)


def job_diff(old: Record | None, new: Record) -> Record:
    """Answer the JobDiff from a known job (None: there was none) to a new one."""
    fields, objects = _parts(old, new)
    groups = _named(old, new, "TaskGroups", _group_diff)
    changed = bool(fields or objects or any(g["Type"] != "None" for g in groups))
    return {
        "Fields": fields or None,
        "ID": new["ID"],
        "Objects": objects or None,
        "TaskGroups": groups or None,
        "Type": _kind(old, new, changed=changed),
    }


def _group_diff(old: Record | None, new: Record | None) -> Record:
    fields, objects = _parts(old, new)
    tasks = _named(old, new, "Tasks", _task_diff)
    changed = bool(fields or objects or any(t["Type"] != "None" for t in tasks))
    return {
        "Fields": fields or None,
        "Name": (new or old or {})["Name"],
        "Objects": objects or None,
        "Tasks": tasks or None,
        "Type": _kind(old, new, changed=changed),
        "Updates": None,
    }


def _task_diff(old: Record | None, new: Record | None) -> Record:
    fields, objects = _parts(old, new)
    return {
        "Annotations": None,
        "Fields": fields or None,
        "Name": (new or old or {})["Name"],
        "Objects": objects or None,
        "Type": _kind(old, new, changed=bool(fields or objects)),
    }


def _named(old: Record | None, new: Record | None, key: str, diff: Any) -> list[Record]:  # noqa: ANN401  # one of the functions above
    before = {part["Name"]: part for part in (old or {}).get(key) or ()}
    after = {part["Name"]: part for part in (new or {}).get(key) or ()}
    return [diff(before.get(name), after.get(name)) for name in sorted({*before, *after})]


def _kind(old: object, new: object, *, changed: bool) -> str:
    if old is None:
        return "Added"
    if new is None:
        return "Deleted"
    return "Edited" if changed else "None"


def _parts(old: Record | None, new: Record | None) -> tuple[list[Record], list[Record]]:
    fields: list[Record] = []
    objects: list[Record] = []
    for name in sorted({*(old or {}), *(new or {})} - _UNSHOWN):
        before, after = (old or {}).get(name), (new or {}).get(name)
        if before == after:
            continue
        if _is_object(before) or _is_object(after):
            objects.append(_object_diff(name, before, after))
        else:
            fields.append(_field(name, before, after))
    return fields, objects


def _object_diff(name: str, before: Any, after: Any) -> Record:  # noqa: ANN401  # JSON values
    flat_before, flat_after = dict(_flat("", before)), dict(_flat("", after))
    fields = [
        _field(key, flat_before.get(key), flat_after.get(key))
        for key in sorted({*flat_before, *flat_after})
        if flat_before.get(key) != flat_after.get(key)
    ]
    kind = "Added" if not before else "Deleted" if not after else "Edited"
    return {"Fields": fields or None, "Name": name, "Objects": None, "Type": kind}


def _flat(prefix: str, value: Any) -> Iterable[tuple[str, Any]]:  # noqa: ANN401  # JSON values
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else key, inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _flat(f"{prefix}[{number}]", inner)
    elif value not in {None, ""}:
        yield prefix, value


def _field(name: str, before: Any, after: Any) -> Record:  # noqa: ANN401  # JSON values
    kind = "Added" if before in (None, "") else "Deleted" if after in (None, "") else "Edited"
    return {"Annotations": None, "Name": name, "New": _text(after), "Old": _text(before), "Type": kind}


def _text(value: Any) -> str:  # noqa: ANN401  # a JSON value
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _is_object(value: object) -> bool:
    return isinstance(value, (dict, list))
