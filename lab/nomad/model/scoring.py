"""Scores beyond fitness: other allocations of the group, failed nodes, affinities, spread."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lab.nomad.model.constraints import meets, resolve
from lab.nomad.model.properties import PropertySet, even_boost

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.model.fitting import Option
    from lab.nomad.model.planning import Plan
    from lab.nomad.model.store import Record

_REST = "*"


class GroupScores:
    """The scores of one group during one evaluation."""

    def __init__(
        self, job: Record, group: Record, node_of: Callable[[str], Record | None], allocs: list[Record]
    ) -> None:
        self._job = job
        self._group = group
        tasks = group["Tasks"]
        self._affinities = [
            *(job["Affinities"] or ()),
            *(group["Affinities"] or ()),
            *(affinity for task in tasks for affinity in task["Affinities"] or ()),
        ]
        self._weights = sum(abs(affinity["Weight"]) for affinity in self._affinities)
        self._spreads = [
            (spread, _desired(spread, group["Count"]), PropertySet(spread["Attribute"], group["Name"], node_of))
            for spread in (*(job["Spreads"] or ()), *(group["Spreads"] or ()))
        ]
        for _, _, counts in self._spreads:
            counts.count_existing(allocs)
        self._spread_weights = sum(spread["Weight"] for spread, _, _ in self._spreads)
        self._lowest_boost = -1.0
        self.wide = bool(self._affinities or self._spreads)
        """Whether many nodes are to be compared, not a few."""

    def apply(self, option: Option, plan: Plan, *, avoid: bool) -> None:
        """Score one option."""
        key = (self._job["Namespace"], self._job["ID"], self._group["Name"])
        others = plan.use(option.node["ID"]).groups.get(key, 0)
        collides = others > 0
        penalty = -1.0 * (others + 1) / self._group["Count"] if collides else 0.0
        option.score("job-anti-affinity", penalty, counts=collides)
        option.score("node-reschedule-penalty", -1.0 if avoid else 0.0, counts=avoid)
        self._affinity(option)
        self._spread(option, plan)

    def _affinity(self, option: Option) -> None:
        if not self._affinities:
            option.score("node-affinity", 0.0, counts=False)
            return
        total = sum(affinity["Weight"] for affinity in self._affinities if meets(affinity, option.node))
        if total:
            option.score("node-affinity", total / self._weights)

    def _spread(self, option: Option, plan: Plan) -> None:
        total = sum(self._boost(option.node, plan, *spread) for spread in self._spreads)
        if total:
            option.score("allocation-spread", total)

    def _boost(self, node: Record, plan: Plan, spread: Record, desired: dict[str, float], counts: PropertySet) -> float:
        value = resolve(spread["Attribute"], node)
        used = Counter({name: count for name, count in counts.used(plan).items() if count})
        if value is None:
            return -1.0
        if not desired:
            return even_boost(used, value)
        target = desired.get(value, desired.get(_REST))
        if target is None:
            return -1.0
        if not target:
            return self._lowest_boost
        weight = spread["Weight"] / self._spread_weights
        boost = (target - (used.get(value, 0) + 1)) / target * weight
        self._lowest_boost = min(self._lowest_boost, boost)
        return boost


def _desired(spread: Record, count: int) -> dict[str, float]:
    desired = {t["Value"]: t["Percent"] / 100 * count for t in spread["SpreadTarget"] or ()}
    total = sum(desired.values())
    if 0 < total < count:
        desired[_REST] = count - total
    return desired
