"""The scheduler of service and batch jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.allocation import Birth, new_allocation
from lab.nomad.model.nodeset import ready_nodes
from lab.nomad.model.planning import Plan
from lab.nomad.model.reconcile import Situation, reconcile
from lab.nomad.model.reschedule import tracker
from lab.nomad.model.results import LOST
from lab.nomad.model.stack import Stack, Wishes
from lab.nomad.model.store import Table
from lab.nomad.model.tainted import tainted_nodes
from lab.nomad.model.words import ACTIVE_DEPLOYMENT, SERVER_TERMINAL, Client, NodeStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.model.metrics import Metrics
    from lab.nomad.model.results import Place, Results
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record


class GenericScheduler:
    """One evaluation of a service or batch job: makes a plan and says what found no room."""

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

    def compute(self) -> None:
        """Fill `plan`, `failed`, `queued` and `followups`. Nothing is written."""
        store = self._state.store
        key = (self._eval["Namespace"], self._eval["JobID"])
        job = store.get(Table.JOBS, key)
        allocs = store.by(Table.ALLOCS, "job", key)
        tainted = tainted_nodes(allocs, lambda node_id: store.get(Table.NODES, node_id))
        lose_stopped(self.plan, allocs, tainted)
        deployment = self._state.latest_deployment(key)
        now = self._state.now()
        situation = Situation(job, allocs, tainted, deployment, self._eval, now, self._fresh_id)
        results = reconcile(situation)
        self._take_over(results, deployment)
        if job is None:
            return
        self.queued = {group["Name"]: 0 for group in job["TaskGroups"]}
        for place in (*results.place, *results.destructive):
            self.queued[place.group["Name"]] += 1
        for alloc in results.in_place:
            self._update_in_place(job, alloc)
        if results.place or results.destructive:
            self._place_all(job, results)

    def _take_over(self, results: Results, deployment: Record | None) -> None:
        self.plan.desired_updates = {name: counts.record() for name, counts in results.counts.items()}
        self.plan.deployment = results.deployment
        self.plan.deployment_updates = results.deployment_updates
        self.followups = results.followups
        found = results.deployment or deployment
        self._deployment = found
        self.deployment_id = found["ID"] if found is not None else ""
        for stop in results.stop:
            self.plan.stop(stop.alloc, stop.why, stop.client_status, stop.followup)
        for alloc in (*results.disconnect.values(), *results.reconnect.values(), *results.attributes.values()):
            self.plan.place(alloc)

    def _update_in_place(self, job: Record, alloc: Record) -> None:
        changed = {**alloc, "Job": job, "EvalID": self._eval["ID"]}
        if (alloc.get("DeploymentID") or "") != self.deployment_id:
            changed.pop("DeploymentStatus", None)
            changed["DeploymentID"] = self.deployment_id
        self.plan.place(changed)

    def _place_all(self, job: Record, results: Results) -> None:
        nodes, by_datacenter = ready_nodes(self._state, job)
        self.stack = Stack(self._state, job, self.plan)
        self.stack.set_nodes(nodes, f"{self._eval['ID']}/{self._state.store.index}")
        active = self._deployment is not None and self._deployment["Status"] in ACTIVE_DEPLOYMENT
        for place in (*results.destructive, *results.place):
            name = place.group["Name"]
            if name in self.failed:
                self.failed[name].coalesced += 1
                self.failed[name].add_exhausted_resources(place.group)
                continue
            job_used, group = self._version_for(job, place)
            if place.replaces is not None:
                self.plan.stop(place.replaces, "alloc is being updated due to job update")
            option = self.stack.select(group, self._wishes(place))
            metrics = self.stack.metrics
            metrics.available, metrics.in_pool = by_datacenter, len(nodes)
            if option is None:
                metrics.add_exhausted_resources(group)
                self.failed[name] = metrics
                if place.replaces is not None:
                    self.plan.undo_stop(place.replaces)
                continue
            birth = Birth(
                alloc_id=self._fresh_id(),
                name=place.name,
                job=job_used,
                group=group,
                eval_id=self._eval["ID"],
                now=self._state.now(),
                deployment_id=self.deployment_id if active else "",
            )
            alloc = new_allocation(birth, option, metrics)
            self._finish(alloc, place, [victim["ID"] for victim in option.evicted])
            for victim in option.evicted:
                self.plan.preempt(victim, alloc["ID"])
            self.plan.place(alloc)
            self.queued[name] -= 1

    def _finish(self, alloc: Record, place: Place, evicted: list[str]) -> None:
        if evicted:
            alloc["PreemptedAllocations"] = evicted
        if place.previous is not None:
            alloc["PreviousAllocation"] = place.previous["ID"]
            if place.reschedule:
                alloc["RescheduleTracker"] = tracker(place.previous, self._state.now())
        if place.canary and self._deployment is not None:
            alloc["DeploymentStatus"] = {"Canary": True, "Healthy": None, "ModifyIndex": 0, "Timestamp": None}

    def _version_for(self, job: Record, place: Place) -> tuple[Record, Record]:
        if not place.downgrade or place.canary:
            return job, place.group
        key = (job["Namespace"], job["ID"])
        versions = sorted(self._state.store.by(Table.JOB_VERSIONS, "job", key), key=lambda v: -v["Version"])
        for version in versions:
            group = next((g for g in version["TaskGroups"] if g["Name"] == place.group["Name"]), None)
            if version["Stable"] and version["Version"] < job["Version"] and group is not None:
                return version, group
        return job, place.group

    def _wishes(self, place: Place) -> Wishes:
        previous = place.previous
        if previous is None:
            return Wishes()
        avoid: set[str] = set()
        if previous["ClientStatus"] == Client.FAILED:
            avoid.add(previous["NodeID"])
        avoid.update(e["PrevNodeID"] for e in (previous.get("RescheduleTracker") or {}).get("Events") or ())
        node = (
            self._state.store.get(Table.NODES, previous["NodeID"]) if place.group["EphemeralDisk"]["Sticky"] else None
        )
        ready = node is not None and node["Status"] == NodeStatus.READY and node["SchedulingEligibility"] == "eligible"
        return Wishes(frozenset(avoid), node if ready else None)


def lose_stopped(plan: Plan, allocs: list[Record], tainted: dict[str, Record | None]) -> None:
    """Call allocations lost that were to stop on a node which is gone before their client could say so."""
    for alloc in allocs:
        if alloc["NodeID"] not in tainted or alloc["DesiredStatus"] not in SERVER_TERMINAL:
            continue
        node = tainted[alloc["NodeID"]]
        gone = node is None or node["Status"] == NodeStatus.DOWN
        if gone and alloc["ClientStatus"] in {Client.RUNNING, Client.PENDING}:
            plan.stop(alloc, LOST, Client.LOST)
