"""Bin packing as Nomad does it: cpu, cores, memory, disk, static ports, devices, distinct hosts and properties.

A shelf holds bins that look alike in the order of Nomad's binpack score, fullest first, so that the first bin that takes
an allocation is the one Nomad would score highest (nomad/structs/funcs.go ScoreFitBinPack; facts in nomad.md). Equal
allocations are placed in bulk: a bin that took one is fuller than before and thus still first.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from keeper.core.asks import Ask
from keeper.core.constraints import Verdict, is_unique
from keeper.core.model import Device, Distinct, JobKey, Node, Operand, Resources, TaskGroup
from keeper.core.places import Place, about_one_node, device_suits, holds_on, property_at

FEW = 8
"""Up to so many moved bins are re-inserted one by one; more are sorted anew."""


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


class Move(NamedTuple):
    """So many allocations of an ask put into a bin."""

    bin: Bin
    ask: Ask
    size: Size
    times: int


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


class Shelf:
    """Bins of one place, fullest first."""

    def __init__(self, place: Place, bins: Iterable[Bin], spread: Counter[tuple[object, ...]]) -> None:
        self.place = place
        self.bins: list[Bin] = []
        self.spread = spread
        """How many allocations of a group have each value of a property that must differ; shared by all shelves."""
        self._serial = 0
        self._cpu = max(place.total.cpu, 1)
        self._memory = max(place.total.memory, 1)
        self.extend(bins)

    def extend(self, bins: Iterable[Bin]) -> None:
        """Put bins on the shelf."""
        for new in bins:
            self._serial += 1
            new.key = (self._fullness(new.cpu, new.memory), self._serial)
            self.bins.append(new)
        self.bins.sort(key=_key)

    def put_back(self, old: Bin) -> None:
        """Put a bin on the shelf again that was taken off."""
        insort(self.bins, old, key=_key)

    def remove(self, old: Bin) -> None:
        """Take a bin off the shelf."""
        del self.bins[bisect_left(self.bins, old.key, key=_key)]

    def place_in(self, ask: Ask, most: int, moves: list[Move]) -> int:
        """Put up to `most` allocations into the bins, noting each move; how many found a place."""
        size = size_at(ask.group, self.place)
        if size is None or self.place.answer(ask.needs).verdict is not Verdict.HOLDS:
            return 0
        asked, cpu, memory = most, size.cpu, size.memory
        touched: list[Move] = []
        start = bisect_left(self.bins, (self._fullness(cpu, memory), -1), key=_key)
        picky = _is_picky(ask)
        for index in range(start, len(self.bins)):
            each = self.bins[index]
            if each.cpu < cpu or each.memory < memory:
                continue
            count = _how_many(each, size, asked)
            if picky and count:
                count = self._how_many_apart(each, ask, count)
            if count:
                touched.append(Move(each, ask, size, count))
                self._take(each, ask, size, count)
                asked -= count
                if not asked:
                    break
        self._resort([move.bin for move in touched])
        moves += touched
        return most - asked

    def undo(self, move: Move) -> None:
        """Take a move back; moves are taken back in reverse order."""
        self._take(move.bin, move.ask, move.size, -move.times)
        self._resort([move.bin])

    def _how_many_apart(self, each: Bin, ask: Ask, count: int) -> int:
        """What ports, devices and distances leave of `count`."""
        group = ask.group
        if about_one_node(ask.needs) and (each.node is None or not holds_on(self.place, each.node, ask.needs)):
            return 0
        if group.static_ports:
            count = 0 if group.static_ports & each.ports else 1
        if group.distinct is not Distinct.NO:
            count = 0 if _company(ask) in each.tenants else min(count, 1)
        for device in group.devices:
            count = min(count, _free_devices(each, device.name) // max(device.count, 1))
        for target, limit in _properties(group):
            count = min(count, limit - self.spread[self._trait(each, ask, target)])
        return max(count, 0)

    def _take(self, each: Bin, ask: Ask, size: Size, count: int) -> None:
        each.cpu -= size.cpu * count
        each.cores -= size.cores * count
        each.memory -= size.memory * count
        each.disk -= size.disk * count
        group = ask.group
        if group.static_ports:
            each.ports = each.ports | group.static_ports if count > 0 else each.ports - group.static_ports
        if group.distinct is not Distinct.NO:
            company = {_company(ask)}
            each.tenants = each.tenants | company if count > 0 else each.tenants - company
        for device in group.devices:
            _take_devices(each, device.name, device.count * count)
        for target, _ in _properties(group):
            self.spread[self._trait(each, ask, target)] += count

    def _trait(self, each: Bin, ask: Ask, target: str) -> tuple[object, ...]:
        if is_unique(target) and each.node is None:
            return ask.key, target, self.place.name, each.key[1]
        return ask.key, target, property_at(self.place, each.node, target)

    def _fullness(self, cpu: int, memory: int) -> float:
        """Nomad's binpack score, turned round: the less is free, the lower."""
        return 10 ** (cpu / self._cpu) + 10 ** (memory / self._memory)

    def _resort(self, touched: Sequence[Bin]) -> None:
        if len(touched) > FEW:
            for each in touched:
                each.key = (self._fullness(each.cpu, each.memory), each.key[1])
            self.bins.sort(key=_key)
            return
        for each in touched:
            self.remove(each)
            each.key = (self._fullness(each.cpu, each.memory), each.key[1])
            insort(self.bins, each, key=_key)


