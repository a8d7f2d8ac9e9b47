"""Changes of node records: events, status, eligibility, drain. Pure: each answers a new record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.times import SECOND, rfc3339
from lab.nomad.model.words import Eligibility, NodeStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.nomad.model.store import Record

KEPT_EVENTS = 10
REGISTERED = "Node registered"
REREGISTERED = "Node re-registered"
BACK_BY_HEARTBEAT = "Node reregistered by heartbeat"
HEARTBEAT_MISSED = "Node heartbeat missed"
DRAIN_SET = "Node drain strategy set"
DRAIN_UPDATED = "Node drain strategy updated"
DRAIN_DISABLED = "Node drain disabled"
DRAIN_COMPLETE = "Node drain complete"
MARKED = {
    Eligibility.ELIGIBLE: "Node marked as eligible for scheduling",
    Eligibility.INELIGIBLE: "Node marked as ineligible for scheduling",
}


def with_event(
    node: Record, index: int, now: int, message: str, *, subsystem: str = "Cluster", details: Record | None = None
) -> Record:
    """Answer the node with one more event; the ten newest are kept."""
    first = message == REGISTERED
    new = {
        "CreateIndex": 0 if first else index,
        "Details": details,
        "Message": message,
        "Subsystem": subsystem,
        "Timestamp": rfc3339(now, whole_seconds=first),
    }
    return {**node, "Events": [*node["Events"], new][-KEPT_EVENTS:]}


def registered(new: Record, known: Record | None, index: int, now: int) -> Record:
    """Answer the record of a node that registers: what the servers decided about a known one is kept."""
    if known is None:
        return with_event(new, index, now, REGISTERED)
    kept = ("Drain", "DrainStrategy", "Events", "LastAllocUpdateIndex", "LastDrain", "LastMissedHeartbeatIndex")
    node = {**new, **{key: known[key] for key in (*kept, "SchedulingEligibility")}}
    if known["Status"] == NodeStatus.DOWN and node["Status"] != NodeStatus.DOWN:
        return with_event(node, index, now, REREGISTERED)
    return node


def with_status(node: Record, status: NodeStatus, index: int, now: int, message: str = "") -> Record:
    """Answer the node with another status, and an event if there is a message."""
    changed = {**node, "Status": status, "StatusUpdatedAt": now // SECOND}
    if node["Status"] == NodeStatus.READY and status in {NodeStatus.DOWN, NodeStatus.DISCONNECTED}:
        changed["LastMissedHeartbeatIndex"] = index
    return with_event(changed, index, now, message) if message else changed


def with_drain(
    node: Record,
    strategy: Record | None,
    now: int,
    *,
    mark_eligible: bool,
    meta: Mapping[str, str] | None,
    accessor: str,
    completed: bool = False,
) -> Record:
    """Answer the node with a drain begun, changed, cancelled or completed, and LastDrain to match."""
    changed = {**node, "Drain": strategy is not None, "DrainStrategy": strategy, "StatusUpdatedAt": now // SECOND}
    if strategy is not None:
        changed["SchedulingEligibility"] = Eligibility.INELIGIBLE
    elif mark_eligible:
        changed["SchedulingEligibility"] = Eligibility.ELIGIBLE
    if node["DrainStrategy"] is None and strategy is None:
        return changed
    moment = rfc3339(now, whole_seconds=True)
    begun = node["DrainStrategy"] is None
    last = {"AccessorID": "", "Meta": None, "StartedAt": moment} if begun else dict(node["LastDrain"])
    last |= {"UpdatedAt": moment, "Status": _drain_status(strategy, completed=completed)}
    if meta:
        last["Meta"] = dict(meta)
    if accessor:
        last["AccessorID"] = accessor
    return {**changed, "LastDrain": last}


def strategy_of(spec: Record, known: Record | None, now: int) -> Record:
    """Answer the DrainStrategy for a DrainSpec: a changed drain keeps the time it was started."""
    deadline = spec.get("Deadline") or 0
    return {
        "Deadline": deadline,
        "ForceDeadline": rfc3339(now + deadline) if deadline > 0 else None,
        "IgnoreSystemJobs": bool(spec.get("IgnoreSystemJobs")),
        "StartedAt": known["StartedAt"] if known is not None else rfc3339(now),
    }


def drain_message(before: Record | None, after: Record | None) -> str:
    """Answer the event's text for a change of the drain strategy, empty for none."""
    if after is not None:
        return DRAIN_SET if before is None else DRAIN_UPDATED
    return DRAIN_DISABLED if before is not None else ""


def _drain_status(strategy: Record | None, *, completed: bool) -> str:
    if strategy is not None:
        return "draining"
    return "complete" if completed else "canceled"
