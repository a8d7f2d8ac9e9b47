"""The named rules that a plan must keep. The controller asks them before it acts, the property tests after every plan.

Each guard reads the plan and the view afresh and trusts nothing that planning worked out. A broken guard is a bug.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from keeper.core.disruption import Objections
from keeper.core.draining import budget_of
from keeper.core.leaving import SLACK, deadline_of
from keeper.core.load import IDLE, Load, Loads, loads_of
from keeper.core.market import cores_per_instance
from keeper.core.model import InstanceName, InstanceState, JobKind, Node, NodeId, NodeStatus, PoolName, Resources
from keeper.core.plan import Delete, Drain, Grow, Plan, Purge, Reclaim
from keeper.core.rules import AutoscaleRules
from keeper.core.stock import Stock, claimed_by_others, gaps_of, is_leaving, take_stock
from keeper.core.view import View


class Violation(NamedTuple):
    """A guard and what breaks it."""

    guard: str
    what: str


class Facts(NamedTuple):
    """What guards look at, worked out once from plan, view and rules."""

    plan: Plan
    view: View
    rules: AutoscaleRules
    stocks: Mapping[PoolName, Stock]
    loads: Loads
    nodes: Mapping[NodeId, Node]

    def load(self, node: NodeId) -> Load:
        """What a node carries."""
        return self.loads.get(node, IDLE)

    def actions[A](self, kind: type[A]) -> list[A]:
        """The plan's actions of one kind."""
        return [action for action in self.plan.actions if isinstance(action, kind)]

    def lifts(self) -> list[Drain]:
        """Drains that only take the deadline off one that runs already."""
        return [drain for drain in self.actions(Drain) if drain.deadline is None and self.leaves(drain.node)]

    def new_drains(self) -> list[Drain]:
        """Drains of nodes that did not leave before."""
        return [drain for drain in self.actions(Drain) if drain not in self.lifts()]

    def leaves(self, node: NodeId) -> bool:
        """Whether the node leaves because of a drain of ours."""
        return node in self.nodes and is_leaving(self.nodes[node], self.view.memory, self.rules)

    def named(self, name: InstanceName) -> list[Node]:
        """The nodes of that name: after a reimage there may be two."""
        return [node for node in self.view.nodes if node.name.lower() == name.lower()]


type Guard = Callable[[Facts], Iterator[str]]


def check(plan: Plan, view: View, rules: AutoscaleRules) -> list[Violation]:
    """Every violation, by guard; none for a good plan."""
    stocks, loads = take_stock(view, rules), loads_of(view)
    facts = Facts(plan, view, rules, stocks, loads, {node.id: node for node in view.nodes})
    return [Violation(name, what) for name, guard in GUARDS.items() for what in guard(facts)]


def paused_does_nothing(facts: Facts) -> Iterator[str]:
    """While autoscale is paused nothing is changed."""
    if facts.view.memory.paused is not None and facts.plan.actions:
        yield f"{len(facts.plan.actions)} actions while paused"


def within_bounds(facts: Facts) -> Iterator[str]:
    """No pool grows beyond its maximum, and none shrinks below its minimum."""
    for grow in facts.actions(Grow):
        stock = facts.stocks[grow.pool]
        if stock.after(grow.target) > stock.pool.maximum:
            yield f"{grow.pool} would grow to {stock.after(grow.target)}"
    drained = Counter(drain.pool for drain in facts.new_drains())
    for pool, count in drained.items():
        stock = facts.stocks[pool]
        if len(stock.ready) - count < stock.pool.minimum:
            yield f"{pool} would keep {len(stock.ready) - count} ready nodes"
    for delete in facts.actions(Delete):
        stock = facts.stocks[delete.pool]
        late = {instance.name for instance in stock.late}
        alive = [each.name for each in stock.instances or () if each.state is not InstanceState.DELETING]
        left = len(set(alive) - late - set(delete.instances))
        if set(delete.instances) - late and left < stock.pool.minimum:
            yield f"{delete.pool} would keep {left} instances"


def never_lower(facts: Facts) -> Iterator[str]:
    """Capacity is never lowered by a growth: Azure would choose the victim."""
    for grow in facts.actions(Grow):
        capacity = facts.stocks[grow.pool].capacity
        if grow.before != capacity or grow.target < capacity:
            yield f"{grow.pool} would be set from {capacity} to {grow.target}"


