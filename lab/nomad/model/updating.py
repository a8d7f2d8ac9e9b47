"""Whether an allocation of an older job version may go on as it is, be changed in place, or must be replaced."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.nomad.model.store import Record


class Update(Enum):
    """What a new job version means for an allocation."""

    IGNORE = auto()
    IN_PLACE = auto()
    DESTRUCTIVE = auto()


_GROUP_PARTS = ("EphemeralDisk", "Networks", "Volumes", "Consul")
_TASK_PARTS = (
    "Driver",
    "User",
    "Config",
    "Env",
    "Artifacts",
    "Vault",
    "Templates",
    "CSIPluginConfig",
    "VolumeMounts",
    "Lifecycle",
    "Identity",
    "DispatchPayload",
    "LogConfig",
    "Resources",
    "Meta",
)
_JOB_PARTS = ("Affinities", "Constraints", "Spreads", "Meta")
_NOT_A_CHANGE = frozenset(
    {
        "CreateIndex",
        "JobModifyIndex",
        "ModifyIndex",
        "Stable",
        "Status",
        "StatusDescription",
        "SubmitTime",
        "Version",
        "NomadTokenID",
        "ConsulToken",
        "VaultToken",
        "Payload",
    }
)


def update_of(alloc: Record, job: Record, group: Record) -> Update:
    """Answer what the job's current version means for an allocation of its group."""
    old = alloc["Job"]
    if old["JobModifyIndex"] == job["JobModifyIndex"]:
        return Update.IGNORE
    if tasks_updated(old, job, group):
        return Update.DESTRUCTIVE
    return Update.IN_PLACE


def tasks_updated(old: Record, job: Record, group: Record) -> bool:
    """Answer whether the group's tasks, or what decides where they may run, differ between two job versions."""
    before = next((g for g in old["TaskGroups"] or () if g["Name"] == group["Name"]), None)
    if before is None or len(before["Tasks"]) != len(group["Tasks"]):
        return True
    if _placement(old, before) != _placement(job, group):
        return True
    if any(before[part] != group[part] for part in _GROUP_PARTS):
        return True
    if {**(old["Meta"] or {}), **(before["Meta"] or {})} != {**(job["Meta"] or {}), **(group["Meta"] or {})}:
        return True
    tasks = {task["Name"]: task for task in before["Tasks"]}
    return any(_task_updated(tasks.get(task["Name"]), task) for task in group["Tasks"])


def spec_changed(old: Record, new: Record) -> bool:
    """Answer whether a registered job differs from the known one, so that it becomes a new version."""
    return any(old[key] != value for key, value in _comparable(new).items() if key in old)


def _comparable(job: Record) -> Record:
    return {key: value for key, value in job.items() if key not in _NOT_A_CHANGE}


def _placement(job: Record, group: Record) -> list[object]:
    parts: list[object] = [job[part] for part in ("Affinities", "Spreads")]
    parts += [group["Affinities"], group["Spreads"]]
    return parts + [task["Affinities"] for task in group["Tasks"]]


def _task_updated(before: Record | None, task: Record) -> bool:
    return before is None or any(before[part] != task[part] for part in _TASK_PARTS)
