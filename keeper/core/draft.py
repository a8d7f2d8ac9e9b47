"""A plan while it is being made: what was decided so far, and what each further step may count on."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from keeper.core.bins import Bin
from keeper.core.fit import Room
from keeper.core.load import IDLE, Load, Loads
from keeper.core.market import Market
from keeper.core.memory import Growth, Memory
from keeper.core.model import Node, NodeId, NodeStatus, PoolName
from keeper.core.plan import Cut, Delete, Drain, Grow, Purge, Reason, Reclaim, Rejected
from keeper.core.rooms import Rooms
from keeper.core.rules import AutoscaleRules
from keeper.core.stock import Stock, arrived
from keeper.core.view import Gap, View


@dataclass(slots=True)
class Draft:
    """Mutable: it lives for the planning of one tick. `view` holds the memory with this tick's news folded in."""

    view: View
    rules: AutoscaleRules
    gaps: frozenset[Gap]
    stocks: dict[PoolName, Stock]
    loads: Loads
    rooms: Rooms
    market: Market
    others: frozenset[str]
    """Instances that another controller may change, in lower case."""
    free: Room
    """What ready nodes have left; waiting work takes from it first, moved work after."""
    growths: tuple[Growth, ...]
    """The growths that the last tick remembered, those that never reached Azure included."""
    lifts: list[Drain] = field(default_factory=list[Drain])
    reclaims: dict[NodeId, Reclaim] = field(default_factory=dict[NodeId, Reclaim])
    reasons: dict[PoolName, Reason] = field(default_factory=dict[PoolName, Reason])
    """Why each pool grows; the first reason stays."""
    drains: list[Drain] = field(default_factory=list[Drain])
    deletes: list[Delete] = field(default_factory=list[Delete])
    purges: list[Purge] = field(default_factory=list[Purge])
    rejected: list[Rejected] = field(default_factory=list[Rejected])
    cuts: list[Cut] = field(default_factory=list[Cut])
    needed: set[NodeId] = field(default_factory=set[NodeId])
    """Nodes on which waiting work will land."""
    wanted: set[PoolName] = field(default_factory=set[PoolName])
    """Pools that could serve work which cannot be bought for now."""

    def load(self, node: Node) -> Load:
        """What a node carries."""
        return self.loads.get(node.id, IDLE)

    def is_free(self, node: Node) -> bool:
        """Whether no other controller may change the node's instance now."""
        return node.name.lower() not in self.others

    def leaving(self, stock: Stock) -> list[Node]:
        """The pool's nodes that leave and could be taken back: alive, unclaimed, and not taken back already."""
        return [
            node
            for node in stock.leaving
            if node.status is NodeStatus.READY and self.is_free(node) and node.id not in self.reclaims
        ]

    def leaving_for_good(self, stock: Stock) -> list[Node]:
        """The pool's nodes that leave and are not taken back, down ones included."""
        return [node for node in stock.leaving if self.is_free(node) and node.id not in self.reclaims]

    def staying(self, stock: Stock) -> int:
        """How many instances the pool will have once all is done that was decided so far."""
        gone = sum(node.id not in self.reclaims for node in stock.leaving) + len(stock.late)
        return stock.existing - gone + self.market.offers[stock.pool.name].bought

    def reclaim(self, node: Node, pool: PoolName, because: Reason) -> None:
        """Take a drain of ours back."""
        self.reclaims[node.id] = Reclaim(node.id, node.name, pool, because)

    def add(self, stock: Stock, count: int, because: Reason) -> int:
        """Bring the pool so many more instances: those that leave first, then new ones. How many it could be."""
        name = stock.pool.name
        back = sorted(self.leaving(stock), key=lambda node: (-len(self.load(node).work), node.name.lower()))[:count]
        for node in back:
            self.reclaim(node, name, because)
        bought = self.buy(stock, count - len(back), because)
        return len(back) + bought

    def buy(self, stock: Stock, count: int, because: Reason) -> int:
        """Buy so many instances within all limits, and say what a limit cut."""
        name = stock.pool.name
        room, why = self.market.room(name)
        bought = self.market.buy(name, count) if count > 0 else 0
        if bought < count:
            self.cuts.append(Cut("limits", f"{name}: {count - bought} of {count} for {because}: {why} ({room} left)"))
        if bought:
            self.reasons.setdefault(name, because)
        return bought

    def lost_growths(self, pool: PoolName | None = None) -> set[datetime]:
        """When growths were asked for that never reached Azure: what was remembered of them does not count."""
        return {
            growth.asked
            for growth in self.growths
            if pool in {None, growth.pool}
            and growth.pool in self.stocks
            and not arrived(growth, self.stocks[growth.pool].scale_set)
        }

    def remember(self, memory: Memory) -> None:
        """Let later steps, and the next tick, know."""
        self.view = replace(self.view, memory=memory)

    def use(self, bins: list[Bin]) -> None:
        """Remember that waiting work lands in these bins."""
        self.needed.update(each.node.id for each in bins if each.node is not None)

    def reject(self, what: str, why: str) -> None:
        """Say what was considered and not done."""
        self.rejected.append(Rejected(what, why))

    def grows(self) -> list[Grow]:
        """What was bought, as one action per pool."""
        return [
            Grow(name, stock.capacity, stock.target(bought), stock.scale_set.etag, because)
            for name, because in sorted(self.reasons.items())
            if (stock := self.stocks[name]).scale_set is not None and (bought := self.market.offers[name].bought)
        ]
