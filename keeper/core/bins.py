"""A node, existing or to come, as a bin: what is free on it, what one allocation takes of it, and what must stay apart."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from keeper.core.asks import Ask
from keeper.core.model import Device, DeviceAsk, Distinct, JobKey, Node, Operand, Resources, TaskGroup
from keeper.core.places import Place, about_one_node, take_devices


@dataclass(slots=True, eq=False)
class Bin:
    """A node, or one to come, with what is still free on it. Mutable: it never leaves the planning of one tick."""

    place: Place
    node: Node | None
    cpu: int
    cores: int
    memory: int
    disk: int
    ports: set[int] = field(default_factory=set[int])
    devices: Counter[Device] = field(default_factory=Counter[Device])
    tenants: set[object] = field(default_factory=set[object])
    """Jobs and task groups here whose allocations must stay apart."""
    key: tuple[float, int] = (0.0, 0)

    def free(self) -> Resources:
        """What is left."""
        return Resources(self.cpu, self.cores, self.memory, self.disk)


class Size(NamedTuple):
    """What one allocation takes at a place: cores take their share of MHz with them."""

    cpu: int
    cores: int
    memory: int
    disk: int
    cores_to_start: int
    """How many cores must be free, although no more than `cores` are held then."""


def bin_of(place: Place, node: Node | None, free: Resources) -> Bin:
    """A bin with so much free and nothing on it that must stay apart."""
    devices = Counter({device: device.count for device in place.devices})
    ports: set[int] = set(node.reserved_ports) if node else set()
    return Bin(place, node, free.cpu, free.cores, free.memory, free.disk, ports, devices)


def size_at(group: TaskGroup, place: Place) -> Size | None:
    """What the group takes there, or None when it asks for cores and the place has none to reserve."""
    asked = group.resources
    if asked.cores == 0:
        return Size(asked.cpu, 0, asked.memory, asked.disk, 0)
    if place.total.cores == 0:
        return None
    phases = group.phases or ((asked.cpu, asked.cores),)
    cpu = max(cpu + cores * place.core_mhz for cpu, cores in phases)
    return Size(cpu, asked.cores, asked.memory, asked.disk, max(group.cores_to_start, asked.cores))


def is_picky(ask: Ask) -> bool:
    """Whether more than resources decides where the ask fits."""
    group = ask.group
    return bool(
        group.static_ports
        or group.devices
        or group.distinct is not Distinct.NO
        or any(constraint.operand is Operand.DISTINCT_PROPERTY for constraint in group.constraints)
        or about_one_node(ask.needs)
    )


def how_many(each: Bin, size: Size, most: int) -> int:
    """How many allocations of that size the bin takes by resources alone."""
    started = size.cores_to_start - size.cores
    for free, taken in (
        (each.cpu, size.cpu),
        (each.memory, size.memory),
        (each.disk, size.disk),
        (each.cores - started, size.cores),
    ):
        if taken:
            most = min(most, free // taken)
    return max(most, 0)


def company(ask: Ask) -> object:
    """Whom the ask's allocations keep away from: its job's, or its own group's."""
    return ask.spec.key if ask.group.distinct is Distinct.JOB else ask.key


def companies(job: JobKey, group: str) -> tuple[object, object]:
    """The names under which an allocation of that group keeps others away."""
    return job, (job, group)


class Property(NamedTuple):
    """A property in which allocations of `whose` must differ, and how many of them may share a value."""

    whose: object
    target: str
    limit: int


def properties(job: JobKey, group: TaskGroup) -> list[Property]:
    """Each property that must differ, among the whole job's allocations or the group's own."""
    return [
        Property(
            job if constraint.of_job else (job, group.name),
            constraint.left,
            int(constraint.right) if constraint.right.isdecimal() else 1,
        )
        for constraint in group.constraints
        if constraint.operand is Operand.DISTINCT_PROPERTY
    ]


def devices_for(free: Counter[Device], asks: Sequence[DeviceAsk], most: int) -> tuple[int, Counter[Device]]:
    """For how many allocations, `most` at most, the devices suffice, and what is left of them then."""
    count = 0
    while count < most and (left := take_devices(free, asks)) is not None:
        count, free = count + 1, left
    return count, free
