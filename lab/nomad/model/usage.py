"""Sums kept beside the store: what is taken on each node, and how much of each job lives.

They follow the tables write by write (undone writes included), so that a scheduler need not add up allocations.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from lab.nomad.model.resources import Take, room_of, take_of
from lab.nomad.model.store import Table
from lab.nomad.model.words import CLIENT_TERMINAL, EVAL_TERMINAL, SERVER_TERMINAL

if TYPE_CHECKING:
    from collections.abc import Hashable

    from lab.nomad.model.resources import Room
    from lab.nomad.model.store import Record, Store

GroupKey = tuple[str, str, str]


class NodeUse:
    """What the allocations of one node take together; those whose client has ended them are not in it."""

    __slots__ = ("allocs", "cores", "cpu", "devices", "disk", "groups", "memory", "ports", "priorities")

    def __init__(self) -> None:
        self.cpu = self.memory = self.disk = 0
        self.cores: Counter[int] = Counter()
        self.ports: Counter[tuple[str, int]] = Counter()
        self.devices: Counter[tuple[tuple[str, str, str], str]] = Counter()
        self.groups: Counter[GroupKey] = Counter()
        self.priorities: Counter[int] = Counter()
        self.allocs: dict[str, tuple[Record, Take]] = {}

    def copy(self) -> NodeUse:
        """Answer a use of its own that starts with the same sums."""
        new = NodeUse()
        new.cpu, new.memory, new.disk = self.cpu, self.memory, self.disk
        new.cores, new.ports = self.cores.copy(), self.ports.copy()
        new.devices, new.groups = self.devices.copy(), self.groups.copy()
        new.priorities = self.priorities.copy()
        new.allocs = self.allocs.copy()
        return new

    def add(self, alloc: Record, take: Take) -> None:
        """Count an allocation, in place of an older version of itself."""
        self.remove(alloc["ID"])
        self.allocs[alloc["ID"]] = (alloc, take)
        self._count(alloc, take, 1)

    def remove(self, alloc_id: str) -> None:
        """Count an allocation no more; nothing happens when it was not counted."""
        held = self.allocs.pop(alloc_id, None)
        if held is not None:
            self._count(*held, -1)

    def _count(self, alloc: Record, take: Take, sign: int) -> None:
        self.cpu += sign * take.cpu
        self.memory += sign * take.memory
        self.disk += sign * take.disk
        self.groups[alloc["Namespace"], alloc["JobID"], alloc["TaskGroup"]] += sign
        self.priorities[alloc["Job"]["Priority"]] += sign
        for core in take.cores:
            self.cores[core] += sign
        for port in take.ports:
            self.ports[port] += sign
        for device in take.devices:
            self.devices[device] += sign


class Usage:
    """The sums of all nodes and jobs of one store."""

    def __init__(self, store: Store) -> None:
        self._nodes: defaultdict[str, NodeUse] = defaultdict(NodeUse)
        self._rooms: dict[str, tuple[int, Room]] = {}
        self.live_allocs: Counter[tuple[str, str]] = Counter()
        self.live_evals: Counter[tuple[str, str]] = Counter()
        store.hook(Table.ALLOCS, self._alloc)
        store.hook(Table.EVALS, self._eval)

    def of(self, node_id: str) -> NodeUse:
        """Answer what is taken on a node. Read only: copy before changing."""
        return self._nodes[node_id]

    def room(self, node: Record) -> Room:
        """Answer what a node can give; computed once per version of the node's resources."""
        marker = id(node["NodeResources"])
        known = self._rooms.get(node["ID"])
        if known is None or known[0] != marker:
            known = self._rooms[node["ID"]] = (marker, room_of(node))
        return known[1]

    def _alloc(self, key: Hashable, old: Record | None, new: Record | None) -> None:
        if old is not None and not terminal(old):
            self.live_allocs[old["Namespace"], old["JobID"]] -= 1
        if new is not None and not terminal(new):
            self.live_allocs[new["Namespace"], new["JobID"]] += 1
        if new is not None and new["ClientStatus"] not in CLIENT_TERMINAL:
            self._hold(new)
        elif old is not None and old["ClientStatus"] not in CLIENT_TERMINAL:
            self._nodes[old["NodeID"]].remove(str(key))

    def _hold(self, alloc: Record) -> None:
        use = self._nodes[alloc["NodeID"]]
        held = use.allocs.get(alloc["ID"])
        same = held is not None and held[0]["AllocatedResources"] is alloc["AllocatedResources"]
        if same and held is not None and held[0]["Job"] is alloc["Job"]:
            use.allocs[alloc["ID"]] = (alloc, held[1])
        else:
            use.add(alloc, take_of(alloc["AllocatedResources"]))

    def _eval(self, _key: Hashable, old: Record | None, new: Record | None) -> None:
        if old is not None and old["Status"] not in EVAL_TERMINAL:
            self.live_evals[old["Namespace"], old["JobID"]] -= 1
        if new is not None and new["Status"] not in EVAL_TERMINAL:
            self.live_evals[new["Namespace"], new["JobID"]] += 1


def terminal(alloc: Record) -> bool:
    """Answer whether servers or client have ended the allocation."""
    return alloc["DesiredStatus"] in SERVER_TERMINAL or alloc["ClientStatus"] in CLIENT_TERMINAL


def client_terminal(alloc: Record) -> bool:
    """Answer whether the client has ended the allocation."""
    return alloc["ClientStatus"] in CLIENT_TERMINAL
