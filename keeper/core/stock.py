"""What each pool has: nodes that work, nodes that leave, capacity that is still to come, instances that never came.

A pool's capacity is what was asked of Azure; after a failed growth it may exceed what exists. `existing` is what exists
or is truly on its way, and every decision counts with that.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from keeper.core.memory import Growth, Memory
from keeper.core.model import (
    Instance,
    InstanceName,
    InstanceState,
    Mode,
    Node,
    NodeStatus,
    Pool,
    PoolName,
    Provisioning,
    ScaleSet,
    TemplateSource,
    instance_is_of,
)
from keeper.core.rules import AutoscaleRules
from keeper.core.view import Claim, Gap, View

MOVING = frozenset({Provisioning.CREATING, Provisioning.UPDATING})
ARRIVING = frozenset({InstanceState.CREATING, InstanceState.RUNNING})


@dataclass(frozen=True, slots=True)
class Stock:
    """One pool as it stands."""

    pool: Pool
    scale_set: ScaleSet | None
    nodes: tuple[Node, ...]
    """All of the pool's nodes, sorted by name."""
    leaving: tuple[Node, ...]
    """Those with a drain of ours, running or over, whose instance is not known to be gone."""
    instances: tuple[Instance, ...] | None
    """None when they were not listed."""
    upcoming: int
    """Instances bought whose nodes have not joined, less those that will never come."""
    late: tuple[Instance, ...]
    """Instances that had their time and never joined."""
    existing: int
    """Instances that exist or are on their way, leaving ones included."""
    growing: bool
    """Whether Azure is still at work on a growth, as far as one can tell."""

    @property
    def ready(self) -> tuple[Node, ...]:
        """Nodes on which Nomad places work now."""
        return tuple(node for node in self.nodes if node.ready)

    @property
    def capacity(self) -> int:
        """What was asked of Azure."""
        return self.scale_set.capacity if self.scale_set else 0

    @property
    def held(self) -> int:
        """What counts towards limits: where Azure keeps to the goal, capacity that never came may still come."""
        return self.existing if self._adds_up else max(self.capacity, self.existing)

    def target(self, bought: int) -> int:
        """The capacity to ask for so that so many more instances come; never less than what was asked before.

        A Uniform scale set keeps to its goal: asking again for the same capacity brings what never came. A Flexible one
        creates the difference between the new number and the old one, whatever exists (seen in production by others:
        https://github.com/dataplat/dbatools/pull/10540).
        """
        return self.capacity + bought if self._adds_up else max(self.capacity, self.existing + bought)

    def after(self, target: int) -> int:
        """How many instances count towards limits once Azure has brought what `target` asks for."""
        return self.existing + target - self.capacity if self._adds_up else max(target, self.existing)

    @property
    def _adds_up(self) -> bool:
        return self.pool.mode is Mode.FLEXIBLE

    def instance(self, name: str) -> Instance | None:
        """The listed instance of that name."""
        return next((each for each in self.instances or () if each.name.lower() == name.lower()), None)


def gaps_of(view: View) -> frozenset[Gap]:
    """The gaps that were reported, and those that the view itself betrays.

    Work on nodes that were not listed, or no nodes at all where there were some: such a list is not to be believed.
    """
    known = {node.id for node in view.nodes}
    stray = any(allocation.live and allocation.node not in known for allocation in view.allocations)
    vanished = not view.nodes and any(_has_lost_nodes(pool, view) for pool in view.pools)
    missing = any(pool.name not in view.scale_sets for pool in view.pools)
    found = set(view.gaps)
    found |= {Gap.NODES} if stray or vanished else set()
    found |= {Gap.SCALE_SETS} if missing else set()
    return frozenset(found)


def _has_lost_nodes(pool: Pool, view: View) -> bool:
    """Whether the pool once had nodes and has more machines than what is known never to have joined."""
    scale_set, template = view.scale_sets.get(pool.name), view.memory.templates.get(pool.name)
    if scale_set is None or template is None or template.source is not TemplateSource.SEEN:
        return False
    bought = sum(growth.target - growth.before for growth in view.memory.growths if growth.pool == pool.name)
    nodeless = sum(instance_is_of(pool.scale_set, name) for name in view.memory.first_seen)
    listed = view.instances.get(pool.name)
    alive = None if listed is None else sum(each.state is not InstanceState.DELETING for each in listed)
    return (scale_set.capacity if alive is None else alive) > max(bought, nodeless)


def claimed_by_others(view: View, rules: AutoscaleRules) -> frozenset[str]:
    """Names, in lower case, of the instances that another controller may change now."""
    return frozenset(
        claim.instance.lower()
        for claim in view.claims
        if _holds(claim, view.now) and claim.controller != rules.controller
    )


def _holds(claim: Claim, now: datetime) -> bool:
    return claim.expires > now


def is_leaving(node: Node, memory: Memory, rules: AutoscaleRules) -> bool:
    """Whether the node is out of service because of a drain of ours.

    A drain stays the node's last one after the node is eligible again. Once the node was seen ready since, that drain is
    over: who makes it ineligible later is somebody else.
    """
    last = node.last_drain
    if last is None or not node.drained_by(rules.controller) or not (node.draining or not node.eligible):
        return False
    return node.draining or memory.returned.get(node.name) != last.updated


