"""Job summaries: how many allocations of each group are queued, starting, running and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.words import Client, JobStatus

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_BIN = {
    Client.PENDING: "Starting",
    Client.RUNNING: "Running",
    Client.COMPLETE: "Complete",
    Client.FAILED: "Failed",
    Client.LOST: "Lost",
    Client.UNKNOWN: "Unknown",
}
_NEVER_LEFT = frozenset({Client.COMPLETE, Client.FAILED})
_CHILD = {JobStatus.PENDING: "Pending", JobStatus.RUNNING: "Running", JobStatus.DEAD: "Dead"}
EMPTY_GROUP = {"Complete": 0, "Failed": 0, "Lost": 0, "Queued": 0, "Running": 0, "Starting": 0, "Unknown": 0}


def new_summary(job: Record, known: Record | None) -> Record:
    """Answer a summary that has every group of the job: the known one itself when nothing is missing."""
    groups = {} if known is None else known["Summary"]
    missing = {group["Name"]: EMPTY_GROUP for group in job["TaskGroups"] if group["Name"] not in groups}
    if known is None:
        children = {"Dead": 0, "Pending": 0, "Running": 0}
        return {"Children": children, "JobID": job["ID"], "Namespace": job["Namespace"], "Summary": missing}
    return {**known, "Summary": {**groups, **missing}} if missing else known


def set_queued(summary: Record, queued: dict[str, int]) -> Record:
    """Answer the summary with these queued counts: the same one when nothing changes."""
    changed = {
        name: {**counts, "Queued": queued[name]}
        for name, counts in summary["Summary"].items()
        if name in queued and counts["Queued"] != queued[name]
    }
    return {**summary, "Summary": {**summary["Summary"], **changed}} if changed else summary


def move(summary: Record, group: str, old: Record | None, new: Record) -> Record:
    """Answer the summary after an allocation appeared or its client status changed."""
    counts = dict(summary["Summary"][group])
    counts[_BIN[new["ClientStatus"]]] += 1
    if old is None:
        counts["Queued"] = max(0, counts["Queued"] - 1)
    elif old["ClientStatus"] not in _NEVER_LEFT:
        name = _BIN[old["ClientStatus"]]
        counts[name] = max(0, counts[name] - 1)
    return {**summary, "Summary": {**summary["Summary"], group: counts}}


def set_children(summary: Record, old: str | None, new: str | None) -> Record:
    """Answer the summary of a parent after a child went from one status to another (None: not there)."""
    children = dict(summary["Children"])
    if old:
        children[_CHILD[JobStatus(old)]] -= 1
    if new:
        children[_CHILD[JobStatus(new)]] += 1
    return {**summary, "Children": children}
