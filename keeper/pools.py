"""The `POOLS` setting: a JSON list, one object per VM scale set of Nomad clients."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from keeper.core.model import Mode, Pool, PoolName, Priority, Resources


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a pool object: the field it fills, what is expected, how it is read, and its meaning."""

    field: str
    expected: str
    read: Callable[[Any], Any]
    meaning: str
    required: bool = False


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _name(value: object) -> PoolName:
    return PoolName(_text(value))


def _any_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError
    return value


def _price(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError
    return float(value)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(item) for item in cast("list[object]", value))


def _headroom(value: object) -> Resources:
    if not isinstance(value, dict):
        raise TypeError
    amounts = cast("dict[str, object]", value)
    return Resources(**{name: _whole(amount) for name, amount in amounts.items()})


KEYS = {
    "name": Key("name", "text", _name, "What operations, alerts and logs call it.", required=True),
    "scaleSet": Key("scale_set", "the scale set's name", _text, "The scale set.", required=True),
    "resourceGroup": Key("resource_group", "text", _text, "Resource group of the scale set.", required=True),
    "mode": Key("mode", "Uniform or Flexible", Mode, "Orchestration mode of the scale set.", required=True),
    "min": Key("minimum", "a whole number", _whole, "Never fewer instances; repaired at once.", required=True),
    "max": Key("maximum", "a whole number", _whole, "Never more instances.", required=True),
    "priority": Key("priority", "regular or spot", Priority, "Whether Azure may take instances back."),
    "zones": Key("zones", "a list of texts", _texts, "Zones of the scale set; kept in balance."),
    "order": Key("order", "a whole number", _whole, "Lower is tried first; 100 unless given."),
    "price": Key("price", "a number", _price, "Of one instance per hour; breaks ties, counts for LIMIT_COST_PER_HOUR."),
    "sku": Key("sku", "text", _any_text, "VM size; sizes an empty pool, and names its quota."),
    "nodeClass": Key("node_class", "text", _any_text, "Nomad node class of its clients."),
    "nodePool": Key("node_pool", "text", _text, "Nomad node pool of its clients; `default` unless given."),
    "datacenter": Key("datacenter", "text", _text, "Nomad datacenter of its clients; `dc1` unless given."),
    "headroom": Key("headroom", "an object of cpu (MHz), cores, memory (MiB), disk (MiB)", _headroom, "Kept free."),
}


def parse_pools(text: str) -> tuple[tuple[Pool, ...], list[str]]:
    """The pools, and every problem found, each naming the pool and the key."""
    try:
        parsed: Any = json.loads(text)
    except (ValueError, RecursionError) as exc:
        return (), [f"POOLS: expected a JSON list of pools, got text that is no JSON ({exc})"]
    if not isinstance(parsed, list) or not parsed:
        return (), ["POOLS: expected a JSON list with at least one pool"]
    problems: list[str] = []
    pools = [
        pool
        for i, item in enumerate(cast("list[Any]", parsed))
        if (pool := _pool(f"POOLS[{i}]", item, problems)) is not None
    ]
    for what, names in (("name", [str(p.name) for p in pools]), ("scaleSet", [p.scale_set.lower() for p in pools])):
        problems += [
            f"POOLS: expected each {what} once, got {name!r} twice"
            for name in sorted({n for n in names if names.count(n) > 1})
        ]
    return tuple(pools), problems


def _pool(where: str, item: object, problems: list[str]) -> Pool | None:
    if not isinstance(item, dict):
        problems.append(f"{where}: expected an object, got {json.dumps(item)}")
        return None
    given = cast("dict[str, Any]", item)
    before = len(problems)
    problems += [f"{where}.{key}: expected one of {', '.join(KEYS)}" for key in given if key not in KEYS]
    problems += [
        f"{where}.{name}: expected {key.expected}, got nothing"
        for name, key in KEYS.items()
        if key.required and name not in given
    ]
    values: dict[str, Any] = {}
    for name, key in KEYS.items():
        if name in given:
            try:
                values[key.field] = key.read(given[name])
            except (TypeError, ValueError):
                problems.append(f"{where}.{name}: expected {key.expected}, got {json.dumps(given[name])}")
    if len(problems) > before:
        return None
    pool = Pool(**values)
    if pool.maximum < pool.minimum:
        problems.append(f"{where}.max: expected at least min ({pool.minimum}), got {pool.maximum}")
    return pool
