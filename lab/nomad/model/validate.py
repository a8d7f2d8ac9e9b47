"""Refusing jobs that Nomad 1.6.5 would refuse, in its words and its order."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from lab.nomad.model.cron import problem_of
from lab.nomad.model.errors import multierror
from lab.nomad.model.validate_group import group_problems
from lab.nomad.model.validate_parts import affinity_problems, constraint_problems, spread_problems
from lab.nomad.model.words import JobType

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_BATCHES = frozenset({JobType.BATCH, JobType.SYSBATCH})


def problems_of(job: Record) -> list[str]:
    """Answer all problems that a job in full has by itself."""
    found = [*_header(job), *_parts(job), *_groups(job), *_by_type(job)]
    if job["Payload"]:
        found.append("job can't be submitted with a payload, only dispatched")
    if not 1 <= job["Priority"] <= 100:
        found.append("job priority must be between [1, 100]")
    return found


def _header(job: Record) -> list[str]:
    found = _identity(job["ID"])
    if not job["Name"]:
        found.append("Missing job name")
    elif "\0" in job["Name"]:
        found.append("Job Name contains a null character")
    if not job["Type"]:
        found.append("Missing job type")
    elif job["Type"] not in set(JobType):
        found.append(f'Invalid job type: "{job["Type"]}"')
    found += ["Job datacenter must be non-empty string" for name in job["Datacenters"] if not name]
    if not job["TaskGroups"]:
        found.append("Missing job task groups")
    return found


def _identity(job_id: str) -> list[str]:
    if not job_id:
        return ["Missing job ID"]
    if " " in job_id:
        return ["Job ID contains a space"]
    return ["Job ID contains a null character"] if "\0" in job_id else []


def _parts(job: Record) -> list[str]:
    found = constraint_problems(job["Constraints"])
    if job["Type"] != JobType.SYSTEM:
        return [*found, *affinity_problems(job["Affinities"]), *spread_problems(job["Spreads"])]
    if job["Affinities"]:
        found.append("System jobs may not have an affinity block")
    if job["Spreads"]:
        found.append("System jobs may not have a spread block")
    return found


def _groups(job: Record) -> list[str]:
    found: list[str] = []
    seen: dict[str, int] = {}
    groups = job["TaskGroups"] or ()
    for number, group in enumerate(groups, start=1):
        found += [*_name(group["Name"], number, seen), *_delays(job, group)]
        if job["Type"] == JobType.SYSTEM and group["Count"] > 1:
            count = f"has count {group['Count']}. Count cannot exceed 1 with system scheduler"
            found.append(f"Job task group {group['Name']} {count}")
    for group in groups:
        inner = group_problems(job, group)
        if inner:
            found.append(f"Task group {group['Name']} validation failed: {multierror(inner)}")
    return found


def _name(name: str, number: int, seen: dict[str, int]) -> list[str]:
    if not name:
        return [f"Job task group {number} missing name"]
    if name in seen:
        return [f"Job task group {number} redefines '{name}' from group {seen[name]}"]
    seen[name] = number
    return []


def _delays(job: Record, group: Record) -> list[str]:
    found = []
    if (group["ShutdownDelay"] or 0) < 0:
        found.append("ShutdownDelay must be a positive value")
    stop = group["StopAfterClientDisconnect"] or 0
    if stop > 0 and job["Type"] not in {JobType.BATCH, JobType.SERVICE}:
        found.append("stop_after_client_disconnect can only be set in batch and service jobs")
    elif stop < 0:
        found.append("stop_after_client_disconnect must be a positive value")
    return found


def _by_type(job: Record) -> list[str]:
    found = []
    periodic, parameterized = job["Periodic"], job["ParameterizedJob"]
    if periodic and periodic["Enabled"]:
        if job["Type"] not in _BATCHES:
            found.append('Periodic can only be used with "batch" or "sysbatch" scheduler')
        inner = _periodic_problems(periodic)
        found += [multierror(inner)] if inner else []
    if parameterized and not job["Dispatched"]:
        if job["Type"] not in _BATCHES:
            found.append('Parameterized job can only be used with "batch" or "sysbatch" scheduler')
        inner = _parameterized_problems(parameterized)
        found += [multierror(inner)] if inner else []
    if job["Multiregion"]:
        found.append("Multiregion jobs are unlicensed.")
    return found


def _periodic_problems(periodic: Record) -> list[str]:
    found = []
    if periodic["Spec"] and periodic["Specs"]:
        found.append("Only cron or crons may be used")
    if not periodic["Spec"] and not periodic["Specs"]:
        found.append("Must specify a spec")
    found += _zone(periodic["TimeZone"])
    if periodic["SpecType"] == "test":
        return found
    if periodic["SpecType"] != "cron":
        return [*found, f'Unknown periodic specification type "{periodic["SpecType"]}"']
    specs = [*([periodic["Spec"]] if periodic["Spec"] else ()), *(periodic["Specs"] or ())]
    problems = ((spec, problem_of(spec)) for spec in specs)
    return found + [f'Invalid cron spec "{spec}": {why}' for spec, why in problems if why]


def _zone(name: str) -> list[str]:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return [f'Invalid time zone "{name}": unknown time zone {name}']
    return []


def _parameterized_problems(parameterized: Record) -> list[str]:
    found = []
    if parameterized["Payload"] not in {"optional", "required", "forbidden"}:
        found.append(f'Unknown payload requirement: "{parameterized["Payload"]}"')
    both = [key for key in parameterized["MetaOptional"] or () if key in (parameterized["MetaRequired"] or ())]
    if both:
        keys = " ".join(both)
        found.append(f"Required and optional meta keys should be disjoint. Following keys exist in both: [{keys}]")
    return found
