"""The difference between two versions of a job, as `plan` and `versions` show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.nomad.model.store import Record

_UNSHOWN = frozenset(
    {
        "CreateIndex",
        "DispatchIdempotencyToken",
        "ID",
        "JobModifyIndex",
        "ModifyIndex",
        "NomadTokenID",
        "Payload",
        "Stable",
        "Status",
        "StatusDescription",
        "SubmitTime",
        "TaskGroups",
        "Version",
        "VaultToken",
        "ConsulToken",
        "Update",
    }
)
_GROUP_UNSHOWN = frozenset({"Name", "Tasks", "Migrate", "Spreads"})
_TASK_UNSHOWN = frozenset({"Name", "RestartPolicy", "Identity"})
_ORDER = (
    *("Datacenters", "Constraints", "Affinities", "Config", "Resources", "LogConfig", "DispatchPayload"),
    *("RestartPolicy", "ReschedulePolicy", "EphemeralDisk", "Consul", "Update", "Networks", "Scaling"),
    *("Periodic", "ParameterizedJob", "Multiregion", "Artifacts", "Services", "Volumes", "Vault", "Templates"),
)
"""The parts that are objects, in the order in which a difference shows them."""
_MAPS = frozenset({"Meta", "Env"})
_SINGULAR = {
    "Affinities": "Affinity",
    "Constraints": "Constraint",
    "Networks": "Network",
    "Services": "Service",
    "Spreads": "Spread",
    "Templates": "Template",
    "Volumes": "Volume",
    "ParameterizedJob": "Parameterized",
}
_UPDATES = {
    "Ignore": "ignore",
    "Place": "create",
    "Migrate": "migrate",
    "Stop": "destroy",
    "InPlaceUpdate": "in-place update",
    "DestructiveUpdate": "create/destroy update",
    "Canary": "canary",
    "Preemptions": "preemptions",
}


def job_diff(old: Record | None, new: Record, updates: dict[str, Record] | None = None) -> Record:
    """Answer the JobDiff from a known job (None: there was none) to a new one.

    `updates` are the DesiredTGUpdates of a dry run; with them the diff is annotated as in a plan.
    """
    fields, objects = _parts(old, new, _UNSHOWN)
    groups = _named(old, new, "TaskGroups", _group_diff)
    changed = bool(fields or objects or any(g["Type"] != "None" for g in groups))
    if updates is not None:
        for group in groups:
            _annotate(group, updates.get(group["Name"], {}))
    return {
        "Fields": fields or None,
        "ID": new["ID"],
        "Objects": objects or None,
        "TaskGroups": groups or None,
        "Type": _kind(old, new, changed=changed),
    }


def _annotate(group: Record, counts: Record) -> None:
    group["Updates"] = {text: counts[key] for key, text in _UPDATES.items() if counts.get(key)} or None
    for field in group["Fields"] or ():
        if field["Name"] == "Count":
            before, after = int(field["Old"] or 0), int(field["New"] or 0)
            field["Annotations"] = ["forces create" if after > before else "forces destroy"]
    for task in group["Tasks"] or ():
        if task["Type"] != "None":
            task["Annotations"] = [_annotation(task, group)]


def _annotation(task: Record, group: Record) -> str:
    whole = {"Added": "forces create", "Deleted": "forces destroy"}
    if group["Type"] in whole and task["Type"] in whole:
        return whole[task["Type"]]
    destructive = any(field["Name"] != "KillTimeout" for field in task["Fields"] or ())
    destructive = destructive or any(_replaces(part) for part in task["Objects"] or ())
    return "forces create/destroy update" if destructive else "forces in-place update"


def _replaces(part: Record) -> bool:
    if part["Name"] == "LogConfig":
        return any(field["Name"] == "Disabled" for field in part["Fields"] or ())
    return part["Name"] not in {"Service", "Constraint"}


def _group_diff(old: Record | None, new: Record | None) -> Record:
    fields, objects = _parts(old, new, _GROUP_UNSHOWN)
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
    fields, objects = _parts(old, new, _TASK_UNSHOWN)
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


def _parts(old: Record | None, new: Record | None, unshown: frozenset[str]) -> tuple[list[Record], list[Record]]:
    fields: list[Record] = []
    objects: dict[str, list[Record]] = {}
    for name in sorted({*(old or {}), *(new or {})} - unshown):
        before, after = (old or {}).get(name), (new or {}).get(name)
        if before == after:
            continue
        if name in _MAPS:
            fields += _map_fields(name, before or {}, after or {})
        elif isinstance(before, list) or isinstance(after, list):
            objects[name] = _list_diff(name, before or [], after or [])
        elif isinstance(before, dict) or isinstance(after, dict):
            objects[name] = [_object_diff(_SINGULAR.get(name, name), before, after)]
        elif _text(before) != _text(after):
            fields.append(_field(name, before, after))
    ordered = sorted(objects, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    return fields, [part for name in ordered for part in objects[name] if part["Fields"] or part["Objects"]]


def _map_fields(name: str, before: Record, after: Record) -> list[Record]:
    keys = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    return [_field(f"{name}[{key}]", before.get(key), after.get(key)) for key in keys]


def _list_diff(name: str, before: list[Any], after: list[Any]) -> list[Record]:
    added = [value for value in after if value not in before]
    deleted = [value for value in before if value not in after]
    if any(isinstance(value, dict) for value in (*added, *deleted)):
        shown = _SINGULAR.get(name, name)
        return [_object_diff(shown, None, v) for v in added] + [_object_diff(shown, v, None) for v in deleted]
    fields = [_field(name, None, v) for v in sorted(added)] + [_field(name, v, None) for v in sorted(deleted)]
    kind = "Edited" if before and after else "Added" if after else "Deleted"
    return [{"Fields": fields, "Name": name, "Objects": None, "Type": kind}]


def _object_diff(name: str, before: Any, after: Any) -> Record:  # noqa: ANN401  # JSON values
    flat_before, flat_after = dict(_flat("", before)), dict(_flat("", after))
    edited = bool(before) and bool(after)
    fields = [
        _field(key, flat_before.get(key), flat_after.get(key))
        for key in sorted({*flat_before, *flat_after})
        if flat_before.get(key) != flat_after.get(key) or edited
    ]
    kind = "Edited" if edited else "Deleted" if before else "Added"
    return {"Fields": fields or None, "Name": name, "Objects": None, "Type": kind}


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # JSON values
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else key, inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _flat(f"{prefix}[{number}]", inner)
    elif value is not None and value != "":
        yield prefix, value


def _field(name: str, before: Any, after: Any) -> Record:  # noqa: ANN401  # JSON values
    kind = "None" if before == after else "Added" if before is None else "Deleted" if after is None else "Edited"
    return {"Annotations": None, "Name": name, "New": _text(after), "Old": _text(before), "Type": kind}


def _text(value: Any) -> str:  # noqa: ANN401  # a JSON value
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
