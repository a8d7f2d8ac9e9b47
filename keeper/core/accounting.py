"""Folds what a look brought into memory: how growths ended, who joined, what has expired. No decision is made here."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from keeper.core.memory import FailureKind, Growth, GrowthFailure, Memory
from keeper.core.model import InstanceName, InstanceState, Pool, PoolName
from keeper.core.rules import AutoscaleRules
from keeper.core.setasides import forget_old, note_failure, take_cores
from keeper.core.stock import MOVING, Stock, arrived, take_stock
from keeper.core.view import Gap, View


def account(view: View, rules: AutoscaleRules) -> View:
    """The view with this tick's news in its memory."""
    pools = {pool.name: pool for pool in view.pools}
    view = _with_memory(view, _with_joins(view, rules))
    stocks = take_stock(view, rules)
    memory = forget_old(view.memory, view.now, view.finished)
    for failure in sorted(
        (*view.failures, *_late_failures(stocks.values(), view, rules)), key=lambda f: (f.at, f.pool)
    ):
        if failure.pool in pools:
            memory = note_failure(memory, failure, view.now, pools[failure.pool], rules)
    memory = _with_lost_asks(memory, stocks)
    growths = tuple(each for each in memory.growths if _goes_on(each, stocks.get(each.pool), view, rules))
    return _with_memory(
        view,
        replace(
            memory,
            growths=growths,
            pressures=tuple(each for each in memory.pressures if view.now < each.expires),
            grew=_grew(memory, stocks.values(), view.now, rules),
            returned=_returned(view, rules),
        ),
    )


def settle_requests(memory: Memory, stocks: dict[PoolName, Stock], now: datetime) -> Memory:
    """Memory without the requests that are reached or expired."""

    def holds(pool: PoolName, count: int, expires: datetime) -> bool:
        stock = stocks.get(pool)
        if stock is None or now >= expires:
            return False
        settled = not stock.upcoming and not stock.leaving and not stock.late
        return not (settled and stock.existing == count)

    kept = tuple(each for each in memory.requests if holds(each.pool, each.count, each.expires))
    return memory if kept == memory.requests else replace(memory, requests=kept)


def _with_memory(view: View, memory: Memory) -> View:
    return replace(view, memory=memory)


def _with_joins(view: View, rules: AutoscaleRules) -> Memory:
    """When each instance without a node was first seen; those that were late and are gone now are counted."""
    memory, now = view.memory, view.now
    if Gap.NODES in view.gaps:
        return memory
    known = {node.name.lower() for node in view.nodes}
    first: dict[InstanceName, datetime] = {}
    counts = dict(memory.never_joined)
    for pool in view.pools:
        listed = view.instances.get(pool.name)
        earlier = {name: since for name, since in memory.first_seen.items() if _is_of(pool, name)}
        if listed is None:
            first |= earlier if _was_not_looked_at(pool.name, view) else {}
            continue
        alive = {each.name for each in listed if each.state is not InstanceState.DELETING}
        first |= {name: earlier.get(name, now) for name in alive if name.lower() not in known}
        lost = [name for name in earlier if name not in alive and name.lower() not in known]
        late = sum(now - earlier[name] >= rules.join_timeout for name in lost)
        if late:
            counts[pool.name] = counts.get(pool.name, 0) + late
    return replace(memory, first_seen=dict(sorted(first.items())), never_joined=counts)


def _was_not_looked_at(pool: PoolName, view: View) -> bool:
    """Whether the pool's instances could not be listed. One that is quiet is not listed either, and has none without a node."""
    return pool not in view.instances and not {Gap.INSTANCES, Gap.SCALE_SETS}.isdisjoint(view.gaps)


def _is_of(pool: Pool, name: InstanceName) -> bool:
    return name.lower().rpartition("_")[0] == pool.scale_set.lower()


def _late_failures(stocks: Iterable[Stock], view: View, rules: AutoscaleRules) -> list[GrowthFailure]:
    """A pool whose instances never join has failed to grow, whatever Azure says."""
    found: list[GrowthFailure] = []
    for stock in stocks:
        if stock.late:
            gave_up = max(view.memory.first_seen[each.name] for each in stock.late) + rules.join_timeout
            booted = any(each.state is InstanceState.RUNNING for each in stock.late)
            kind = FailureKind.NEVER_JOINED if booted else FailureKind.NEVER_BOOTED
            names = ", ".join(each.name for each in stock.late)
            found.append(GrowthFailure(stock.pool.name, kind, gave_up, kind, f"no node joined for {names}"))
    return found


def _goes_on(growth: Growth, stock: Stock | None, view: View, rules: AutoscaleRules) -> bool:
    """Whether a growth is still under way. One that never reached Azure is not: it is decided anew.

    Nothing is forgotten while one could not look: what came of it has to be noted first.
    """
    if stock is None or stock.scale_set is None:
        return stock is not None and Gap.SCALE_SETS in view.gaps
    if view.now - growth.asked >= rules.join_timeout or not arrived(growth, stock.scale_set):
        return False
    if _was_not_looked_at(growth.pool, view):
        return True
    if growth.pool in view.finished:
        return False
    return growth.operation is not None or stock.scale_set.provisioning in MOVING


def _with_lost_asks(memory: Memory, stocks: dict[PoolName, Stock]) -> Memory:
    """What part of a quota was asked for by a growth that never reached Azure may be asked for again."""
    for growth in memory.growths:
        stock = stocks.get(growth.pool)
        if stock is not None and not arrived(growth, stock.scale_set):
            memory = take_cores(memory, growth.pool, -growth.cores, asked=growth.asked)
    return memory


def _grew(memory: Memory, stocks: Iterable[Stock], now: datetime, rules: AutoscaleRules) -> dict[PoolName, datetime]:
    kept = {pool: when for pool, when in memory.grew.items() if now - when < rules.settle_for}
    kept |= {stock.pool.name: now for stock in stocks if stock.upcoming}
    return dict(sorted(kept.items()))


def _returned(view: View, rules: AutoscaleRules) -> dict[InstanceName, datetime]:
    """Drains of ours that are over because their node was seen ready again."""
    names = {node.name for node in view.nodes}
    kept = {name: when for name, when in view.memory.returned.items() if name in names}
    for node in view.nodes:
        last = node.last_drain
        if last is not None and last.owner == rules.controller and node.ready:
            kept[node.name] = last.updated
    return dict(sorted(kept.items()))
