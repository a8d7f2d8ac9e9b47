"""What runs where, gathered in one pass over all allocations."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from keeper.core.model import Allocation, ClientStatus, JobKind, NodeId, PoolName, Resources
from keeper.core.stock import Stock
from keeper.core.view import View

LIVE = frozenset({ClientStatus.PENDING, ClientStatus.RUNNING, ClientStatus.UNKNOWN})
NODE_WORK = frozenset({JobKind.SYSTEM, JobKind.SYSBATCH})


@dataclass(slots=True)
class Load:
    """What one node carries. `work` leaves out what follows nodes, for that keeps none alive."""

    cpu: int = 0
    cores: int = 0
    memory: int = 0
    disk: int = 0
    work: list[Allocation] = field(default_factory=list[Allocation])
    system: Resources = field(default_factory=Resources)
    special: list[Allocation] = field(default_factory=list[Allocation])
    """Allocations that hold ports or devices."""

    @property
    def batch(self) -> int:
        """How many batch allocations are live here."""
        return sum(each.kind is JobKind.BATCH for each in self.work)

    @property
    def taken(self) -> Resources:
        """What all of it takes."""
        return Resources(self.cpu, self.cores, self.memory, self.disk)


type Loads = Mapping[NodeId, Load]

IDLE = Load()
"""The load of a node that carries nothing. Never changed."""


def loads_of(view: View) -> Loads:
    """The load of each node that carries any. What was told to stop and has not stopped counts."""
    loads: defaultdict[NodeId, Load] = defaultdict(Load)
    for each in view.allocations:
        if each.client not in LIVE:
            continue
        load, taken = loads[each.node], each.resources
        load.cpu += taken.cpu
        load.cores += taken.cores
        load.memory += taken.memory
        load.disk += taken.disk
        if each.kind in NODE_WORK:
            load.system += taken
        else:
            load.work.append(each)
        if each.static_ports or each.devices:
            load.special.append(each)
    return loads


def overheads(stocks: Iterable[Stock], loads: Loads) -> Mapping[PoolName, Resources]:
    """The most that system work takes on a ready node of each pool that has one."""
    found: dict[PoolName, Resources] = {}
    for stock in stocks:
        systems = [loads.get(node.id, IDLE).system for node in stock.ready]
        if systems:
            found[stock.pool.name] = Resources(
                max(each.cpu for each in systems),
                max(each.cores for each in systems),
                max(each.memory for each in systems),
                max(each.disk for each in systems),
            )
    return found
