"""The room that nodes have for more work, and the room that further instances would bring."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from keeper.core.asks import AskKey
from keeper.core.bins import Bin, Property, bin_of, companies, properties
from keeper.core.fit import Room, Shelf
from keeper.core.load import IDLE, Loads
from keeper.core.model import Allocation, Distinct, JobKey, Node, NodeId, PoolName, Template
from keeper.core.places import Place, place_of_node, place_of_template, property_at
from keeper.core.stock import Stock
from keeper.core.view import View


@dataclass(slots=True)
class Rooms:
    """Makes the rooms of one tick. Nodes that look alike share a place, and all rooms share what must differ."""

    view: View
    stocks: Mapping[PoolName, Stock]
    loads: Loads
    _pool_of: dict[NodeId, Stock] = field(init=False)
    _places: dict[tuple[object, ...], Place] = field(init=False, default_factory=dict[tuple[object, ...], Place])
    _apart: frozenset[JobKey] = field(init=False)
    _spread: Counter[tuple[object, ...]] = field(init=False, default_factory=Counter[tuple[object, ...]])

    def __post_init__(self) -> None:
        self._pool_of = {node.id: stock for stock in self.stocks.values() for node in stock.nodes}
        self._apart = frozenset(
            key
            for key, spec in self.view.jobs.items()
            if any(group.distinct is not Distinct.NO for group in spec.groups.values())
        )
        self._count_properties()

    def of_nodes(self, nodes: Iterable[Node]) -> Room:
        """Bins for these nodes, with what their work leaves free."""
        shelves: dict[int, tuple[Place, list[Bin]]] = {}
        for node in nodes:
            place = self.place_of(node)
            shelves.setdefault(id(place), (place, []))[1].append(self._bin(node, place))
        return Room(Shelf(place, bins, self._spread) for place, bins in shelves.values())

    def of_new(self, pool: PoolName, count: int) -> Shelf | None:
        """So many further instances of a pool, carrying system work only; None when nobody knows what they will be."""
        template = self.view.templates.get(pool)
        if template is None:
            return None
        place = self._place(("template", pool), self.stocks[pool], template)
        return Shelf(place, (self.new_bin(place, template) for _ in range(count)), self._spread)

    def new_bin(self, place: Place, template: Template) -> Bin:
        """One further instance."""
        return bin_of(place, None, template.resources - template.overhead)

    def place_of(self, node: Node) -> Place:
        """What the node is."""
        stock = self._pool_of.get(node.id)
        owner = stock.pool.name if stock else node.name
        alike = (
            *(owner, node.node_class, node.node_pool, node.datacenter, node.drivers, node.core_mhz, node.networks),
            *(node.host_volumes, node.read_only_volumes, node.devices),
        )
        if alike not in self._places:
            template = self.view.templates.get(stock.pool.name) if stock else None
            self._places[alike] = place_of_node(node, stock.pool if stock else None, template)
        return self._places[alike]

    def _place(self, key: tuple[object, ...], stock: Stock, template: Template) -> Place:
        if key not in self._places:
            self._places[key] = place_of_template(stock.pool, template)
        return self._places[key]

    def _bin(self, node: Node, place: Place) -> Bin:
        load = self.loads.get(node.id, IDLE)
        made = bin_of(place, node, node.resources - load.taken)
        for each in load.special:
            made.ports |= each.static_ports
            _occupy_devices(made, each)
        if self._apart:
            for each in load.work:
                if each.job in self._apart:
                    made.tenants.update(companies(each.job, each.group))
        return made

    def _count_properties(self) -> None:
        """How many allocations already share each value of a property that must differ."""
        apart = _properties_that_differ(self.view)
        if not apart:
            return
        for node in self.view.nodes:
            for each in self.loads.get(node.id, IDLE).work:
                for whose, target, _ in apart.get((each.job, each.group), ()):
                    self._spread[whose, target, property_at(self.place_of(node), node, target)] += 1


def _properties_that_differ(view: View) -> Mapping[AskKey, list[Property]]:
    return {
        (key, group.name): found
        for key, spec in view.jobs.items()
        for group in spec.groups.values()
        if (found := properties(key, group))
    }


def _occupy_devices(made: Bin, allocation: Allocation) -> None:
    for held in allocation.devices:
        for device in made.devices:
            if (device.vendor, device.type, device.name) == (held.vendor, held.type, held.name):
                made.devices[device] -= held.count