def nodes_by_pool(view: View) -> Mapping[PoolName, tuple[Node, ...]]:
    """The nodes of each pool, sorted by name and then id. Nodes of no pool are in none."""
    prefixes = {pool.scale_set.lower(): pool.name for pool in view.pools}
    found: dict[PoolName, list[Node]] = {pool.name: [] for pool in view.pools}
    for node in view.nodes:
        pool = prefixes.get(node.name.lower().rpartition("_")[0])
        if pool is not None:
            found[pool].append(node)
    return {name: tuple(sorted(nodes, key=lambda n: (n.name.lower(), n.id))) for name, nodes in found.items()}


def joined(nodes: Iterable[Node]) -> frozenset[str]:
    """Names, in lower case, of the instances whose node is known and not down."""
    return frozenset(node.name.lower() for node in nodes if node.status is not NodeStatus.DOWN)


def take_stock(view: View, rules: AutoscaleRules) -> dict[PoolName, Stock]:
    """Every pool as it stands, in the order of the settings' `order`, then price, then name."""
    nodes = nodes_by_pool(view)
    pools = sorted(view.pools, key=lambda pool: (pool.order, pool.price, pool.name))
    return {pool.name: _stock(pool, nodes[pool.name], view, rules) for pool in pools}


def _stock(pool: Pool, nodes: tuple[Node, ...], view: View, rules: AutoscaleRules) -> Stock:
    scale_set = view.scale_sets.get(pool.name)
    capacity = scale_set.capacity if scale_set else 0
    listed = view.instances.get(pool.name)
    instances = None if listed is None else tuple(sorted(listed, key=lambda each: (each.name.lower(), each.id)))
    growing = _growing(scale_set, view, pool.name)
    known = frozenset(node.name.lower() for node in nodes)
    waking = sum(node.status is NodeStatus.INITIALIZING for node in nodes)
    if instances is None:
        unseen = max(capacity - len(known), 0)
        alive, late, existing = [], (), max(capacity, len(joined(nodes)))
    else:
        alive = [each for each in instances if each.state is not InstanceState.DELETING]
        nodeless = [each for each in alive if each.name.lower() not in known]
        late = tuple(each for each in nodeless if _is_late(each, view, rules))
        to_come = _to_come(pool, capacity - len(instances), view) if growing else 0
        arriving = sum(each.state in ARRIVING and each not in late for each in nodeless)
        unseen, existing = to_come + arriving, len(alive) + to_come
    gone = frozenset[str]() if instances is None else known - {each.name.lower() for each in alive}
    leaving = tuple(node for node in nodes if is_leaving(node, view.memory, rules) and node.name.lower() not in gone)
    return Stock(pool, scale_set, nodes, leaving, instances, unseen + waking, late, existing, growing)


def _growing(scale_set: ScaleSet | None, view: View, pool: PoolName) -> bool:
    ended = pool in view.finished or any(failure.pool == pool for failure in view.failures)
    asked = any(growth.pool == pool and arrived(growth, scale_set) for growth in view.memory.growths)
    return (asked and not ended) or (scale_set is not None and scale_set.provisioning in MOVING)


def _to_come(pool: Pool, missing: int, view: View) -> int:
    """How much of the missing capacity Azure is at work on: what a Flexible scale set lost earlier does not come back."""
    asked = [growth.target - growth.before for growth in view.memory.growths if growth.pool == pool.name]
    expected = sum(asked) if asked and pool.mode is Mode.FLEXIBLE else missing
    return max(min(missing, expected), 0)


def arrived(growth: Growth, scale_set: ScaleSet | None) -> bool:
    """Whether Azure has taken the growth in. One that only asks again for what is missing shows by the version alone."""
    if growth.operation is not None:
        return True
    if scale_set is None or scale_set.capacity < growth.target:
        return False
    return growth.target > growth.before or growth.etag is None or scale_set.etag != growth.etag


def _is_late(instance: Instance, view: View, rules: AutoscaleRules) -> bool:
    """An instance that somebody stopped is no latecomer: it is left to who stopped it."""
    since = view.memory.first_seen.get(instance.name)
    if since is None or instance.state is InstanceState.STOPPED:
        return False
    return view.now - max(since, instance.created or since) >= rules.join_timeout


def zones_of(stock: Stock) -> Mapping[InstanceName, str]:
    """The zone of each listed instance, by its name in lower case."""
    return {InstanceName(each.name.lower()): each.zone for each in stock.instances or ()}


def by_node[T](pairs: Iterable[tuple[str, T]]) -> Mapping[str, list[T]]:
    """What belongs to each node."""
    found: defaultdict[str, list[T]] = defaultdict(list)
    for node, item in pairs:
        found[node].append(item)
    return found


def zone_counts(stock: Stock) -> Counter[str]:
    """How many of the pool's instances that do not leave are in each zone it may use."""
    leaving = {node.name.lower() for node in stock.leaving}
    counts = Counter(dict.fromkeys(stock.pool.zones, 0))
    counts.update(
        each.zone
        for each in stock.instances or ()
        if each.state is not InstanceState.DELETING and each.name.lower() not in leaving
    )
    return counts
