"""Problems of a task group, in Nomad's words and order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.errors import multierror
from lab.nomad.model.validate_networks import network_problems
from lab.nomad.model.validate_parts import affinity_problems, constraint_problems, spread_problems
from lab.nomad.model.validate_policies import (
    migrate_problems,
    reschedule_problems,
    restart_problems,
    scaling_problems,
    update_problems,
)
from lab.nomad.model.validate_services import group_service_problems, script_problems
from lab.nomad.model.validate_task import task_problems
from lab.nomad.model.validate_volumes import volume_problems
from lab.nomad.model.words import JobType

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_MIN_DISK = 10


def group_problems(job: Record, group: Record) -> list[str]:
    """Answer the problems of one group."""
    return [
        *_header(group),
        *constraint_problems(group["Constraints"]),
        *_placement(job, group, "Affinities"),
        *_joined(restart_problems(group["RestartPolicy"])),
        *_placement(job, group, "Spreads"),
        *_reschedule(job, group),
        *_blocks(job, group),
        *_names(group["Tasks"] or []),
        *volume_problems(job["Type"], group),
        *_wrapped("network", network_problems(group)),
        *_wrapped("service", group_service_problems(group)),
        *_wrapped("service check", script_problems(group)),
        *_wrapped("scaling policy", scaling_problems(group)),
        *_tasks(job, group),
    ]


def _joined(inner: list[str]) -> list[str]:
    return [multierror(inner)] if inner else []


def _wrapped(what: str, inner: list[str]) -> list[str]:
    return [f"Task group {what} validation failed: {multierror(inner)}"] if inner else []


def _header(group: Record) -> list[str]:
    found = []
    if not group["Name"]:
        found.append("Missing task group name")
    elif "\0" in group["Name"]:
        found.append("Task group name contains null character")
    if group["Count"] < 0:
        found.append("Task group count can't be negative")
    if not group["Tasks"]:
        found.append("Missing tasks for task group")
    away = group["MaxClientDisconnect"]
    if away is not None and group["StopAfterClientDisconnect"] is not None:
        both = "both max_client_disconnect and stop_after_client_disconnect"
        found.append(f"Task group cannot be configured with {both}")
    if away is not None and away < 0:
        found.append("max_client_disconnect cannot be negative")
    return found


def _placement(job: Record, group: Record, key: str) -> list[str]:
    problems, noun = (affinity_problems, "an affinity") if key == "Affinities" else (spread_problems, "a spread")
    if job["Type"] != JobType.SYSTEM:
        return problems(group[key])
    return [f"System jobs may not have {noun} block"] if group[key] else []


def _reschedule(job: Record, group: Record) -> list[str]:
    if job["Type"] != JobType.SYSTEM:
        return _joined(reschedule_problems(group["ReschedulePolicy"]))
    return ["System jobs should not have a reschedule policy"] if group["ReschedulePolicy"] else []


def _blocks(job: Record, group: Record) -> list[str]:
    found = []
    if group["EphemeralDisk"]["SizeMB"] < _MIN_DISK:
        found.append(f"minimum DiskMB value is 10; got {group['EphemeralDisk']['SizeMB']}")
    if group["Update"]:
        if job["Type"] not in {JobType.SERVICE, JobType.SYSTEM}:
            found.append(f'Job type "{job["Type"]}" does not allow update block')
        found += _joined(update_problems(group["Update"]))
    if group["Migrate"] and job["Type"] != JobType.SERVICE:
        found.append(f'Job type "{job["Type"]}" does not allow migrate block')
    elif group["Migrate"]:
        found += _joined(migrate_problems(group["Migrate"]))
    return found


def _names(tasks: list[Record]) -> list[str]:
    found = []
    seen: dict[str, int] = {}
    for number, task in enumerate(tasks, start=1):
        if not task["Name"]:
            found.append(f"Task {number} missing name")
        elif task["Name"] in seen:
            found.append(f"Task {number} redefines '{task['Name']}' from task {seen[task['Name']]}")
        else:
            seen[task["Name"]] = number
    if sum(task["Leader"] for task in tasks) > 1:
        found.append("Only one task may be marked as leader")
    return found


def _tasks(job: Record, group: Record) -> list[str]:
    found = []
    for task in group["Tasks"] or ():
        inner = task_problems(job["Type"], group, task)
        if inner:
            found.append(f"Task {task['Name']} validation failed: {multierror(inner)}")
    return found
