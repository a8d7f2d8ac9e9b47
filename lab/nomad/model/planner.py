"""Dry runs: what registering a job would do, as `PUT /v1/job/:id/plan` answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.admission import admit
from lab.nomad.model.evaluations import blocked_evaluation, new_evaluation
from lab.nomad.model.generic import GenericScheduler
from lab.nomad.model.ids import Identifiers, number_of
from lab.nomad.model.jobdiff import job_diff
from lab.nomad.model.store import Table
from lab.nomad.model.stubs import alloc_stub
from lab.nomad.model.system import SystemScheduler
from lab.nomad.model.times import moment, nanoseconds, rfc3339
from lab.nomad.model.words import JobType, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from lab.nomad.model.jobs import Jobs
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record

_EVERYWHERE = frozenset({JobType.SYSTEM, JobType.SYSBATCH})


class _DryRunError(Exception):
    """Carries the answer out of a transaction that is undone."""

    def __init__(self, answer: Record) -> None:
        super().__init__("undone on purpose")
        self.answer = answer


def plan_job(
    state: State,
    jobs: Jobs,
    submitted: Record,
    *,
    diff: bool,
    next_launch: Callable[[Record, datetime], datetime | None],
) -> Record:
    """Answer what registering the job would do: the change is made, scheduled on paper, and undone."""
    job, warnings = admit(state.store, submitted)
    known = jobs.get((job["Namespace"], job["ID"]))
    try:
        _dry_run(state, job, known)
    except _DryRunError as done:
        answer = done.answer
    launch = next_launch(job, moment(state.now()))
    modify = known["JobModifyIndex"] if known is not None else 0
    return {
        **answer,
        "Diff": job_diff(known, job, answer["Annotations"]["DesiredTGUpdates"]) if diff else None,
        "Index": modify,
        "JobModifyIndex": modify,
        "NextPeriodicLaunch": rfc3339(nanoseconds(launch)) if launch is not None else None,
        "Warnings": warnings,
    }


def _dry_run(state: State, job: Record, known: Record | None) -> None:
    now = state.now()
    ids = Identifiers(number_seed(job, state.store.index))
    with state.store.transaction():
        index = state.store.touch(Table.JOBS)
        version = known["Version"] + 1 if known is not None else 0
        state.put_job({**job, "JobModifyIndex": index, "Version": version, "Status": "pending", "SubmitTime": now})
        evaluation = new_evaluation(ids.fresh(), job, Trigger.JOB_REGISTER, now)
        evaluation |= {"JobModifyIndex": index} if known is not None else {}
        kind = SystemScheduler if job["Type"] in _EVERYWHERE else GenericScheduler
        scheduler = kind(state, evaluation, ids.fresh)
        scheduler.compute()
        raise _DryRunError(_answer(state, scheduler, evaluation, ids))


def number_seed(job: Record, index: int) -> int:
    """Answer a seed for the identifiers of a dry run, apart from those of the cluster."""
    return -number_of(f"{job['Namespace']}/{job['ID']}/{index}") - 1


def _answer(
    state: State, scheduler: GenericScheduler | SystemScheduler, evaluation: Record, ids: Identifiers
) -> Record:
    failed = {name: metrics.record() for name, metrics in scheduler.failed.items()}
    created = []
    if failed and scheduler.stack is not None:
        classes = scheduler.stack.classes
        blocked = blocked_evaluation(
            ids.fresh(),
            evaluation,
            state.now(),
            classes=classes.classes(),
            escaped=classes.escaped(),
            failed=failed,
        )
        created.append({key: value for key, value in blocked.items() if key != "SnapshotIndex"})
    created += scheduler.followups
    preempted = [alloc_stub(alloc) for alloc in scheduler.plan.preempted.values()]
    return {
        "Annotations": {"DesiredTGUpdates": scheduler.plan.desired_updates, "PreemptedAllocs": preempted or None},
        "CreatedEvals": created or None,
        "FailedTGAllocs": failed or None,
    }
