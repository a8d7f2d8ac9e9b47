"""What the keeper reckons of a cluster that it observed through its own adapter: what fits where."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from keeper.core import templates
from keeper.core.asks import Ask, ask
from keeper.core.fit import fill
from keeper.core.load import loads_of
from keeper.core.market import open_market
from keeper.core.memory import Memory
from keeper.core.model import JobKey, JobSpec, Mode, NodeId, Pool, PoolName, Provisioning, ScaleSet, Template
from keeper.core.rooms import Rooms
from keeper.core.rules import AutoscaleRules
from keeper.core.stock import take_stock
from keeper.core.view import View
from tests.contract.nomad_fit.kinds import KINDS

if TYPE_CHECKING:
    from keeper.core.constraints import Verdict
    from keeper.nomad.cluster import NomadHttp

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
RULES = AutoscaleRules()
MANY = 1000


class New(NamedTuple):
    """Of a further instance of a kind: whether it would ever take the work, and how many of it as many instances as the kind has nodes would take."""

    verdict: Verdict
    why: str
    fit: int


@dataclass(slots=True)
class Reckoning:
    """One look at the cluster."""

    nomad: NomadHttp
    _templates: dict[PoolName, Template] = field(default_factory=dict[PoolName, Template])
    _view: View = field(init=False)

    def __post_init__(self) -> None:
        self.look()

    def look(self) -> None:
        """Observe the cluster again."""
        nodes = self.nomad.nodes()
        if not self._templates:
            for node in nodes:
                name = PoolName(node.name.rpartition("_")[0])
                self._templates[name] = self.nomad.template(NodeId(node.id), NOW)
        pools = tuple(Pool(PoolName(k.name), k.name, "rg", Mode.FLEXIBLE, 0, MANY) for k in KINDS)
        sets = {
            pool.name: ScaleSet(pool.name, "", kind.nodes, Provisioning.SUCCEEDED, "", None)
            for pool, kind in zip(pools, KINDS, strict=True)
        }
        memory = replace(Memory(), templates=self._templates)
        view = View(NOW, pools, memory, nodes, self.nomad.allocations(), scale_sets=sets)
        self._view = replace(view, templates=templates.choose(view, memory))

    def spec(self, job: str) -> JobSpec:
        """The job as the keeper reads it."""
        return self.nomad.job(JobKey("default", job), 2**62)

    def free(self, spec: JobSpec, more: dict[str, int]) -> dict[str, int]:
        """How many of so many more of each group fit into the room that nodes have left."""
        rooms, asks = self._rooms(spec), _asks(spec, more)
        left, _ = fill(rooms.of_nodes(node for node in self._view.nodes if node.ready), asks)
        lacking = {each.group.name: each.count for each in left}
        return {name: count - lacking.get(name, 0) for name, count in more.items()}

    def new(self, spec: JobSpec, wanted: Ask) -> dict[str, New]:
        """What further instances of each kind would take, were they the only ones."""
        found: dict[str, New] = {}
        for kind in KINDS:
            name, rooms = PoolName(kind.name), self._rooms(spec)
            market = open_market(self._view, rooms.stocks, rooms, RULES, frozenset())
            verdict, why = market.could_ever(name, wanted)
            shelf = rooms.of_new(name, kind.nodes)
            assert shelf is not None
            found[kind.name] = New(verdict, why, shelf.place_in(wanted, wanted.count, []))
        return found

    def _rooms(self, spec: JobSpec) -> Rooms:
        view = replace(self._view, jobs={spec.key: spec})
        return Rooms(view, take_stock(view, RULES), loads_of(view))


def _asks(spec: JobSpec, more: dict[str, int]) -> list[Ask]:
    return [ask(spec, spec.groups[name], count) for name, count in more.items()]
