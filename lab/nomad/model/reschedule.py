"""When a failed allocation may be tried elsewhere: delays, attempts, and the tracker that remembers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.nomad.model.times import SECOND, from_rfc3339
from lab.nomad.model.words import Client, Desired

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

WINDOW = SECOND
"""An allocation whose time is nearer than this is rescheduled now."""


@dataclass(frozen=True, slots=True)
class When:
    """When an allocation may be rescheduled, and whether it may at all."""

    at: int
    eligible: bool


NEVER = When(0, eligible=False)


def group_of(alloc: Record) -> Record | None:
    """Answer the allocation's group in the job version it was placed by."""
    return next((g for g in alloc["Job"]["TaskGroups"] or () if g["Name"] == alloc["TaskGroup"]), None)


def after_failure(alloc: Record) -> When:
    """Answer when a failed allocation may be rescheduled by its group's policy."""
    policy = _policy(alloc)
    failed_at = last_event(alloc)
    if policy is None or (not policy["Attempts"] and not policy["Unlimited"]) or not failed_at:
        return NEVER
    if alloc["DesiredStatus"] == Desired.STOP or alloc["ClientStatus"] != Client.FAILED:
        return NEVER
    return _next(alloc, policy, failed_at)


def may_be_tried_again(alloc: Record, policy: Record | None, now: int) -> bool:
    """Answer whether a policy has an attempt left for an allocation, whatever its delay."""
    if policy is None or policy["Unlimited"]:
        return policy is not None
    events = (alloc.get("RescheduleTracker") or {}).get("Events") or ()
    return sum(1 for e in events if now - e["RescheduleTime"] < policy["Interval"]) < policy["Attempts"]


def after(alloc: Record, moment: int) -> When:
    """Answer when an allocation that disconnected at `moment` may be rescheduled."""
    policy = _policy(alloc)
    return NEVER if policy is None else _next(alloc, policy, moment)


def last_event(alloc: Record) -> int:
    """Answer when the last of the allocation's tasks ended; its last change when no task says."""
    ends = [state["FinishedAt"] for state in (alloc.get("TaskStates") or {}).values() if state["FinishedAt"]]
    return max((from_rfc3339(end) for end in ends), default=alloc.get("ModifyTime") or 0)


def tracker(previous: Record, now: int) -> Record | None:
    """Answer the RescheduleTracker of a replacement: earlier events that still count and the new one."""
    policy = _policy(previous)
    delay = _delay(previous, policy) if policy is not None else 0
    event = {"Delay": delay, "PrevAllocID": previous["ID"], "PrevNodeID": previous["NodeID"], "RescheduleTime": now}
    earlier = (previous.get("RescheduleTracker") or {}).get("Events") or []
    if policy is not None and policy["Attempts"] > 0:
        earlier = [e for e in earlier if policy["Interval"] > 0 and now - e["RescheduleTime"] <= policy["Interval"]]
    else:
        earlier = earlier[-4:]
    return {"Events": [*earlier, event]}


def _policy(alloc: Record) -> Record | None:
    group = group_of(alloc)
    return group["ReschedulePolicy"] if group is not None else None


def _next(alloc: Record, policy: Record, failed_at: int) -> When:
    delay = _delay(alloc, policy)
    events = (alloc.get("RescheduleTracker") or {}).get("Events")
    eligible = policy["Unlimited"] or (policy["Attempts"] > 0 and not events)
    if policy["Attempts"] > 0 and events:
        attempted = sum(1 for e in events if failed_at - e["RescheduleTime"] < policy["Interval"])
        eligible = attempted < policy["Attempts"] and delay < policy["Interval"]
    return When(failed_at + delay, eligible)


def _delay(alloc: Record, policy: Record) -> int:
    events = (alloc.get("RescheduleTracker") or {}).get("Events")
    if not events:
        return policy["Delay"]
    delay = policy["Delay"]
    if policy["DelayFunction"] == "exponential":
        delay = events[-1]["Delay"] * 2
    elif policy["DelayFunction"] == "fibonacci":
        delay = _fibonacci(policy, [event["Delay"] for event in events])
    else:
        return delay
    if policy["MaxDelay"] > 0 and delay > policy["MaxDelay"]:
        quiet = last_event(alloc) - events[-1]["RescheduleTime"]
        return policy["Delay"] if quiet > delay else policy["MaxDelay"]
    return delay


def _fibonacci(policy: Record, delays: list[int]) -> int:
    if len(delays) < 2:
        return policy["Delay"]
    if delays[-2] == policy["MaxDelay"] and delays[-1] == policy["Delay"]:
        return delays[-1]
    return delays[-1] + delays[-2]
