"""A node, existing or to come, as a bin: what is free on it, what one allocation takes of it, and what must stay apart."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from keeper.core.asks import Ask
from keeper.core.model import Device, Distinct, JobKey, Node, Operand, Resources, TaskGroup
from keeper.core.places import Place, about_one_node, device_suits


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


def bin_of(place: Place, node: Node | None, free: Resources) -> Bin:
    """A bin with so much free and nothing on it that must stay apart."""
    devices = Counter({device: device.count for device in place.devices})
    ports: set[int] = set(node.reserved_ports) if node else set()
    return Bin(place, node, free.cpu, free.cores, free.memory, free.disk, ports, devices)


def size_at(group: TaskGroup, place: Place) -> Size | None:
    """What the group takes there, or None when it asks for cores and the place has none to reserve."""
    asked = group.resources
    if asked.cores == 0:
        return Size(asked.cpu, 0, asked.memory, asked.disk)
    if place.total.cores == 0:
        return None
    per_core = place.total.cpu // place.total.cores
    return Size(asked.cpu + asked.cores * per_core, asked.cores, asked.memory, asked.disk)


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
    for free, taken in (
        (each.cpu, size.cpu),
        (each.memory, size.memory),
        (each.disk, size.disk),
        (each.cores, size.cores),
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


def properties(group: TaskGroup) -> list[tuple[str, int]]:
    """Each property that must differ, and how many allocations may share a value."""
    return [
        (constraint.left, int(constraint.right) if constraint.right.isdecimal() else 1)
        for constraint in group.constraints
        if constraint.operand is Operand.DISTINCT_PROPERTY
    ]


def free_devices(each: Bin, name: str) -> int:
    """How many devices of that name are free."""
    return sum(count for device, count in each.devices.items() if device_suits(device, name))


def take_devices(each: Bin, name: str, count: int) -> None:
    """Take so many devices of that name; a negative count gives them back."""
    for device in each.devices:
        if device_suits(device, name):
            taken = min(each.devices[device], count) if count > 0 else count
            each.devices[device] -= taken
            count -= taken
