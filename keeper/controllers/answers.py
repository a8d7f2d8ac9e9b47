"""What the doors answer from stored records, without a look at the world."""

from dataclasses import replace
from datetime import UTC, datetime

from keeper.controllers.ledger import Ledger
from keeper.controllers.snapshot import load_status
from keeper.core.messages import Controller
from keeper.core.operations import Operation
from keeper.core.problems import FieldError
from keeper.errors import Changed, Gone
from keeper.ports import Records


def store_once(records: Records, operation: Operation) -> Operation:
    """Store a new operation; when one of its id is there already, that one, unchanged."""
    ledger = Ledger(records)
    try:
        ledger.save_operation(operation, None)
    except Changed:
        return stored_operation(records, operation.id)
    return replace(operation)


def stored_operation(records: Records, operation: str) -> Operation:
    """The operation of that id; raises `Gone`."""
    found = Ledger(records).operation(operation) if operation.replace("-", "").isalnum() else None
    if found is None:
        raise Gone(f"id: expected the id of an operation, got {operation!r:.100}")
    return found[0]


def decided(
    records: Records, controller: Controller, day: str | None, most: int, now: datetime
) -> list[dict[str, object]]:
    """The newest decision records of that day (today unless given), oldest first."""
    try:
        when = now if day is None else datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise FieldError("day", "a date as YYYY-MM-DD", day) from None
    return Ledger(records).decided(controller, when, most)


def status(records: Records, now: datetime) -> dict[str, object]:
    """What autoscale remembers that a person may act on, its newest decision, and how old the snapshots are."""
    memory, _version = Ledger(records).remember()
    newest = Ledger(records).decided(Controller.AUTOSCALE, now, 1)
    return {
        "now": now,
        "observed": memory.observed,
        "paused": memory.paused,
        "pressures": [
            {"pool": p.pool, "rule": p.rule, "alert": p.alert, "fired": p.fired, "expires": p.expires}
            for p in memory.pressures
            if p.resolved is None
        ],
        "setAside": [
            {"pool": s.pool, "why": s.kind, "until": s.until, "failures": s.failures} for s in memory.set_asides
        ],
        "growing": [{"pool": g.pool, "before": g.before, "target": g.target, "asked": g.asked} for g in memory.growths],
        "requests": [{"operation": r.operation, "pool": r.pool, "count": r.count} for r in memory.requests],
        "neverJoined": dict(memory.never_joined),
        "last": newest[0] if newest else None,
        "snapshots": {
            product: {"newest": known.newest, "taken": known.taken, "problem": known.problem, "since": known.since}
            for product, known in load_status(records).products.items()
        },
    }
