"""What the doors answer from stored records, without a look at the world."""

import json
from dataclasses import replace
from datetime import datetime
from typing import cast

from keeper.controllers.ledger import Ledger
from keeper.controllers.snapshot import load_status
from keeper.core import operations, snapshot_plan
from keeper.core.decisions import Wanted
from keeper.core.messages import Controller
from keeper.core.operations import Operation
from keeper.core.snapshot_status import ProductStatus
from keeper.core.snapshots import Product, rehearsal_records
from keeper.errors import Changed, Gone
from keeper.ports import Records
from keeper.settings import SnapshotSettings


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


def decided(records: Records, wanted: Wanted, now: datetime) -> list[dict[str, object]]:
    """The newest decision records that answer the query, of whatever controller, oldest first."""
    ledger, found = Ledger(records), list[dict[str, object]]()
    for controller in wanted.controllers:
        newest = ledger.decided(controller, wanted.day or now, wanted.searched)
        found += [{"controller": controller} | record for record in newest if wanted.answered_by(record)]
    return sorted(found, key=lambda record: str(record["at"]))[-wanted.most :]


def status(records: Records, settings: SnapshotSettings, now: datetime) -> dict[str, object]:
    """What autoscale remembers that a person may act on, its newest decision, how old the snapshots are, what was rehearsed, what is restored."""
    ledger = Ledger(records)
    memory, _version = ledger.remember()
    newest = ledger.decided(Controller.AUTOSCALE, now, 1)
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
            product: _snapshot(known, settings, now) for product, known in load_status(records).products.items()
        },
        "rehearsals": _rehearsals(records, settings.cluster),
        "restore": _restore(ledger),
    }


def _snapshot(known: ProductStatus, settings: SnapshotSettings, now: datetime) -> dict[str, object]:
    """One product's newest verified snapshot, and its age; a null age means that there is none."""
    age = None if known.taken is None else now - known.taken
    return {
        "newest": known.newest,
        "taken": known.taken,
        "ageSeconds": None if age is None else round(age.total_seconds()),
        "overdue": snapshot_plan.is_overdue(age, settings.interval),
        "problem": known.problem,
        "since": known.since,
    }


def _rehearsals(records: Records, cluster: str) -> dict[str, object]:
    """The verdict on each product's newest rehearsed snapshot."""
    found: dict[str, object] = {}
    for product in Product:
        names = records.names(rehearsal_records(cluster, product)) if cluster else []
        stored = records.load(names[-1]) if names else None
        if stored is not None:
            found[product] = cast("object", json.loads(stored.body))
    return found


def _restore(ledger: Ledger) -> dict[str, object] | None:
    """The newest restore, under way or ended; None when none was ever begun."""
    newest = ledger.newest_restore()
    found = None if newest is None else ledger.operation(newest)
    return None if found is None else operations.to_json(found[0])
