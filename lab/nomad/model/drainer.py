"""Draining nodes: which allocations are told to move and when, and when a drain is over.

Semantics (Nomad's package drainer, and the recordings 04): marks are collected for a second; a service group moves as
many as leave count - max_parallel healthy; batch work is waited for until the deadline; system allocations go last. A
drain is over when no allocation but system ones runs on the node: whether replacements found room does not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.evaluations import new_evaluation
from lab.nomad.model.node_writes import DRAIN_COMPLETE, with_drain, with_event
from lab.nomad.model.store import Table
from lab.nomad.model.times import SECOND, from_rfc3339
from lab.nomad.model.usage import client_terminal, terminal
from lab.nomad.model.words import Cause, JobType, Trigger

if TYPE_CHECKING:
    from collections.abc import Hashable

    from lab.nomad.model.agenda import Agenda
    from lab.nomad.model.ids import Identifiers
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record

BATCH_WINDOW = SECOND
JobKey = tuple[str, str]


class Drainer:
    """Watches draining nodes, the jobs on them, and their deadlines."""

    def __init__(self, state: State, agenda: Agenda, ids: Identifiers) -> None:
        self._state = state
        self._agenda = agenda
        self._ids = ids
        self._nodes: set[str] = set()
        self._jobs: set[JobKey] = set()
        self._marked: dict[str, Record] = {}
        self._forced: list[str] = []
        self._moving = False
        self._handled = 0
        state.store.subscribe(self._follow)

    def update(self, node_id: str) -> None:
        """Take note of a drain that was begun, changed or cancelled."""
        node = self._state.store.get(Table.NODES, node_id)
        if node is None or node["DrainStrategy"] is None:
            self.remove(node_id)
            return
        self._nodes.add(node_id)
        deadline = node["DrainStrategy"]["Deadline"]
        if deadline == 0:
            self._agenda.cancel(("drain deadline", node_id))
        else:
            at = from_rfc3339(node["DrainStrategy"]["ForceDeadline"]) if deadline > 0 else self._state.now()
            self._agenda.at(at, ("drain deadline", node_id), lambda: self._force(node_id))
        for alloc in self._state.store.by(Table.ALLOCS, "node", node_id):
            if not terminal(alloc) and alloc["Job"]["Type"] != JobType.SYSTEM:
                self._jobs.add((alloc["Namespace"], alloc["JobID"]))
        if self._is_done(node_id):
            self._agenda.at(self._state.now(), ("drain done", node_id), lambda: self._finish_done(node_id))
        self._look_soon(again=True)

    def remove(self, node_id: str) -> None:
        """Stop watching a node."""
        self._nodes.discard(node_id)
        self._agenda.cancel(("drain deadline", node_id))

    def _follow(self, index: int, table: str, key: Hashable, old: Record | None, new: Record | None) -> None:  # noqa: ARG002  # a store's listener
        if self._jobs and table == Table.ALLOCS and new is not None and (new["Namespace"], new["JobID"]) in self._jobs:
            self._look_soon(again=False)

    def _look_soon(self, *, again: bool) -> None:
        if again:
            self._handled = 0
        if not self._moving and not self._agenda.has("drain look"):
            self._agenda.at(self._state.now(), "drain look", self._look)

    def _look(self) -> None:
        if self._moving:
            return
        migrated: set[str] = set()
        drain: list[Record] = []
        handled, self._handled = self._handled, self._state.store.index
        for key in sorted(self._jobs):
            job = self._state.store.get(Table.JOBS, key)
            if job is None or job["Type"] == JobType.SYSTEM:
                self._jobs.discard(key)
                continue
            done = self._look_at_job(job, handled, drain, migrated)
            if done:
                self._jobs.discard(key)
        if drain:
            self._moving = True
            self._mark(drain)
        for node_id in sorted(migrated):
            if node_id in self._nodes and self._is_done(node_id):
                self._finish_done(node_id)

    def _look_at_job(self, job: Record, handled: int, drain: list[Record], migrated: set[str]) -> bool:
        batch = job["Type"] == JobType.BATCH
        done = True
        groups = {g["Name"]: g for g in job["TaskGroups"] if g["Migrate"] is not None or batch}
        by_group: dict[str, list[Record]] = {name: [] for name in groups}
        for alloc in self._state.store.by(Table.ALLOCS, "job", (job["Namespace"], job["ID"])):
            if alloc["TaskGroup"] in by_group:
                by_group[alloc["TaskGroup"]].append(alloc)
        for name, allocs in by_group.items():
            drainable, healthy, remaining = self._sort_group(allocs, handled, migrated, batch=batch)
            done = done and not remaining
            if not batch:
                spare = healthy - (groups[name]["Count"] - groups[name]["Migrate"]["MaxParallel"])
                drain += drainable[: max(0, spare)]
        return done

    def _sort_group(
        self, allocs: list[Record], handled: int, migrated: set[str], *, batch: bool
    ) -> tuple[list[Record], int, bool]:
        drainable: list[Record] = []
        healthy, remaining = 0, False
        for alloc in sorted(allocs, key=lambda a: a["ID"]):
            draining = alloc["NodeID"] in self._nodes
            if client_terminal(alloc) and draining and alloc["ModifyIndex"] > handled:
                migrated.add(alloc["NodeID"])
                continue
            if not batch and not terminal(alloc) and _has_health(alloc):
                healthy += 1
            if not draining or client_terminal(alloc):
                continue
            remaining = True
            if not batch and not (alloc.get("DesiredTransition") or {}).get("Migrate"):
                drainable.append(alloc)
        return drainable, healthy, remaining

    def _force(self, node_id: str) -> None:
        if node_id in self._nodes:
            self._forced.append(node_id)
            self._mark(self._remaining(node_id))

    def _mark(self, allocs: list[Record]) -> None:
        self._marked.update((alloc["ID"], alloc) for alloc in allocs)
        if not self._agenda.has("drain marks"):
            self._agenda.at(self._state.now() + BATCH_WINDOW, "drain marks", self._write_marks)

    def _write_marks(self) -> None:
        marked, self._marked = self._marked, {}
        forced, self._forced = self._forced, []
        self._transition(list(marked))
        self._moving = False
        for node_id in forced:
            if node_id in self._nodes:
                self._complete(node_id, {"deadline_reached": "true"})
        self._look_soon(again=False)

    def _transition(self, alloc_ids: list[str]) -> None:
        store, now = self._state.store, self._state.now()
        allocs = [a for i in alloc_ids if (a := store.get(Table.ALLOCS, i)) is not None]
        if not allocs:
            return
        jobs = {(a["Namespace"], a["JobID"]): a["Job"] for a in allocs}
        with store.transaction(Cause.ALLOCATION_UPDATE_DESIRED):
            for alloc in allocs:
                transition = {**NO_TRANSITION, **(alloc.get("DesiredTransition") or {}), "Migrate": True}
                store.put(Table.ALLOCS, alloc["ID"], {**alloc, "DesiredTransition": transition, "ModifyTime": now})
            self._state.put_evals(
                new_evaluation(self._ids.fresh(), job, Trigger.NODE_DRAIN, now) for job in jobs.values()
            )

    def _finish_done(self, node_id: str) -> None:
        if node_id not in self._nodes or not self._is_done(node_id):
            return
        self._transition([alloc["ID"] for alloc in self._remaining(node_id)])
        self._complete(node_id, None)

    def _complete(self, node_id: str, details: Record | None) -> None:
        store, now = self._state.store, self._state.now()
        node = store.get(Table.NODES, node_id)
        self.remove(node_id)
        if node is None or node["DrainStrategy"] is None:
            return
        with store.transaction(Cause.NODE_DRAIN):
            index = store.touch(Table.NODES)
            node = with_event(node, index, now, DRAIN_COMPLETE, subsystem="Drain", details=details)
            done = with_drain(node, None, now, mark_eligible=False, meta=None, accessor="", completed=True)
            store.put(Table.NODES, node_id, done)

    def _is_done(self, node_id: str) -> bool:
        return all(
            client_terminal(alloc) or alloc["Job"]["Type"] == JobType.SYSTEM
            for alloc in self._state.store.by(Table.ALLOCS, "node", node_id)
        )

    def _remaining(self, node_id: str) -> list[Record]:
        node = self._state.store.get(Table.NODES, node_id)
        if node is None or node["DrainStrategy"] is None:
            return []
        ignored = JobType.SYSTEM if node["DrainStrategy"]["IgnoreSystemJobs"] else ""
        allocs = self._state.store.by(Table.ALLOCS, "node", node_id)
        return [a for a in allocs if not terminal(a) and a["Job"]["Type"] != ignored]


NO_TRANSITION: Record = {"ForceReschedule": None, "Migrate": None, "NoShutdownDelay": None, "Reschedule": None}


def _has_health(alloc: Record) -> bool:
    return (alloc.get("DeploymentStatus") or {}).get("Healthy") is not None
