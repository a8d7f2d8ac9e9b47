"""Pools that Azure refused are set aside for a while, and all that share the reason with them.

How long follows the documented nature of each refusal (azure.md § 4, after Karpenter's Azure provider) and doubles with each
failure in a row. What part of an ask a quota still fits may be asked for meanwhile.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from keeper.core.memory import FailureKind, GrowthFailure, Memory, SetAside
from keeper.core.model import Pool, PoolName, Priority
from keeper.core.rules import AutoscaleRules
from keeper.core.skus import family_of

HOUR = timedelta(hours=1)
NEVER_ALLOWED = HOUR
"""A family quota of nothing does not change by waiting minutes."""

AT_LEAST: Mapping[FailureKind, timedelta] = {
    FailureKind.SKU_FAMILY_QUOTA: timedelta(minutes=10),
    FailureKind.LOW_PRIORITY_QUOTA: HOUR,
    FailureKind.ZONAL_ALLOCATION: HOUR,
    FailureKind.ALLOCATION: HOUR,
    FailureKind.OVERCONSTRAINED: HOUR,
    FailureKind.OVERCONSTRAINED_ZONAL: HOUR,
    FailureKind.SKU_NOT_AVAILABLE: HOUR,
}
"""The shortest time by kind; kinds that are not here wait for the settings' first time."""

SKU_ABSENT = timedelta(hours=23)
"""`SkuNotAvailable` for regular instances is a restriction of the subscription, not a shortage."""

PASSING: Mapping[FailureKind, timedelta] = {
    FailureKind.THROTTLED: timedelta(minutes=1),
    FailureKind.PREEMPTED: timedelta(minutes=1),
    FailureKind.CONFLICT: timedelta(minutes=1),
}
"""Not about capacity: the same growth may go through the next minute."""

FORGOTTEN_AFTER = timedelta(hours=3)
"""Failures are in a row until this long after the last set-aside ended (the reset of Kubernetes' cluster autoscaler)."""


class Configured(Protocol):
    """The settings that matter here."""

    @property
    def pools(self) -> tuple[Pool, ...]:
        """All pools."""
        ...

    @property
    def autoscale(self) -> AutoscaleRules:
        """The rules."""
        ...


def note_failures(memory: Memory, failures: Iterable[GrowthFailure], now: datetime, settings: Configured) -> Memory:
    """Memory with the pools of these failures set aside and their growths over. Doing so twice counts once."""
    pools = {pool.name: pool for pool in settings.pools}
    for failure in failures:
        if failure.pool in pools:
            memory = note_failure(memory, failure, now, pools[failure.pool], settings.autoscale)
    return memory


def note_failure(memory: Memory, failure: GrowthFailure, now: datetime, pool: Pool, rules: AutoscaleRules) -> Memory:
    """Memory with one failure in it, unless it knows that one or a later one already."""
    before = next((each for each in memory.set_asides if each.pool == failure.pool), None)
    if before is not None and before.since >= failure.at:
        return memory
    row = before.failures + 1 if before is not None and before.kind is failure.kind else 1
    aside = SetAside(
        failure.kind,
        failure.pool,
        until=now + how_long(failure, pool, row, rules),
        failures=row,
        since=failure.at,
        zones=failure.zones or (pool.zones if len(pool.zones) == 1 else ()),
        cores_left=failure.cores_left,
    )
    others = tuple(each for each in memory.set_asides if each.pool != failure.pool)
    growths = tuple(each for each in memory.growths if each.pool != failure.pool)
    return replace(memory, set_asides=(*others, aside), growths=growths)


def how_long(failure: GrowthFailure, pool: Pool, row: int, rules: AutoscaleRules) -> timedelta:
    """The time for the `row`-th failure in a row: doubled each time up to the most, never less than its kind needs."""
    kind = failure.kind
    first = PASSING.get(kind, rules.set_aside_first)
    doubled = min(first * 2 ** min(row - 1, 20), rules.set_aside_most)
    if kind is FailureKind.SKU_NOT_AVAILABLE and pool.priority is Priority.REGULAR:
        return max(doubled, SKU_ABSENT)
    if kind is FailureKind.SKU_FAMILY_QUOTA and failure.limit == 0:
        return max(doubled, NEVER_ALLOWED)
    return max(doubled, AT_LEAST.get(kind, timedelta()))


def take_cores(memory: Memory, pool: PoolName, cores: int, *, asked: datetime) -> Memory:
    """Memory with so many cores less to ask for while the pool is set aside; negative when an ask did not arrive."""

    def taken(aside: SetAside) -> SetAside:
        if aside.pool != pool or aside.cores_left is None or aside.since > asked:
            return aside
        return replace(aside, cores_left=max(aside.cores_left - cores, 0))

    return replace(memory, set_asides=tuple(taken(each) for each in memory.set_asides))


def forget_old(memory: Memory, now: datetime, finished: frozenset[PoolName]) -> Memory:
    """Memory without set-asides that ended long ago, or that ended and were followed by a growth that went well."""
    kept = tuple(
        each
        for each in memory.set_asides
        if now < each.until or (now < each.until + FORGOTTEN_AFTER and each.pool not in finished)
    )
    return memory if kept == memory.set_asides else replace(memory, set_asides=kept)


def aside_for(pool: Pool, pools: Mapping[PoolName, Pool], memory: Memory, now: datetime) -> SetAside | None:
    """The set-aside that keeps `pool` from growing now; its own one first, then the one that lasts longest."""
    holding = [
        each
        for each in memory.set_asides
        if now < each.until and each.pool in pools and shares(each, pools[each.pool], pool)
    ]
    return max(holding, key=lambda each: (each.pool == pool.name, each.until), default=None)


def shares(aside: SetAside, failed: Pool, other: Pool) -> bool:
    """Whether what refused `failed` would refuse `other` as well."""
    alike = bool(failed.sku) and failed.priority is other.priority
    match aside.kind:
        case FailureKind.SKU_FAMILY_QUOTA:
            shared = alike and family_of(failed.sku) == family_of(other.sku)
        case FailureKind.SKU_NOT_AVAILABLE:
            shared = alike and failed.sku.lower() == other.sku.lower()
        case FailureKind.LOW_PRIORITY_QUOTA:
            shared = other.priority is Priority.SPOT
        case FailureKind.REGIONAL_QUOTA:
            shared = True
        case FailureKind.ZONAL_ALLOCATION | FailureKind.OVERCONSTRAINED_ZONAL:
            shared = bool(other.zones) and set(other.zones) <= set(aside.zones)
        case _:
            shared = False
    return shared or failed.name == other.name
