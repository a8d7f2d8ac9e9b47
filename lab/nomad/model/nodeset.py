"""The nodes that may take a job: ready, eligible, in its datacenters and its node pool."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from lab.nomad.model.store import Table
from lab.nomad.model.words import EVERY_POOL, Eligibility, NodeStatus

if TYPE_CHECKING:
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record


def ready_nodes(state: State, job: Record) -> tuple[list[Record], dict[str, int]]:
    """Answer the nodes that may take the job, by ID, and how many there are per datacenter."""
    counts: Counter[str] = Counter()
    nodes: list[Record] = []
    pool, patterns = job["NodePool"], tuple(job["Datacenters"])
    for node in state.store.rows(Table.NODES):
        if pool not in {EVERY_POOL, node["NodePool"]} or not is_ready(node):
            continue
        if in_datacenters(node["Datacenter"], patterns):
            nodes.append(node)
            counts[node["Datacenter"]] += 1
    return nodes, dict(counts)


def not_ready_nodes(state: State, job: Record) -> set[str]:
    """Answer the IDs of nodes in the job's datacenters and pool that may not take it now."""
    pool, patterns = job["NodePool"], tuple(job["Datacenters"])
    return {
        node["ID"]
        for node in state.store.rows(Table.NODES)
        if pool in {EVERY_POOL, node["NodePool"]}
        and not is_ready(node)
        and in_datacenters(node["Datacenter"], patterns)
    }


def is_ready(node: Record) -> bool:
    """Answer whether the schedulers may place on a node now."""
    if node["Status"] != NodeStatus.READY or node["DrainStrategy"] is not None:
        return False
    return node["SchedulingEligibility"] == Eligibility.ELIGIBLE


@lru_cache(maxsize=4096)
def in_datacenters(name: str, patterns: tuple[str, ...]) -> bool:
    """Answer whether a datacenter's name matches one of the patterns (`*` stands for any text)."""
    return any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name) for pattern in patterns)
