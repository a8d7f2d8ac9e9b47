"""Writing a plan: allocations, deployment, preempted jobs' evaluations, all under one index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.evaluations import new_evaluation
from lab.nomad.model.store import Table
from lab.nomad.model.words import Cause, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.model.planning import Plan
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record


def apply_plan(state: State, plan: Plan, evaluation: Record, fresh_id: Callable[[], str]) -> None:
    """Write a plan of an evaluation. Evaluations of preempted jobs become pending with it."""
    store, now = state.store, state.now()
    with store.transaction(Cause.PLAN_RESULT):
        index = store.touch(Table.ALLOCS)
        if plan.deployment is not None:
            store.put(Table.DEPLOYMENTS, plan.deployment["ID"], plan.deployment)
        for update in plan.deployment_updates:
            update_deployment(state, update)
        changed = [
            {**alloc, "AllocModifyIndex": index, "ModifyTime": now}
            for group in (plan.stops, plan.preempted, plan.placed)
            for alloc in group.values()
        ]
        state.put_allocs(changed)
        _link(state, plan)
        known = store.get(Table.EVALS, evaluation["ID"])
        if known is not None:
            store.put(Table.EVALS, known["ID"], known)
        state.put_evals(_of_preempted(state, plan, fresh_id, now))


def update_deployment(state: State, update: Record) -> Record | None:
    """Set a deployment's status; a successful one makes its job version stable."""
    deployment = state.store.get(Table.DEPLOYMENTS, update["DeploymentID"])
    if deployment is None:
        return None
    status = {"Status": update["Status"], "StatusDescription": update["StatusDescription"]}
    written = state.store.put(Table.DEPLOYMENTS, deployment["ID"], {**deployment, **status})
    if update["Status"] == "successful":
        mark_stable(state, (deployment["Namespace"], deployment["JobID"]), deployment["JobVersion"], stable=True)
    return written


def mark_stable(state: State, key: tuple[str, str], version: int, *, stable: bool) -> None:
    """Say of a job version whether it is known to work."""
    job = state.store.get(Table.JOBS, key)
    kept = state.store.get(Table.JOB_VERSIONS, (*key, version))
    if kept is None or kept["Stable"] == stable:
        return
    if job is not None and job["Version"] == version:
        kept = job = {**job, "Stable": stable}  # the current version is written as the job stands now
        state.store.put(Table.JOBS, key, job)
    state.store.put(Table.JOB_VERSIONS, (*key, version), {**kept, "Stable": stable})


def _link(state: State, plan: Plan) -> None:
    for alloc in plan.placed.values():
        previous = state.store.get(Table.ALLOCS, alloc.get("PreviousAllocation") or "")
        if previous is not None and previous.get("NextAllocation") != alloc["ID"]:
            state.store.put(Table.ALLOCS, previous["ID"], {**previous, "NextAllocation": alloc["ID"]})


def _of_preempted(state: State, plan: Plan, fresh_id: Callable[[], str], now: int) -> list[Record]:
    jobs = dict.fromkeys((a["Namespace"], a["JobID"]) for a in plan.preempted.values())
    found = [state.store.get(Table.JOBS, key) for key in jobs]
    return [new_evaluation(fresh_id(), job, Trigger.PREEMPTION, now) for job in found if job is not None]
