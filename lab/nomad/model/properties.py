"""How the allocations of a job are spread over the values of a node property: for spread and distinct_property."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lab.nomad.model.constraints import resolve
from lab.nomad.model.usage import terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lab.nomad.model.planning import Plan
    from lab.nomad.model.store import Record


class PropertySet:
    """Counts of a job's allocations (of one group, or of all) by the value of one node property."""

    def __init__(self, attribute: str, group: str | None, node_of: Callable[[str], Record | None]) -> None:
        self.attribute = attribute
        self._group = group
        self._node_of = node_of
        self._existing: Counter[str] = Counter()

    def count_existing(self, allocs: Iterable[Record]) -> None:
        """Count what the job has running."""
        self._existing = self._values(alloc for alloc in allocs if not terminal(alloc))

    def used(self, plan: Plan) -> Counter[str]:
        """Answer the counts with a plan in place. A stopped allocation frees its value unless it is taken again."""
        proposed = self._values(plan.placed.values())
        cleared = self._values(plan.stops.values())
        used = self._existing + proposed
        for value, count in cleared.items():
            used[value] = max(0, used[value] - max(0, count - proposed[value]))
        return used

    def _values(self, allocs: Iterable[Record]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for alloc in allocs:
            if self._group is not None and alloc["TaskGroup"] != self._group:
                continue
            node = self._node_of(alloc["NodeID"])
            value = resolve(self.attribute, node) if node is not None else None
            if value is not None:
                counts[value] += 1
        return counts


def even_boost(used: Counter[str], value: str | None) -> float:
    """Answer how much a value is preferred when all values shall have the same count, in -1 to 1 (or more)."""
    counts = list(used.values())
    if not counts:
        return 0.0
    if value is None:
        return -1.0
    least, most = _least(counts), max(counts)
    current = used.get(value, 0)
    if current != least:
        return (least - current) / least if least else -1.0
    if least == most:
        return -1.0
    return (most - least) / least if least else 1.0


def _least(counts: list[int]) -> int:
    least = 0
    for count in counts:
        if least == 0 or count < least:
            least = count
    return least
