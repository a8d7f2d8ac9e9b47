"""The scheduler of system and sysbatch jobs: one allocation of each group on every node that takes it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from lab.nomad.model.allocation import Birth, new_allocation
from lab.nomad.model.generic import lose_stopped
from lab.nomad.model.later import with_state
from lab.nomad.model.nodeset import not_ready_nodes, ready_nodes
from lab.nomad.model.planning import Plan
from lab.nomad.model.results import LOST, NODE_TAINTED, NOT_NEEDED, UNKNOWN, UPDATING, Counts
from lab.nomad.model.stack import Stack
from lab.nomad.model.store import Table
from lab.nomad.model.system_diff import Fleet, SystemDiff, diff_system
from lab.nomad.model.tainted import tainted_nodes
from lab.nomad.model.updating import tasks_updated
from lab.nomad.model.usage import terminal
from lab.nomad.model.words import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.model.metrics import Metrics
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record


class SystemScheduler:
    """One evaluation of a system or sysbatch job: makes a plan and says on which node it first found no room."""

    def __init__(self, state: State, evaluation: Record, fresh_id: Callable[[], str]) -> None:
        self._state = state
        self._eval = evaluation
        self._fresh_id = fresh_id
        self.plan = Plan(state.usage)
        self.failed: dict[str, Metrics] = {}
        self.queued: dict[str, int] = {}
        self.followups: list[Record] = []
        self.deployment_id = ""
        self.stack: Stack | None = None
        self.failed_node = ""
        self._counts: defaultdict[str, Counts] = defaultdict(Counts)

    def compute(self) -> None:
        """Fill `plan`, `failed`, `queued` and `failed_node`. Nothing is written."""
        store = self._state.store
        key = (self._eval["Namespace"], self._eval["JobID"])
        job = store.get(Table.JOBS, key)
        allocs = store.by(Table.ALLOCS, "job", key)
        tainted = tainted_nodes(allocs, lambda node_id: store.get(Table.NODES, node_id))
        lose_stopped(self.plan, allocs, tainted)
        living = job if job is not None and not job["Stop"] else None
        nodes, by_datacenter = ready_nodes(self._state, living) if living else ([], {})
        asleep = not_ready_nodes(self._state, living) if living else set()
        fleet = Fleet({node["ID"]: node for node in nodes}, tainted, asleep, self._state.now())
        diff = diff_system(living, fleet, allocs)
        self._apply(diff)
        if living is not None:
            self._update(living, diff)
        self.plan.desired_updates = {name: counts.record() for name, counts in self._counts.items()}
        if living is None:
            return
        self.queued = {group["Name"]: 0 for group in living["TaskGroups"]}
        for _, group, _, _ in diff.place:
            self.queued[group["Name"]] += 1
        self._place(living, diff, nodes, by_datacenter)

    def _apply(self, diff: SystemDiff) -> None:
        self._count(diff)
        for alloc in diff.stop:
            self.plan.stop(alloc, NOT_NEEDED)
        for alloc in diff.migrate:
            self.plan.stop(alloc, NODE_TAINTED)
        for alloc in diff.lost:
            self.plan.stop(alloc, LOST, Client.LOST)
        now = self._state.now()
        for alloc in diff.disconnecting:
            changed = {"ClientStatus": Client.UNKNOWN, "ClientDescription": UNKNOWN}
            self.plan.place({**with_state(alloc, Client.UNKNOWN, now), **changed})
        for alloc in diff.reconnecting:
            self.plan.place(with_state(alloc, alloc["ClientStatus"], now))

    def _count(self, diff: SystemDiff) -> None:
        for name, kind in (("stop", diff.stop), ("migrate", diff.migrate), ("ignore", diff.ignore)):
            for alloc in kind:
                self._counts[alloc["TaskGroup"]].add(name)
        for _, group, _, _ in diff.place:
            self._counts[group["Name"]].add("place")

    def _update(self, job: Record, diff: SystemDiff) -> None:
        groups = {group["Name"]: group for group in job["TaskGroups"]}
        limit = len(diff.update)
        if job["Update"]["Stagger"] > 0 and job["Update"]["MaxParallel"] > 0:
            limit = job["Update"]["MaxParallel"]
        for alloc in diff.update:
            group = groups[alloc["TaskGroup"]]
            if not terminal(alloc) and not tasks_updated(alloc["Job"], job, group):
                self._counts[group["Name"]].add("in_place")
                self.plan.place({**alloc, "Job": job, "EvalID": self._eval["ID"]})
                continue
            self._counts[group["Name"]].add("destructive")
            if limit > 0:
                limit -= 1
                self.plan.stop(alloc, UPDATING)
                diff.place.append((alloc["Name"], group, alloc["NodeID"], alloc))

    def _place(self, job: Record, diff: SystemDiff, nodes: list[Record], by_datacenter: dict[str, int]) -> None:
        by_id = {node["ID"]: node for node in nodes}
        filtered: dict[str, Metrics] = {}
        self.stack = Stack(self._state, job, self.plan)
        for name, group, node_id, previous in diff.place:
            node = by_id.get(node_id)
            if node is None:
                continue
            option = self.stack.select_on(group, node)
            metrics = self.stack.metrics
            if option is None and metrics.filtered:
                self._filtered(group["Name"], metrics, filtered)
                continue
            metrics.available, metrics.in_pool = by_datacenter, len(nodes)
            if option is None:
                self._fail(group, node, metrics)
                continue
            birth = Birth(self._fresh_id(), name, job, group, self._eval["ID"], self._state.now())
            alloc = new_allocation(birth, option, metrics)
            if previous is not None:
                alloc["PreviousAllocation"] = previous["ID"]
            if option.evicted:
                alloc["PreemptedAllocations"] = [victim["ID"] for victim in option.evicted]
            for victim in option.evicted:
                self.plan.preempt(victim, alloc["ID"])
            self.plan.place(alloc)
            self.queued[group["Name"]] -= 1

    def _filtered(self, name: str, metrics: Metrics, filtered: dict[str, Metrics]) -> None:
        self.queued[name] -= 1
        if name in filtered:
            filtered[name].merge_filtered(metrics)
        else:
            filtered[name] = metrics
        if self.queued[name] <= 0:
            self.failed[name] = filtered[name]

    def _fail(self, group: Record, node: Record, metrics: Metrics) -> None:
        name = group["Name"]
        if name in self.failed:
            self.failed[name].coalesced += 1
            self.failed[name].add_exhausted_resources(group)
            return
        metrics.add_exhausted_resources(group)
        self.failed[name] = metrics
        self.failed_node = node["ID"]
