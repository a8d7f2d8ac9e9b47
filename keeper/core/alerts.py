"""Azure Monitor alerts: the common alert schema into an `Alert`, and an alert into pressure on its pool.

Schema: https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-common-schema. Most fields may be null or absent, and
the same field comes in different types, so only what decides is required.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import cast

from keeper.core.memory import Memory, Pressure
from keeper.core.messages import parse_time
from keeper.core.model import Pool, PoolName, instance_is_of
from keeper.core.problems import FieldError, NotOurs
from keeper.core.rules import AutoscaleRules

SCHEMA = "azureMonitorCommonAlertSchema"

POOL_PROPERTY = "keeper-pool"
"""Custom property that names the pool to grow; `pool` is accepted too. It beats the alert's target."""


class Condition(StrEnum):
    """`monitorCondition`."""

    FIRED = "Fired"
    RESOLVED = "Resolved"


class Load(StrEnum):
    """Which way a metric points when a pool has too much to do."""

    HIGH = "high"
    LOW = "low"


GROWS: Mapping[str, Load] = {
    "percentage cpu": Load.HIGH,
    "cpu credits consumed": Load.HIGH,
    "network in total": Load.HIGH,
    "network out total": Load.HIGH,
    "vm cached iops consumed percentage": Load.HIGH,
    "vm uncached iops consumed percentage": Load.HIGH,
    "os disk iops consumed percentage": Load.HIGH,
    "data disk iops consumed percentage": Load.HIGH,
    "cpu credits remaining": Load.LOW,
    "available memory bytes": Load.LOW,
    "available memory percentage": Load.LOW,
}
"""Metrics of scale sets and VMs that call for more instances, in lower case, and which way
(https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-compute-virtualmachinescalesets-metrics).
An alert on another metric presses only on a pool that it names."""

