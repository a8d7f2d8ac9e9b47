"""What a message brings into a tick: an alert becomes pressure, an operation becomes a request; all else only says "look"."""

from dataclasses import dataclass, replace
from datetime import datetime

from keeper.controllers.ledger import Ledger
from keeper.core import alerts, operations
from keeper.core.memory import Memory, ScaleRequest
from keeper.core.messages import Kind, Message
from keeper.core.operations import Operation, State
from keeper.core.problems import FieldError
from keeper.core.rules import AutoscaleRules
from keeper.telemetry import Event, event


@dataclass(frozen=True, slots=True)
class Taken:
    """Memory with the message in it, and the operation it came from, if any."""

    memory: Memory
    operation: Operation | None = None
    version: str | None = None
    dry_run: bool = False
    """Whether nothing but the operation's own record may be written."""


def take_in(ledger: Ledger, memory: Memory, message: Message, now: datetime, rules: AutoscaleRules) -> Taken:
    """Fold the message into memory. Doing so again with the same message changes nothing."""
    match message.kind:
        case Kind.ALERT:
            return Taken(alerts.fold_alert(memory, alerts.from_detail(message.detail), now, rules))
        case Kind.OPERATION:
            return _take_operation(ledger, memory, message, now, rules)
        case Kind.NUDGE | Kind.EVENT | Kind.TIMER:
            return Taken(memory)


def _take_operation(ledger: Ledger, memory: Memory, message: Message, now: datetime, rules: AutoscaleRules) -> Taken:
    found = ledger.operation(str(message.detail.get("id", "")))
    if found is None:
        raise FieldError("detail.id", "the id of a stored operation", message.detail.get("id"))
    operation, version = found
    if message.detail.get("cancel") is True:
        return Taken(*operations.cancel(memory, operation, now), version)
    dry_run = operation.request.dry_run and not operation.state.ended
    return Taken(*operations.begin(memory, operation, now, rules.request_expiry), version, dry_run)


def end_dry_run(ledger: Ledger, taken: Taken, record: dict[str, object], now: datetime) -> None:
    """Leave the plan in the operation's record: all that a dry run writes."""
    if taken.operation is not None:
        done = replace(
            taken.operation, state=State.SUCCEEDED, updated=now, outcome="nothing was changed: dry run", plan=record
        )
        ledger.save_operation(done, taken.version)


def settle(ledger: Ledger, before: Memory, taken: Taken, after: Memory, now: datetime) -> None:
    """Write how operations ended. Runs before memory forgets them, so that a crash in between loses no end."""
    requests: dict[str, ScaleRequest] = {r.operation: r for r in (*before.requests, *taken.memory.requests)}
    ends = operations.settled(requests.values(), after, now)
    current = taken.operation
    if current is not None and current.id not in ends:
        ledger.save_operation(current, taken.version)
        _say_if_ended(current)
    for operation, (state, outcome) in ends.items():
        found = (current, taken.version) if current and current.id == operation else ledger.operation(operation)
        if found is not None:
            ended = found[0].ended(state, now, outcome)
            ledger.save_operation(ended, found[1])
            _say_if_ended(ended)


def _say_if_ended(operation: Operation) -> None:
    if operation.state.ended:
        event(Event.OPERATION_ENDED, operation=operation.id, state=operation.state, outcome=operation.outcome)
