"""Choosing a node for a group: which nodes are looked at, how many, and which score wins."""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import ceil, log2
from typing import TYPE_CHECKING

from lab.nomad.model.eligibility import ClassEligibility
from lab.nomad.model.feasible import GroupChecks
from lab.nomad.model.fitting import Fitter
from lab.nomad.model.ids import number_of
from lab.nomad.model.metrics import Metrics
from lab.nomad.model.preemption import preemption_score
from lab.nomad.model.scoring import GroupScores
from lab.nomad.model.store import Table
from lab.nomad.model.words import JobType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.nomad.model.fitting import Option
    from lab.nomad.model.planning import Plan
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record

_MAX_SKIPPED = 3
_PREEMPTION = {
    JobType.SERVICE: "ServiceSchedulerEnabled",
    JobType.BATCH: "BatchSchedulerEnabled",
    JobType.SYSTEM: "SystemSchedulerEnabled",
    JobType.SYSBATCH: "SysBatchSchedulerEnabled",
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is wanted beyond fitting: nodes to avoid (an allocation failed there), a node to try first."""

    avoid: frozenset[str] = frozenset()
    prefer: Record | None = None


class Stack:
    """Choices of one evaluation. It remembers classes and where in the shuffled nodes it stopped."""

    def __init__(self, state: State, job: Record, plan: Plan) -> None:
        self._state = state
        self._job = job
        self._plan = plan
        self._checks: dict[str, GroupChecks] = {}
        self._scores: dict[str, GroupScores] = {}
        self._fitters: dict[tuple[str, bool], Fitter] = {}
        self._nodes: list[Record] = []
        self._offset = 0
        config = state.store.get(Table.SCHEDULER_CONFIG, "scheduler_config") or {}
        self._spread = config.get("SchedulerAlgorithm") == "spread"
        self._oversubscribe = bool(config.get("MemoryOversubscriptionEnabled"))
        self._system = job["Type"] in {JobType.SYSTEM, JobType.SYSBATCH}
        self.may_preempt = bool((config.get("PreemptionConfig") or {}).get(_PREEMPTION[job["Type"]]))
        self.classes = ClassEligibility(job)
        self.metrics = Metrics()

    def set_nodes(self, nodes: list[Record], seed: str = "") -> None:
        """Look at these nodes from now on, shuffled by the seed when one is given."""
        self._nodes = list(nodes)
        self._offset = 0
        if seed:
            random.Random(number_of(seed)).shuffle(self._nodes)

    def select(self, group: Record, wishes: Wishes | None = None) -> Option | None:
        """Answer the best option for one allocation of the group; None when no node takes it (see `metrics`)."""
        wishes = wishes or Wishes()
        if wishes.prefer is not None:
            option = self._select(group, wishes, [wishes.prefer])
            if option is not None:
                return option
        option = self._select(group, wishes, None)
        if option is None and self.may_preempt and not self._system:
            option = self._select(group, wishes, None, evict=True)
        return option

    def select_on(self, group: Record, node: Record) -> Option | None:
        """Answer the option that one node is, as system jobs ask."""
        return self._select(group, Wishes(), [node], evict=self.may_preempt)

    def _select(
        self, group: Record, wishes: Wishes, only: list[Record] | None, *, evict: bool = False
    ) -> Option | None:
        self.metrics = Metrics()
        checks, scores = self._of_group(group)
        fitter = self._fitter(group, evict=evict)
        found = self._options(checks, scores, fitter, wishes, self._source(only))
        if self._system:
            return next(found, None)
        best: Option | None = None
        for option in _limited(found, self._limit(group, scores)):
            if best is None or option.final > best.final:
                best = option
        return best

    def _of_group(self, group: Record) -> tuple[GroupChecks, GroupScores]:
        name = group["Name"]
        if name not in self._checks:
            key = (self._job["Namespace"], self._job["ID"])
            allocs = self._state.store.by(Table.ALLOCS, "job", key)
            self._checks[name] = GroupChecks(self._job, group, self._node)
            self._checks[name].count_existing(allocs)
            self._scores[name] = GroupScores(self._job, group, self._node, allocs)
        return self._checks[name], self._scores[name]

    def _fitter(self, group: Record, *, evict: bool) -> Fitter:
        key = (group["Name"], evict)
        if key not in self._fitters:
            self._fitters[key] = Fitter(
                self._job, group, evict=evict, spread=self._spread, oversubscribe=self._oversubscribe
            )
        return self._fitters[key]

    def _node(self, node_id: str) -> Record | None:
        return self._state.store.get(Table.NODES, node_id)

    def _source(self, only: list[Record] | None) -> Iterator[Record]:
        if only is not None:
            yield from only
            return
        for _ in range(len(self._nodes)):
            node = self._nodes[self._offset % len(self._nodes)]
            self._offset += 1
            yield node

    def _options(
        self,
        checks: GroupChecks,
        scores: GroupScores,
        fitter: Fitter,
        wishes: Wishes,
        source: Iterator[Record],
    ) -> Iterator[Option]:
        usage, plan, metrics = self._state.usage, self._plan, self.metrics
        for node in source:
            metrics.evaluated += 1
            if not checks.feasible(node, self.classes, metrics, plan):
                continue
            option = fitter.fit(node, usage.room(node), plan, metrics)
            if option is None:
                continue
            if not self._system:
                scores.apply(option, plan, avoid=node["ID"] in wishes.avoid)
                if option.evicted:
                    option.score("preemption", preemption_score(option.evicted))
            option.normalize()
            metrics.scored.append((node["ID"], option.final, option.scores))
            yield option

    def _limit(self, group: Record, scores: GroupScores) -> int:
        if scores.wide:
            return max(group["Count"], 100)
        if self._job["Type"] == JobType.BATCH or len(self._nodes) < 2:
            return 2
        return max(2, ceil(log2(len(self._nodes))))


def _limited(options: Iterator[Option], limit: int) -> Iterator[Option]:
    skipped: list[Option] = []
    seen = 0
    for option in options:
        if option.final <= 0.0 and len(skipped) < _MAX_SKIPPED:
            skipped.append(option)
            continue
        seen += 1
        yield option
        if seen == limit:
            return
    yield from skipped[: limit - seen]
