"""The event broker: the newest hundred batches of events, and subscriptions to them.

A batch is what one index wrote. Events are made of it when somebody reads them, so nobody reading costs next to nothing.
Behaviour held to ../../tests/recordings/nomad-1.6.5 (10-events.json, 13-events-blocked.json).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.nomad.acl.book import POLICIES, ROLES, TOKENS
from lab.nomad.model.store import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from lab.nomad.acl.rights import Rights
    from lab.nomad.model.store import Record, Store

BUFFERED = 100
"""Batches kept (server option event_buffer_size)."""

NAMESPACED_TOPICS = frozenset({"Deployment", "Evaluation", "Allocation", "Job", "Service"})


class Write(NamedTuple):
    """One change of a table."""

    table: str
    old: Record | None
    new: Record | None


@dataclass(slots=True)
class Batch:
    """What one index wrote, and why."""

    index: int
    cause: str
    writes: dict[tuple[str, Hashable], Write] = field(default_factory=dict)

    def add(self, key: Hashable, write: Write) -> None:
        """Note a write. What one index writes several times is one change: from the first state to the last."""
        known = self.writes.get((write.table, key))
        self.writes[write.table, key] = write if known is None else write._replace(old=known.old)

    def events(self) -> list[Record]:
        """Make the events of this batch, in the order of the writes."""
        made = [_event(self, write) for write in self.writes.values()]
        return [event for event in made if event is not None]


class EventBroker:
    """Keeps the newest batches of a store. `total` counts all that ever were, so a reader knows what it has seen."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._batches: deque[Batch] = deque(maxlen=BUFFERED)
        self.total = 0
        store.subscribe(self._heard)

    def _heard(self, index: int, table: str, key: Hashable, old: Record | None, new: Record | None) -> None:
        if table not in _MAKERS:
            return
        cause = str(self._store.cause) if self._store.cause is not None else _default_cause(table, new)
        if not cause or (new is None and table not in _TOLD_WHEN_DELETED):
            return
        if not self._batches or self._batches[-1].index != index:
            self._batches.append(Batch(index, cause))
            self.total += 1
        self._batches[-1].add(key, Write(table, old, new))

    def start(self, index: int) -> int:
        """Answer where a subscription begins: at the oldest batch kept, or with an index at the closest one."""
        first = self.total - len(self._batches)
        if not index:
            return first
        for number, batch in enumerate(self._batches):
            if batch.index >= index:
                return first + number
        return max(first, self.total - 1)

    def since(self, position: int) -> tuple[list[Batch], int]:
        """Answer the batches from a position on, and the position behind them."""
        first = self.total - len(self._batches)
        return list(self._batches)[max(0, position - first) :], self.total


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a caller wants to hear: keys by topic (`*` for all), a namespace (`*` for all), from an index on."""

    topics: Mapping[str, Sequence[str]]
    namespace: str
    index: int
    rights: Callable[[], Rights]

    def allowed(self) -> bool:
        """Tell whether the caller may hear of all the topics asked for, now."""
        return all(self._topic_allowed(topic) for topic in self.topics)

    def _topic_allowed(self, topic: str) -> bool:
        rights = self.rights()
        if topic in NAMESPACED_TOPICS:
            return rights.namespace(self.namespace, "read-job")
        return rights.read("node") if topic == "Node" else rights.management

    def wanted(self, batch: Batch) -> dict[str, Any] | None:
        """Answer the line for a batch, None when nothing in it is wanted."""
        events = [event for event in batch.events() if self._matches(event)]
        return {"Index": batch.index, "Events": events} if events else None

    def _matches(self, event: Record) -> bool:
        if self.namespace != "*" and event["Namespace"] not in {"", self.namespace}:
            return False
        every = list(self.topics.get("*", ()))
        if every == ["*"]:
            return True
        keys = every + list(self.topics.get(event["Topic"], ()))
        if keys == ["*"]:
            return True
        return event["Key"] in keys or any(key in keys for key in event["FilterKeys"] or ())


def _node(node: Record) -> dict[str, Any]:
    return {"Topic": "Node", "Key": node["ID"], "Payload": {"Node": {**node, "SecretID": ""}}}


def _evaluation(record: Record) -> dict[str, Any]:
    keys = [record["JobID"], record.get("DeploymentID") or ""]
    return _namespaced("Evaluation", record, keys, record)


def _allocation(record: Record) -> dict[str, Any]:
    keys = [record["JobID"], record.get("DeploymentID") or ""]
    # The job is left out to keep the events small.
    return _namespaced("Allocation", record, keys, {name: value for name, value in record.items() if name != "Job"})


def _job(record: Record) -> dict[str, Any]:
    return _namespaced("Job", record, None, record)


def _deployment(record: Record) -> dict[str, Any]:
    return _namespaced("Deployment", record, [record["JobID"]], record)


def _namespaced(topic: str, record: Record, keys: list[str] | None, payload: Record) -> dict[str, Any]:
    event = {"Topic": topic, "Key": record["ID"], "Namespace": record["Namespace"], "Payload": {topic: payload}}
    return event if keys is None else {**event, "FilterKeys": keys}


def _pool(record: Record) -> dict[str, Any]:
    return {"Topic": "NodePool", "Key": record["Name"], "Payload": {"NodePool": record}}


def _token(record: Record) -> dict[str, Any]:
    shown = {**record, "SecretID": ""}
    return {"Topic": "ACLToken", "Key": record["AccessorID"], "Payload": {"ACLToken": shown}}


def _policy(record: Record) -> dict[str, Any]:
    return {"Topic": "ACLPolicy", "Key": record["Name"], "Payload": {"ACLPolicy": record}}


def _role(record: Record) -> dict[str, Any]:
    return {"Topic": "ACLRole", "Key": record["ID"], "FilterKeys": [record["Name"]], "Payload": {"ACLRole": record}}


_MAKERS: dict[str, Callable[[Record], dict[str, Any]]] = {
    Table.NODES: _node,
    Table.NODE_POOLS: _pool,
    Table.EVALS: _evaluation,
    Table.ALLOCS: _allocation,
    Table.JOBS: _job,
    Table.DEPLOYMENTS: _deployment,
    TOKENS: _token,
    POLICIES: _policy,
    ROLES: _role,
}
_TOLD_WHEN_DELETED = frozenset({Table.NODES, Table.NODE_POOLS, TOKENS, POLICIES, ROLES})
_ACL_NAMES = {TOKENS: "ACLToken", POLICIES: "ACLPolicy", ROLES: "ACLRole"}


def _default_cause(table: str, new: Record | None) -> str:
    # The book of ACLs names no cause: what it wrote says it.
    name = _ACL_NAMES.get(table)
    if name is None:
        return ""
    return f"{name}{'Deleted' if new is None else 'Upserted'}"


def _event(batch: Batch, write: Write) -> Record | None:
    record = write.new if write.new is not None else write.old
    if record is None:
        return None
    made = _MAKERS[write.table](record)
    return {"FilterKeys": None, "Namespace": "", **made, "Type": batch.cause, "Index": batch.index}
