"""One message, one tick: what the queue worker and the timers run."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime

from keeper.controllers import autoscale, certificates, rehearsal, restore, snapshot_operations
from keeper.core.messages import Controller, Message, parse_message
from keeper.errors import LostLease, Transient
from keeper.ports import Records, World
from keeper.telemetry import Event, event

TICKS: Mapping[Controller, Callable[[World, Message], object]] = {
    Controller.AUTOSCALE: autoscale.run,
    Controller.SNAPSHOT: snapshot_operations.run,
    Controller.RESTORE: restore.run,
    Controller.REHEARSAL: rehearsal.run,
    Controller.CERTIFICATES: certificates.run,
}


def tick(world: World, message: Message) -> None:
    """Run one tick for a timer. When another tick has its turn, that one looks for both."""
    try:
        TICKS[message.controller](world, message)
    except LostLease as exc:
        event(Event.TICK_TURN_LOST, controller=message.controller, cause=message.cause, why=str(exc))


def handle(world: World, text: str) -> None:
    """Run one tick for a queued message.

    A transient error puts the same message back with a delay instead of failing the invocation, so that waiting for a
    turn or for Azure never counts towards the poison queue; a later look may satisfy it meanwhile. All else raises.
    """
    message = parse_message(text)
    try:
        TICKS[message.controller](world, message)
    except Transient as exc:
        what = Event.TICK_TURN_LOST if isinstance(exc, LostLease) else Event.TICK_STOPPED
        event(what, controller=message.controller, cause=message.cause, why=str(exc), retry_after=exc.retry_after)
        world.corridor.send(text, delay=exc.retry_after)


def bury(records: Records, text: str, now: datetime) -> None:
    """Record a message that could not be handled. The error event is what the alert rule watches."""
    line = json.dumps({"at": now.isoformat(), "message": text})
    records.append(f"poison/{now:%Y-%m-%d}.jsonl", line)
    event(Event.MESSAGE_POISONED, message=text[:500])
