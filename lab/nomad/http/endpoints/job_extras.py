"""What the endpoints answer about jobs beyond the model's own operations: scale status, validation, submissions, stability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.model.errors import Refusal, multierror
from lab.nomad.model.store import Table

if TYPE_CHECKING:
    from lab.nomad.http.call import Call
    from lab.nomad.model.store import Record

SUBMISSIONS = "job_submission"
_LARGEST_SOURCE = 1 << 20


def scale_status(call: Call, job: Record) -> dict[str, Any]:
    """Answer how many allocations each group wants, has placed, and runs, with the scaling events kept."""
    key = (job["Namespace"], job["ID"])
    noted = (call.store.get(Table.SCALING_EVENTS, key) or {"Events": {}})["Events"]
    groups = {
        group["Name"]: {
            "Desired": group["Count"],
            "Placed": 0,
            "Running": 0,
            "Healthy": 0,
            "Unhealthy": 0,
            "Events": noted.get(group["Name"]),
        }
        for group in job["TaskGroups"] or []
    }
    for alloc in call.store.by(Table.ALLOCS, "job", key):
        if alloc["TaskGroup"] in groups and _counts(alloc):
            _count(groups[alloc["TaskGroup"]], alloc)
    return {
        "JobID": job["ID"],
        "Namespace": job["Namespace"],
        "JobCreateIndex": job["CreateIndex"],
        "JobModifyIndex": job["ModifyIndex"],
        "JobStopped": job["Stop"],
        "TaskGroups": groups,
    }


def _counts(alloc: Record) -> bool:
    over = alloc["DesiredStatus"] in {"stop", "evict"} or alloc["ClientStatus"] in {"complete", "failed", "lost"}
    return not over and not (alloc.get("DeploymentStatus") or {}).get("Canary")


def _count(group: dict[str, Any], alloc: Record) -> None:
    group["Placed"] += 1
    group["Running"] += alloc["ClientStatus"] == "running"
    healthy = (alloc.get("DeploymentStatus") or {}).get("Healthy")
    if healthy is not None:
        group["Healthy" if healthy else "Unhealthy"] += 1


def validation(call: Call, job: dict[str, Any]) -> dict[str, Any]:
    """Answer what is wrong with a job, and its warnings."""
    problems, warnings = call.cluster.validate_job(job)
    return {
        "DriverConfigValidated": True,
        "ValidationErrors": problems or None,
        "Error": multierror(problems) if problems else "",
        "Warnings": warnings,
    }


def keep_submission(call: Call, job: Record, given: dict[str, Any]) -> None:
    """Keep the source that a job version was made of, unless it is too large."""
    if len(given.get("Source") or "") > _LARGEST_SOURCE:
        return
    record = {
        "Source": given.get("Source") or "",
        "Format": given.get("Format") or "",
        "VariableFlags": given.get("VariableFlags"),
        "Variables": given.get("Variables") or "",
        "Namespace": job["Namespace"],
        "JobID": job["ID"],
        "Version": job["Version"],
        "JobModifyIndex": job["JobModifyIndex"],
    }
    call.store.put(SUBMISSIONS, (job["Namespace"], job["ID"], job["Version"]), record)


def mark_stable(call: Call, name: str, version: int, *, stable: bool) -> int:
    """Mark a version of a job as stable or not; answer the index."""
    key = (call.namespace, name)
    known = call.store.get(Table.JOB_VERSIONS, (*key, version))
    if known is None:
        text = f'job "{name}" in namespace "{call.namespace}" at version {version} not found'
        raise Refusal(500, text)
    with call.store.transaction():
        call.store.put(Table.JOB_VERSIONS, (*key, version), {**known, "Stable": stable})
        current = call.store.get(Table.JOBS, key)
        if current is not None and current["Version"] == version:
            call.store.put(Table.JOBS, key, {**current, "Stable": stable})
        return call.store.index


def check_prior_version(call: Call, name: str, prior: int | None) -> None:
    """Refuse a revert when the job is not at the version that the caller enforces."""
    job = call.store.get(Table.JOBS, (call.namespace, name))
    if prior is not None and job is not None and job["Version"] != prior:
        raise Refusal(500, f"Current job has version {job['Version']}; enforcing version {prior}")
