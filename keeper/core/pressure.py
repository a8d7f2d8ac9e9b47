"""Fired alerts press on their pools: one step per cooldown until they resolve or expire, whatever the demand."""

from dataclasses import replace
from datetime import datetime

from keeper.core.draft import Draft
from keeper.core.memory import Memory, Pressure
from keeper.core.model import PoolName
from keeper.core.plan import Reason
from keeper.core.stock import Stock


def is_active(pressure: Pressure, now: datetime) -> bool:
    """Whether the alert is fired still."""
    return pressure.resolved is None and now < pressure.expires


def is_pressed(memory: Memory, pool: PoolName, now: datetime) -> bool:
    """Whether some alert presses on the pool: it does not shrink then."""
    return pool in pressed(memory, now)


def pressed(memory: Memory, now: datetime) -> frozenset[PoolName]:
    """The pools on which some alert presses."""
    return frozenset(each.pool for each in memory.pressures if is_active(each, now))


def press(draft: Draft) -> None:
    """Take back what leaves a pool under pressure, at any time; else buy the step that is due.

    Either is remembered as a step; one that no limit lets through is tried again.
    """
    for name, stock in draft.stocks.items():
        if not is_pressed(draft.view.memory, name, draft.view.now):
            continue
        leaving = draft.leaving(stock)
        for node in leaving:
            draft.reclaim(node, name, Reason.PRESSURE)
        if leaving or (_is_due(draft, stock) and draft.buy(stock, draft.rules.pressure_step, Reason.PRESSURE)):
            _remember(draft, name)


def _is_due(draft: Draft, stock: Stock) -> bool:
    """The cooldown runs from the last step of any alert on the pool, unless that step never reached Azure."""
    memory, now = draft.view.memory, draft.view.now
    lost = draft.lost_growths(stock.pool.name)
    steps = [each.stepped for each in memory.pressures if each.pool == stock.pool.name and each.stepped is not None]
    return all(now - step >= draft.rules.pressure_cooldown for step in steps if step not in lost)


def _remember(draft: Draft, pool: PoolName) -> None:
    memory, now = draft.view.memory, draft.view.now
    pressures = tuple(
        replace(each, stepped=now) if each.pool == pool and is_active(each, now) else each for each in memory.pressures
    )
    draft.remember(replace(memory, pressures=pressures))
