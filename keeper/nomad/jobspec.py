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
from keeper.nomad.sizes import Size, at_once

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
    return TaskGroup(
        name=group["Name"],
        resources=at_once(((_size(task), task.get("Lifecycle")) for task in tasks), disk["SizeMB"] if disk else 0),
        count=group["Count"],
        static_ports=_static_ports(group, tasks),
        devices=_devices(tasks),
        constraints=tuple(to_constraint(each) for each in (*of_job, *of_group) if not _is_distinct_hosts(each)),
        distinct=_distinct(of_job, of_group),
        drivers=frozenset(task["Driver"] for task in tasks),
        host_volumes=frozenset(volume["Source"] for volume in volumes if volume["Type"] == "host"),
        csi_volumes=frozenset(volume["Source"] for volume in volumes if volume["Type"] == "csi"),
        sticky_disk=bool(disk and disk["Sticky"]),
    )


def to_constraint(constraint: wire.Constraint) -> Constraint:
    """Translate one constraint; targets stay as written."""
    operand = OPERANDS.get(constraint["Operand"])
    if operand is None:
        return Constraint(NEVER, Operand.EQUAL, constraint["Operand"])
    return Constraint(constraint["LTarget"], operand, constraint["RTarget"])


def _is_distinct_hosts(constraint: wire.Constraint) -> bool:
    return constraint["Operand"] == Operand.DISTINCT_HOSTS


def _distinct(of_job: Iterable[wire.Constraint], of_group: Iterable[wire.Constraint]) -> Distinct:
    """How far apart; the right target may say `false`, which switches the constraint off."""
    for level, constraints in ((Distinct.JOB, of_job), (Distinct.GROUP, of_group)):
        if any(_is_distinct_hosts(each) and each["RTarget"].lower() != "false" for each in constraints):
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


def _devices(tasks: Iterable[wire.Task]) -> tuple[DeviceAsk, ...]:
    return tuple(
        DeviceAsk(ask["Name"], ask["Count"], tuple(to_constraint(each) for each in ask.get("Constraints") or ()))
        for task in tasks
        for ask in task["Resources"].get("Devices") or ()
    )
