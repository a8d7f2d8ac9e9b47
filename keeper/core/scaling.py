"""The whole decision of one autoscale tick, as a commented checklist. Pure: equal views give equal plans.

Growing never waits for shrinking, and nothing shrinks on a view with a gap. Each step sees what the steps before it decided.
"""

from dataclasses import replace

from keeper.core import explain
from keeper.core.accounting import account, settle_requests
from keeper.core.demand import waiting
from keeper.core.draft import Draft
from keeper.core.draining import find_unneeded, start_drains
from keeper.core.leaving import finish, lift_deadlines, tidy
from keeper.core.load import loads_of
from keeper.core.market import open_market
from keeper.core.memory import Growth, Memory
from keeper.core.model import NodeStatus, PoolName
from keeper.core.plan import Action, Grow, Plan, Reason
from keeper.core.pressure import press
from keeper.core.rooms import Rooms
from keeper.core.rules import AutoscaleRules
from keeper.core.serving import serve
from keeper.core.setasides import take_cores
from keeper.core.stock import arrived, claimed_by_others, gaps_of, joined, nodes_by_pool, take_stock
from keeper.core.templates import with_overheads
from keeper.core.view import View


def plan_autoscale(view: View, rules: AutoscaleRules) -> Plan:
    """What to do now, and what to remember before doing it."""
    if view.memory.paused is not None:
        return Plan((), Reason.PAUSED, f"paused: {view.memory.paused}", view.memory)
    draft = _begin(view, rules)
    tidy(draft)
    _repair_floors(draft)
    _meet_requests(draft)
    press(draft)
    serve(draft)
    lift_deadlines(draft)
    if draft.gaps:
        draft.remember(replace(draft.view.memory, unneeded={}))
    else:
        start_drains(draft, find_unneeded(draft))
        finish(draft)
    return _conclude(draft)


def instances_wanted(view: View, rules: AutoscaleRules) -> tuple[PoolName, ...]:
    """The pools whose instances this tick must list, sorted: those that are not just ready nodes, or might shrink.

    On a quiet tick there is none: every unit of capacity is a ready node.
    """
    stocks, memory = take_stock(view, rules), view.memory
    restless = {failure.pool for failure in view.failures} | {growth.pool for growth in memory.growths}
    restless |= {request.pool for request in memory.requests}
    due = {name.lower() for name, since in memory.unneeded.items() if view.now - since >= rules.unneeded_for}
    waiting = {name.lower() for name in memory.first_seen}
    nodes = nodes_by_pool(view)
    return tuple(
        sorted(
            name
            for name, stock in stocks.items()
            if stock.scale_set is not None
            and (
                name in restless
                or stock.leaving
                or stock.capacity != len(joined(nodes[name]))
                or any(node.status is NodeStatus.DOWN for node in stock.nodes)
                or any(node.name.lower() in due for node in stock.nodes)
                or any(each.rpartition("_")[0] == stock.pool.scale_set.lower() for each in waiting)
            )
        )
    )


def subnets_wanted(view: View, rules: AutoscaleRules) -> tuple[str, ...]:
    """The subnets whose free addresses this tick must count, sorted: those of all pools, when one of them may grow."""
    memory = view.memory
    short = any(stock.existing < stock.pool.minimum for stock in take_stock(view, rules).values())
    if memory.paused is not None or not (short or memory.pressures or memory.requests or waiting(view)):
        return ()
    return tuple(sorted({each.subnet for each in view.scale_sets.values()} - {""}))


def _begin(view: View, rules: AutoscaleRules) -> Draft:
    """Account for what happened since, and lay out what there is."""
    growths, gaps = view.memory.growths, gaps_of(view)
    sizes = {name: scale_set.sku for name, scale_set in view.scale_sets.items()}
    pools = tuple(replace(pool, sku=sizes.get(pool.name) or pool.sku) for pool in view.pools)
    view = account(replace(view, pools=pools, gaps=gaps), rules)
    stocks = take_stock(view, rules)
    view = replace(view, memory=settle_requests(view.memory, stocks, view.now))
    view = replace(view, templates=with_overheads(view, rules))
    loads, others = loads_of(view), claimed_by_others(view, rules)
    rooms = Rooms(view, stocks, loads)
    ready = [node for node in view.nodes if node.ready and node.name.lower() not in others]
    free = rooms.of_nodes(sorted(ready, key=lambda node: (node.name.lower(), node.id)))
    lost = frozenset(g.pool for g in growths if g.pool in stocks and not arrived(g, stocks[g.pool].scale_set))
    market = open_market(view, stocks, rooms, rules, lost)
    return Draft(view, rules, gaps, stocks, loads, rooms, market, others, free, growths)


def _meet_requests(draft: Draft) -> None:
    for request in draft.view.memory.requests:
        stock = draft.stocks.get(request.pool)
        if stock is not None and draft.staying(stock) < request.count:
            draft.add(stock, request.count - draft.staying(stock), Reason.REQUEST)


def _repair_floors(draft: Draft) -> None:
    for stock in draft.stocks.values():
        short = stock.pool.minimum - draft.staying(stock)
        if short > 0:
            draft.add(stock, short, Reason.FLOOR)


def _conclude(draft: Draft) -> Plan:
    """Order the actions, what protects and what gives before what takes, and write down what cannot be derived."""
    grows = draft.grows()
    lifts = sorted(draft.lifts, key=lambda lift: lift.instance)
    reclaims = sorted(draft.reclaims.values(), key=lambda reclaim: reclaim.instance)
    actions: tuple[Action, ...] = (
        *lifts,
        *reclaims,
        *grows,
        *draft.drains,
        *draft.deletes,
        *draft.purges,
    )
    plan = Plan(actions, Reason.STEADY, "", _remembered(draft, grows), tuple(draft.rejected), tuple(draft.cuts))
    reason = explain.reason_of(plan, blind=bool(draft.gaps))
    return replace(plan, reason=reason, sentence=explain.sentence(plan, draft.view, draft.stocks, draft.gaps))


def _remembered(draft: Draft, grows: list[Grow]) -> Memory:
    memory, now = draft.view.memory, draft.view.now
    offers = draft.market.offers
    cores = {grow.pool: offers[grow.pool].bought * offers[grow.pool].cores for grow in grows}
    asked = {g.pool: Growth(g.pool, now, g.before, g.target, None, g.etag, cores[g.pool]) for g in grows}
    for growth in asked.values():
        memory = take_cores(memory, growth.pool, growth.cores, asked=now)
    growths = tuple(each for each in memory.growths if each.pool not in asked)
    growths = tuple(sorted((*growths, *asked.values()), key=lambda each: each.pool))
    seen = {name: each for name, each in draft.view.templates.items() if name in memory.templates}
    grew = {**memory.grew, **dict.fromkeys(asked, now)}
    return replace(memory, growths=growths, grew=dict(sorted(grew.items())), templates={**memory.templates, **seen})
