"""Node pools and the scheduler configuration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.nomad.model.errors import Refusal, multierror, several
from lab.nomad.model.fleet import new_pool
from lab.nomad.model.store import Table
from lab.nomad.model.words import DEFAULT_NAMESPACE, DEFAULT_POOL, EVERY_POOL, Cause, JobStatus

if TYPE_CHECKING:
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record

_NAME = re.compile("[a-zA-Z0-9-_]{1,128}")
_BUILT_IN = frozenset({DEFAULT_POOL, EVERY_POOL})
CONFIG_KEY = "scheduler_config"
_ALGORITHMS = ("binpack", "spread", "")
_PREEMPTION = {
    "BatchSchedulerEnabled": False,
    "ServiceSchedulerEnabled": False,
    "SysBatchSchedulerEnabled": False,
    "SystemSchedulerEnabled": False,
}


def found_cluster(state: State) -> None:
    """Write what a new cluster has: the default namespace, the built-in pools, the scheduler configuration."""
    store = state.store
    with store.transaction():
        texts = {EVERY_POOL: "Node pool with all nodes in the cluster.", DEFAULT_POOL: "Default node pool."}
        for name, text in texts.items():
            store.put(Table.NODE_POOLS, name, new_pool(name, text))
    with store.transaction():
        config = {
            "MemoryOversubscriptionEnabled": False,
            "PauseEvalBroker": False,
            "PreemptionConfig": {**_PREEMPTION, "SystemSchedulerEnabled": True},
            "RejectJobRegistration": False,
            "SchedulerAlgorithm": "binpack",
        }
        store.put(Table.SCHEDULER_CONFIG, CONFIG_KEY, config)
    with store.transaction():
        namespace = {
            "Capabilities": None,
            "Description": "Default shared namespace",
            "Meta": None,
            "Name": DEFAULT_NAMESPACE,
            "NodePoolConfiguration": None,
            "Quota": "",
        }
        store.put(Table.NAMESPACES, DEFAULT_NAMESPACE, namespace)


def upsert_pool(state: State, pool: Record) -> int:
    """Create or change a node pool; answer the index."""
    name = pool.get("Name") or ""
    if not _NAME.fullmatch(name):
        why = multierror([f'invalid name "{name}", must match regex ^{_NAME.pattern}$'])
        raise Refusal(400, f'invalid node pool "{name}": {why}')
    if pool.get("SchedulerConfiguration"):
        raise Refusal(500, 'Feature "Node Pools Governance" is unlicensed')
    if name in _BUILT_IN:
        raise Refusal(400, f'modifying node pool "{name}" is not allowed')
    with state.store.transaction(Cause.NODE_POOL_UPSERTED):
        record = new_pool(name, pool.get("Description") or "", pool.get("Meta"))
        return state.store.put(Table.NODE_POOLS, name, record)["ModifyIndex"]


def delete_pool(state: State, name: str) -> int:
    """Delete a node pool that has no nodes and no jobs; answer the index."""
    store = state.store
    used = []
    if any(job["NodePool"] == name and job["Status"] != JobStatus.DEAD for job in store.rows(Table.JOBS)):
        used.append(f'node pool "{name}" has non-terminal jobs in regions: [global]')
    if any(name in {EVERY_POOL, node["NodePool"]} for node in store.rows(Table.NODES)):
        used.append(f'node pool "{name}" has nodes in regions: [global]')
    if used:
        raise several(used)
    if name in _BUILT_IN:
        raise Refusal(500, f'deleting node pool "{name}" is not allowed')
    if store.get(Table.NODE_POOLS, name) is None:
        raise Refusal(500, f"node pool {name} not found")
    with store.transaction(Cause.NODE_POOL_DELETED):
        store.delete(Table.NODE_POOLS, name)
        return store.index


def set_scheduler_config(state: State, config: Record, *, cas: int | None = None) -> Record:
    """Replace the scheduler configuration; with `cas` only if that is its ModifyIndex. Missing switches are off."""
    algorithm = config.get("SchedulerAlgorithm") or ""
    if algorithm not in _ALGORITHMS:
        raise Refusal(400, f"invalid scheduler algorithm: {algorithm}")
    store = state.store
    known = store.get(Table.SCHEDULER_CONFIG, CONFIG_KEY) or {"ModifyIndex": 0}
    if cas is not None and cas != known["ModifyIndex"]:
        return {"Index": store.touch(CONFIG_KEY + "_attempts"), "Updated": False}
    preemption = {key: bool((config.get("PreemptionConfig") or {}).get(key)) for key in _PREEMPTION}
    record = {
        "MemoryOversubscriptionEnabled": bool(config.get("MemoryOversubscriptionEnabled")),
        "PauseEvalBroker": bool(config.get("PauseEvalBroker")),
        "PreemptionConfig": preemption,
        "RejectJobRegistration": bool(config.get("RejectJobRegistration")),
        "SchedulerAlgorithm": algorithm or "binpack",
    }
    written = store.put(Table.SCHEDULER_CONFIG, CONFIG_KEY, record)
    return {"Index": written["ModifyIndex"], "Updated": True}
