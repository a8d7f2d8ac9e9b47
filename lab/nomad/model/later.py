"""Evaluations that wait: for a delayed reschedule, for a disconnected client to come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.reschedule import group_of
from lab.nomad.model.results import UNKNOWN
from lab.nomad.model.times import SECOND, rfc3339
from lab.nomad.model.words import Client, EvalStatus, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.model.results import Results
    from lab.nomad.model.store import Record

_BATCH_WINDOW = 5 * SECOND
_RESCHEDULE_TEXT = "created for delayed rescheduling"
_DISCONNECT_TEXT = "created for delayed disconnect timeout"


class Later:
    """Makes the waiting evaluations of one reconciliation."""

    def __init__(self, job: Record, priority: int, now: int, fresh_id: Callable[[], str]) -> None:
        self._job = job
        self._priority = priority
        self._now = now
        self._fresh_id = fresh_id

    def reschedule(self, results: Results, delayed: list[tuple[Record, int]]) -> None:
        """Make evaluations for allocations to be rescheduled later, and tell the allocations about them."""
        for alloc, eval_id in self._batched(results, delayed, Trigger.ALLOC_FAILURE, _RESCHEDULE_TEXT):
            known = results.disconnect.get(alloc["ID"])
            if known is not None:
                results.disconnect[alloc["ID"]] = {**known, "FollowupEvalID": eval_id}
            else:
                results.attributes[alloc["ID"]] = {**alloc, "FollowupEvalID": eval_id}

    def disconnect(self, results: Results, disconnecting: list[Record]) -> None:
        """Make evaluations for the end of each allocation's patience, and set the allocations unknown."""
        delayed = [(alloc, self._now + _patience(alloc)) for alloc in disconnecting]
        for alloc, eval_id in self._batched(results, delayed, Trigger.DISCONNECT_TIMEOUT, _DISCONNECT_TEXT):
            results.disconnect[alloc["ID"]] = {
                **with_state(alloc, Client.UNKNOWN, self._now),
                "ClientStatus": Client.UNKNOWN,
                "ClientDescription": UNKNOWN,
                "FollowupEvalID": eval_id,
            }

    def _batched(
        self, results: Results, delayed: list[tuple[Record, int]], trigger: Trigger, text: str
    ) -> list[tuple[Record, str]]:
        named: list[tuple[Record, str]] = []
        first: int | None = None
        for alloc, at in sorted(delayed, key=lambda pair: pair[1]):
            if first is None or at - first >= _BATCH_WINDOW:
                first = at
                results.followups.append(self._evaluation(trigger, text, at))
            named.append((alloc, results.followups[-1]["ID"]))
        return named

    def _evaluation(self, trigger: Trigger, text: str, at: int) -> Record:
        return {
            "ID": self._fresh_id(),
            "Namespace": self._job["Namespace"],
            "Priority": self._priority,
            "Type": self._job["Type"],
            "TriggeredBy": trigger,
            "JobID": self._job["ID"],
            "JobModifyIndex": self._job["ModifyIndex"],
            "Status": EvalStatus.PENDING,
            "StatusDescription": text,
            "WaitUntil": rfc3339(at),
            "CreateTime": self._now,
            "ModifyTime": self._now,
        }


def with_state(alloc: Record, status: str, now: int) -> Record:
    """Answer the allocation with one more entry in its AllocStates."""
    entry = {"Field": "ClientStatus", "Time": rfc3339(now), "Value": status}
    return {**alloc, "AllocStates": [*(alloc.get("AllocStates") or ()), entry]}


def _patience(alloc: Record) -> int:
    group = group_of(alloc)
    return (group or {}).get("MaxClientDisconnect") or 0
