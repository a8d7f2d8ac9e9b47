"""What a scheduler notes while it looks for a node: AllocMetric on the wire."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

KEPT_SCORES = 5
ALLOCATION_TIME = 40_000
"""Nanoseconds. The model takes no time; a real scheduler takes about this long for a choice."""


class Metrics:
    """The notes of one choice. `record()` freezes them into the wire's shape."""

    __slots__ = (
        "available",
        "class_exhausted",
        "class_filtered",
        "coalesced",
        "constraint_filtered",
        "dimension_exhausted",
        "evaluated",
        "exhausted",
        "filtered",
        "in_pool",
        "resources_exhausted",
        "scored",
    )

    def __init__(self) -> None:
        self.evaluated = self.filtered = self.exhausted = self.coalesced = self.in_pool = 0
        self.available: dict[str, int] | None = None
        self.class_filtered: Counter[str] = Counter()
        self.constraint_filtered: Counter[str] = Counter()
        self.class_exhausted: Counter[str] = Counter()
        self.dimension_exhausted: Counter[str] = Counter()
        self.resources_exhausted: dict[str, Record] | None = None
        self.scored: list[tuple[str, float, dict[str, float]]] = []

    def filter(self, node: Record, why: str) -> None:
        """Note that a node cannot take the work whatever room it has."""
        self.filtered += 1
        if node["NodeClass"]:
            self.class_filtered[node["NodeClass"]] += 1
        if why:
            self.constraint_filtered[why] += 1

    def exhaust(self, node: Record, dimension: str) -> None:
        """Note that a node could take the work and has no room in this dimension."""
        self.exhausted += 1
        if node["NodeClass"]:
            self.class_exhausted[node["NodeClass"]] += 1
        if dimension:
            self.dimension_exhausted[dimension] += 1

    def add_exhausted_resources(self, group: Record) -> None:
        """Add what one more allocation of the group asks for, in the dimensions found exhausted (cpu and memory)."""
        if not self.dimension_exhausted:
            return
        if self.resources_exhausted is None:
            self.resources_exhausted = {}
        for task in group["Tasks"]:
            entry = self.resources_exhausted.setdefault(task["Name"], _nothing())
            if self.dimension_exhausted["cpu"]:
                entry["CPU"] += task["Resources"]["CPU"]
            if self.dimension_exhausted["memory"]:
                entry["MemoryMB"] += task["Resources"]["MemoryMB"]

    def merge_filtered(self, other: Metrics) -> None:
        """Add the filtered nodes of another choice (system jobs choose once per node)."""
        self.evaluated += other.evaluated
        self.filtered += other.filtered
        self.class_filtered += other.class_filtered
        self.constraint_filtered += other.constraint_filtered

    def record(self) -> Record:
        """Answer the notes in the wire's shape."""
        best = sorted(self.scored, key=lambda score: -score[1])[:KEPT_SCORES]
        return {
            "AllocationTime": ALLOCATION_TIME,
            "ClassExhausted": _positive(self.class_exhausted),
            "ClassFiltered": _positive(self.class_filtered),
            "CoalescedFailures": self.coalesced,
            "ConstraintFiltered": _positive(self.constraint_filtered),
            "DimensionExhausted": _positive(self.dimension_exhausted),
            "NodesAvailable": self.available,
            "NodesEvaluated": self.evaluated,
            "NodesExhausted": self.exhausted,
            "NodesFiltered": self.filtered,
            "NodesInPool": self.in_pool,
            "QuotaExhausted": None,
            "ResourcesExhausted": self.resources_exhausted,
            "ScoreMetaData": [{"NodeID": node, "NormScore": final, "Scores": scores} for node, final, scores in best]
            or None,
            "Scores": None,
        }


def _positive(counts: Counter[str]) -> dict[str, int] | None:
    return {name: count for name, count in counts.items() if count} or None


def _nothing() -> Record:
    return {
        "CPU": 0,
        "Cores": 0,
        "Devices": None,
        "DiskMB": 0,
        "IOPS": 0,
        "MemoryMB": 0,
        "MemoryMaxMB": 0,
        "Networks": None,
    }
