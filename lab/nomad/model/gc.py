"""Collecting what is over: evaluations with their allocations, dead jobs, old deployments, nodes that are down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.state import live
from lab.nomad.model.store import Table
from lab.nomad.model.times import SECOND
from lab.nomad.model.usage import terminal
from lab.nomad.model.words import ACTIVE_DEPLOYMENT, Cause, JobStatus, JobType, NodeStatus

if TYPE_CHECKING:
    from lab.nomad.model.fleet import Fleet
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record

HOUR = 3600 * SECOND
_EVAL_AGE, _BATCH_EVAL_AGE, _JOB_AGE, _DEPLOYMENT_AGE, _NODE_AGE = HOUR, 24 * HOUR, 4 * HOUR, HOUR, 24 * HOUR


class Collector:
    """Collects by age, or (forced, as `PUT /v1/system/gc` does) whatever is over."""

    def __init__(self, state: State, fleet: Fleet) -> None:
        self._state = state
        self._fleet = fleet

    def collect(self, *, force: bool) -> None:
        """Collect jobs, evaluations, deployments and nodes, in Nomad's order."""
        self._jobs(force=force)
        self._evals(force=force)
        self._deployments(force=force)
        self._nodes(force=force)

    def _old(self, ns: int, age: int, *, force: bool) -> bool:
        return force or self._state.now() - ns >= age

    def _jobs(self, *, force: bool) -> None:
        store = self._state.store
        for job in store.rows(Table.JOBS):
            if job["Status"] != JobStatus.DEAD or not self._old(job["SubmitTime"], _JOB_AGE, force=force):
                continue
            if not (job["Stop"] or job["Type"] in {JobType.BATCH, JobType.SYSBATCH}):
                continue
            key = (job["Namespace"], job["ID"])
            evals, allocs = store.by(Table.EVALS, "job", key), store.by(Table.ALLOCS, "job", key)
            if any(live(e) for e in evals) or any(not _over(a) for a in allocs):
                continue
            with store.transaction(Cause.JOB_BATCH_DEREGISTERED):
                self._delete(evals, allocs)
                self._state.delete_job(key)

    def _evals(self, *, force: bool) -> None:
        store = self._state.store
        evals: list[Record] = []
        allocs: list[Record] = []
        for evaluation in store.rows(Table.EVALS):
            batch = evaluation["Type"] == JobType.BATCH
            age = _BATCH_EVAL_AGE if batch else _EVAL_AGE
            if live(evaluation) or not self._old(evaluation["ModifyTime"], age, force=force):
                continue
            own = store.by(Table.ALLOCS, "eval", evaluation["ID"])
            job = store.get(Table.JOBS, (evaluation["Namespace"], evaluation["JobID"]))
            if batch and job is not None and not job["Stop"] and job["Status"] != JobStatus.DEAD:
                continue
            if all(_over(alloc) and _forgettable(alloc, job) for alloc in own):
                evals.append(evaluation)
                allocs += own
        if evals:
            with store.transaction(Cause.SILENT):
                self._delete(evals, allocs)

    def _deployments(self, *, force: bool) -> None:
        store = self._state.store
        used = {a.get("DeploymentID") for a in store.rows(Table.ALLOCS) if not terminal(a)}
        over = [
            d
            for d in store.rows(Table.DEPLOYMENTS)
            if d["Status"] not in ACTIVE_DEPLOYMENT and d["ID"] not in used and (force or self._ended(d))
        ]
        if over:
            with store.transaction(Cause.SILENT):
                for deployment in over:
                    store.delete(Table.DEPLOYMENTS, deployment["ID"])

    def _ended(self, deployment: Record) -> bool:
        job = self._state.store.get(Table.JOBS, (deployment["Namespace"], deployment["JobID"]))
        return job is None or self._old(job["SubmitTime"], _DEPLOYMENT_AGE, force=False)

    def _nodes(self, *, force: bool) -> None:
        store = self._state.store
        for node in store.rows(Table.NODES):
            if node["Status"] != NodeStatus.DOWN:
                continue
            if not self._old(node["StatusUpdatedAt"] * SECOND, _NODE_AGE, force=force):
                continue
            if all(terminal(alloc) for alloc in store.by(Table.ALLOCS, "node", node["ID"])):
                with store.transaction(Cause.NODE_DEREGISTRATION):
                    store.delete(Table.NODES, node["ID"])
                self._fleet.forget(node["ID"])

    def _delete(self, evals: list[Record], allocs: list[Record]) -> None:
        for alloc in allocs:
            self._state.store.delete(Table.ALLOCS, alloc["ID"])
        for evaluation in evals:
            self._state.store.delete(Table.EVALS, evaluation["ID"])


def _over(alloc: Record) -> bool:
    return terminal(alloc) and alloc["ClientStatus"] not in {"running", "pending", "unknown"}


def _forgettable(alloc: Record, job: Record | None) -> bool:
    if job is None or job["Stop"] or job["Status"] == JobStatus.DEAD:
        return True
    if alloc["ClientStatus"] == "failed" and not alloc.get("NextAllocation"):
        return alloc["DesiredStatus"] != "run"
    return True
