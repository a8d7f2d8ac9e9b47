"""Nomad's JSON of a whole job into what decides where its work can run and whether it may move."""

from collections.abc import Iterable, Sequence

from keeper.core.model import (
    Constraint,
    DeviceAsk,
    Distinct,
    JobKey,
    JobKind,
    JobSpec,
    Operand,
    TaskGroup,
)
from keeper.nomad import job_wire as wire
from keeper.nomad.nodes import host_network, mode_of
from keeper.nomad.sizes import Size, at_once, phases
from keeper.nomad.wire import Network

OPERANDS = {operand.value: operand for operand in Operand} | {
    "": Operand.EQUAL,
    "==": Operand.EQUAL,
    "is": Operand.EQUAL,
    "not": Operand.NOT_EQUAL,
}
"""As Nomad's scheduler reads them (https://developer.hashicorp.com/nomad/docs/job-specification/constraint#operator)."""

NEVER = "${attr.keeper.unknown_operator}"
"""An attribute that no node has. A constraint whose operator is not known is taken for one that no node meets: such work
is reported as infeasible and never bought for, and it stops no other."""


FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
"""As Go reads it (https://pkg.go.dev/strconv#ParseBool)."""


def to_spec(job: wire.Job) -> JobSpec:
    """Translate a job."""
    return JobSpec(
        key=JobKey(job["Namespace"], job["ID"]),
        kind=JobKind(job["Type"]),
        modify_index=job["JobModifyIndex"],
        datacenters=tuple(job["Datacenters"] or ()),
        node_pool=job.get("NodePool") or "default",
        groups={group["Name"]: _group(group, job.get("Constraints") or ()) for group in job["TaskGroups"] or ()},
        priority=job["Priority"],
        meta=job.get("Meta") or {},
    )


def _group(group: wire.TaskGroup, of_job: Sequence[wire.Constraint]) -> TaskGroup:
    tasks, disk = group["Tasks"] or (), group.get("EphemeralDisk")
    of_group = [*(group.get("Constraints") or ()), *(each for task in tasks for each in task.get("Constraints") or ())]
    volumes = (group.get("Volumes") or {}).values()
    host = [volume for volume in volumes if volume["Type"] == "host"]
    sizes = [(_size(task), task.get("Lifecycle")) for task in tasks]
    return TaskGroup(
        name=group["Name"],
        resources=at_once(sizes, disk["SizeMB"] if disk else 0),
        count=group["Count"],
        phases=phases(sizes),
        cores_to_start=sum(size.cores for size, _ in sizes),
        static_ports=_static_ports(group, tasks),
        devices=_devices(tasks),
        constraints=_constraints(of_job, of_group),
        distinct=_distinct(of_job, of_group),
        drivers=frozenset(task["Driver"] for task in tasks),
        host_volumes=frozenset(volume["Source"] for volume in host if not volume.get("PerAlloc")),
        written_volumes=frozenset(volume["Source"] for volume in host if not volume.get("ReadOnly")),
        volumes_of_one=frozenset(volume["Source"] for volume in host if volume.get("PerAlloc")),
        networks=_networks(group.get("Networks") or ()),
        csi_volumes=frozenset(volume["Source"] for volume in volumes if volume["Type"] == "csi"),
        sticky_disk=bool(disk and disk["Sticky"]),
    )


def to_constraint(constraint: wire.Constraint, *, of_job: bool = False) -> Constraint:
    """Translate one constraint; targets stay as written."""
    operand = OPERANDS.get(constraint["Operand"])
    if operand is None:
        return Constraint(NEVER, Operand.EQUAL, constraint["Operand"])
    return Constraint(
        constraint["LTarget"], operand, constraint["RTarget"], of_job and operand is Operand.DISTINCT_PROPERTY
    )


def _constraints(of_job: Iterable[wire.Constraint], of_group: Iterable[wire.Constraint]) -> tuple[Constraint, ...]:
    both = [(each, True) for each in of_job] + [(each, False) for each in of_group]
    return tuple(to_constraint(each, of_job=whole) for each, whole in both if not _is_distinct_hosts(each))


def _is_distinct_hosts(constraint: wire.Constraint) -> bool:
    return constraint["Operand"] == Operand.DISTINCT_HOSTS


def _distinct(of_job: Iterable[wire.Constraint], of_group: Iterable[wire.Constraint]) -> Distinct:
    """How far apart; the right target may say `false`, which switches the constraint off. Of several the first decides."""
    for level, constraints in ((Distinct.JOB, of_job), (Distinct.GROUP, of_group)):
        first = next((each["RTarget"] for each in constraints if _is_distinct_hosts(each)), "false")
        if first not in FALSE:
            return level
    return Distinct.NO


def _size(task: wire.Task) -> Size:
    """What a task asks for. A task that asks for cores has no MHz of its own: they depend on the node's cores."""
    asks = task["Resources"]
    cores = asks.get("Cores") or 0
    return Size(0 if cores else asks["CPU"], cores, asks["MemoryMB"])


def _static_ports(group: wire.TaskGroup, tasks: Iterable[wire.Task]) -> frozenset[int]:
    networks = [*(group.get("Networks") or ())]
    for task in tasks:
        networks += task["Resources"].get("Networks") or ()
    return frozenset(port["Value"] for network in networks for port in network.get("ReservedPorts") or ())


def _networks(found: Sequence[Network]) -> frozenset[str]:
    """What the node must offer. Only the first network of a group counts; without a mode it is the host's own."""
    if not found:
        return frozenset()
    network = found[0]
    ports = (*(network.get("ReservedPorts") or ()), *(network.get("DynamicPorts") or ()))
    named = {host_network(port.get("HostNetwork") or DEFAULT_NETWORK) for port in ports}
    return frozenset(named if network.get("Mode") == NO_NETWORK else {mode_of(network.get("Mode")), *named})


NO_NETWORK, DEFAULT_NETWORK = "none", "default"


def _devices(tasks: Iterable[wire.Task]) -> tuple[DeviceAsk, ...]:
    return tuple(
        DeviceAsk(ask["Name"], ask["Count"], tuple(to_constraint(each) for each in ask.get("Constraints") or ()))
        for task in tasks
        for ask in task["Resources"].get("Devices") or ()
    )