def whole_view_to_shrink(facts: Facts) -> Iterator[str]:
    """Nothing shrinks when a read failed or cannot be believed."""
    gaps = gaps_of(facts.view)
    if gaps:
        taking = [*facts.new_drains(), *facts.actions(Delete), *facts.actions(Purge)]
        yield from (f"{type(each).__name__} while {', '.join(sorted(gaps))} were not seen" for each in taking)


def empty_before_delete(facts: Facts) -> Iterator[str]:
    """No instance is deleted while work lives on its node, but for service work long past its deadline."""
    for delete in facts.actions(Delete):
        for name in delete.instances:
            for node in facts.named(name):
                load, deadline = facts.load(node.id), deadline_of(node, facts.rules)
                overdue = deadline is not None and facts.view.now >= deadline + SLACK
                if load.work and (load.batch or not overdue):
                    yield f"{name} carries {len(load.work)} allocations"


def batch_waits(facts: Facts) -> Iterator[str]:
    """Batch work is waited for: no drain of ours ends it, neither a new one nor one that runs."""
    for drain in facts.actions(Drain):
        if drain.deadline is not None and facts.load(drain.node).batch:
            yield f"{drain.instance} would be drained with a deadline"
    spared = {each.node for each in facts.lifts()} | {each.node for each in facts.actions(Reclaim)}
    others = claimed_by_others(facts.view, facts.rules)
    for stock in facts.stocks.values():
        for node in stock.nodes:
            draining = node.draining and facts.leaves(node.id)
            threatened = draining and deadline_of(node, facts.rules) is not None and facts.load(node.id).batch
            lost = node.status is not NodeStatus.READY or node.name.lower() in others
            if threatened and not lost and node.id not in spared and facts.view.memory.paused is None:
                yield f"{node.name} keeps its deadline"


def protected_stays(facts: Facts) -> Iterator[str]:
    """Protected instances stay, and so does work that must not be moved or asked not to be."""
    protected = {
        each.name.lower() for stock in facts.stocks.values() for each in stock.instances or () if each.protected
    }
    touched = [drain.instance for drain in facts.new_drains()]
    touched += [name for delete in facts.actions(Delete) for name in delete.instances]
    yield from (f"{name} is protected" for name in touched if name.lower() in protected)
    objections = Objections(facts.view)
    for drain in facts.new_drains():
        yield from (f"{drain.instance}: {why}" for why in objections.of(facts.load(drain.node).work))


def ours_only(facts: Facts) -> Iterator[str]:
    """Only what the keeper made is undone or deleted; only nodes of gone instances are forgotten."""
    for reclaim in facts.actions(Reclaim):
        last = facts.nodes[reclaim.node].last_drain
        if last is None or last.owner != facts.rules.controller:
            yield f"{reclaim.instance} was not drained by {facts.rules.controller}"
    for delete in facts.actions(Delete):
        stock = facts.stocks[delete.pool]
        late = {instance.name for instance in stock.late}
        for name in delete.instances:
            nodes = facts.named(name)
            if not (all(facts.leaves(node.id) for node in nodes) if nodes else name in late):
                yield f"{name} neither leaves nor is late"
    for purge in facts.actions(Purge):
        node = facts.nodes[purge.node]
        owner = next((stock for stock in facts.stocks.values() if node in stock.nodes), None)
        if owner is None or owner.instances is None or owner.instance(node.name) or node.status is not NodeStatus.DOWN:
            yield f"{purge.instance} is not known to be gone"


def one_claim(facts: Facts) -> Iterator[str]:
    """No instance that another controller claims is touched, and none twice in one plan."""
    names = [each.instance for kind in (Drain, Reclaim, Purge) for each in facts.actions(kind)]
    names += [name for delete in facts.actions(Delete) for name in delete.instances]
    claimed = claimed_by_others(facts.view, facts.rules)
    yield from (f"{name} is claimed by another controller" for name in names if name.lower() in claimed)
    yield from (f"{name} is changed {count} times" for name, count in Counter(names).items() if count > 1)