class Room:
    """All shelves together."""

    def __init__(self, shelves: Iterable[Shelf]) -> None:
        self.shelves = tuple(shelves)
        self._by_place = {id(shelf.place): shelf for shelf in self.shelves}

    def shelf(self, of: Bin) -> Shelf:
        """The shelf that a bin stands on."""
        return self._by_place[id(of.place)]

    def place(self, ask: Ask, moves: list[Move]) -> int:
        """Put as many of the ask's allocations as find a place; how many did."""
        left = ask.count
        for shelf in self.shelves:
            left -= shelf.place_in(ask, left, moves) if left else 0
        return ask.count - left

    def undo(self, moves: list[Move]) -> None:
        """Take moves back."""
        while moves:
            move = moves.pop()
            self.shelf(move.bin).undo(move)


def fill(room: Room, asks: Iterable[Ask]) -> tuple[list[Ask], list[Move]]:
    """Put every ask as far as it goes, in the order given; what is left over, and the moves."""
    left: list[Ask] = []
    moves: list[Move] = []
    for each in asks:
        rest = each.count - room.place(each, moves)
        if rest:
            left.append(each.of(rest))
    return left, moves


def _key(each: Bin) -> tuple[float, int]:
    return each.key


def _is_picky(ask: Ask) -> bool:
    group = ask.group
    return bool(
        group.static_ports
        or group.devices
        or group.distinct is not Distinct.NO
        or any(constraint.operand is Operand.DISTINCT_PROPERTY for constraint in group.constraints)
        or about_one_node(ask.needs)
    )


def _how_many(each: Bin, size: Size, most: int) -> int:
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


def _company(ask: Ask) -> object:
    """Whom the ask's allocations keep away from: its job's, or its own group's."""
    return ask.spec.key if ask.group.distinct is Distinct.JOB else ask.key


def companies(job: JobKey, group: str) -> tuple[object, object]:
    """The names under which an allocation of that group keeps others away."""
    return job, (job, group)


def _properties(group: TaskGroup) -> list[tuple[str, int]]:
    """Each property that must differ, and how many allocations may share a value."""
    return [
        (constraint.left, int(constraint.right) if constraint.right.isdecimal() else 1)
        for constraint in group.constraints
        if constraint.operand is Operand.DISTINCT_PROPERTY
    ]


def _free_devices(each: Bin, name: str) -> int:
    return sum(count for device, count in each.devices.items() if device_suits(device, name))


def _take_devices(each: Bin, name: str, count: int) -> None:
    for device in each.devices:
        if device_suits(device, name):
            taken = min(each.devices[device], count) if count > 0 else count
            each.devices[device] -= taken
            count -= taken
