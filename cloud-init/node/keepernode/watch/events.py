"""What the event stream means. Pure: lines and lists go in, sightings come out; no clock, no wire.

Held to tests/recordings/nomad-1.6.5 (10-events.json, 13-events-blocked.json): one line of JSON per index, `{}` as
heartbeat; a new subscriber is first sent what the broker's buffer holds (100 events), so old events come first; every
allocation update repeats its node; start, end and eligibility are all of type NodeDrain, and LastDrain stays
`complete` for good, so a node's past must be known to tell an end from an echo.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from keepernode.shapes import Json, child, number_or, objects_of, text_or

if TYPE_CHECKING:
    from collections.abc import Iterator

READY = "ready"
DOWN = "down"
BLOCKED = "blocked"
COMPLETE = "complete"
DEREGISTERED = "NodeDeregistration"


class Cause(str, Enum):
    """Why the keeper should look now."""

    EVALUATION_BLOCKED = "evaluation-blocked"
    NODE_DOWN = "node-down"
    NODE_READY = "node-ready"
    DRAIN_COMPLETE = "drain-complete"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One thing that happened: its cause, and the ids that lead to it."""

    cause: Cause
    ids: dict[str, str]


@dataclass(frozen=True, slots=True)
class Overview:
    """Both lists as they stand, with the index of each: what a fresh connection starts from."""

    nodes: list[Json]
    nodes_index: int
    blocked: list[Json]
    evaluations_index: int


@dataclass(frozen=True, slots=True)
class _Known:
    """What was last seen of a node. `drain` identifies its last drain, or is empty."""

    status: str
    drain: str
    drained: bool


@dataclass(slots=True)
class Tracker:
    """Remembers just enough to tell news from echoes. One per watcher; it outlives connections."""

    _nodes: dict[str, _Known] = field(default_factory=dict[str, _Known])
    _nodes_index: int | None = None
    _evaluations_index: int = 0

    def catch_up(self, now: Overview) -> list[Sighting]:
        """Start from the lists and return what was missed since the last line, if there ever was one.

        An index lower than the one reached means another cluster, or a restored one: its past is not news.
        """
        missed: list[Sighting] = []
        if self._nodes_index is not None and now.nodes_index >= self._nodes_index:
            for node in now.nodes:
                missed += self._node_news(node)
            missed += [
                _blocked(evaluation)
                for evaluation in now.blocked
                if number_or(evaluation, "ModifyIndex") > self._evaluations_index
            ]
        self._nodes = {text_or(node, "ID"): _known(node) for node in now.nodes}
        self._nodes_index, self._evaluations_index = now.nodes_index, now.evaluations_index
        return missed

    def resume_index(self) -> int:
        """Return the index to subscribe with: the next line wanted."""
        return min(self._nodes_index or 0, self._evaluations_index) + 1

    def read(self, line: Json) -> list[Sighting]:
        """Return what one line of the stream says that was not known; a heartbeat says nothing."""
        seen: list[Sighting] = []
        index = number_or(line, "Index")
        for event in objects_of(line.get("Events")):
            topic = text_or(event, "Topic")
            if topic == "Node" and index > (self._nodes_index or 0):
                seen += self._node_event(event)
            elif topic == "Evaluation" and index > self._evaluations_index:
                seen += _evaluation_event(event)
        if index:
            self._nodes_index = max(index, self._nodes_index or 0)
            self._evaluations_index = max(index, self._evaluations_index)
        return seen

    def _node_event(self, event: Json) -> list[Sighting]:
        node = child(child(event, "Payload"), "Node")
        if text_or(event, "Type") == DEREGISTERED:
            self._nodes.pop(text_or(node, "ID"), None)
            return []
        news = list(self._node_news(node)) if node else []
        if node:
            self._nodes[text_or(node, "ID")] = _known(node)
        return news

    def _node_news(self, node: Json) -> Iterator[Sighting]:
        """Yield how `node` differs from what was known of it; a node never seen before was nothing yet."""
        before = self._nodes.get(text_or(node, "ID"), _Known("", "", drained=False))
        now = _known(node)
        ids = {"node": text_or(node, "ID"), "name": text_or(node, "Name")}
        if now.status == READY != before.status:
            yield Sighting(Cause.NODE_READY, ids)
        if now.status == DOWN != before.status:
            yield Sighting(Cause.NODE_DOWN, ids)
        if now.drained and (now.drain, now.drained) != (before.drain, before.drained):
            yield Sighting(Cause.DRAIN_COMPLETE, ids)


def _known(node: Json) -> _Known:
    last = child(node, "LastDrain")
    return _Known(text_or(node, "Status"), text_or(last, "StartedAt"), text_or(last, "Status") == COMPLETE)


def _evaluation_event(event: Json) -> Iterator[Sighting]:
    evaluation = child(child(event, "Payload"), "Evaluation")
    if text_or(evaluation, "Status") == BLOCKED:
        yield _blocked(evaluation)


def _blocked(evaluation: Json) -> Sighting:
    return Sighting(
        Cause.EVALUATION_BLOCKED,
        {
            "evaluation": text_or(evaluation, "ID"),
            "job": text_or(evaluation, "JobID"),
            "namespace": text_or(evaluation, "Namespace"),
        },
    )
