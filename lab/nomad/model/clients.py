"""The clients of the cluster: machines that heartbeat, take up allocations, report what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.nomad.model.evaluations import new_evaluation
from lab.nomad.model.reschedule import after_failure
from lab.nomad.model.runner import Runner
from lab.nomad.model.store import Table
from lab.nomad.model.times import MILLISECOND, SECOND
from lab.nomad.model.usage import terminal
from lab.nomad.model.words import CLIENT_TERMINAL, SERVER_TERMINAL, Cause, Client, Trigger

if TYPE_CHECKING:
    from collections.abc import Hashable

    from lab.nomad.model.agenda import Agenda
    from lab.nomad.model.engine import Engine
    from lab.nomad.model.ids import Identifiers
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record

_NOTICE_TIME = 100 * MILLISECOND
_SYNC_TIME = 200 * MILLISECOND
"""How long a client gathers what its allocations do before it tells the servers (allocSyncIntv)."""
_REATTACH_TIME = 500 * MILLISECOND
_REATTACHED_STOP = 5 * SECOND


@dataclass(slots=True)
class Machine:
    """A client process and what it remembers (its data_dir)."""

    node_id: str
    alive: bool = True
    runners: dict[str, Runner] = field(default_factory=dict)
    outbox: dict[str, Record] = field(default_factory=dict)


class Clients:
    """All simulated clients. It follows the allocations table and answers as clients would, later."""

    def __init__(self, state: State, agenda: Agenda, engine: Engine, ids: Identifiers) -> None:
        self._state = state
        self._agenda = agenda
        self._engine = engine
        self._ids = ids
        self._machines: dict[str, Machine] = {}
        state.store.subscribe(self._follow)

    def boot(self, node_id: str) -> None:
        """Let a client process start (again). It takes up what the servers want of it."""
        machine = self._machines.setdefault(node_id, Machine(node_id))
        machine.alive = True
        for runner in machine.runners.values():
            key = ("reattach", runner.alloc_id)
            self._agenda.at(self._state.now() + _REATTACH_TIME, key, runner.tell_again)
        for alloc in self._state.store.by(Table.ALLOCS, "node", node_id):
            self._notice(machine, alloc, reattached=True)

    def halt(self, node_id: str, *, tasks_survive: bool) -> None:
        """Let a client process end. Its tasks may run on without it, to be found when it is started again."""
        machine = self._machines.get(node_id)
        if machine is None:
            return
        machine.alive = False
        machine.outbox.clear()
        for alloc_id, runner in list(machine.runners.items()):
            runner.abandon()
            if not tasks_survive:
                del machine.runners[alloc_id]

    def forget(self, node_id: str) -> None:
        """Remove a machine with all it remembers."""
        self.halt(node_id, tasks_survive=False)
        self._machines.pop(node_id, None)

    def living(self) -> list[str]:
        """Answer the nodes that have a client process that runs."""
        return [machine.node_id for machine in self._machines.values() if machine.alive]

    def alive(self, node_id: str) -> bool:
        """Answer whether the node has a client process that runs."""
        machine = self._machines.get(node_id)
        return machine is not None and machine.alive

    def report(self, updates: dict[str, Record], node_id: str) -> None:
        """Write what a client says of its allocations; room, failures and returns wake the schedulers."""
        store, now = self._state.store, self._state.now()
        known = {i: alloc for i in updates if (alloc := store.get(Table.ALLOCS, i)) is not None}
        if not known:
            return
        with store.transaction(Cause.ALLOCATION_UPDATED):
            evals = [e for i, alloc in known.items() if (e := self._eval_for(alloc, updates[i], now)) is not None]
            self._state.put_allocs(_merged(alloc, updates[i], now) for i, alloc in known.items())
            seen: set[tuple[str, str]] = set()
            fresh = [e for e in evals if (e["Namespace"], e["JobID"]) not in seen and not _note(seen, e)]
            self._state.put_evals(fresh)
            node = store.get(Table.NODES, node_id)
            if node is not None:
                store.amend(Table.NODES, node_id, {**node, "LastAllocUpdateIndex": store.index})
        if node is not None and any(updates[i]["ClientStatus"] in CLIENT_TERMINAL for i in known):
            self._engine.wake_class(node["ComputedClass"], node_id)

    def _eval_for(self, alloc: Record, update: Record, now: int) -> Record | None:
        came_back = alloc["ClientStatus"] == Client.UNKNOWN
        if update["ClientStatus"] not in CLIENT_TERMINAL and not came_back:
            return None
        job = self._state.store.get(Table.JOBS, (alloc["Namespace"], alloc["JobID"]))
        if job is None:
            return new_evaluation(self._ids.fresh(), alloc["Job"], Trigger.JOB_DEREGISTER, now)
        if came_back:
            return new_evaluation(self._ids.fresh(), job, Trigger.RECONNECT, now)
        failed = {**alloc, **update, "ModifyTime": now}
        retry = update["ClientStatus"] == Client.FAILED and not alloc.get("FollowupEvalID")
        if retry and after_failure(failed).eligible:
            return new_evaluation(self._ids.fresh(), job, Trigger.ALLOC_FAILURE, now)
        return None

    def _follow(self, index: int, table: str, key: Hashable, old: Record | None, new: Record | None) -> None:  # noqa: ARG002  # a store's listener
        if table != Table.ALLOCS:
            return
        if new is None:
            if old is not None:
                self._drop(old)
            return
        machine = self._machines.get(new["NodeID"])
        if machine is None or not machine.alive:
            return
        if _server_side_news(old, new):
            self._notice(machine, new, reattached=False)
        elif old is not None and old.get("DeploymentID") != new.get("DeploymentID") and new["ID"] in machine.runners:
            machine.runners[new["ID"]].judge_again(new)

    def _drop(self, alloc: Record) -> None:
        machine = self._machines.get(alloc["NodeID"])
        runner = machine.runners.pop(alloc["ID"], None) if machine is not None else None
        if runner is not None:
            runner.abandon()

    def _notice(self, machine: Machine, alloc: Record, *, reattached: bool) -> None:
        runner = machine.runners.get(alloc["ID"])
        if runner is None and not terminal(alloc):
            runner = Runner(alloc, self._agenda, self._state.now, lambda i, c: self._post(machine, i, c))
            machine.runners[alloc["ID"]] = runner
            runner.begin()
        elif runner is not None and alloc["DesiredStatus"] in SERVER_TERMINAL and not runner.stopping:
            delay = _REATTACHED_STOP if reattached else _NOTICE_TIME
            hurry = bool((alloc.get("DesiredTransition") or {}).get("NoShutdownDelay"))
            self._agenda.at(self._state.now() + delay, ("notice", alloc["ID"]), lambda: runner.stop(in_a_hurry=hurry))

    def _post(self, machine: Machine, alloc_id: str, changes: Record) -> None:
        if not machine.alive:
            return
        machine.outbox[alloc_id] = changes
        key = ("outbox", machine.node_id)
        if not self._agenda.has(key):
            self._agenda.at(self._state.now() + _SYNC_TIME, key, lambda: self._flush(machine))

    def _flush(self, machine: Machine) -> None:
        updates, machine.outbox = machine.outbox, {}
        self.report(updates, machine.node_id)
        for alloc_id, changes in updates.items():
            if changes["ClientStatus"] in CLIENT_TERMINAL:
                machine.runners.pop(alloc_id, None)


def _server_side_news(old: Record | None, new: Record) -> bool:
    return old is None or old["DesiredStatus"] != new["DesiredStatus"]


def _note(seen: set[tuple[str, str]], evaluation: Record) -> bool:
    seen.add((evaluation["Namespace"], evaluation["JobID"]))
    return False


def _merged(alloc: Record, update: Record, now: int) -> Record:
    health = update.get("DeploymentStatus")
    known = alloc.get("DeploymentStatus")
    merged = {**alloc, **update, "ModifyTime": now}
    if health and known and known["Healthy"] == health["Healthy"]:
        merged["DeploymentStatus"] = known
    return merged
