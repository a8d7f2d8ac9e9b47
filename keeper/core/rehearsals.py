"""Rehearsals of restores: when which snapshot is due, and what the verdict of a drill proves. Pure.

The drill (`nomad-jobs/drill`) only says what it found; whether that is enough is judged here, with the keeper's own copy of the
manifest. A verdict is JSON: `{"verdict": 1, "snapshot": stem, "isolated": bool, "interfaces": [names], "restored": bool,
"problem": text, "server_version": v, "counts": {...}, "leader": address, "canary_job": text or null, "canary": {...} or null,
"trouble": text, "seconds": {step: s}}`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import cast

from keeper.core.messages import parse_time
from keeper.core.problems import FieldError
from keeper.core.restoring import Found, differences
from keeper.core.retention import Held, Listing
from keeper.core.snapshots import Manifest, Product, SnapshotName

VERSION = 1
RECORD = "rehearsal/memory.json"
LOOPBACK = "lo"
RUNBOOK = "docs/runbooks/rehearsal-failed.md"


@dataclass(frozen=True, slots=True)
class Pending:
    """A drill that was dispatched and has left no verdict yet."""

    snapshot: str
    job: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """What the controller writes down. Losing it costs one more rehearsal."""

    pending: Mapping[Product, Pending] = field(default_factory=dict[Product, Pending])
    rehearsed: Mapping[Product, datetime] = field(default_factory=dict[Product, datetime])
    """When each product's last rehearsal was dispatched."""
    reread: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one rehearsal."""

    snapshot: str
    passed: bool
    problems: Sequence[str]
    at: datetime
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])


def due(memory: Memory, product: Product, listing: Listing, interval: timedelta) -> Held | None:
    """The snapshot to rehearse now, the newest verified one, or None while one is pending or it is too soon."""
    last = memory.rehearsed.get(product)
    if product in memory.pending or (last is not None and listing.now - last < interval):
        return None
    return listing.newest(product)


def old_one(memory: Memory, listing: Listing, interval: timedelta) -> Held | None:
    """An old snapshot to read anew, drawn evenly by the day, or None when it is too soon or there is none but the newest."""
    if memory.reread is not None and listing.now - memory.reread < interval:
        return None
    newest = {listing.newest(product) for product in Product}
    old = sorted(held for held in listing.held if held.verified and held not in newest)
    if not old:
        return None
    drawn = int.from_bytes(sha256(f"{listing.now:%Y-%m-%dT%H}".encode()).digest()[:8], "big")
    return old[drawn % len(old)]


def blob_of(name: SnapshotName, since: datetime) -> str:
    """Where a drill leaves its verdict: one name for each attempt, so that an old verdict is never taken for a new one."""
    return f"{name.stem}/{since:%Y%m%dT%H%M%SZ}.json"


def judge(manifest: Manifest, body: bytes, at: datetime) -> Verdict:
    """What a drill's words prove. Words that cannot be read prove nothing."""
    stem = manifest.name.stem
    try:
        said = _object(body)
        return Verdict(stem, not (problems := _problems(manifest, said)), problems, at, _seconds(said))
    except FieldError as exc:
        return Verdict(stem, passed=False, problems=[f"the verdict cannot be read: {exc}"], at=at)


def _problems(manifest: Manifest, said: Mapping[str, object]) -> list[str]:
    problems: list[str] = []
    if said.get("snapshot") != manifest.name.stem:
        problems.append(f"it is about {said.get('snapshot')!r:.80}")
    if said.get("isolated") is not True or said.get("interfaces") != [LOOPBACK]:
        problems.append("the drill had a way out: it must see nothing but its own loopback interface")
    if said.get("restored") is not True:
        return [*problems, f"nothing was restored: {said.get('problem') or 'no reason was given'!s:.300}"]
    return problems + differences(manifest, _found(said), untouched=True)


def _found(said: Mapping[str, object]) -> Found:
    canary, job = said.get("canary"), said.get("canary_job")
    if not isinstance(job, str | None):
        raise FieldError("canary_job", "text or null", job)
    numbers = {kind: n for kind, n in _fields(said, "counts").items() if isinstance(n, int)}
    items = None if canary is None else {key: str(text) for key, text in _fields(said, "canary").items()}
    return Found(numbers, str(said.get("leader") or ""), job, items, str(said.get("trouble") or "")[:300])


def _fields(said: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = said.get(name)
    if not isinstance(value, dict):
        raise FieldError(name, "an object", value)
    return cast("dict[str, object]", value)


def _seconds(said: Mapping[str, object]) -> dict[str, float]:
    given = said.get("seconds")
    pairs = cast("dict[str, object]", given).items() if isinstance(given, dict) else ()
    return {step: float(value) for step, value in pairs if isinstance(value, int | float)}


def verdict_to_json(verdict: Verdict) -> str:
    """The record of a snapshot's newest rehearsal (`snapshots.rehearsal_record`)."""
    body = {
        "snapshot": verdict.snapshot,
        "passed": verdict.passed,
        "problems": list(verdict.problems),
        "at": verdict.at.isoformat(),
        "seconds": dict(verdict.seconds),
    }
    return json.dumps(body, separators=(",", ":"))


def to_json(memory: Memory) -> str:
    """The stored form."""
    pending = {
        product: {"snapshot": p.snapshot, "job": p.job, "since": p.since.isoformat()}
        for product, p in memory.pending.items()
    }
    rehearsed = {product: at.isoformat() for product, at in memory.rehearsed.items()}
    reread = None if memory.reread is None else memory.reread.isoformat()
    return json.dumps({"pending": pending, "rehearsed": rehearsed, "reread": reread}, separators=(",", ":"))


def from_json(body: bytes) -> Memory:
    """What `to_json` wrote; raises `ValueError`."""
    given = _object(body)
    try:
        pending = cast("dict[str, dict[str, str]]", given["pending"])
        rehearsed = cast("dict[str, str]", given["rehearsed"])
        reread = given["reread"]
        return Memory(
            {Product(k): Pending(p["snapshot"], p["job"], parse_time("since", p["since"])) for k, p in pending.items()},
            {Product(k): parse_time("rehearsed", at) for k, at in rehearsed.items()},
            None if reread is None else parse_time("reread", reread),
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise FieldError("memory", "a complete record", str(exc)) from exc


def _object(body: bytes) -> Mapping[str, object]:
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        raise FieldError("verdict", "one JSON object", body[:80]) from None
    if not isinstance(parsed, dict):
        raise FieldError("verdict", "one JSON object", parsed)
    return cast("dict[str, object]", parsed)