ABOVE = frozenset({"greaterthan", "greaterthanorequal"})
BELOW = frozenset({"lessthan", "lessthanorequal", "lowerthan", "lowerthanorequal"})


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert about a pool of ours."""

    id: str
    rule: str
    condition: Condition
    fired: datetime
    pool: PoolName
    resolved: datetime | None = None
    presses: bool = True
    """Whether more instances would mend it; if not, it is only a reason to look."""


def parse_alert(body: object, pools: Iterable[Pool]) -> Alert:
    """The alert in a decoded webhook body.

    Raises `FieldError`, naming the field, when it is malformed or of another schema, and `NotOurs` when it is aimed at no
    pool of ours. An alert that names its pool presses on it; one that is aimed at a scale set does when its metric says so.
    """
    payload = _object("body", body)
    if payload.get("schemaId") != SCHEMA:
        raise FieldError("schemaId", SCHEMA, payload.get("schemaId"))
    data = _object("data", payload.get("data"))
    essentials = _object("data.essentials", data.get("essentials"))
    condition = _condition(essentials.get("monitorCondition"))
    resolved = essentials.get("resolvedDateTime")
    named = _named_pool(data)
    return Alert(
        id=_text("data.essentials.alertId", essentials.get("alertId")),
        rule=str(essentials.get("alertRule") or ""),
        condition=condition,
        fired=parse_time("data.essentials.firedDateTime", essentials.get("firedDateTime")),
        pool=_aim(named, essentials, tuple(pools)),
        resolved=parse_time("data.essentials.resolvedDateTime", resolved) if resolved else None,
        presses=named is not None or any(_calls_for_more(each) for each in _criteria(data)),
    )


def to_detail(alert: Alert) -> dict[str, object]:
    """The alert as it travels through the corridor."""
    return {
        "id": alert.id,
        "rule": alert.rule,
        "condition": alert.condition,
        "fired": alert.fired.isoformat(),
        "pool": alert.pool,
        "resolved": alert.resolved.isoformat() if alert.resolved else None,
    }


def from_detail(detail: Mapping[str, object]) -> Alert:
    """The alert out of the corridor; raises `FieldError`."""
    resolved = detail.get("resolved")
    return Alert(
        id=_text("detail.id", detail.get("id")),
        rule=str(detail.get("rule") or ""),
        condition=_condition(detail.get("condition")),
        fired=parse_time("detail.fired", detail.get("fired")),
        pool=PoolName(_text("detail.pool", detail.get("pool"))),
        resolved=parse_time("detail.resolved", resolved) if resolved else None,
    )


def fold_alert(memory: Memory, alert: Alert, now: datetime, rules: AutoscaleRules) -> Memory:
    """Memory with the alert in it. Doubled, late and reordered messages change nothing.

    One alert id is one alert. Of two fires the newer counts; a resolution counts for the fire that it ends and for older
    ones, also when it arrives first. A fire said to be in the future presses from now on and no longer than any other.
    """
    known = next((each for each in memory.pressures if each.alert == alert.id), None)
    if known is not None and known.fired > alert.fired:
        return memory
    expires = min(alert.fired, now) + rules.pressure_expiry
    ended = (alert.resolved or alert.fired) if alert.condition is Condition.RESOLVED else None
    if known is not None and known.fired == alert.fired:
        pressure = replace(known, resolved=known.resolved or ended)
    else:
        pressure = Pressure(alert.id, alert.rule, alert.pool, alert.fired, expires, resolved=ended)
        pressure = replace(pressure, stepped=known.stepped) if known is not None else pressure
    if pressure == known or now >= pressure.expires:
        return memory
    others = tuple(each for each in memory.pressures if each.alert != alert.id)
    return replace(memory, pressures=(*others, pressure))


def _aim(named: str | None, essentials: Mapping[str, object], pools: tuple[Pool, ...]) -> PoolName:
    if named is not None:
        found = next((pool.name for pool in pools if pool.name.lower() == named.lower()), None)
        if found is None:
            raise NotOurs("data.customProperties", "one of the pools " + ", ".join(p.name for p in pools), named)
        return found
    targets = _texts(essentials.get("alertTargetIDs"))
    pool = next((pool for target in targets for pool in pools if is_target_of(target, pool)), None)
    if pool is None:
        raise NotOurs("data.essentials.alertTargetIDs", "a scale set of ours", list(targets) or None)
    return pool.name


def is_target_of(target: str, pool: Pool) -> bool:
    """Whether an ARM id names the pool's scale set or one of its instances. ARM ids vary in case."""
    parts = target.lower().strip("/").split("/")
    pairs = dict(zip(parts[0::2], parts[1::2], strict=False))
    if pairs.get("resourcegroups") != pool.resource_group.lower():
        return False
    rest = parts[parts.index("providers") + 2 :] if "providers" in parts else []
    kinds = dict(zip(rest[0::2], rest[1::2], strict=False))
    if "virtualmachinescalesets" in kinds:
        return kinds["virtualmachinescalesets"] == pool.scale_set.lower()
    return instance_is_of(pool.scale_set, kinds.get("virtualmachines", ""))


def _named_pool(data: Mapping[str, object]) -> str | None:
    """Custom properties stand beside the context, repeat inside it, or are null."""
    context = data.get("alertContext")
    inner = cast("Mapping[str, object]", context).get("properties") if isinstance(context, dict) else None
    for given in (data.get("customProperties"), inner):
        if isinstance(given, dict):
            properties = {key.lower(): value for key, value in cast("dict[str, object]", given).items()}
            named = properties.get(POOL_PROPERTY) or properties.get("pool")
            if isinstance(named, str):
                return named
    return None


def _criteria(data: Mapping[str, object]) -> list[Mapping[str, object]]:
    given: object = data
    for key in ("alertContext", "condition", "allOf"):
        given = cast("Mapping[str, object]", given).get(key) if isinstance(given, dict) else None
    items = cast("list[object]", given) if isinstance(given, list) else []
    return [cast("Mapping[str, object]", each) for each in items if isinstance(each, dict)]


def _calls_for_more(criterion: Mapping[str, object]) -> bool:
    direction = GROWS.get(str(criterion.get("metricName")).lower())
    operator = str(criterion.get("operator")).lower()
    return operator in {Load.HIGH: ABOVE, Load.LOW: BELOW}[direction] if direction else False


def _condition(value: object) -> Condition:
    try:
        return Condition(value)
    except ValueError:
        raise FieldError("data.essentials.monitorCondition", "Fired or Resolved", value) from None


def _object(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise FieldError(name, "an object", value)
    return cast("Mapping[str, object]", value)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise FieldError(name, "text", value)
    return value


def _texts(value: object) -> tuple[str, ...]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return tuple(each for each in items if isinstance(each, str))
