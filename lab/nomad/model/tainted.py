"""Sorting a job's allocations by what has happened to their nodes, and by whether they failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.nomad.model.reschedule import WINDOW, When, after, after_failure, group_of
from lab.nomad.model.times import from_rfc3339
from lab.nomad.model.usage import terminal
from lab.nomad.model.words import ACTIVE_DEPLOYMENT, Client, Desired, NodeStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lab.nomad.model.store import Record

Allocs = dict[str, "Record"]


@dataclass(slots=True)
class ByNode:
    """Allocations by the fate of their node."""

    untainted: Allocs = field(default_factory=dict)
    migrate: Allocs = field(default_factory=dict)
    lost: Allocs = field(default_factory=dict)
    disconnecting: Allocs = field(default_factory=dict)
    reconnecting: Allocs = field(default_factory=dict)
    ignore: Allocs = field(default_factory=dict)


def tainted_nodes(allocs: Iterable[Record], node_of: Callable[[str], Record | None]) -> dict[str, Record | None]:
    """Answer the nodes of these allocations that are gone (None), down, disconnected or draining."""
    tainted: dict[str, Record | None] = {}
    for node_id in {alloc["NodeID"] for alloc in allocs}:
        node = node_of(node_id)
        if node is None:
            tainted[node_id] = None
        elif node["Status"] in {NodeStatus.DOWN, NodeStatus.DISCONNECTED} or node["DrainStrategy"] is not None:
            tainted[node_id] = node
    return tainted


def may_disconnect(alloc: Record) -> bool:
    """Answer whether the allocation's group waits for a disconnected client."""
    group = group_of(alloc)
    return group is not None and group["MaxClientDisconnect"] is not None


def unknown_since(alloc: Record) -> int | None:
    """Answer when the allocation last became unknown, None when it came back since (or never was)."""
    for state in reversed(alloc.get("AllocStates") or ()):
        if state["Field"] == "ClientStatus":
            return from_rfc3339(state["Time"]) if state["Value"] == Client.UNKNOWN else None
    return None


def expired(alloc: Record, now: int) -> bool:
    """Answer whether an unknown allocation has waited longer than its group allows."""
    since, group = unknown_since(alloc), group_of(alloc)
    if since is None or group is None or group["MaxClientDisconnect"] is None:
        return False
    return now >= since + group["MaxClientDisconnect"]


def split_by_node(allocs: Allocs, tainted: dict[str, Record | None], now: int) -> ByNode:
    """Sort allocations by the fate of their node."""
    found = ByNode()
    for alloc_id, alloc in allocs.items():
        _bin(found, alloc, tainted, now)[alloc_id] = alloc
    return found


def _bin(found: ByNode, alloc: Record, tainted: dict[str, Record | None], now: int) -> Allocs:
    patient = may_disconnect(alloc)
    returning = patient and alloc["ClientStatus"] in _CAN_RETURN and unknown_since(alloc) is not None
    if returning and alloc["DesiredStatus"] == Desired.RUN and alloc["ClientStatus"] == Client.FAILED:
        return found.reconnecting
    node = tainted.get(alloc["NodeID"])
    if node is not None:
        early = _on_tainted(found, alloc, node, patient=patient, back=returning and _is_back(alloc, now))
        if early is not None:
            return early
    if terminal(alloc) and not returning:
        return found.ignore if patient else found.untainted
    if (alloc.get("DesiredTransition") or {}).get("Migrate"):
        return found.migrate
    return _living(found, alloc, tainted, now, patient=patient, returning=returning)


_CAN_RETURN = frozenset({Client.UNKNOWN, Client.RUNNING, Client.FAILED})


def _is_back(alloc: Record, now: int) -> bool:
    return not expired(alloc, now)


def _on_tainted(found: ByNode, alloc: Record, node: Record, *, patient: bool, back: bool) -> Allocs | None:
    if node["Status"] == NodeStatus.DISCONNECTED:
        if not patient:
            return None if terminal(alloc) else found.lost
        return {Client.RUNNING: found.disconnecting, Client.PENDING: found.lost}.get(alloc["ClientStatus"])
    return found.reconnecting if node["Status"] == NodeStatus.READY and back else None


