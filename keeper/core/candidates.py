"""Which nodes might leave, in the order in which they should be asked."""

from collections.abc import Mapping
from typing import NamedTuple

from keeper.core.load import IDLE, Load, Loads
from keeper.core.model import Node, PoolName, Priority
from keeper.core.stock import Stock
from keeper.core.view import View


class Candidate(NamedTuple):
    """A ready node of a pool that has more than its minimum."""

    node: Node
    stock: Stock
    load: Load


def candidates(view: View, stocks: Mapping[PoolName, Stock], loads: Loads) -> list[Candidate]:
    """Ready nodes of pools above their minimum, the best to leave first.

    Those found unneeded before keep their turn, so that two equal nodes do not reset each other's timers. Then: fewest
    allocations disturbed, least batch work to wait for, spot last because it is cheap, dearest pool first.
    """
    found = [
        Candidate(node, stock, loads.get(node.id, IDLE))
        for stock in stocks.values()
        if len(ready := stock.ready) > stock.pool.minimum
        for node in ready
    ]

    def turn(each: Candidate) -> tuple[object, ...]:
        pool = each.stock.pool
        since = view.memory.unneeded.get(each.node.name)
        return (
            since is None,
            len(each.load.work),
            each.load.batch,
            pool.priority is Priority.SPOT,
            -pool.price,
            -pool.order,
            each.node.name.lower(),
            each.node.id,
        )

    return sorted(found, key=turn)
