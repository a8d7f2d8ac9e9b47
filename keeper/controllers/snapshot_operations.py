"""Snapshots that a person asked for: the snapshot controller's tick, and then the end of the operation."""

from dataclasses import replace

from keeper.controllers import snapshot
from keeper.controllers.ledger import Ledger
from keeper.core.messages import Kind, Message
from keeper.core.operations import State
from keeper.core.problems import FieldError
from keeper.ports import World
from keeper.telemetry import Event, event

NOT_HERE = "no snapshots are configured here, so none was taken: set SNAPSHOT_CLUSTER"


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
    products = _products(world)
    plan = {"sentence": f"a snapshot would be taken of {' and '.join(products) or 'nothing'}", "products": products}
    if message.detail.get("cancel") is True:
        outcome, state = snapshot.Outcome(sentence="canceled on request; nothing was changed"), State.CANCELED
    elif not products:
        outcome, state = snapshot.Outcome(sentence=NOT_HERE), State.FAILED
    elif operation.request.dry_run:
        outcome, state = snapshot.Outcome(sentence="nothing was changed: dry run"), State.SUCCEEDED
    else:
        detail = {**message.detail, "accept": sorted(operation.request.accept)}
        outcome = snapshot.run(world, replace(message, detail=detail))
        state = State.FAILED if outcome.problems else State.SUCCEEDED
    plan = plan if operation.request.dry_run else None
    ended = replace(operation.ended(state, world.clock.now(), outcome.sentence), plan=plan)
    ledger.save_operation(ended, version)
    event(Event.OPERATION_ENDED, operation=operation.id, state=state, outcome=outcome.sentence)
    return outcome


def _products(world: World) -> list[str]:
    """Whose snapshots are taken here."""
    configured = world.snapshots is not None and world.settings.snapshots.cluster
    return [source.product for source in world.snapshots.sources] if configured and world.snapshots else []
