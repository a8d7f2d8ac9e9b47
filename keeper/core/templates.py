"""What the next node of a pool will be like: as the last one seen, else as the scale set's tags say, else as its size."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from keeper.core.load import loads_of, overheads
from keeper.core.memory import Memory
from keeper.core.model import Node, NodeId, Pool, PoolName, Resources, ScaleSet, Template, TemplateSource
from keeper.core.rules import AutoscaleRules
from keeper.core.skus import OS_DISK, sku
from keeper.core.stock import nodes_by_pool, take_stock
from keeper.core.view import View

FRESH = timedelta(hours=1)
"""A template is read again after this long: attributes such as a driver's version change with each image."""

TAG = "keeper-node-"
ATTRIBUTE = "keeper-node-attr-"


def from_tags(tags: Mapping[str, str], pool: Pool) -> Template | None:
    """The template that a scale set's tags spell, or None when cpu or memory is missing or a number is none.

    Tags: `keeper-node-cpu-mhz`, `-memory-mb`, `-disk-mb`, `-cores`, `-class`, `-pool`, `-datacenter`, and one
    `keeper-node-attr-<attribute>` for each attribute that constraints may name. Tag names ignore case, as Azure's do.
    """
    given = {name.lower(): value for name, value in tags.items()}
    try:
        resources = Resources(
            cpu=int(given[TAG + "cpu-mhz"]),
            cores=int(given.get(TAG + "cores", "0")),
            memory=int(given[TAG + "memory-mb"]),
            disk=int(given.get(TAG + "disk-mb", OS_DISK)),
        )
    except (KeyError, ValueError):
        return None
    attributes = {
        f"attr.{name.removeprefix(ATTRIBUTE)}": tags_value for name, tags_value in given.items() if ATTRIBUTE in name
    }
    return Template(
        TemplateSource.TAGS,
        resources,
        node_class=given.get(TAG + "class", pool.node_class),
        node_pool=given.get(TAG + "pool", pool.node_pool),
        datacenter=given.get(TAG + "datacenter", pool.datacenter),
        attributes=attributes,
    )


def from_sku(name: str, pool: Pool) -> Template | None:
    """The template of a VM size, or None when its name does not tell."""
    found = sku(name)
    if found is None:
        return None
    return Template(TemplateSource.SKU, found.resources, pool.node_class, pool.node_pool, pool.datacenter)


def choose(view: View, memory: Memory) -> dict[PoolName, Template]:
    """The best template of each pool that has any."""
    chosen = {pool.name: _best(pool, view.scale_sets.get(pool.name), memory) for pool in view.pools}
    return {name: template for name, template in chosen.items() if template is not None}


def learn_from(view: View) -> tuple[PoolName, NodeId] | None:
    """The pool and the node from which to learn in this tick, the longest unknown first; None when all are fresh."""
    stale: list[tuple[str, PoolName, NodeId]] = []
    for pool, nodes in nodes_by_pool(view).items():
        ready = [node for node in nodes if node.ready]
        known = view.memory.templates.get(pool)
        if ready and (known is None or not _is_fresh(known, ready[-1], view)):
            seen = known.seen if known is not None else None
            stale.append((seen.isoformat() if seen else "", pool, ready[-1].id))
    return min(stale)[1:] if stale else None


def with_overheads(view: View, rules: AutoscaleRules) -> dict[PoolName, Template]:
    """The view's templates with what system work takes, as seen now, else as last seen, else as on sister pools."""
    stocks = take_stock(view, rules)
    seen = overheads(stocks.values(), loads_of(view))
    return {
        name: replace(template, overhead=seen.get(name) or _remembered(template, seen, view))
        for name, template in view.templates.items()
    }


def _remembered(template: Template, seen: Mapping[PoolName, Resources], view: View) -> Resources:
    if template.source is TemplateSource.SEEN:
        return template.overhead
    sisters = [taken for name, taken in seen.items() if view.templates[name].node_pool == template.node_pool]
    return max(sisters, key=lambda taken: (taken.memory, taken.cpu), default=Resources())


def _best(pool: Pool, scale_set: ScaleSet | None, memory: Memory) -> Template | None:
    seen = memory.templates.get(pool.name)
    if seen is not None:
        return seen
    tags = from_tags(scale_set.tags, pool) if scale_set else None
    return tags or from_sku(scale_set.sku if scale_set else pool.sku, pool)


def _is_fresh(known: Template, node: Node, view: View) -> bool:
    if known.source is not TemplateSource.SEEN or known.seen is None:
        return False
    alike = (known.node_class, known.node_pool, known.datacenter) == (node.node_class, node.node_pool, node.datacenter)
    return alike and view.now - known.seen < FRESH
