"""A whole cluster in one object: its store, its clock, and everything one can do to it.

Nothing happens by itself. An operation takes effect at once, evaluations included; what takes time (tasks that start or
end, health, missed heartbeats, drains, delayed evaluations, periodic launches) happens in `advance()`, which is to be
called whenever the clock has moved. `next_due()` says when it would next do something, so that a simulator can jump.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lab.nomad.model import pools
from lab.nomad.model.admission import judge
from lab.nomad.model.agenda import Agenda
from lab.nomad.model.children import Children
from lab.nomad.model.clients import Clients
from lab.nomad.model.deployment_operations import DeploymentOperations
from lab.nomad.model.deployments import Deployments
from lab.nomad.model.engine import Engine
from lab.nomad.model.errors import Refusal
from lab.nomad.model.fleet import Fleet
from lab.nomad.model.gc import HOUR, Collector
from lab.nomad.model.ids import Identifiers
from lab.nomad.model.jobs import Jobs
from lab.nomad.model.nodes import node_record
from lab.nomad.model.planner import plan_job
from lab.nomad.model.state import State
from lab.nomad.model.stopping import stop_allocation
from lab.nomad.model.store import Store, Table
from lab.nomad.model.times import moment
from lab.nomad.model.words import Cause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from lab.nomad.model.store import Record

_DEFAULT_GRACE = timedelta(seconds=10)
_DEFAULT_TTL = timedelta(seconds=10)
_MICRO = timedelta(microseconds=1)


class Cluster(DeploymentOperations):
    """One cluster. Thread safe; equal seeds, clocks and operations give equal clusters.

    `heartbeat_grace` and `min_heartbeat_ttl` are Nomad's settings of those names. Operations raise `Refusal` with the
    status and text of the real endpoint; they answer what the endpoint answers unless they say otherwise.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        heartbeat_grace: timedelta = _DEFAULT_GRACE,
        min_heartbeat_ttl: timedelta = _DEFAULT_TTL,
        seed: int = 0,
    ) -> None:
        self.store = Store(now)
        self.state = State(self.store)
        self._agenda = Agenda()
        self._ids = Identifiers(seed)
        self._engine = Engine(self.state, self._agenda, self._ids)
        self._clients = Clients(self.state, self._agenda, self._engine, self._ids)
        grace, ttl = (duration // _MICRO * 1000 for duration in (heartbeat_grace, min_heartbeat_ttl))
        self._fleet = Fleet(self.state, self._agenda, self._engine, self._ids, self._clients, grace=grace, min_ttl=ttl)
        self._jobs = Jobs(self.state, self._engine, self._ids)
        self._children = Children(self.state, self._agenda, self._jobs, self._ids)
        self._jobs.children = self._children
        self._deployments = Deployments(self.state, self._agenda, self._ids, self._jobs.go_back)
        self._collector = Collector(self.state, self._fleet)
        pools.found_cluster(self.state)
        self._collect_later()

    # --- time -----------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Do all that is due up to now, in order, each at its own time: it does not matter how often this is called."""
        with self.store.lock:
            now = self.state.now()
            try:
                while (due := self._agenda.pop_due(now)) is not None:
                    self.state.moment, call = due
                    call()
                    self._engine.settle()
            finally:
                self.state.moment = None

    def next_due(self) -> datetime | None:
        """Answer when `advance` would next do something (at the latest the hourly collection of garbage)."""
        with self.store.lock:
            due = self._agenda.next_due()
            return moment(due + 999) if due is not None else None

    # --- nodes ----------------------------------------------------------------------------------------------------

    def register_node(
        self,
        spec: Mapping[str, Any] | None = None,
        *,
        simulated: bool = True,
        **described: Any,  # noqa: ANN401  # what node_record takes
    ) -> Record:
        """Register a client and answer its node, ready.

        Either a full node record as `spec`, or what `nodes.node_record` takes (name, node_class, cpu, memory, ...);
        `node_id` may be left out. A simulated client runs its allocations and heartbeats by itself; another one must
        be kept alive by `heartbeat` and its allocations reported by `report`.
        """
        with self._operation():
            if spec is not None and "NodeResources" in spec:
                node = dict(spec)
            else:
                described = {**(spec or {}), **described}
                described.setdefault("node_id", self._ids.fresh())
                described.setdefault("name", f"client-{described['node_id'][:8]}")
                node = node_record(now=self.state.now(), **described)
            return self._fleet.register(node, simulated=simulated)

    def heartbeat(self, node_id: str) -> timedelta:
        """Take a heartbeat of a client that is not simulated; answer within which time the next is expected."""
        with self._operation():
            return timedelta(microseconds=self._fleet.heartbeat(node_id) // 1000)

    def report(self, node_id: str, updates: Mapping[str, Record]) -> None:
        """Take what a client that is not simulated says of its allocations: by ID, the keys that changed."""
        with self._operation():
            self._clients.report(dict(updates), node_id)

    def stop_client(self, node_id: str, *, kill: bool = True) -> None:
        """End a client's process. `kill` takes the machine with it, tasks included; else its tasks run on."""
        with self._operation():
            self._fleet.stop_client(node_id, tasks_survive=not kill)

    def restart_client(self, node_id: str) -> Record:
        """Start a client's process again with its data_dir: the same node comes back. Answer the node."""
        with self._operation():
            return self._fleet.restart_client(node_id)

    def drain_node(
        self,
        node_id: str,
        spec: Record | None,
        *,
        mark_eligible: bool = False,
        meta: Mapping[str, str] | None = None,
        accessor: str = "",
    ) -> Record:
        """Drain a node (`spec` with Deadline in ns and IgnoreSystemJobs), or cancel its drain (None)."""
        with self._operation():
            return self._fleet.drain(node_id, spec, mark_eligible=mark_eligible, meta=meta, accessor=accessor)

    def set_eligibility(self, node_id: str, eligibility: str) -> Record:
        """Mark a node `eligible` or `ineligible`."""
        with self._operation():
            return self._fleet.set_eligibility(node_id, eligibility)

    def purge_node(self, node_id: str) -> Record:
        """Remove a node. A live client comes back by itself."""
        with self._operation():
            return self._fleet.purge(node_id)

    def evaluate_node(self, node_id: str) -> Record:
        """Make evaluations for the jobs on a node; answer EvalIDs and EvalCreateIndex."""
        with self._operation():
            self._fleet.get(node_id)
            ids, index = self._fleet.evaluate(node_id)
            return {"EvalCreateIndex": index, "EvalIDs": ids or None, "Index": index, "NodeModifyIndex": 0}

    # --- jobs -----------------------------------------------------------------------------------------------------

    def register_job(
        self, job: Record, *, enforce_index: int | None = None, preserve_counts: bool = False, eval_priority: int = 0
    ) -> Record:
        """Register a job as submitted (API JSON, durations in ns), new or changed; `eval_priority` 0 is the job's."""
        with self._operation():
            return self._jobs.register(
                job, enforce_index=enforce_index, preserve_counts=preserve_counts, eval_priority=eval_priority
            )

    def plan_job(self, job: Record, *, diff: bool = False) -> Record:
        """Answer what registering the job would do. Nothing is changed."""
        with self.store.lock:
            return plan_job(self.state, self._jobs, job, diff=diff, next_launch=self._children.next_launch)

    def validate_job(self, job: Record) -> tuple[list[str], str]:
        """Answer all that is wrong with a job, and its warnings."""
        with self.store.lock:
            return judge(self.store, job)[1:]

    def deregister_job(
        self,
        namespace: str,
        job_id: str,
        *,
        purge: bool = False,
        eval_priority: int = 0,
        no_shutdown_delay: bool = False,
    ) -> Record:
        """Stop a job; with `purge` remove it at once. Its tasks get their shutdown delay unless told otherwise."""
        with self._operation():
            return self._jobs.deregister(
                (namespace, job_id), purge=purge, eval_priority=eval_priority, no_shutdown_delay=no_shutdown_delay
            )

    def scale_job(self, namespace: str, job_id: str, group: str, count: int | None, **event: Any) -> Record:  # noqa: ANN401  # message, error, meta
        """Set the count of a group; `message`, `error`, `meta` are noted with the event."""
        with self._operation():
            return self._jobs.scale((namespace, job_id), group, count, **event)

    def evaluate_job(self, namespace: str, job_id: str, *, force_reschedule: bool = False) -> Record:
        """Make an evaluation of a job by hand."""
        with self._operation():
            return self._jobs.evaluate((namespace, job_id), force_reschedule=force_reschedule)

    def revert_job(self, namespace: str, job_id: str, version: int) -> Record:
        """Register an older version again."""
        with self._operation():
            return self._jobs.revert((namespace, job_id), version)

    def dispatch_job(
        self,
        namespace: str,
        job_id: str,
        *,
        payload: str | None = None,
        meta: Mapping[str, str] | None = None,
        prefix: str = "",
        once: str = "",
    ) -> Record:
        """Dispatch a parameterized job; `once` (an idempotency token) answers a live or dead child made with it before."""
        with self._operation():
            return self._children.dispatch(
                (namespace, job_id), payload=payload, meta=meta or {}, prefix=prefix, once=once
            )

    def force_periodic(self, namespace: str, job_id: str) -> Record:
        """Launch a periodic job now."""
        with self._operation():
            return self._children.force((namespace, job_id))

    def stop_allocation(self, alloc_id: str, *, no_shutdown_delay: bool = False) -> Record:
        """Stop an allocation; it is replaced elsewhere (or in place)."""
        with self._operation():
            return stop_allocation(self.state, alloc_id, self._ids.fresh, no_shutdown_delay=no_shutdown_delay)

    # --- the rest -------------------------------------------------------------------------------------------------

    def upsert_node_pool(self, pool: Record) -> int:
        """Create or change a node pool; answer the index."""
        with self._operation():
            return pools.upsert_pool(self.state, pool)

    def delete_node_pool(self, name: str) -> int:
        """Delete an empty node pool; answer the index."""
        with self._operation():
            return pools.delete_pool(self.state, name)

    def set_scheduler_config(self, config: Record, *, cas: int | None = None) -> Record:
        """Replace the scheduler configuration; answer Index and Updated."""
        with self._operation():
            answer = pools.set_scheduler_config(self.state, config, cas=cas)
            known = self.store.get(Table.SCHEDULER_CONFIG, pools.CONFIG_KEY) or {}
            self._engine.paused = bool(known.get("PauseEvalBroker"))
            return answer

    def lead_anew(self) -> None:
        """Take up the state that a restore has put in place of the former one: evaluations, heartbeats, drains, launches."""
        with self._operation():
            self._engine.start_over()
            self._fleet.start_over()
            for job in self.store.rows(Table.JOBS):
                self._children.watch((job["Namespace"], job["ID"]))

    def gc(self) -> None:
        """Collect everything that is over, nodes that are down included."""
        with self._operation():
            self._collector.collect(force=True)

    def _collect_later(self) -> None:
        self._agenda.at(self.state.now() + HOUR, "collect", self._collect)

    def _collect(self) -> None:
        self._collector.collect(force=False)
        self._collect_later()


__all__ = ["Cause", "Cluster", "Refusal"]
