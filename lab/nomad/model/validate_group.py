"""Problems of a task group and its tasks, in Nomad's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.errors import multierror
from lab.nomad.model.times import SECOND, go_duration
from lab.nomad.model.validate_parts import affinity_problems, constraint_problems, network_problems, spread_problems
from lab.nomad.model.validate_policies import migrate_problems, reschedule_problems, update_problems
from lab.nomad.model.words import JobType

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_MIN_DISK = 10
_MIN_INTERVAL = 5 * SECOND


def group_problems(job: Record, group: Record) -> list[str]:
    """Answer the problems of one group."""
    found = []
    if not group["Name"]:
        found.append("Missing task group name")
    if group["Count"] < 0:
        found.append("Task group count can't be negative")
    if not group["Tasks"]:
        found.append("Missing tasks for task group")
    found += _policies(job, group)
    found += constraint_problems(group["Constraints"])
    if job["Type"] not in {JobType.SYSTEM, JobType.SYSBATCH}:
        found += affinity_problems(group["Affinities"]) + spread_problems(group["Spreads"])
    found += _blocks(job, group)
    found += network_problems(group["Networks"])
    if group["EphemeralDisk"]["SizeMB"] < _MIN_DISK:
        found.append(f"minimum DiskMB value is 10; got {group['EphemeralDisk']['SizeMB']}")
    return [*found, *_scaling(group), *_tasks(group)]


def _policies(job: Record, group: Record) -> list[str]:
    inner = _restart(group["RestartPolicy"])
    found = [multierror(inner)] if inner else []
    if job["Type"] == JobType.SYSTEM:
        if group["ReschedulePolicy"]:
            found.append("System jobs should not have a reschedule policy")
        return found
    inner = reschedule_problems(group["ReschedulePolicy"])
    return [*found, multierror(inner)] if inner else found


def _restart(policy: Record) -> list[str]:
    if policy["Mode"] not in {"fail", "delay"}:
        return [f'Unsupported restart mode: "{policy["Mode"]}"']
    found = []
    if policy["Attempts"] == 0 and policy["Mode"] == "delay":
        found.append('Restart policy "delay" with 0 attempts is ambiguous')
    if policy["Interval"] < _MIN_INTERVAL:
        found.append(f"Interval can not be less than 5s (got {go_duration(policy['Interval'])})")
    if policy["Attempts"] * policy["Delay"] > policy["Interval"]:
        found.append(
            f"Nomad can't restart the TaskGroup {policy['Attempts']} times in an interval of "
            f"{go_duration(policy['Interval'])} with a delay of {go_duration(policy['Delay'])}"
        )
    return found


def _blocks(job: Record, group: Record) -> list[str]:
    found = []
    if group["Update"]:
        if job["Type"] not in {JobType.SERVICE, JobType.SYSTEM}:
            found.append(f'Job type "{job["Type"]}" does not allow update block')
        inner = update_problems(group["Update"])
        found += [multierror(inner)] if inner else []
    if group["Migrate"]:
        if job["Type"] != JobType.SERVICE:
            found.append(f'Job type "{job["Type"]}" does not allow migrate block')
        else:
            inner = migrate_problems(group["Migrate"])
            found += [multierror(inner)] if inner else []
    return found


def _scaling(group: Record) -> list[str]:
    policy = group["Scaling"]
    if not policy:
        return []
    found = []
    if policy["Min"] > policy["Max"]:
        found.append("Scaling policy invalid: maximum count must not be less than minimum count")
    if group["Count"] < policy["Min"]:
        found.append("Scaling policy invalid: task group count must not be less than minimum count in scaling policy")
    if group["Count"] > policy["Max"]:
        found.append(
            "Scaling policy invalid: task group count must not be greater than maximum count in scaling policy"
        )
    return [f"Task group scaling policy validation failed: {multierror(found)}"] if found else []


def _tasks(group: Record) -> list[str]:
    found = []
    seen: dict[str, int] = {}
    tasks = group["Tasks"] or ()
    for number, task in enumerate(tasks, start=1):
        if not task["Name"]:
            found.append(f"Task {number} missing name")
        elif task["Name"] in seen:
            found.append(f"Task {number} redefines '{task['Name']}' from task {seen[task['Name']]}")
        else:
            seen[task["Name"]] = number
    if sum(task["Leader"] for task in tasks) > 1:
        found.append("Only one task may be marked as leader")
    for task in tasks:
        inner = _task(group, task)
        if inner:
            found.append(f"Task {task['Name']} validation failed: {multierror(inner)}")
    return found


def _task(group: Record, task: Record) -> list[str]:
    found = []
    if not task["Name"]:
        found.append("Missing task name")
    if not task["Driver"]:
        found.append("Missing task driver")
    if task["KillTimeout"] < 0:
        found.append("KillTimeout must be a positive value")
    resources = _resources(task["Resources"])
    if resources:
        found.append(multierror(resources))
    hook = (task["Lifecycle"] or {}).get("Hook", "prestart")
    if hook not in {"prestart", "poststart", "poststop"}:
        found.append(
            f"Lifecycle validation failed: {f'invalid hook: {hook}' if hook else 'no lifecycle hook provided'}"
        )
    logs = task["LogConfig"]["MaxFiles"] * task["LogConfig"]["MaxFileSizeMB"]
    if not task["LogConfig"]["Disabled"] and logs > group["EphemeralDisk"]["SizeMB"]:
        size = group["EphemeralDisk"]["SizeMB"]
        text = f"log storage ({logs} MB) must be less than requested disk capacity ({size} MB)"
        found.append(multierror([text]))
    found += constraint_problems(task["Constraints"])
    return found + affinity_problems(task["Affinities"])


def _resources(asked: Record) -> list[str]:
    if asked["Cores"] and asked["CPU"]:
        return ["Task can only ask for 'cpu' or 'cores' resource, not both."]
    least = []
    if not asked["Cores"] and asked["CPU"] < 1:
        least.append(f"minimum CPU value is 1; got {asked['CPU']}")
    if asked["MemoryMB"] < 10:
        least.append(f"minimum MemoryMB value is 10; got {asked['MemoryMB']}")
    found = [multierror(least)] if least else []
    if asked["MemoryMaxMB"] and asked["MemoryMaxMB"] < asked["MemoryMB"]:
        most, memory = asked["MemoryMaxMB"], asked["MemoryMB"]
        found.append(f"MemoryMaxMB value ({most}) should be larger than MemoryMB value ({memory})")
    return found