def _living(
    found: ByNode, alloc: Record, tainted: dict[str, Record | None], now: int, *, patient: bool, returning: bool
) -> Allocs:
    if patient and expired(alloc, now):
        return found.lost
    if patient and alloc["ClientStatus"] == Client.UNKNOWN and alloc["DesiredStatus"] == Desired.RUN:
        return found.untainted
    if patient and returning and alloc["ClientStatus"] == Client.FAILED and alloc["DesiredStatus"] == Desired.STOP:
        return found.ignore
    if alloc["NodeID"] not in tainted:
        return found.reconnecting if returning else found.untainted
    node = tainted[alloc["NodeID"]]
    return found.lost if node is None or node["Status"] == NodeStatus.DOWN else found.untainted


@dataclass(slots=True)
class ByFailure:
    """Allocations by whether they are to be tried again."""

    untainted: Allocs = field(default_factory=dict)
    now: Allocs = field(default_factory=dict)
    later: list[tuple[Record, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Looking:
    """Who looks at failed allocations: which evaluation, when, for which kind of job, in which deployment."""

    now: int
    eval_id: str
    batch: bool
    deployment: Record | None


def split_by_failure(allocs: Allocs, looking: Looking, *, disconnecting: bool = False) -> ByFailure:
    """Sort allocations into those that count, those to be replaced now, and those to be replaced later."""
    found = ByFailure()
    for alloc_id, alloc in allocs.items():
        if disconnecting and alloc["ClientStatus"] == Client.UNKNOWN:
            continue
        if alloc.get("NextAllocation") and terminal(alloc):
            continue
        counts, ignored = _filtered(alloc, batch=looking.batch)
        if counts and not disconnecting:
            found.untainted[alloc_id] = alloc
        if ignored:
            continue
        now, later = _when(alloc, looking, disconnecting=disconnecting)
        if now:
            found.untainted.pop(alloc_id, None)
            found.now[alloc_id] = alloc
            continue
        found.untainted[alloc_id] = alloc
        if later is not None:
            found.later.append((alloc, later))
    return found


def _filtered(alloc: Record, *, batch: bool) -> tuple[bool, bool]:
    if batch:
        if alloc["DesiredStatus"] == Desired.STOP:
            return (True, False) if ran_successfully(alloc) else (False, True)
        if alloc["DesiredStatus"] == Desired.EVICT:
            return False, True
        return alloc["ClientStatus"] != Client.FAILED, False
    stopped = alloc["DesiredStatus"] in {Desired.STOP, Desired.EVICT}
    return False, stopped or alloc["ClientStatus"] in {Client.COMPLETE, Client.LOST}


def ran_successfully(alloc: Record) -> bool:
    """Answer whether all tasks ended without failing."""
    states = alloc.get("TaskStates")
    if not states:
        return False
    return all(state["State"] == "dead" and not state["Failed"] for state in states.values())


def _when(alloc: Record, looking: Looking, *, disconnecting: bool) -> tuple[bool, int | None]:
    deployment = looking.deployment
    transition = alloc.get("DesiredTransition") or {}
    in_active = deployment is not None and deployment["Status"] in ACTIVE_DEPLOYMENT
    if in_active and alloc.get("DeploymentID") == deployment["ID"] and not transition.get("Reschedule"):
        return False, None
    if transition.get("ForceReschedule"):
        return True, None
    when = _moment(alloc, looking, disconnecting=disconnecting)
    followup = alloc.get("FollowupEvalID") or ""
    if when.eligible and (followup == looking.eval_id or when.at - looking.now <= WINDOW):
        return True, None
    return False, when.at if when.eligible and (not followup or disconnecting) else None


def _moment(alloc: Record, looking: Looking, *, disconnecting: bool) -> When:
    if disconnecting:
        return after(alloc, looking.now)
    since = unknown_since(alloc)
    if alloc["ClientStatus"] == Client.UNKNOWN and alloc.get("FollowupEvalID") == looking.eval_id and since is not None:
        return after(alloc, since)
    return after_failure(alloc)
