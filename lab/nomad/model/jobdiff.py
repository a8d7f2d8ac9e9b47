"""The difference between two versions of a job, as `plan` and `versions` show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.diffing import alike, by_fields, fields, free_form, named, primitive, texts, whole
from lab.nomad.model.partdiff import networks, resources, scaling, services, templates, volumes

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_UNSHOWN = (
    *("CreateIndex", "ID", "JobModifyIndex", "ModifyIndex", "NomadTokenID", "Stable", "Status"),
    *("StatusDescription", "SubmitTime", "VaultToken", "Version", "Payload"),
)
_DELAYS = ("ShutdownDelay", "StopAfterClientDisconnect", "MaxClientDisconnect")
"""Fields of a group that are compared only when it was there before and still is."""
_UPDATES = {
    "Ignore": "ignore",
    "Place": "create",
    "Migrate": "migrate",
    "Stop": "destroy",
    "InPlaceUpdate": "in-place update",
    "DestructiveUpdate": "create/destroy update",
    "Canary": "canary",
}


def job_diff(old: Record | None, new: Record, updates: dict[str, Record] | None = None) -> Record:
    """Answer the JobDiff from a known job (None: there was none) to a new one.

    `updates` are the DesiredTGUpdates of a dry run; with them the diff is annotated as in a plan.
    """
    own = fields(primitive(old, without=_UNSHOWN), primitive(new, without=_UNSHOWN), context=False)
    parts = _job_parts(old or {}, new)
    groups = named((old or {}).get("TaskGroups") or (), new.get("TaskGroups") or (), "Name", _group_diff)
    if updates is not None:
        for group in groups:
            _annotate(group, updates)
    changed = own or any(one["Type"] != "None" for one in (*parts, *groups))
    return {
        "Fields": own or None,
        "ID": new["ID"],
        "Objects": parts or None,
        "TaskGroups": groups or None,
        "Type": "Added" if old is None else "Edited" if changed else "None",
    }


def _job_parts(old: Record, new: Record) -> list[Record]:
    return [
        *texts("Datacenters", old.get("Datacenters"), new["Datacenters"], unchanged=False),
        *alike("Constraint", old.get("Constraints"), new["Constraints"]),
        *alike("Affinity", old.get("Affinities"), new["Affinities"]),
        *whole("Periodic", old.get("Periodic"), new["Periodic"], _specs),
        *whole("ParameterizedJob", old.get("ParameterizedJob"), new["ParameterizedJob"], _metas),
    ]


def _specs(old: Record, new: Record) -> list[Record]:
    return texts("Specs", old.get("Specs"), new.get("Specs"), unchanged=False)


def _metas(old: Record, new: Record) -> list[Record]:
    return [part for key in ("MetaOptional", "MetaRequired") for part in texts(key, old.get(key), new.get(key))]


def _annotate(group: Record, updates: dict[str, Record]) -> None:
    counts = updates.get(group["Name"])
    if counts is not None:
        group["Updates"] = {text: counts[key] for key, text in _UPDATES.items() if counts.get(key)}
    for field in group["Fields"] or ():
        if field["Name"] == "Count":
            before, after = int(field["Old"] or 0), int(field["New"] or 0)
            field["Annotations"] = (
                ["forces create" if after > before else "forces destroy"] if after != before else None
            )
    for task in group["Tasks"] or ():
        if task["Type"] != "None":
            task["Annotations"] = [_annotation(task, group)]


def _annotation(task: Record, group: Record) -> str:
    whole_group = {"Added": "forces create", "Deleted": "forces destroy"}
    if group["Type"] in whole_group and task["Type"] in whole_group:
        return whole_group[task["Type"]]
    destructive = any(field["Name"] != "KillTimeout" for field in task["Fields"] or ())
    destructive = destructive or any(_replaces(part) for part in task["Objects"] or ())
    return "forces create/destroy update" if destructive else "forces in-place update"


def _replaces(part: Record) -> bool:
    if part["Name"] == "LogConfig":
        return any(field["Name"] == "Disabled" for field in part["Fields"] or ())
    return part["Name"] not in {"Service", "Constraint"}


def _kind(old: Record | None, new: Record | None) -> str:
    return "Added" if old is None else "Deleted" if new is None else "Edited" if old != new else "None"


def _group_diff(old: Record | None, new: Record | None) -> Record:
    before, after = old or {}, new or {}
    flat = [primitive(side, without=("Name", *_DELAYS)) for side in (before, after)]
    if old is not None and new is not None:
        for side, record in zip(flat, (old, new), strict=True):
            side |= {key: "" if record[key] is None else str(record[key]) for key in _DELAYS}
    tasks = named(before.get("Tasks") or (), after.get("Tasks") or (), "Name", _task_diff)
    return {
        "Fields": fields(*flat, context=False) or None,
        "Name": (new or old or {})["Name"],
        "Objects": _group_parts(before, after) or None,
        "Tasks": tasks or None,
        "Type": _kind(old, new),
        "Updates": None,
    }


def _group_parts(old: Record, new: Record) -> list[Record]:
    policies = ("RestartPolicy", "ReschedulePolicy", "EphemeralDisk", "Consul")
    return [
        *alike("Constraint", old.get("Constraints"), new.get("Constraints")),
        *alike("Affinity", old.get("Affinities"), new.get("Affinities")),
        *(part for name in policies for part in by_fields(name, old.get(name), new.get(name))),
        *by_fields("Update", old.get("Update"), new.get("Update"), without=("Stagger",)),
        *networks(old.get("Networks"), new.get("Networks")),
        *scaling(old.get("Scaling"), new.get("Scaling")),
        *services(old.get("Services"), new.get("Services")),
        *volumes(old.get("Volumes"), new.get("Volumes")),
    ]


def _task_diff(old: Record | None, new: Record | None) -> Record:
    before, after = old or {}, new or {}
    flat = [primitive(side, without=("Name",)) for side in (before, after)]
    return {
        "Annotations": None,
        "Fields": fields(*flat, context=False) or None,
        "Name": (new or old or {})["Name"],
        "Objects": _task_parts(before, after) or None,
        "Type": _kind(old, new),
    }


def _task_parts(old: Record, new: Record) -> list[Record]:
    return [
        *alike("Constraint", old.get("Constraints"), new.get("Constraints")),
        *alike("Affinity", old.get("Affinities"), new.get("Affinities")),
        *free_form("Config", old.get("Config"), new.get("Config")),
        *resources(old.get("Resources"), new.get("Resources")),
        *by_fields("LogConfig", old.get("LogConfig"), new.get("LogConfig")),
        *by_fields("DispatchPayload", old.get("DispatchPayload"), new.get("DispatchPayload")),
        *alike("Artifact", old.get("Artifacts"), new.get("Artifacts")),
        *services(old.get("Services"), new.get("Services")),
        *whole("Vault", old.get("Vault"), new.get("Vault"), _policies),
        *templates(old.get("Templates"), new.get("Templates")),
        *whole("Identity", old.get("Identity"), new.get("Identity")),
    ]


def _policies(old: Record, new: Record) -> list[Record]:
    return texts("Policies", old.get("Policies"), new.get("Policies"))
