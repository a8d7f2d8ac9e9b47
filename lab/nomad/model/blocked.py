"""Evaluations that wait for room: one per job, woken by a node class or, for system jobs, by a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.words import JobType

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

JobKey = tuple[str, str]


class BlockedEvaluations:
    """The waiting evaluations as the leader holds them: newer than the store's copies after an attempt in vain."""

    def __init__(self) -> None:
        self._waiting: dict[str, Record] = {}
        self._of_job: dict[JobKey, str] = {}
        self.duplicates: list[Record] = []

    def block(self, evaluation: Record) -> None:
        """Let an evaluation wait. Of two for one job the older becomes a duplicate, to be cancelled."""
        key = (evaluation["Namespace"], evaluation["JobID"])
        known = self._waiting.get(self._of_job.get(key, ""))
        if known is not None and known["ID"] != evaluation["ID"]:
            if _age(known) > _age(evaluation):
                self.duplicates.append(evaluation)
                return
            del self._waiting[known["ID"]]
            self.duplicates.append(known)
        self._waiting[evaluation["ID"]] = evaluation
        self._of_job[key] = evaluation["ID"]

    def untrack(self, key: JobKey) -> None:
        """Forget what waits for a job: it has been served, or is gone."""
        eval_id = self._of_job.pop(key, None)
        if eval_id is not None:
            self._waiting.pop(eval_id, None)

    def wake_class(self, computed_class: str) -> list[Record]:
        """Take and answer the evaluations that room on this node class may help."""
        return self._take([e for e in self._waiting.values() if _may_use(e, computed_class)])

    def wake_node(self, node_id: str) -> list[Record]:
        """Take and answer the system evaluations that room on this node may help."""
        found = [e for e in self._waiting.values() if e["Type"] == JobType.SYSTEM and e.get("NodeID") == node_id]
        return self._take(found)

    def take_duplicates(self) -> list[Record]:
        """Take and answer the evaluations to be cancelled."""
        found, self.duplicates = self.duplicates, []
        return found

    def _take(self, evaluations: list[Record]) -> list[Record]:
        for evaluation in evaluations:
            del self._waiting[evaluation["ID"]]
            key = (evaluation["Namespace"], evaluation["JobID"])
            if self._of_job.get(key) == evaluation["ID"]:
                del self._of_job[key]
        return evaluations


def _age(evaluation: Record) -> int:
    return max(evaluation.get("CreateIndex", 0), evaluation.get("SnapshotIndex", 0))


def _may_use(evaluation: Record, computed_class: str) -> bool:
    if evaluation.get("EscapedComputedClass"):
        return True
    return (evaluation.get("ClassEligibility") or {}).get(computed_class, True)
