"""The keeper's own records: memory, claims, operations and decision records, by name in the state account."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import cast

from keeper.core import memory_json, operations
from keeper.core.memory import Memory
from keeper.core.messages import parse_time
from keeper.core.model import InstanceName
from keeper.core.operations import Operation
from keeper.core.problems import FieldError
from keeper.core.view import Claim
from keeper.ports import Records
from keeper.telemetry import Event, event

MEMORY = "autoscale/memory.json"
CLAIMS = "claims.json"
RESTORE = "restores/newest.json"


def decisions(controller: str, day: datetime) -> str:
    """The log of one controller's decision records of one day (UTC)."""
    return f"decisions/{controller}/{day:%Y-%m-%d}.jsonl"


def operation_name(operation: str) -> str:
    """The record of one operation."""
    return f"operations/{operation}.json"


class Ledger:
    """Typed access to the records. Saves are conditional on what was read: two writers cannot both win."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def remember(self) -> tuple[Memory, str | None]:
        """The memory and the version that its next save names; a damaged one is kept aside and replaced by an empty one, which is always safe."""
        stored = self._records.load(MEMORY)
        if stored is None:
            return Memory(), None
        try:
            return memory_json.from_json(stored.body.decode()), stored.version
        except ValueError as exc:
            event(Event.READ_FAILED, what="memory", why=str(exc))
            self._records.append("autoscale/memory.damaged", stored.body.decode(errors="replace").replace("\n", " "))
            return Memory(), stored.version

    def save_memory(self, memory: Memory, version: str | None) -> str:
        """Write the memory if it is still as it was read; the new version."""
        return self._records.save(MEMORY, memory_json.to_json(memory).encode(), version=version)

    def claims(self, now: datetime) -> tuple[tuple[Claim, ...], str | None]:
        """The claims that have not expired, and the version that their next save names."""
        stored = self._records.load(CLAIMS)
        if stored is None:
            return (), None
        claims = (_claim(item) for item in cast("list[dict[str, str]]", json.loads(stored.body)))
        return tuple(claim for claim in claims if claim.expires > now), stored.version

    def save_claims(self, claims: tuple[Claim, ...], version: str | None) -> None:
        """Write all claims if they are still as they were read."""
        body = [
            {"instance": c.instance, "controller": c.controller, "reason": c.reason, "expires": c.expires.isoformat()}
            for c in claims
        ]
        self._records.save(CLAIMS, json.dumps(body).encode(), version=version)

    def operation(self, operation: str) -> tuple[Operation, str] | None:
        """A stored operation and its version, or None when there is none of that id."""
        stored = self._records.load(operation_name(operation))
        if stored is None:
            return None
        return operations.from_json(cast("Mapping[str, object]", json.loads(stored.body))), stored.version

    def save_operation(self, operation: Operation, version: str | None) -> str:
        """Write an operation if it is still as it was read (None: if it is new); the new version."""
        body = json.dumps(operations.to_json(operation)).encode()
        return self._records.save(operation_name(operation.id), body, version=version)

    def newest_restore(self) -> str | None:
        """The id of the restore that was begun last, or None."""
        stored = self._records.load(RESTORE)
        return None if stored is None else cast("dict[str, str]", json.loads(stored.body))["operation"]

    def begin_restore(self, operation: str) -> None:
        """Note that this restore is the newest; nothing is written when it is already."""
        stored = self._records.load(RESTORE)
        body = json.dumps({"operation": operation}).encode()
        if stored is None or stored.body != body:
            self._records.save(RESTORE, body, version=None if stored is None else stored.version)

    def decide(self, controller: str, record: Mapping[str, object], at: datetime) -> None:
        """Add one decision record."""
        self._records.append(decisions(controller, at), json.dumps(record, separators=(",", ":")))

    def decided(self, controller: str, day: datetime, most: int) -> list[dict[str, object]]:
        """The newest decision records of that day, oldest first."""
        lines = self._records.tail(decisions(controller, day), most)
        return [cast("dict[str, object]", json.loads(line)) for line in lines]


def _claim(item: Mapping[str, str]) -> Claim:
    try:
        return Claim(
            InstanceName(item["instance"]), item["controller"], item["reason"], parse_time("expires", item["expires"])
        )
    except KeyError as exc:
        raise FieldError("claims", "complete claims", str(exc)) from exc
