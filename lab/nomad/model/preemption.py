"""Which allocations of lower priority to evict so that a group fits a node."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.nomad.model.planning import Plan
    from lab.nomad.model.resources import Room, Take
    from lab.nomad.model.store import Record
    from lab.nomad.model.usage import NodeUse

PRIORITY_GAP = 10
_PARALLEL_PENALTY = 50.0
_RATE, _ORIGIN = 0.0048, 2048.0
Candidate = tuple["Record", "Take"]


def preempt_for_room(job: Record, room: Room, use: NodeUse, ask: Take, plan: Plan) -> list[Record]:
    """Answer the allocations to evict so that `ask` fits in cpu, memory and disk; none when that cannot be had."""
    if not any(n and job["Priority"] - priority >= PRIORITY_GAP for priority, n in use.priorities.items()):
        return []
    free = [room.cpu - use.cpu, room.memory - use.memory, room.disk - use.disk]
    wanted = [ask.cpu, ask.memory, ask.disk]
    needed = list(wanted)
    available = list(free)
    chosen: list[Candidate] = []
    for group in _by_priority(job, use):
        while group and not _covers(available, wanted):
            best = min(group, key=lambda c: _distance(needed, c[1]) + _penalty(c[0], plan))
            group.remove(best)
            chosen.append(best)
            available = [a + t for a, t in zip(available, _amounts(best[1]), strict=True)]
            needed = [n - t for n, t in zip(needed, _amounts(best[1]), strict=True)]
    if not chosen or not _covers(available, wanted):
        return []
    return _fewest(chosen, free, wanted)


def preempt_for_port(job: Record, use: NodeUse, ports: set[int]) -> list[Record]:
    """Answer the allocations that hold these ports, if all of them may be evicted."""
    holders = [alloc for alloc, take in use.allocs.values() if any(number in ports for _, number in take.ports)]
    return holders if all(may_preempt(job, alloc) for alloc in holders) else []


def may_preempt(job: Record, alloc: Record) -> bool:
    """Answer whether a job may evict an allocation: its priority must be higher by at least ten."""
    return job["Priority"] - alloc["Job"]["Priority"] >= PRIORITY_GAP


def preemption_score(evicted: list[Record]) -> float:
    """Answer the score of a node with these evictions: near 1 for low priorities."""
    priorities = [alloc["Job"]["Priority"] for alloc in evicted]
    net = max(priorities) + sum(priorities) / max(priorities)
    return 1.0 / (1.0 + math.exp(_RATE * (net - _ORIGIN)))


def _by_priority(job: Record, use: NodeUse) -> list[list[Candidate]]:
    groups: dict[int, list[Candidate]] = {}
    for alloc, take in use.allocs.values():
        if may_preempt(job, alloc):
            groups.setdefault(alloc["Job"]["Priority"], []).append((alloc, take))
    return [groups[priority] for priority in sorted(groups)]


def _amounts(take: Take) -> tuple[int, int, int]:
    return take.cpu, take.memory, take.disk


def _covers(available: list[int], wanted: list[int]) -> bool:
    return all(a >= w for a, w in zip(available, wanted, strict=True))


def _distance(asked: list[int], take: Take) -> float:
    parts = [(a - t) / a if a > 0 else 0.0 for a, t in zip(asked, _amounts(take), strict=True)]
    return math.sqrt(sum(part * part for part in parts))


def _penalty(alloc: Record, plan: Plan) -> float:
    group = next((g for g in alloc["Job"]["TaskGroups"] if g["Name"] == alloc["TaskGroup"]), None)
    parallel = ((group or {}).get("Migrate") or {}).get("MaxParallel") or 0
    count = plan.preempted_of_job.get((alloc["Namespace"], alloc["JobID"], alloc["TaskGroup"]), 0)
    return (count + 1 - parallel) * _PARALLEL_PENALTY if parallel and count >= parallel else 0.0


def _fewest(chosen: list[Candidate], free: list[int], wanted: list[int]) -> list[Record]:
    kept: list[Record] = []
    available = list(free)
    for alloc, take in sorted(chosen, key=lambda c: -_distance(wanted, c[1])):
        kept.append(alloc)
        available = [a + t for a, t in zip(available, _amounts(take), strict=True)]
        if _covers(available, wanted):
            break
    return kept
