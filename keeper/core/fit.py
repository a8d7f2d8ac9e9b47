"""Bin packing as Nomad does it, largest first, for thousands of allocations at once.

A shelf holds bins that look alike in the order of Nomad's binpack score, fullest first, so that the first bin that takes
an allocation is the one Nomad would score highest (nomad/structs/funcs.go ScoreFitBinPack; facts in nomad.md). Equal
allocations are placed in bulk: a bin that took one is fuller than before and thus still first.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from keeper.core.asks import Ask
from keeper.core.bins import Bin, Property, Size, company, devices_for, how_many, is_picky, properties, size_at
from keeper.core.constraints import Verdict, is_unique
from keeper.core.model import Device, Distinct, Resources
from keeper.core.places import Place, about_one_node, holds_on, property_at

SMALL = 200
"""Up to so many allocations several orders of packing are compared; beyond, the usual one is close to the best."""

FEW = 8
"""Up to so many moved bins are re-inserted one by one; more are sorted anew."""


class Move(NamedTuple):
    """So many allocations of an ask put into a bin."""

    bin: Bin
    ask: Ask
    size: Size
    times: int
    devices: Counter[Device]
    """Those that were free before."""


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
        picky = is_picky(ask)
        for index in range(start, len(self.bins)):
            each = self.bins[index]
            if each.cpu < cpu or each.memory < memory:
                continue
            count = how_many(each, size, asked)
            if picky and count:
                count = self._how_many_apart(each, ask, count)
            if count:
                touched.append(Move(each, ask, size, count, each.devices))
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
        move.bin.devices = move.devices
        self._resort([move.bin])

    def _how_many_apart(self, each: Bin, ask: Ask, count: int) -> int:
        """What ports, devices and distances leave of `count`."""
        group = ask.group
        if about_one_node(ask.needs) and (each.node is None or not holds_on(self.place, each.node, ask.needs)):
            return 0
        if group.static_ports:
            count = 0 if group.static_ports & each.ports else 1
        if group.distinct is not Distinct.NO:
            count = 0 if company(ask) in each.tenants else min(count, 1)
        if group.devices:
            count, _ = devices_for(each.devices, group.devices, count)
        for apart in properties(ask.spec.key, group):
            count = min(count, apart.limit - self.spread[self._trait(each, apart)])
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
            apart = {company(ask)}
            each.tenants = each.tenants | apart if count > 0 else each.tenants - apart
        if group.devices and count > 0:
            _, each.devices = devices_for(each.devices, group.devices, count)
        for apart in properties(ask.spec.key, group):
            self.spread[self._trait(each, apart)] += count

    def _trait(self, each: Bin, apart: Property) -> tuple[object, ...]:
        if is_unique(apart.target) and each.node is None:
            return apart.whose, apart.target, self.place.name, each.key[1]
        return apart.whose, apart.target, property_at(self.place, each.node, apart.target)

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

    def largest(self) -> Resources:
        """The size of the largest place, for telling large asks from small ones."""
        totals = [shelf.place.total for shelf in self.shelves]
        return max(totals, key=lambda each: (each.cpu, each.memory), default=Resources())

    def undo(self, moves: list[Move]) -> None:
        """Take moves back."""
        while moves:
            move = moves.pop()
            self.shelf(move.bin).undo(move)


def fill(room: Room, asks: Sequence[Ask]) -> tuple[list[Ask], list[Move]]:
    """Put every ask as far as it goes, largest first; what is left over, in the order given, and the moves."""
    rows = orders(asks, room.largest())
    best: tuple[list[Ask], list[Ask]] | None = None
    for row in rows:
        left, moves = _fill(room, row, asks)
        if not left or len(rows) == 1:
            return left, moves
        room.undo(moves)
        if best is None or total(left) < total(best[0]):
            best = left, row
    return _fill(room, best[1], asks) if best is not None else ([], [])


def orders(asks: Sequence[Ask], whole: Resources) -> list[list[Ask]]:
    """Largest first, by the share that is scarcest; for few allocations also by other readings of "large"."""

    def shares(ask: Ask) -> tuple[float, float, float]:
        size = ask.group.resources
        cpu = size.cpu / max(whole.cpu, 1) + size.cores / max(whole.cores, 1)
        return cpu, size.memory / max(whole.memory, 1), size.disk / max(whole.disk, 1)

    by_largest = sorted(asks, key=lambda ask: (-max(shares(ask)), -sum(shares(ask)), ask.key))
    if total(asks) > SMALL:
        return [by_largest]
    return [
        by_largest,
        sorted(asks, key=lambda ask: (-sum(shares(ask)), ask.key)),
        sorted(asks, key=lambda ask: (-shares(ask)[0], -shares(ask)[1], ask.key)),
        sorted(asks, key=lambda ask: (-shares(ask)[1], -shares(ask)[0], ask.key)),
    ]


def total(asks: Iterable[Ask]) -> int:
    """How many allocations the asks add up to."""
    return sum(ask.count for ask in asks)


def _fill(room: Room, row: Iterable[Ask], asks: Iterable[Ask]) -> tuple[list[Ask], list[Move]]:
    moves: list[Move] = []
    placed = {ask.key: room.place(ask, moves) for ask in row}
    return [ask.of(rest) for ask in asks if (rest := ask.count - placed[ask.key])], moves


def _key(each: Bin) -> tuple[float, int]:
    return each.key
