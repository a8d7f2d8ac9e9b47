"""Writes as Nomad's state store makes them: each keeps summaries, job states and deployments in step.

All methods expect to be called inside a transaction of the store (or make one of their own).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.store import Table
from lab.nomad.model.summary import move, new_summary, set_children, set_queued
from lab.nomad.model.times import ZERO_TIME, from_rfc3339, nanoseconds, rfc3339
from lab.nomad.model.usage import Usage
from lab.nomad.model.words import EVAL_TERMINAL, EVERY_POOL, EvalStatus, JobStatus, JobType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lab.nomad.model.store import Record, Store

JobKey = tuple[str, str]


class State:
    """The store with Nomad's bookkeeping, and the clock in nanoseconds."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.usage = Usage(store)
        self.on_eval: list[Callable[[Record], None]] = []
        self.moment: int | None = None
        """The time at which something that was due is being done, when the clock is past it already."""

    def now(self) -> int:
        """Answer the time in nanoseconds since the epoch."""
        return nanoseconds(self.store.now()) if self.moment is None else self.moment

    def put_job(self, job: Record, *, keep_version: bool = True) -> Record:
        """Write a job, its version and its summary; the job's status follows from its allocations and evaluations."""
        key = (job["Namespace"], job["ID"])
        job = self.store.put(Table.JOBS, key, job)
        summary = self.store.get(Table.JOB_SUMMARIES, key)
        updated = new_summary(job, summary)
        if updated is not summary:
            self.store.put(Table.JOB_SUMMARIES, key, updated)
        if keep_version:
            self.keep_version(job)
        return job

    def keep_version(self, job: Record) -> None:
        """Keep this version of a job beside the current one; the six newest are kept, and the newest stable one."""
        key = (job["Namespace"], job["ID"])
        self.store.put(Table.JOB_VERSIONS, (*key, job["Version"]), job)
        versions = sorted(self.store.by(Table.JOB_VERSIONS, "job", key), key=lambda v: -v["Version"])
        stable = next((v["Version"] for v in versions if v["Stable"]), None)
        for old in versions[6:]:
            if old["Version"] != stable:
                self.store.delete(Table.JOB_VERSIONS, (*key, old["Version"]))

    def delete_job(self, key: JobKey) -> None:
        """Remove a job with its versions, summary and scaling events."""
        job = self.store.delete(Table.JOBS, key)
        if job is not None and job["ParentID"] and job["Status"] != JobStatus.DEAD:
            self._count_child(job, job["Status"], JobStatus.DEAD)
        for version in self.store.by(Table.JOB_VERSIONS, "job", key):
            self.store.delete(Table.JOB_VERSIONS, (*key, version["Version"]))
        for table in (Table.JOB_SUMMARIES, Table.SCALING_EVENTS, Table.PERIODIC_LAUNCHES):
            self.store.delete(table, key)

    def put_evals(self, evals: Iterable[Record]) -> list[Record]:
        """Write evaluations: the summary learns what is queued, a job that is served cancels its blocked ones."""
        written: list[Record] = []
        for evaluation in evals:
            written.append(self.store.put(Table.EVALS, evaluation["ID"], evaluation))
            key = (evaluation["Namespace"], evaluation["JobID"])
            if "QueuedAllocations" in evaluation:
                self._queue(key, evaluation["QueuedAllocations"])
            if served(evaluation):
                self._cancel_blocked(key, evaluation["ID"])
        for key in dict.fromkeys((e["Namespace"], e["JobID"]) for e in written):
            self.refresh_job_status(key)
        for evaluation in written:
            for told in self.on_eval:
                told(evaluation)
        return written

    def put_allocs(self, allocs: Iterable[Record]) -> list[Record]:
        """Write new or changed allocations; summaries, deployments and job states follow."""
        written: list[Record] = []
        for alloc in allocs:
            old = self.store.get(Table.ALLOCS, alloc["ID"])
            alloc = self._with_health_index(old, alloc)  # noqa: PLW2901  # the record as it is written
            written.append(self.store.put(Table.ALLOCS, alloc["ID"], alloc))
            self._tell_deployment(old, written[-1])
            self._tell_summary(old, written[-1])
        for key in dict.fromkeys((a["Namespace"], a["JobID"]) for a in written):
            self.refresh_job_status(key)
        return written

    def count_new_child(self, job: Record) -> None:
        """Tell the summary of its parent about a job that has just been written."""
        self._count_child(job, "", job["Status"])

    def refresh_job_status(self, key: JobKey, *, evals_deleted: bool = False) -> None:
        """Set a job's status to what its allocations and evaluations say."""
        job = self.store.get(Table.JOBS, key)
        if job is None:
            return
        status = self._job_status(job, evals_deleted=evals_deleted)
        if status != job["Status"]:
            self.store.put(Table.JOBS, key, {**job, "Status": status})
            self._count_child(job, job["Status"], status)

    def nodes_in_pool(self, pool: str) -> list[Record]:
        """Answer the nodes of a pool, those of all pools for `all`, by ID."""
        nodes = self.store.rows(Table.NODES)
        return nodes if pool == EVERY_POOL else [node for node in nodes if node["NodePool"] == pool]

    def latest_deployment(self, key: JobKey) -> Record | None:
        """Answer the newest deployment of the job that is registered now under this name, None when there is none."""
        found = self.store.by(Table.DEPLOYMENTS, "job", key)
        return max(found, key=lambda d: d["CreateIndex"]) if found else None

    def _job_status(self, job: Record, *, evals_deleted: bool) -> str:
        if job["Type"] == JobType.SYSTEM or waits_for_dispatch(job) or job["Periodic"]:
            return JobStatus.DEAD if job["Stop"] else JobStatus.RUNNING
        key = (job["Namespace"], job["ID"])
        if self.usage.live_allocs[key] > 0:
            return JobStatus.RUNNING
        if self.usage.live_evals[key] > 0:
            return JobStatus.PENDING
        known = self.store.by(Table.EVALS, "job", key) or self.store.by(Table.ALLOCS, "job", key)
        return JobStatus.DEAD if evals_deleted or known else JobStatus.PENDING

    def _count_child(self, job: Record, old: str | None, new: str | None) -> None:
        parent = (job["Namespace"], job["ParentID"])
        summary = self.store.get(Table.JOB_SUMMARIES, parent) if job["ParentID"] else None
        if summary is not None:
            self.store.put(Table.JOB_SUMMARIES, parent, set_children(summary, old, new))

    def _queue(self, key: JobKey, queued: dict[str, int]) -> None:
        summary = self.store.get(Table.JOB_SUMMARIES, key)
        updated = set_queued(summary, queued) if summary else None
        if updated is not summary and updated is not None:
            self.store.put(Table.JOB_SUMMARIES, key, updated)

    def _cancel_blocked(self, key: JobKey, by: str) -> None:
        for other in self.store.by(Table.EVALS, "job", key):
            if other["Status"] == EvalStatus.BLOCKED and other["ID"] != by:
                text = f'evaluation "{by}" successful'
                changed = {**other, "Status": EvalStatus.CANCELED, "StatusDescription": text, "ModifyTime": self.now()}
                self.store.put(Table.EVALS, other["ID"], changed)

    def _tell_summary(self, old: Record | None, new: Record) -> None:
        if old is not None and old["ClientStatus"] == new["ClientStatus"]:
            return
        key = (new["Namespace"], new["JobID"])
        summary = self.store.get(Table.JOB_SUMMARIES, key)
        if summary is not None and summary["CreateIndex"] == new["Job"]["CreateIndex"]:
            self.store.put(Table.JOB_SUMMARIES, key, move(summary, new["TaskGroup"], old, new))

    def _with_health_index(self, old: Record | None, new: Record) -> Record:
        health = new.get("DeploymentStatus")
        if not new.get("DeploymentID") or not health or health["Healthy"] is None or old is None:
            return new
        before = (old.get("DeploymentStatus") or {}).get("Healthy")
        if before == health["Healthy"]:
            return new
        index = self.store.touch(Table.ALLOCS)
        return {**new, "DeploymentStatus": {**health, "ModifyIndex": index}}

    def _tell_deployment(self, old: Record | None, new: Record) -> None:
        deployment = self.store.get(Table.DEPLOYMENTS, new.get("DeploymentID") or "")
        if deployment is None or new["TaskGroup"] not in deployment["TaskGroups"]:
            return
        before, after = _health(old), _health(new)
        placed = int(old is None or old.get("DeploymentID") != new["DeploymentID"])
        healthy, unhealthy = (0, 0) if placed else _health_change(before, after)
        if not (placed or healthy or unhealthy):
            return
        group = dict(deployment["TaskGroups"][new["TaskGroup"]])
        group["PlacedAllocs"] += placed
        group["HealthyAllocs"] += healthy
        group["UnhealthyAllocs"] += unhealthy
        _note_canary(group, new)
        if group["ProgressDeadline"]:
            _note_progress(group, new, placed=bool(placed), healthy=healthy > 0)
        groups = {**deployment["TaskGroups"], new["TaskGroup"]: group}
        self.store.put(Table.DEPLOYMENTS, deployment["ID"], {**deployment, "TaskGroups": groups})


