"""The nodes of the cluster: registering, heartbeats, draining, eligibility, purging."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.drainer import Drainer
from lab.nomad.model.errors import Refusal, node_not_found
from lab.nomad.model.evaluations import new_evaluation
from lab.nomad.model.ids import number_of
from lab.nomad.model.node_writes import (
    BACK_BY_HEARTBEAT,
    HEARTBEAT_MISSED,
    MARKED,
    drain_message,
    registered,
    strategy_of,
    with_drain,
    with_event,
    with_status,
)
from lab.nomad.model.nodeset import in_datacenters
from lab.nomad.model.store import Table
from lab.nomad.model.tainted import expired, may_disconnect
from lab.nomad.model.words import EVERY_POOL, Cause, Desired, Eligibility, JobType, NodeStatus, Trigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.nomad.model.agenda import Agenda
    from lab.nomad.model.clients import Clients
    from lab.nomad.model.engine import Engine
    from lab.nomad.model.ids import Identifiers
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record


class Fleet:
    """Operations on nodes. Live simulated clients heartbeat by themselves; silent ones are found out in time."""

    def __init__(
        self,
        state: State,
        agenda: Agenda,
        engine: Engine,
        ids: Identifiers,
        clients: Clients,
        *,
        grace: int,
        min_ttl: int,
    ) -> None:
        self._state = state
        self._agenda = agenda
        self._engine = engine
        self._ids = ids
        self._clients = clients
        self._grace = grace
        self._min_ttl = min_ttl
        self._beats = 0
        self._told: dict[str, Record] = {}
        self.drainer = Drainer(state, agenda, ids)

    def get(self, node_id: str) -> Record:
        """Answer the node, or refuse as drain, eligibility and purge do."""
        node = self._state.store.get(Table.NODES, node_id)
        if node is None:
            raise node_not_found()
        return node

    def register(self, node: Record, *, simulated: bool) -> Record:
        """Register a node (known or not), let it become ready, and start its simulated client if it has one."""
        store, now = self._state.store, self._state.now()
        node_id = node["ID"]
        self._told[node_id] = node
        with store.transaction(Cause.NODE_REGISTRATION):
            index = store.touch(Table.NODES)
            if store.get(Table.NODE_POOLS, node["NodePool"]) is None:
                store.put(Table.NODE_POOLS, node["NodePool"], new_pool(node["NodePool"]))
            node = registered(node, store.get(Table.NODES, node_id), index, now)
            store.put(Table.NODES, node_id, {**node, "StatusUpdatedAt": now // 1_000_000_000})
        self.set_status(node_id, NodeStatus.READY)
        if simulated:
            self._agenda.cancel(("heartbeat", node_id))
            self._clients.boot(node_id)
        else:
            self.expect_heartbeat(node_id)
        self._engine.settle()
        return self.get(node_id)

    def set_status(self, node_id: str, status: NodeStatus, message: str = "") -> None:
        """Set a node's status; schedulers look at its work again when that matters."""
        store, now = self._state.store, self._state.now()
        node = self.get(node_id)
        if node["Status"] == status and not message:
            return
        if node["Status"] == NodeStatus.DOWN and not message:
            message = BACK_BY_HEARTBEAT
        with store.transaction(Cause.NODE_EVENT):
            index = store.touch(Table.NODES)
            changed = store.put(Table.NODES, node_id, with_status(node, status, index, now, message))
        if status == NodeStatus.READY:
            self._engine.wake_class(changed["ComputedClass"], node_id)
        if _needs_evals(node["Status"], status):
            self.evaluate(node_id)

    def heartbeat(self, node_id: str) -> int:
        """Take a heartbeat of a client that is not simulated; answer the nanoseconds until the next is due."""
        node = self.get(node_id)
        if node["Status"] in {NodeStatus.DOWN, NodeStatus.DISCONNECTED, NodeStatus.INIT}:
            self.set_status(node_id, NodeStatus.READY)
        ttl = self.expect_heartbeat(node_id)
        self._engine.settle()
        return ttl

    def expect_heartbeat(self, node_id: str, *, share: float = 1.0) -> int:
        """Expect the next heartbeat within a TTL (of which `share` is left) and the grace; answer the TTL."""
        self._beats += 1
        ttl = self._min_ttl + number_of(f"{node_id}/{self._beats}") % max(1, self._min_ttl)
        due = self._state.now() + int(ttl * share) + self._grace
        self._agenda.at(due, ("heartbeat", node_id), lambda: self._missed(node_id))
        return ttl

    def stop_client(self, node_id: str, *, tasks_survive: bool) -> None:
        """Let the client process end without a word. The servers find out when its heartbeat is missed."""
        self._clients.halt(node_id, tasks_survive=tasks_survive)
        share = 0.5 + number_of(f"{node_id}/{self._beats}/age") % 500 / 1000
        self.expect_heartbeat(node_id, share=share)

    def restart_client(self, node_id: str) -> Record:
        """Start the client process again with its data_dir: the same node comes back."""
        return self.register(self._told[node_id], simulated=True)

    def evaluate(self, node_id: str) -> tuple[list[str], int]:
        """Make evaluations for the jobs on a node and the system jobs that could be; answer IDs and index."""
        node = self._state.store.get(Table.NODES, node_id)
        return self._evaluate(node_id, node)

    def _evaluate(self, node_id: str, node: Record | None) -> tuple[list[str], int]:
        store, now = self._state.store, self._state.now()
        jobs = {(a["Namespace"], a["JobID"]): a["Job"] for a in store.by(Table.ALLOCS, "node", node_id)}
        for job in store.rows(Table.JOBS):
            if job["Type"] == JobType.SYSTEM and node is not None and _could_run(job, node):
                jobs.setdefault((job["Namespace"], job["ID"]), job)
        if not jobs:
            return [], 0
        index = node["ModifyIndex"] if node is not None else store.index
        with store.transaction(Cause.EVALUATION_UPDATED):
            written = self._state.put_evals(
                new_evaluation(self._ids.fresh(), job, Trigger.NODE_UPDATE, now, node_id=node_id)
                | {"NodeModifyIndex": index}
                for job in jobs.values()
            )
        return [evaluation["ID"] for evaluation in written], written[0]["CreateIndex"]

    def drain(
        self,
        node_id: str,
        spec: Record | None,
        *,
        mark_eligible: bool,
        meta: Mapping[str, str] | None,
        accessor: str,
    ) -> Record:
        """Begin, change or (spec None) cancel a drain; answer what the endpoint answers."""
        store, now = self._state.store, self._state.now()
        node = self.get(node_id)
        strategy = strategy_of(spec, node["DrainStrategy"], now) if spec is not None else None
        message = drain_message(node["DrainStrategy"], strategy)
        with store.transaction(Cause.NODE_DRAIN):
            index = store.touch(Table.NODES)
            changed = with_drain(node, strategy, now, mark_eligible=mark_eligible, meta=meta, accessor=accessor)
            if message:
                changed = with_event(changed, index, now, message, subsystem="Drain")
            store.put(Table.NODES, node_id, changed)
        self.drainer.update(node_id)
        evals: tuple[list[str] | None, int] = (None, 0)
        was_ineligible = node["SchedulingEligibility"] == Eligibility.INELIGIBLE
        if was_ineligible and mark_eligible and strategy is None:
            evals = self.evaluate(node_id)
        return {
            "EvalCreateIndex": evals[1],
            "EvalIDs": evals[0] or None,
            "Index": index,
            "NodeModifyIndex": index,
        }

    def set_eligibility(self, node_id: str, eligibility: str) -> Record:
        """Mark a node eligible or not; answer what the endpoint answers (index 0 when nothing changes)."""
        if eligibility not in MARKED:
            raise Refusal(500, f'invalid scheduling eligibility "{eligibility}"')
        node = self.get(node_id)
        if node["DrainStrategy"] is not None and eligibility == Eligibility.ELIGIBLE:
            raise Refusal(500, "can not set node's scheduling eligibility to eligible while it is draining")
        if node["SchedulingEligibility"] == eligibility:
            return {"EvalCreateIndex": 0, "EvalIDs": None, "Index": 0, "NodeModifyIndex": 0}
        store, now = self._state.store, self._state.now()
        with store.transaction(Cause.NODE_DRAIN):
            index = store.touch(Table.NODES)
            changed = with_event(node, index, now, MARKED[Eligibility(eligibility)])
            changed |= {"SchedulingEligibility": eligibility, "StatusUpdatedAt": now // 1_000_000_000}
            store.put(Table.NODES, node_id, changed)
        evals: tuple[list[str] | None, int] = (None, 0)
        if eligibility == Eligibility.ELIGIBLE:
            self._engine.wake_class(node["ComputedClass"], node_id)
            evals = self.evaluate(node_id)
        return {"EvalCreateIndex": evals[1], "EvalIDs": evals[0] or None, "Index": index, "NodeModifyIndex": 0}

    def purge(self, node_id: str) -> Record:
        """Remove a node; its work is lost. A client that lives registers again when its heartbeat is refused."""
        node = self.get(node_id)
        with self._state.store.transaction(Cause.NODE_DEREGISTRATION):
            index = self._state.store.touch(Table.NODES)
            self._state.store.delete(Table.NODES, node_id)
        self.forget(node_id)
        ids, at = self._evaluate(node_id, node)
        return {"EvalCreateIndex": at, "EvalIDs": ids or None, "Index": index, "NodeModifyIndex": index}

    def forget(self, node_id: str) -> None:
        """Stop watching a node that was removed."""
        self.drainer.remove(node_id)
        self._agenda.cancel(("heartbeat", node_id))
        if self._clients.alive(node_id):
            back = self._state.now() + 2 * self._min_ttl
            self._agenda.at(back, ("heartbeat", node_id), lambda: self._come_back(node_id))

    def start_over(self) -> None:
        """Expect a heartbeat of every node that is not down, and watch its drain, as a new leader does.

        Clients that live take up the work that is theirs now; those that the state does not know register again.
        """
        for node in self._state.store.rows(Table.NODES):
            node_id = node["ID"]
            self.drainer.update(node_id)
            if self._clients.alive(node_id):
                self._clients.boot(node_id)
            elif node["Status"] != NodeStatus.DOWN:
                self.expect_heartbeat(node_id)
        for node_id in self._clients.living():
            if self._state.store.get(Table.NODES, node_id) is None:
                self.forget(node_id)

    def _come_back(self, node_id: str) -> None:
        if self._clients.alive(node_id):
            self.restart_client(node_id)

    def _missed(self, node_id: str) -> None:
        node = self._state.store.get(Table.NODES, node_id)
        if node is None or self._clients.alive(node_id):
            return
        status = NodeStatus.DISCONNECTED if self._may_disconnect(node) else NodeStatus.DOWN
        self.set_status(node_id, status, HEARTBEAT_MISSED)
        if status == NodeStatus.DISCONNECTED:
            self.expect_heartbeat(node_id)

    def _may_disconnect(self, node: Record) -> bool:
        if node["Status"] in {NodeStatus.DOWN, NodeStatus.INIT}:
            return False
        now = self._state.now()
        return any(
            alloc["DesiredStatus"] == Desired.RUN and may_disconnect(alloc) and not expired(alloc, now)
            for alloc in self._state.store.by(Table.ALLOCS, "node", node["ID"])
        )


def new_pool(name: str, description: str = "", meta: Mapping[str, str] | None = None) -> Record:
    """Answer a node pool's record."""
    return {
        "Description": description,
        "Hash": None,
        "Meta": dict(meta) if meta else None,
        "Name": name,
        "SchedulerConfiguration": None,
    }


def _needs_evals(old: str, new: str) -> bool:
    if new == NodeStatus.DOWN:
        return True
    if new == NodeStatus.READY and old in {NodeStatus.INIT, NodeStatus.DOWN}:
        return True
    return (old == NodeStatus.DISCONNECTED) != (new == NodeStatus.DISCONNECTED)


def _could_run(job: Record, node: Record) -> bool:
    in_pool = job["NodePool"] in {EVERY_POOL, node["NodePool"]}
    return in_pool and in_datacenters(node["Datacenter"], tuple(job["Datacenters"]))
