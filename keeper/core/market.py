"""What may still be bought: pool maxima, limits over all pools, set-asides; and which pool serves an ask best."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from keeper.core.asks import Ask
from keeper.core.bins import Bin, size_at
from keeper.core.constraints import Verdict
from keeper.core.fit import Move, Shelf, orders, total
from keeper.core.model import PoolName, Provisioning, Resources
from keeper.core.rooms import Rooms
from keeper.core.rules import AutoscaleRules
from keeper.core.setasides import aside_for
from keeper.core.skus import cores_of
from keeper.core.stock import Stock
from keeper.core.view import View


@dataclass(slots=True)
class Offer:
    """One pool as a seller of instances."""

    stock: Stock
    cores: int
    room: int
    """How many instances it may add, by its own maximum and by what Azure refused."""
    why: str
    """What keeps it from adding more."""
    bought: int = 0

    @property
    def subnet(self) -> str:
        """Where its instances get their addresses; empty when not known."""
        return self.stock.scale_set.subnet if self.stock.scale_set else ""


@dataclass(frozen=True, slots=True)
class Packing:
    """Asks put into new instances of one pool."""

    count: int
    left: list[Ask]
    waste: float
    """The mean unused share of cpu and memory of the new instances."""


@dataclass(slots=True)
class Market:
    """Sells instances within all limits. Mutable: it lives for the planning of one tick."""

    rooms: Rooms
    offers: dict[PoolName, Offer]
    instances: int
    cores: int
    cost: float
    """What the limits over all pools leave."""
    addresses: dict[str, int] = field(default_factory=dict[str, int])
    """What the subnets leave, each for all of its pools."""

    def room(self, name: PoolName) -> tuple[int, str]:
        """How many more instances of the pool may be bought, and what keeps it from being more."""
        offer = self.offers[name]
        bounds = [(offer.room - offer.bought, offer.why), (self.instances, "the limit of instances over all pools")]
        if offer.subnet in self.addresses:
            bounds.append((self.addresses[offer.subnet], "the free addresses of its subnet"))
        if offer.cores:
            bounds.append((self.cores // offer.cores, "the limit of cores over all pools"))
        if offer.stock.pool.price > 0 and isfinite(self.cost):
            bounds.append((int(self.cost / offer.stock.pool.price + 1e-9), "the limit of cost over all pools"))
        room, why = min(bounds, key=lambda bound: bound[0])
        return max(room, 0), why

    def buy(self, name: PoolName, count: int) -> int:
        """Take up to `count` instances of the pool; how many it could be."""
        offer = self.offers[name]
        count = min(count, self.room(name)[0])
        offer.bought += count
        self.instances -= count
        self.cores -= count * offer.cores
        self.cost -= count * offer.stock.pool.price
        if offer.subnet in self.addresses:
            self.addresses[offer.subnet] -= count
        return count

    def shop(self, asks: list[Ask]) -> list[Ask]:
        """Buy for as many asks as can be: cheapest order first, then least waste, then price. What is left."""
        tiers: dict[int, list[PoolName]] = {}
        for name, offer in self.offers.items():
            tiers.setdefault(offer.stock.pool.order, []).append(name)
        for _, names in sorted(tiers.items()):
            asks = self._shop_tier(asks, set(names))
        return asks

    def _shop_tier(self, asks: list[Ask], names: set[PoolName]) -> list[Ask]:
        while asks and names:
            packings = {name: packing for name in sorted(names) if (packing := self.pack(name, asks)) is not None}
            if not packings:
                break
            best = min(packings, key=lambda name: self._rank(name, packings[name]))
            asks = packings[best].left
            self.buy(best, packings[best].count)
            names.discard(best)
        return asks

    def _rank(self, name: PoolName, packing: Packing) -> tuple[float, float, str]:
        return round(packing.waste, 3), packing.count * self.offers[name].stock.pool.price, name

    def pack(self, name: PoolName, asks: list[Ask]) -> Packing | None:
        """The asks in as few new instances of the pool as the keeper finds; None when none of them can go there."""
        most, _ = self.room(name)
        shelf = self.rooms.of_new(name, 0)
        if shelf is None or most == 0:
            return None
        suitable = [ask for ask in asks if shelf.place.answer(ask.needs).verdict is Verdict.HOLDS]
        rows = orders(suitable, shelf.place.total)
        found = [packing for order in rows if (packing := self._pack(name, order, asks, most)) is not None]
        return min(found, key=lambda packing: (total(packing.left), packing.count, packing.waste), default=None)

    def _pack(self, name: PoolName, order: list[Ask], asks: list[Ask], most: int) -> Packing | None:
        shelf = self.rooms.of_new(name, 0)
        if shelf is None:
            return None
        moves: list[Move] = []
        placed: dict[int, int] = {}
        for ask in order:
            placed[id(ask)] = self._place(name, shelf, ask, most, moves)
        waste = _waste(shelf)
        count = len(shelf.bins)
        for move in reversed(moves):
            shelf.undo(move)
        left = [ask.of(rest) for ask in asks if (rest := ask.count - placed.get(id(ask), 0))]
        return Packing(count, left, waste) if count else None

    def _place(self, name: PoolName, shelf: Shelf, ask: Ask, most: int, moves: list[Move]) -> int:
        """Put an ask into the instances opened so far, then into as many more as it takes."""
        left = ask.count - shelf.place_in(ask, ask.count, moves)
        while left and len(shelf.bins) < most:
            probe = self._empty(name)
            trial: list[Move] = []
            alone = Shelf(shelf.place, [probe], shelf.spread)
            most_each = alone.place_in(ask, left, trial)
            for move in reversed(trial):
                alone.undo(move)
            if not most_each:
                break
            more = min(-(-left // most_each), most - len(shelf.bins))
            opened, known = [self._empty(name) for _ in range(more)], len(moves)
            shelf.extend(opened)
            left -= shelf.place_in(ask, left, moves)
            used = {id(move.bin) for move in moves[known:]}
            unused = [each for each in opened if id(each) not in used]
            for each in unused:
                shelf.remove(each)
            if unused:
                break
        return ask.count - left

    def _empty(self, name: PoolName) -> Bin:
        shelf = self.rooms.of_new(name, 1)
        assert shelf is not None  # noqa: S101 -- only pools with a template are packed
        return shelf.bins[0]

    def could_ever(self, name: PoolName, ask: Ask) -> tuple[Verdict, str]:
        """Whether an empty instance of the pool would take the ask, limits aside, and why not."""
        shelf = self.rooms.of_new(name, 1)
        if shelf is None:
            return Verdict.FAILS, "what its instances are like is not known"
        answer = shelf.place.answer(ask.needs)
        if answer.verdict is Verdict.FAILS:
            return answer.verdict, answer.why
        size, free = size_at(ask.group, shelf.place), shelf.bins[0].free()
        if size is None:
            return Verdict.FAILS, "it has no cores to reserve"
        exceeded = free.exceeded(Resources(size.cpu, size.cores_to_start, size.memory, size.disk))
        if exceeded:
            return Verdict.FAILS, f"asks for more {', '.join(exceeded)} than one instance has"
        return answer.verdict, answer.why

    def affords_trial(self, name: PoolName) -> bool:
        """Whether one instance may be bought to see whether work runs there: none is on its way to tell."""
        return self.room(name)[0] > 0 and not self.offers[name].stock.upcoming and not self.offers[name].bought


def open_market(
    view: View, stocks: Mapping[PoolName, Stock], rooms: Rooms, rules: AutoscaleRules, lost: frozenset[PoolName]
) -> Market:
    """The market of this tick. What exists or was asked for already counts towards every limit.

    `lost` are pools whose last growth never reached Azure: they may be asked at once.
    """
    pools = {name: stock.pool for name, stock in stocks.items()}
    offers: dict[PoolName, Offer] = {}
    for name, stock in stocks.items():
        room, why = _own_room(stock)
        offers[name] = Offer(stock, cores_per_instance(view, stock), room, why)
        aside = aside_for(stock.pool, pools, view.memory, view.now)
        if aside is not None:
            left = aside.cores_left if aside.pool == name else 0
            fits = (left or 0) // offers[name].cores if offers[name].cores else 0
            if fits < room:
                offers[name].room, offers[name].why = fits, f"set aside until {aside.until:%H:%M}: {aside.kind}"
        elif name not in lost and _has_just_asked(view, stock, rules):
            offers[name].room, offers[name].why = 0, "what it asked for has not come yet"
    held = {name: stock.held for name, stock in stocks.items()}
    return Market(
        rooms,
        offers,
        instances=rules.max_instances - sum(held.values()),
        cores=rules.max_cores - sum(held[name] * offers[name].cores for name in held),
        cost=_cost_left(stocks, held, rules),
        addresses=dict(view.free_addresses),
    )


def cores_per_instance(view: View, stock: Stock) -> int:
    """Virtual cores of one instance, by its size, else by its node; 0 when neither tells."""
    size = stock.scale_set.sku if stock.scale_set else stock.pool.sku
    template = view.templates.get(stock.pool.name)
    return cores_of(size) or (template.resources.cores if template else 0)


def _own_room(stock: Stock) -> tuple[int, str]:
    if stock.scale_set is None:
        return 0, "its scale set was not seen"
    if stock.scale_set.provisioning is Provisioning.DELETING:
        return 0, "its scale set is being deleted"
    if stock.held > stock.pool.maximum:
        return 0, f"its capacity is above its maximum of {stock.pool.maximum}"
    return max(stock.pool.maximum - stock.existing, 0), f"its maximum of {stock.pool.maximum}"


def _has_just_asked(view: View, stock: Stock, rules: AutoscaleRules) -> bool:
    """Whether capacity is missing that was asked for lately: asking again would only say the same."""
    grew = view.memory.grew.get(stock.pool.name)
    return stock.capacity > stock.existing and grew is not None and view.now - grew < rules.settle_for


def _cost_left(stocks: Mapping[PoolName, Stock], held: Mapping[PoolName, int], rules: AutoscaleRules) -> float:
    spent = sum(held[name] * stock.pool.price for name, stock in stocks.items())
    return rules.max_cost - spent if rules.max_cost else float("inf")


def _waste(shelf: Shelf) -> float:
    whole = shelf.place.total
    unused = sum(each.cpu / max(whole.cpu, 1) + each.memory / max(whole.memory, 1) for each in shelf.bins)
    return unused / (2 * len(shelf.bins)) if shelf.bins else 0.0
