"""Snapshots that a person asked for: the snapshot controller's tick, and then the end of the operation."""

from dataclasses import replace

from keeper.controllers import snapshot
from keeper.controllers.ledger import Ledger
from keeper.core.messages import Kind, Message
from keeper.core.operations import Operation, State
from keeper.core.problems import FieldError
from keeper.ports import World
from keeper.telemetry import Event, event


def run(world: World, message: Message) -> snapshot.Outcome:
    """One tick of the snapshot controller; an operation that caused it ends with what it came to. Repeating is harmless."""
    if message.kind is not Kind.OPERATION:
        return snapshot.run(world, message)
    ledger = Ledger(world.records)
    found = ledger.operation(str(message.detail.get("id", "")))
    if found is None:
        raise FieldError("detail.id", "the id of a stored operation", message.detail.get("id"))
    operation, version = found
    if operation.state.ended:
        return snapshot.Outcome(sentence=operation.outcome)
    if message.detail.get("cancel") is True or operation.request.dry_run:
        outcome, state = snapshot.Outcome(sentence="nothing was changed"), _unchanged(operation)
    else:
        outcome = snapshot.run(world, message)
        state = State.FAILED if outcome.problems else State.SUCCEEDED
    plan = {"sentence": "one snapshot of each product would be taken"} if operation.request.dry_run else None
    ended = replace(operation.ended(state, world.clock.now(), outcome.sentence), plan=plan)
    ledger.save_operation(ended, version)
    event(Event.OPERATION_ENDED, operation=operation.id, state=state, outcome=outcome.sentence)
    return outcome


def _unchanged(operation: Operation) -> State:
    return State.SUCCEEDED if operation.request.dry_run else State.CANCELED