def drain_budget(facts: Facts) -> Iterator[str]:
    """No more nodes leave a pool at once than its budget, and no two drains move the same service job."""
    drains = facts.new_drains()
    taken_back = {reclaim.node for reclaim in facts.actions(Reclaim)}
    for pool, count in Counter(drain.pool for drain in drains).items():
        stock = facts.stocks[pool]
        leaving = sum(node.id not in taken_back for node in stock.leaving)
        if leaving + count > budget_of(stock, facts.rules):
            yield f"{leaving + count} nodes would be leaving {pool}"
    moving = [node.id for node in facts.view.nodes if node.draining] + [drain.node for drain in drains]
    jobs = Counter(
        job for node in moving for job in {each.job for each in facts.load(node).work if each.kind is JobKind.SERVICE}
    )
    new = {each.job for drain in drains for each in facts.load(drain.node).work}
    yield from (f"{job.id} would be moved by {count} drains" for job, count in jobs.items() if count > 1 and job in new)


def overall_limits(facts: Facts) -> Iterator[str]:
    """No growth beyond the limits of instances, cores and cost over all pools."""
    grows = [grow for grow in facts.actions(Grow) if grow.target > grow.before]
    if not grows:
        return
    held = {name: stock.held for name, stock in facts.stocks.items()}
    held |= {grow.pool: facts.stocks[grow.pool].after(grow.target) for grow in grows}
    cores = sum(count * cores_per_instance(facts.view, facts.stocks[name]) for name, count in held.items())
    cost = sum(count * facts.stocks[name].pool.price for name, count in held.items())
    rules = facts.rules
    if sum(held.values()) > rules.max_instances:
        yield f"{sum(held.values())} instances"
    if cores > rules.max_cores and any(cores_per_instance(facts.view, facts.stocks[grow.pool]) for grow in grows):
        yield f"{cores} cores"
    if rules.max_cost and cost > rules.max_cost + 1e-6 and any(facts.stocks[grow.pool].pool.price for grow in grows):
        yield f"a cost of {cost:g} per hour"


def addresses_left(facts: Facts) -> Iterator[str]:
    """No growth beyond the free addresses of a subnet, as far as they are known: Azure would refuse it as a whole."""
    needed: Counter[str] = Counter()
    for grow in facts.actions(Grow):
        stock = facts.stocks[grow.pool]
        if stock.scale_set is not None:
            needed[stock.scale_set.subnet] += max(stock.after(grow.target) - stock.held, 0)
    for subnet, count in needed.items():
        if count > facts.view.free_addresses.get(subnet, count):
            yield f"{count} instances in {subnet}"


def work_fits_elsewhere(facts: Facts) -> Iterator[str]:
    """The work of nodes that are drained is not more than other ready nodes have free, and each piece fits on one."""
    drained = {drain.node for drain in facts.new_drains()}
    if not drained:
        return
    free = [n.resources - facts.load(n.id).taken for n in facts.view.nodes if n.ready and n.id not in drained]
    moved = [each for node in drained for each in facts.load(node).work]
    room, needed = Resources(), Resources()
    for each in free:
        room += Resources(max(each.cpu, 0), max(each.cores, 0), max(each.memory, 0), max(each.disk, 0))
    for each in moved:
        spec = facts.view.jobs.get(each.job)
        group = spec.groups.get(each.group) if spec else None
        size = group.resources if group else each.resources
        needed += size
        if not any(place.covers(size) for place in free):
            yield f"{each.job.id}/{each.group} fits on no other node"
    if not room.covers(needed):
        yield f"too little {', '.join(room.exceeded(needed))} elsewhere"


GUARDS: Mapping[str, Guard] = {
    "paused-does-nothing": paused_does_nothing,
    "within-bounds": within_bounds,
    "never-lower": never_lower,
    "whole-view-to-shrink": whole_view_to_shrink,
    "empty-before-delete": empty_before_delete,
    "batch-waits": batch_waits,
    "protected-stays": protected_stays,
    "ours-only": ours_only,
    "one-claim": one_claim,
    "drain-budget": drain_budget,
    "overall-limits": overall_limits,
    "addresses-left": addresses_left,
    "work-fits-elsewhere": work_fits_elsewhere,
}
"""Every guard by its name, in the order in which they are asked."""
