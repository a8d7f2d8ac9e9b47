"""Refusing jobs that Nomad 1.6.5 would refuse, in its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.cron import problem_of
from lab.nomad.model.errors import multierror, several
from lab.nomad.model.validate_group import group_problems
from lab.nomad.model.validate_parts import affinity_problems, constraint_problems, spread_problems
from lab.nomad.model.words import JobType

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_BATCHES = frozenset({JobType.BATCH, JobType.SYSBATCH})
_EVERYWHERE = frozenset({JobType.SYSTEM, JobType.SYSBATCH})


def validate(job: Record) -> None:
    """Raise `Refusal` with all problems of a job in full."""
    problems = [
        *_header(job),
        *_parts(job),
        *_groups(job),
        *_by_type(job),
    ]
    if problems:
        raise several(problems)


def warnings_of(job: Record, *, oversubscription: bool) -> str:
    """Answer the warnings that registering a job gives, as one text."""
    found = []
    if job["Periodic"] and job["Periodic"]["Spec"]:
        found.append("cron is deprecated and may be removed in a future release. Use crons instead")
    found += [text for group in job["TaskGroups"] or () if (text := _deprecated_networks(group))]
    for group in job["TaskGroups"] or ():
        for task in group["Tasks"] or ():
            if task["Resources"]["MemoryMaxMB"] and not oversubscription:
                name = f"{group['Name']}.{task['Name']}"
                found.append(
                    f'Memory oversubscription is not enabled; Task "{name}" memory_max value will be ignored. '
                    "Update the Scheduler Configuration to allow oversubscription."
                )
    if not found:
        return ""
    return f"{len(found)} warning{'s' if len(found) > 1 else ''}:\n\n" + "\n".join(f"* {text}" for text in found)


_DEPRECATED = "task network resources have been deprecated as of Nomad 0.12.0. Please configure networking via group network block."


def _deprecated_networks(group: Record) -> str:
    tasks = [task for task in group["Tasks"] or () if task["Resources"]["Networks"]]
    inner = [multierror([f'Task "{task["Name"]}": {_DEPRECATED}']) for task in tasks]
    return f'Group "{group["Name"]}" has warnings: {multierror(inner)}'.rstrip() if inner else ""


def _header(job: Record) -> list[str]:
    found = _identity(job["ID"])
    if not job["Name"]:
        found.append("Missing job name")
    if not job["Datacenters"]:
        found.append("Missing job datacenters")
    if not job["TaskGroups"]:
        found.append("Missing job task groups")
    if job["Type"] not in set(JobType):
        found.append(f'Invalid job type: "{job["Type"]}"')
    if not 1 <= job["Priority"] <= 100:
        found.append("job priority must be between [1, 100]")
    return found


def _identity(job_id: str) -> list[str]:
    if not job_id:
        return ["Missing job ID"]
    if " " in job_id:
        return ["Job ID contains a space"]
    return ["Job ID contains a null character"] if "\0" in job_id else []


def _parts(job: Record) -> list[str]:
    found = constraint_problems(job["Constraints"])
    if job["Type"] in _EVERYWHERE:
        kind = "System"
        if job["Affinities"]:
            found.append(f"{kind} jobs may not have an affinity block")
        if job["Spreads"]:
            found.append(f"{kind} jobs may not have a spread block")
        return found
    return [*found, *affinity_problems(job["Affinities"]), *spread_problems(job["Spreads"])]


def _groups(job: Record) -> list[str]:
    found = []
    seen: dict[str, int] = {}
    for number, group in enumerate(job["TaskGroups"] or (), start=1):
        name = group["Name"]
        if not name:
            found.append(f"Job task group {number} missing name")
        elif name in seen:
            found.append(f"Job task group {number} redefines '{name}' from group {seen[name]}")
        else:
            seen[name] = number
        if job["Type"] == JobType.SYSTEM and group["Count"] > 1:
            text = f"Job task group {name} has count {group['Count']}. Count cannot exceed 1 with system scheduler"
            found.append(text)
    for group in job["TaskGroups"] or ():
        inner = group_problems(job, group)
        if inner:
            found.append(f"Task group {group['Name']} validation failed: {multierror(inner)}")
    return found


def _by_type(job: Record) -> list[str]:
    found = []
    periodic, parameterized = job["Periodic"], job["ParameterizedJob"]
    if periodic:
        if job["Type"] not in _BATCHES:
            found.append('Periodic can only be used with "batch" or "sysbatch" scheduler')
        inner = _periodic_problems(periodic)
        if inner:
            found.append(multierror(inner))
    if parameterized:
        if job["Type"] not in _BATCHES:
            found.append('Parameterized job can only be used with "batch" or "sysbatch" scheduler')
        found += _parameterized_problems(parameterized)
    return found


def _periodic_problems(periodic: Record) -> list[str]:
    if not periodic["Enabled"]:
        return []
    specs = [*([periodic["Spec"]] if periodic["Spec"] else ()), *(periodic["Specs"] or ())]
    if not specs:
        return ["Must specify a spec"]
    problems = ((spec, problem_of(spec)) for spec in specs)
    return [f'Invalid cron spec "{spec}": {why}' for spec, why in problems if why]


def _parameterized_problems(parameterized: Record) -> list[str]:
    if parameterized["Payload"] not in {"optional", "required", "forbidden"}:
        return [f'Unknown payload requirement: "{parameterized["Payload"]}"']
    both = set(parameterized["MetaRequired"] or ()) & set(parameterized["MetaOptional"] or ())
    return (
        [f"Required and optional meta keys should be disjoint. Following keys exist in both: {sorted(both)}"]
        if both
        else []
    )
