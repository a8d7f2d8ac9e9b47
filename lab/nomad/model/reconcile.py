"""Reconciling a service or batch job with its allocations: what to stop, place, update, migrate, try again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.nomad.model.deploying import Deploying
from lab.nomad.model.later import Later
from lab.nomad.model.reconcile_group import Canaries, GroupWork
from lab.nomad.model.results import LOST, MIGRATING, NOT_NEEDED, Counts, Results, Stop
from lab.nomad.model.tainted import Looking, split_by_failure, split_by_node
from lab.nomad.model.usage import terminal
from lab.nomad.model.words import Client, JobType

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.model.store import Record
    from lab.nomad.model.tainted import Allocs


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a reconciliation looks at. `job` is None when it was purged."""

    job: Record | None
    allocs: list[Record]
    tainted: dict[str, Record | None]
    deployment: Record | None
    evaluation: Record
    now: int
    fresh_id: Callable[[], str]


def reconcile(situation: Situation) -> Results:
    """Answer what has to be done. Nothing is written; the situation is left alone."""
    return _Reconciler(situation).compute()


class _Reconciler:
    def __init__(self, situation: Situation) -> None:
        self._at = situation
        self._results = Results()
        self._groups: dict[str, Allocs] = {}
        for alloc in situation.allocs:
            self._groups.setdefault(alloc["TaskGroup"], {})[alloc["ID"]] = alloc

    def compute(self) -> Results:
        job = self._at.job
        if job is None or job["Stop"]:
            if job is not None:
                self._deploying(job).drop_unneeded(self._results)
            for name, allocs in self._groups.items():
                living = {i: a for i, a in allocs.items() if not terminal(a)}
                self._results.counts[name] = Counts(stop=self._stop_all(living))
            return self._results
        deploying = self._deploying(job)
        deploying.drop_unneeded(self._results)
        names = dict.fromkeys([*(group["Name"] for group in job["TaskGroups"]), *self._groups])
        complete = [self._group(job, deploying, name) for name in names]
        if deploying.current is not None and all(complete):
            deploying.complete(self._results)
        return self._results

    def _deploying(self, job: Record) -> Deploying:
        at = self._at
        deployment = at.deployment if job["Type"] == JobType.SERVICE else None
        return Deploying(job, deployment, at.evaluation["Priority"], at.fresh_id)

    def _stop_all(self, allocs: Allocs) -> int:
        sorted_ = split_by_node(allocs, self._at.tainted, self._at.now)
        unknown = {i: a for i, a in sorted_.ignore.items() if a["ClientStatus"] == Client.UNKNOWN}
        for group in (sorted_.untainted, sorted_.migrate, sorted_.disconnecting, sorted_.reconnecting, unknown):
            self._results.stop += [Stop(alloc, NOT_NEEDED) for alloc in group.values()]
        self._results.stop += [Stop(alloc, LOST, Client.LOST) for alloc in sorted_.lost.values()]
        return len(allocs)

    def _group(self, job: Record, deploying: Deploying, name: str) -> bool:
        allocs = self._groups.get(name, {})
        group = next((g for g in job["TaskGroups"] if g["Name"] == name), None)
        if group is None:
            self._results.counts[name] = Counts(stop=self._stop_all(allocs))
            return True
        counts = self._results.counts[name] = Counts()
        at = self._at
        batch = job["Type"] == JobType.BATCH
        if batch:
            kept = {i: a for i, a in allocs.items() if not (_older(a, job) and terminal(a))}
            counts.ignore += len(allocs) - len(kept)
            allocs = kept
        canaries, allocs = self._canaries(deploying, allocs, counts)
        looking = Looking(at.now, at.evaluation["ID"], batch, deploying.current)
        by_node = split_by_node(allocs, at.tainted, at.now)
        counts.ignore += len(by_node.ignore)
        by_failure = split_by_failure(by_node.untainted, looking)
        work = GroupWork(
            job=job,
            group=group,
            results=self._results,
            counts=counts,
            deploying=deploying,
            later=Later(job, at.evaluation["Priority"], at.now, at.fresh_id),
            looking=looking,
            every=allocs,
        )
        return work.compute(by_node, by_failure, canaries)

    def _canaries(self, deploying: Deploying, allocs: Allocs, counts: Counts) -> tuple[Canaries, Allocs]:
        unwanted = [*_unpromoted(deploying.old), *(_unpromoted(deploying.current) if deploying.failed else ())]
        stopped = {i: allocs[i] for i in unwanted if i in allocs}
        for alloc in stopped.values():
            if not terminal(alloc):
                self._results.stop.append(Stop(alloc, NOT_NEEDED))
        counts.stop += len(stopped)
        allocs = {i: a for i, a in allocs.items() if i not in stopped}
        groups = (deploying.current or {"TaskGroups": {}})["TaskGroups"].values()
        ids = [i for state in groups for i in state["PlacedCanaries"] or ()]
        by_node = split_by_node({i: allocs[i] for i in ids if i in allocs}, self._at.tainted, self._at.now)
        self._results.stop += [Stop(alloc, MIGRATING) for alloc in by_node.migrate.values()]
        self._results.stop += [Stop(alloc, LOST, Client.LOST) for alloc in by_node.lost.values()]
        gone = {**by_node.migrate, **by_node.lost}
        return Canaries(by_node.untainted), {i: a for i, a in allocs.items() if i not in gone}


def _older(alloc: Record, job: Record) -> bool:
    return alloc["Job"]["Version"] < job["Version"] or alloc["Job"]["CreateIndex"] < job["CreateIndex"]


def _unpromoted(deployment: Record | None) -> list[str]:
    if deployment is None:
        return []
    return [i for s in deployment["TaskGroups"].values() if not s["Promoted"] for i in s["PlacedCanaries"] or ()]
