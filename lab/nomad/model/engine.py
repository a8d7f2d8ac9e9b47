"""Working through evaluations: which is next, what its scheduler decides, what is written then."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from lab.nomad.model.applying import apply_plan
from lab.nomad.model.blocked import BlockedEvaluations
from lab.nomad.model.evaluations import blocked_evaluation, eligibility_keys, finished
from lab.nomad.model.generic import GenericScheduler
from lab.nomad.model.state import served
from lab.nomad.model.store import Table
from lab.nomad.model.system import SystemScheduler
from lab.nomad.model.times import from_rfc3339
from lab.nomad.model.words import Cause, EvalStatus, JobType

if TYPE_CHECKING:
    from lab.nomad.model.agenda import Agenda
    from lab.nomad.model.ids import Identifiers
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record

_SYSTEM = frozenset({JobType.SYSTEM, JobType.SYSBATCH})


class Engine:
    """The evaluation broker, the workers and the waiting room, one evaluation at a time."""

    def __init__(self, state: State, agenda: Agenda, ids: Identifiers) -> None:
        self._state = state
        self._agenda = agenda
        self._ids = ids
        self._queue: list[tuple[int, int, int, Record]] = []
        self._entered = 0
        self._busy = False
        self._scheduler: GenericScheduler | SystemScheduler | None = None
        self.paused = False
        self.blocked = BlockedEvaluations()
        state.on_eval.append(self._told)

    def settle(self) -> None:
        """Process evaluations until none is ready. Called again while busy it does nothing."""
        if self._busy:
            return
        self._busy = True
        try:
            self._reap()
            while self._queue and not self.paused:
                _, _, _, evaluation = heapq.heappop(self._queue)
                self._process(evaluation)
                self._reap()
        finally:
            self._busy = False

    def start_over(self) -> None:
        """Forget what is queued and what waits, and take both up from the store, as a new leader does."""
        self._queue.clear()
        self.blocked = BlockedEvaluations()
        for evaluation in self._state.store.rows(Table.EVALS):
            self._told(evaluation)

    def wake_class(self, computed_class: str, node_id: str = "") -> None:
        """Say that there may be room on a node class (and on this node)."""
        for evaluation in self.blocked.wake_class(computed_class):
            self._enqueue(evaluation)
        if node_id:
            for evaluation in self.blocked.wake_node(node_id):
                self._enqueue(evaluation)

    def _told(self, evaluation: Record) -> None:
        if evaluation["Status"] == EvalStatus.BLOCKED:
            self.blocked.block(evaluation)
        elif served(evaluation):
            self.blocked.untrack((evaluation["Namespace"], evaluation["JobID"]))
        elif evaluation["Status"] == EvalStatus.PENDING:
            self._admit(evaluation)

    def _admit(self, evaluation: Record) -> None:
        wait = evaluation.get("WaitUntil")
        if wait and from_rfc3339(wait) > self._state.now():
            key = ("eval", evaluation["ID"])
            self._agenda.at(from_rfc3339(wait), key, lambda: self._enqueue(evaluation))
        else:
            self._enqueue(evaluation)

    def _enqueue(self, evaluation: Record) -> None:
        self._entered += 1
        index = evaluation.get("CreateIndex", 0)
        heapq.heappush(self._queue, (-evaluation["Priority"], index, self._entered, evaluation))

    def _reap(self) -> None:
        duplicates = self.blocked.take_duplicates()
        if duplicates:
            now = self._state.now()
            with self._state.store.transaction(Cause.EVALUATION_UPDATED):
                self._state.put_evals(
                    {
                        **evaluation,
                        "Status": EvalStatus.CANCELED,
                        "StatusDescription": f'existing blocked evaluation exists for job "{evaluation["JobID"]}"',
                        "ModifyTime": now,
                    }
                    for evaluation in duplicates
                )

    def _process(self, evaluation: Record) -> None:
        known = self._state.store.get(Table.EVALS, evaluation["ID"])
        if known is None or known["Status"] not in {EvalStatus.PENDING, EvalStatus.BLOCKED}:
            return
        evaluation = {**evaluation, "SnapshotIndex": self._state.store.index}
        scheduler = self._scheduler_for(evaluation)
        scheduler.compute()
        failed = {name: metrics.record() for name, metrics in scheduler.failed.items()}
        delayed = bool(scheduler.followups) and not evaluation.get("WaitUntil")
        blocked_id = ""
        if failed and not delayed and evaluation["Status"] != EvalStatus.BLOCKED:
            blocked_id = self._block(evaluation, scheduler, failed)
        if delayed:
            self._write(
                {**followup, "PreviousEval": evaluation["ID"], "SnapshotIndex": evaluation["SnapshotIndex"]}
                for followup in scheduler.followups
            )
        if not scheduler.plan.is_no_op():
            apply_plan(self._state, scheduler.plan, evaluation, self._ids.fresh)
        if evaluation["Status"] == EvalStatus.BLOCKED and failed and not isinstance(scheduler, SystemScheduler):
            self._block_again(evaluation, scheduler)
            return
        self._write(
            [
                finished(
                    self._latest(evaluation),
                    self._state.now(),
                    QueuedAllocations=scheduler.queued,
                    FailedTGAllocs=failed,
                    BlockedEval="" if isinstance(scheduler, SystemScheduler) else blocked_id,
                    DeploymentID=scheduler.deployment_id,
                )
            ]
        )

    def _scheduler_for(self, evaluation: Record) -> GenericScheduler | SystemScheduler:
        kind = SystemScheduler if evaluation["Type"] in _SYSTEM else GenericScheduler
        return kind(self._state, evaluation, self._ids.fresh)

    def _latest(self, evaluation: Record) -> Record:
        known = self._state.store.get(Table.EVALS, evaluation["ID"])
        return {**evaluation, "CreateIndex": (known or evaluation).get("CreateIndex", 0)}

    def _block(
        self, evaluation: Record, scheduler: GenericScheduler | SystemScheduler, failed: dict[str, Record]
    ) -> str:
        classes = scheduler.stack.classes if scheduler.stack else None
        blocked = blocked_evaluation(
            self._ids.fresh(),
            evaluation,
            self._state.now(),
            classes=classes.classes() if classes else None,
            escaped=classes.escaped() if classes else False,
            failed=failed,
        )
        if isinstance(scheduler, SystemScheduler):
            if not scheduler.failed_node:
                return ""
            blocked["NodeID"] = scheduler.failed_node
        self._write([blocked])
        self._reap()
        return blocked["ID"]

    def _block_again(self, evaluation: Record, scheduler: GenericScheduler | SystemScheduler) -> None:
        dropped = {"ClassEligibility", "EscapedComputedClass"}
        again = {key: value for key, value in self._latest(evaluation).items() if key not in dropped}
        if scheduler.stack is not None:
            classes = scheduler.stack.classes
            again |= eligibility_keys(classes.classes(), escaped=classes.escaped())
        self.blocked.block(again)

    def _write(self, evaluations: object) -> None:
        with self._state.store.transaction(Cause.EVALUATION_UPDATED):
            self._state.put_evals(evaluations)  # type: ignore[arg-type]  # an iterable of records
