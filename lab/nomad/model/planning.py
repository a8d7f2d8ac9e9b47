"""A plan in the making: what one evaluation stops, places and preempts, and what nodes look like with it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from lab.nomad.model.resources import take_of

if TYPE_CHECKING:
    from lab.nomad.model.store import Record
    from lab.nomad.model.usage import NodeUse, Usage


class Plan:
    """Changes of one evaluation, not written yet. Nodes are seen with these changes in place."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._seen: dict[str, NodeUse] = {}
        self.stops: dict[str, Record] = {}
        self.preempted: dict[str, Record] = {}
        self.placed: dict[str, Record] = {}
        self.preempted_of_job: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self.deployment: Record | None = None
        self.deployment_updates: list[Record] = []
        self.desired_updates: dict[str, Record] = {}

    def is_no_op(self) -> bool:
        """Answer whether applying the plan would change nothing."""
        changes = self.stops or self.placed or self.preempted or self.deployment_updates
        return not changes and self.deployment is None

    def use(self, node_id: str) -> NodeUse:
        """Answer what is taken on a node with this plan. Read only."""
        return self._seen.get(node_id) or self._usage.of(node_id)

    def stop(self, alloc: Record, description: str, client_status: str = "", followup: str = "") -> None:
        """Stop an allocation; with a client status it is set as well (lost), `followup` names a later evaluation."""
        changed = {**alloc, "DesiredStatus": "stop", "DesiredDescription": description}
        if client_status:
            changed["ClientStatus"] = client_status
        if followup:
            changed["FollowupEvalID"] = followup
        self.stops[alloc["ID"]] = changed
        self._own(alloc["NodeID"]).remove(alloc["ID"])

    def undo_stop(self, alloc: Record) -> None:
        """Stop an allocation no longer: its replacement found no room."""
        del self.stops[alloc["ID"]]
        self._own(alloc["NodeID"]).add(alloc, take_of(alloc["AllocatedResources"]))

    def place(self, alloc: Record) -> None:
        """Place a new allocation, or write a changed one in place."""
        self.placed[alloc["ID"]] = alloc
        self._own(alloc["NodeID"]).add(alloc, take_of(alloc["AllocatedResources"]))

    def preempt(self, alloc: Record, by: str) -> None:
        """Evict an allocation in favour of another."""
        text = f"Preempted by alloc ID {by}"
        changed = {**alloc, "DesiredStatus": "evict", "DesiredDescription": text, "PreemptedByAllocation": by}
        self.preempted[alloc["ID"]] = changed
        self.preempted_of_job[alloc["Namespace"], alloc["JobID"], alloc["TaskGroup"]] += 1
        self._own(alloc["NodeID"]).remove(alloc["ID"])

    def _own(self, node_id: str) -> NodeUse:
        if node_id not in self._seen:
            self._seen[node_id] = self._usage.of(node_id).copy()
        return self._seen[node_id]
