"""What a person asks for over HTTP: a stored record with its own state, resumable, cancellable, audited."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import cast

from keeper.core import restore_requests
from keeper.core.memory import Memory, ScaleRequest
from keeper.core.messages import Controller, parse_time
from keeper.core.model import Pool, PoolName
from keeper.core.problems import FieldError
from keeper.core.restore_requests import Restoring
from keeper.core.restoring import Progress
from keeper.core.snapshots import ACCEPTABLE, Reason


class Verb(StrEnum):
    """What can be asked for."""

    SCALE = "scale"
    """Bring a pool to that many instances, once; afterwards autoscale decides again."""
    PAUSE = "pause"
    """Autoscale changes nothing until resumed."""
    RESUME = "resume"
    SNAPSHOT = "snapshot"
    """Take a snapshot of each product now, due or not."""
    RESTORE = "restore"
    """Replace the cluster's state by that of a snapshot."""

    @property
    def controller(self) -> Controller:
        """Whose task it is."""
        return {Verb.SNAPSHOT: Controller.SNAPSHOT, Verb.RESTORE: Controller.RESTORE}.get(self, Controller.AUTOSCALE)


class State(StrEnum):
    """The states of Azure's long-running operations, so that its clients can wait for ours."""

    NOT_STARTED = "NotStarted"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def ended(self) -> bool:
        """Whether it stays as it is."""
        return self in {State.SUCCEEDED, State.FAILED, State.CANCELED}


@dataclass(frozen=True, slots=True)
class Request:
    """The body of `POST operations`."""

    verb: Verb
    reason: str
    dry_run: bool = False
    pool: PoolName | None = None
    count: int | None = None
    restoring: Restoring | None = None
    """Of a restore: what to restore and what is forced."""
    accept: frozenset[Reason] = frozenset()
    """Of a snapshot: what is accepted of it."""

    def fingerprint(self) -> str:
        """Equal for equal requests: an idempotency key may be used again only for the same one."""
        parts = [self.verb, self.reason, self.dry_run, self.pool, self.count, restore_requests.to_json(self.restoring)]
        parts += sorted(self.accept)
        return sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Operation:
    """A request and what became of it."""

    id: str
    request: Request
    by: str
    """Who asked: the caller's name from Entra ID, or the name of the function key's door."""
    asked: datetime
    state: State
    updated: datetime
    outcome: str = ""
    """One sentence once it has ended."""
    plan: Mapping[str, object] | None = None
    """The decision record of a dry run."""
    progress: Progress | None = None
    """How far a restore has come."""

    def ended(self, state: State, now: datetime, outcome: str) -> "Operation":
        """The same operation at its end; one that has ended stays as it is."""
        return self if self.state.ended else replace(self, state=state, updated=now, outcome=outcome)


LONGEST_REASON = 500
TARGETS = ("pool", "count", "accept", *restore_requests.FIELDS)
FIELDS = ("operation", "reason", "dry_run", *TARGETS)


def parse_request(body: object, pools: Iterable[Pool], cluster: str = "") -> Request:
    """The request in a decoded JSON body; raises `FieldError` naming the field that is wrong.

    `cluster` is the name that a restore's confirmation must bear.
    """
    given = _object(body)
    verb = _verb(given.get("operation"))
    reason = given.get("reason", "")
    if not isinstance(reason, str) or len(reason) > LONGEST_REASON:
        raise FieldError("reason", f"text of at most {LONGEST_REASON} characters", reason)
    dry_run = given.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise FieldError("dry_run", "true or false", dry_run)
    match verb:
        case Verb.SCALE:
            _only(verb, given, ("pool", "count"))
            return Request(verb, reason, dry_run, *_scale_target(given, {pool.name: pool for pool in pools}))
        case Verb.RESTORE:
            _only(verb, given, restore_requests.FIELDS)
            restoring = restore_requests.parse(given, cluster, dry_run=dry_run)
            return Request(verb, reason, dry_run, restoring=restoring)
        case Verb.SNAPSHOT:
            _only(verb, given, ("accept",))
            return Request(verb, reason, dry_run, accept=_accepted(given.get("accept", [])))
        case Verb.PAUSE | Verb.RESUME:
            _only(verb, given, ())
            return Request(verb, reason, dry_run)


def _object(body: object) -> Mapping[str, object]:
    if not isinstance(body, dict):
        raise FieldError("body", "a JSON object", body)
    given = cast("dict[str, object]", body)
    for name in given:
        if name not in FIELDS:
            raise FieldError(name, "one of the fields " + ", ".join(FIELDS), given[name])
    return given


def _verb(value: object) -> Verb:
    try:
        return Verb(value)
    except ValueError:
        raise FieldError("operation", "one of " + ", ".join(Verb), value) from None


def _only(verb: Verb, given: Mapping[str, object], fields: Sequence[str]) -> None:
    for name in TARGETS:
        if name in given and name not in fields:
            raise FieldError(name, f"nothing for {verb}", given[name])


