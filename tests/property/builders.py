"""Short ways to say what a world is like. Every default is the dullest value."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from keeper.core.memory import Memory
from keeper.core.model import (
    DRAIN_DEADLINE,
    DRAIN_OWNER,
    NO_DEADLINE,
    Allocation,
    BlockedEvaluation,
    ClientStatus,
    Desired,
    DrainStatus,
    Instance,
    InstanceName,
    InstanceState,
    JobKey,
    JobKind,
    JobSpec,
    JobStub,
    LastDrain,
    Mode,
    Node,
    NodeId,
    NodeStatus,
    Pool,
    PoolName,
    Provisioning,
    Resources,
    ScaleSet,
    TaskGroup,
    Template,
    TemplateSource,
)
from keeper.core.rules import AutoscaleRules
from keeper.core.view import View

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
RULES = AutoscaleRules()
NODE = Resources(cpu=8000, cores=4, memory=16000, disk=50000)
DRIVERS = frozenset({"docker"})


def pool(name: str = "general", **given: Any) -> Pool:
    usual: dict[str, Any] = {
        "resource_group": "rg",
        "mode": Mode.FLEXIBLE,
        "minimum": 0,
        "maximum": 10,
        "sku": "Standard_D4s_v5",
    }
    return Pool(PoolName(name), f"vmss-{name}", **(usual | given))


def name_of(pool_name: str, number: int) -> InstanceName:
    return InstanceName(f"vmss-{pool_name}_{number:04}")


def node(pool_name: str = "general", number: int = 0, **given: Any) -> Node:
    name = name_of(pool_name, number)
    usual: dict[str, Any] = {
        "id": NodeId(f"node-{name}"),
        "name": name,
        "status": NodeStatus.READY,
        "eligible": True,
        "draining": False,
        "resources": NODE,
        "drivers": DRIVERS,
    }
    return Node(**(usual | given))


def left(node: Node, *, batch: bool = False, started: datetime = NOW - timedelta(minutes=5), over: bool = True) -> Node:
    """The node with a drain of ours."""
    deadline = NO_DEADLINE if batch else (started + RULES.drain_deadline).isoformat()
    status = DrainStatus.COMPLETE if over else DrainStatus.DRAINING
    last = LastDrain(status, started, started, {DRAIN_OWNER: RULES.controller, DRAIN_DEADLINE: deadline})
    return replace(node, eligible=False, draining=not over, last_drain=last)


def instance(node: Node, **given: Any) -> Instance:
    usual: dict[str, Any] = {
        "id": node.name,
        "pool": PoolName(node.name.removeprefix("vmss-").rpartition("_")[0]),
        "state": InstanceState.RUNNING,
        "created": LONG_AGO,
    }
    return Instance(node.name, **(usual | given))


def scale_set(pool: Pool, capacity: int, **given: Any) -> ScaleSet:
    usual: dict[str, Any] = {"provisioning": Provisioning.SUCCEEDED, "sku": pool.sku, "etag": f'"{capacity}"'}
    return ScaleSet(pool.name, f"/{pool.scale_set}", capacity, **(usual | given))


def group(name: str = "g", cpu: int = 1000, memory: int = 1000, **given: Any) -> TaskGroup:
    usual: dict[str, Any] = {"count": 3, "drivers": DRIVERS}
    resources = Resources(cpu, given.pop("cores", 0), memory, given.pop("disk", 300))
    return TaskGroup(name, resources, **(usual | given))


def job(name: str = "web", *groups: TaskGroup, kind: JobKind = JobKind.SERVICE, **given: Any) -> JobSpec:
    usual: dict[str, Any] = {"modify_index": 1, "datacenters": ("*",), "node_pool": "default"}
    return JobSpec(JobKey("default", name), kind, groups={g.name: g for g in groups or (group(),)}, **(usual | given))


def stub(spec: JobSpec, queued: int | Mapping[str, int] = 0, **given: Any) -> JobStub:
    waits = queued if isinstance(queued, Mapping) else dict.fromkeys(spec.groups, queued)
    usual: dict[str, Any] = {"modify_index": spec.modify_index, "stopped": False, "meta": spec.meta}
    return JobStub(spec.key, spec.kind, queued=waits, **(usual | given))


def blocked(spec: JobSpec, **given: Any) -> BlockedEvaluation:
    usual: dict[str, Any] = {"kind": spec.kind, "node": None, "quota": "", "groups": frozenset(spec.groups)}
    return BlockedEvaluation(spec.key, **(usual | given))


def allocation(spec: JobSpec, on: Node, number: int = 0, **given: Any) -> Allocation:
    name = given.pop("group", next(iter(spec.groups)))
    usual: dict[str, Any] = {
        "desired": Desired.RUN,
        "client": ClientStatus.RUNNING,
        "resources": spec.groups[name].resources,
    }
    return Allocation(f"{spec.key.id}-{on.name}-{number}", spec.key, name, spec.kind, on.id, **(usual | given))


def template(pool: Pool, **given: Any) -> Template:
    usual: dict[str, Any] = {
        "source": TemplateSource.SEEN,
        "resources": NODE,
        "node_class": pool.node_class,
        "node_pool": pool.node_pool,
        "datacenter": pool.datacenter,
        "drivers": DRIVERS,
        "seen": NOW,
    }
    return Template(**(usual | given))


def view(
    pools: Iterable[Pool],
    nodes: Iterable[Node] = (),
    *,
    jobs: Iterable[JobSpec] = (),
    queued: Mapping[str, int] | None = None,
    listed: bool = True,
    **given: Any,
) -> View:
    """A quiet world of these nodes, each with its instance; `queued` names jobs whose groups each wait so often."""
    pools, nodes, jobs = tuple(pools), tuple(nodes), tuple(jobs)
    counts = {p.name: sum(n.name.startswith(p.scale_set + "_") for n in nodes) for p in pools}
    usual: dict[str, Any] = {
        "now": NOW,
        "memory": Memory(),
        "job_stubs": tuple(stub(j, (queued or {}).get(j.key.id, 0)) for j in jobs),
        "blocked": tuple(blocked(j) for j in jobs if (queued or {}).get(j.key.id, 0)),
        "jobs": {j.key: j for j in jobs},
        "scale_sets": {p.name: scale_set(p, counts[p.name]) for p in pools},
        "instances": {p.name: tuple(instance(n) for n in nodes if n.name.startswith(p.scale_set + "_")) for p in pools}
        if listed
        else {},
        "templates": {p.name: template(p) for p in pools},
    }
    return View(pools=pools, nodes=nodes, **(usual | given))


def unneeded(*nodes: Node, since: datetime = LONG_AGO) -> Memory:
    """The memory of a keeper that has found these nodes unneeded for long."""
    return Memory(unneeded={n.name: since for n in nodes})