def served(evaluation: Record) -> bool:
    """Answer whether a finished evaluation left nothing to wait for, so that blocked ones have no reason any more."""
    done = evaluation["Status"] == EvalStatus.COMPLETE
    return done and not evaluation.get("FailedTGAllocs") and not evaluation.get("BlockedEval")


def waits_for_dispatch(job: Record) -> bool:
    """Answer whether a job is parameterized and no dispatched child itself."""
    return bool(job["ParameterizedJob"]) and not job["Dispatched"]


def live(evaluation: Record) -> bool:
    """Answer whether an evaluation is pending or blocked."""
    return evaluation["Status"] not in EVAL_TERMINAL


def _health(alloc: Record | None) -> bool | None:
    return (alloc.get("DeploymentStatus") or {}).get("Healthy") if alloc else None


def _health_change(before: bool | None, after: bool | None) -> tuple[int, int]:
    if after is None or before == after:
        return (0, 0)
    if before is None:
        return (1, 0) if after else (0, 1)
    return (-1, 1) if before else (0, 0)


def _note_canary(group: Record, alloc: Record) -> None:
    if (alloc.get("DeploymentStatus") or {}).get("Canary") and alloc["ID"] not in (group["PlacedCanaries"] or ()):
        group["PlacedCanaries"] = [*(group["PlacedCanaries"] or ()), alloc["ID"]]


def _note_progress(group: Record, alloc: Record, *, placed: bool, healthy: bool) -> None:
    required = None if group["RequireProgressBy"] == ZERO_TIME else group["RequireProgressBy"]
    if placed and required is None:
        group["RequireProgressBy"] = rfc3339(alloc["ModifyTime"] + group["ProgressDeadline"])
    elif healthy:
        by = from_rfc3339(alloc["DeploymentStatus"]["Timestamp"]) + group["ProgressDeadline"]
        if required is None or by > from_rfc3339(required):
            group["RequireProgressBy"] = rfc3339(by)