def _accepted(value: object) -> frozenset[Reason]:
    words = sorted(ACCEPTABLE)
    named = cast("list[object]", value if isinstance(value, list) else [value])
    if any(each not in words for each in named):
        raise FieldError("accept", "a list of " + ", ".join(words), named)
    return frozenset(each for each in words if each in named)


def _scale_target(given: Mapping[str, object], pools: Mapping[PoolName, Pool]) -> tuple[PoolName, int]:
    name = given.get("pool")
    pool = pools.get(PoolName(name)) if isinstance(name, str) else None
    if pool is None:
        raise FieldError("pool", "one of " + ", ".join(pools), given.get("pool"))
    count = given.get("count")
    if not isinstance(count, int) or isinstance(count, bool) or not pool.minimum <= count <= pool.maximum:
        raise FieldError("count", f"a whole number from {pool.minimum} to {pool.maximum}", count)
    return pool.name, count


def begin(memory: Memory, operation: Operation, now: datetime, expiry: timedelta) -> tuple[Memory, Operation]:
    """Take an operation into memory. Doing so twice changes nothing; one that has ended does nothing."""
    request = operation.request
    if operation.state.ended:
        return memory, operation
    match request.verb:
        case Verb.PAUSE:
            why = request.reason or f"asked by {operation.by}"
            return replace(memory, paused=why), operation.ended(State.SUCCEEDED, now, f"autoscale is paused: {why}")
        case Verb.RESUME:
            return replace(memory, paused=None), operation.ended(State.SUCCEEDED, now, "autoscale goes on")
        case Verb.SCALE:
            assert request.pool is not None  # noqa: S101 -- parse_request promises both for scale
            assert request.count is not None  # noqa: S101 -- the same
            asked = ScaleRequest(operation.id, request.pool, request.count, operation.asked, operation.asked + expiry)
            others = tuple(r for r in memory.requests if r.pool != request.pool)
            return replace(memory, requests=(*others, asked)), replace(operation, state=State.RUNNING, updated=now)
        case Verb.SNAPSHOT | Verb.RESTORE:  # other controllers' work
            return memory, operation


def cancel(memory: Memory, operation: Operation, now: datetime) -> tuple[Memory, Operation]:
    """Take an operation out of memory; what it has bought already is left to autoscale."""
    requests = tuple(request for request in memory.requests if request.operation != operation.id)
    return replace(memory, requests=requests), operation.ended(State.CANCELED, now, "canceled on request")


def settled(before: Iterable[ScaleRequest], after: Memory, now: datetime) -> dict[str, tuple[State, str]]:
    """How the scale requests that are no longer remembered ended, by operation."""
    kept = {request.operation for request in after.requests}
    newer = {request.pool for request in after.requests}
    ends: dict[str, tuple[State, str]] = {}
    for request in before:
        if request.operation in kept:
            continue
        if request.pool in newer:
            ends[request.operation] = State.CANCELED, f"replaced by a newer request for {request.pool}"
        elif now >= request.expires:
            ends[request.operation] = State.FAILED, f"{request.pool} did not reach {request.count} in time"
        else:
            ends[request.operation] = State.SUCCEEDED, f"{request.pool} has {request.count} instances"
    return ends


def to_json(operation: Operation) -> dict[str, object]:
    """The stored and the answered form."""
    request = operation.request
    return {
        "id": operation.id,
        "status": operation.state,
        "operation": request.verb,
        "pool": request.pool,
        "count": request.count,
        "reason": request.reason,
        "dry_run": request.dry_run,
        "requestedBy": operation.by,
        "createdDateTime": operation.asked.isoformat(),
        "lastActionDateTime": operation.updated.isoformat(),
        "outcome": operation.outcome,
        "plan": operation.plan,
        **restore_requests.to_json(request.restoring),
        **({"accept": sorted(request.accept)} if request.accept else {}),
        "progress": None if operation.progress is None else restore_requests.progress_to_json(operation.progress),
    }


def from_json(stored: Mapping[str, object]) -> Operation:
    """The operation of the stored form; raises `FieldError` when it is damaged."""
    try:
        request = Request(
            Verb(stored["operation"]),
            cast("str", stored["reason"]),
            cast("bool", stored["dry_run"]),
            cast("PoolName | None", stored["pool"]),
            cast("int | None", stored["count"]),
            restore_requests.from_json(stored),
            _accepted(stored.get("accept", [])),
        )
        return Operation(
            cast("str", stored["id"]),
            request,
            cast("str", stored["requestedBy"]),
            parse_time("createdDateTime", stored["createdDateTime"]),
            State(stored["status"]),
            parse_time("lastActionDateTime", stored["lastActionDateTime"]),
            cast("str", stored["outcome"]),
            cast("Mapping[str, object] | None", stored["plan"]),
            restore_requests.progress_from_json(stored.get("progress")),
        )
    except (KeyError, ValueError) as exc:
        raise FieldError("operation record", "a complete record", str(exc)) from exc
