"""Restore: replaces a cluster's state by that of a snapshot, because a person asked for it by a phrase.

One operation, six steps (`restoring.Step`), each written down when it is done, so that any tick takes it up again: a step that
was cut is done once more, and all of them may be. Nothing here waits; what is not yet so ends the tick with `Transient`, and
the same message comes back. While a restore is under way autoscale is paused, for the world it knew is about to change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from keeper.controllers import restore_steps
from keeper.controllers.ledger import Ledger
from keeper.controllers.restore_steps import PASSING, Attempt, NotYet
from keeper.core import restoring
from keeper.core.messages import Controller, Message
from keeper.core.operations import Operation, State
from keeper.core.problems import FieldError
from keeper.core.restoring import Step
from keeper.core.snapshots import BadSnapshot
from keeper.errors import Permanent, Refused, Transient
from keeper.ports import Lease, World
from keeper.telemetry import Event, event

CLUSTER_LEASE, SNAPSHOT_LEASE = "cluster", "snapshot"
"""Nobody changes machines, and nobody takes snapshots, while a restore has its turn."""

DEADLINE = timedelta(hours=2)
"""After this an operation is given up; the servers are then as its last step left them."""

BACK_SOON = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tick came to."""

    operation: Operation | None = None


def run(world: World, message: Message) -> Outcome:
    """One tick for the restore that `message` names; raises `Transient` while it is under way and something must come first."""
    ledger = Ledger(world.records)
    with world.leases.hold(CLUSTER_LEASE) as cluster, world.leases.hold(SNAPSHOT_LEASE) as lease:
        found = ledger.operation(str(message.detail.get("id", "")))
        if found is None or found[0].request.restoring is None:
            raise FieldError("detail.id", "the id of a stored restore", message.detail.get("id"))
        operation, version = found
        if operation.state.ended:
            return Outcome(operation)
        attempt = Attempt(world, ledger, operation, version, _Both(cluster, lease))
        if message.detail.get("cancel") is True:
            return Outcome(_cancel(attempt))
        return Outcome(_carry_on(attempt))


@dataclass(frozen=True, slots=True)
class _Both:
    """Both leases as one."""

    first: Lease
    second: Lease

    def confirm(self) -> None:
        """See the port."""
        self.first.confirm()
        self.second.confirm()


def _carry_on(attempt: Attempt) -> Operation:
    """Do what is left; what cannot be done ends the operation in one sentence."""
    try:
        return _through(attempt)
    except NotYet as exc:
        attempt.note(doing=str(exc))
        raise
    except BadSnapshot as exc:
        if exc.reason in PASSING and not _given_up(attempt):
            attempt.note(doing=exc.what)
            raise Transient(str(exc), retry_after=BACK_SOON) from exc
        return _fail(attempt, str(exc))
    except Transient as exc:
        if _given_up(attempt):
            return _fail(attempt, f"given up after {DEADLINE}: {exc}")
        raise
    except (Refused, Permanent, FieldError) as exc:
        return _fail(attempt, str(exc))


def _given_up(attempt: Attempt) -> bool:
    return attempt.world.clock.now() - attempt.operation.asked > DEADLINE


def _through(attempt: Attempt) -> Operation:
    steps = restore_steps.choose(attempt)
    if attempt.operation.request.dry_run:
        return _end_dry_run(attempt, steps.shown())
    attempt.ledger.begin_restore(attempt.operation.id)
    attempt.refuse(steps.objections())
    _pause_autoscale(attempt)
    for step, action in (
        (Step.VERIFIED, steps.verify),
        (Step.SAVED, steps.save),
        (Step.KEYED, steps.key),
        (Step.RESTORED, steps.restore),
        (Step.PROVEN, steps.prove),
    ):
        if not attempt.progress.past(step):
            attempt.lease.confirm()
            attempt.note(**action(), step=step, doing="", done_bytes=0, total_bytes=0)
            event(Event.RESTORE_STEPPED, operation=attempt.operation.id, step=step)
    _resume_autoscale(attempt)
    return _succeed(attempt)


def _succeed(attempt: Attempt) -> Operation:
    progress = attempt.progress
    undo = "" if progress.undo is None else f"; undo: {restoring.phrase(attempt.cluster, progress.undo)}"
    return _end(attempt, State.SUCCEEDED, f"restored {progress.snapshot}, and all that it counts is there{undo}")


def _fail(attempt: Attempt, why: str) -> Operation:
    """End it. Before the servers took anything, all is as it was; afterwards autoscale stays paused for a person to look."""
    progress = attempt.progress
    if progress.past(Step.RESTORED):
        undo = "" if progress.undo is None else f"; undo: {restoring.phrase(attempt.cluster, progress.undo)}"
        why = f"restored, but {why}; autoscale stays paused{undo}"
    else:
        _resume_autoscale(attempt)
    event(Event.RESTORE_FAILED, operation=attempt.operation.id, why=why, runbook="docs/runbooks/restore.md")
    return _end(attempt, State.FAILED, why)


def _cancel(attempt: Attempt) -> Operation:
    """Stop before the servers take the archive; afterwards only the undo leads back."""
    if attempt.progress.past(Step.RESTORED):
        return attempt.operation
    _resume_autoscale(attempt)
    return _end(attempt, State.CANCELED, "canceled on request; the servers' state was not changed")


def _end(attempt: Attempt, state: State, outcome: str) -> Operation:
    now = attempt.world.clock.now()
    attempt.save(attempt.operation.ended(state, now, outcome))
    event(Event.OPERATION_ENDED, operation=attempt.operation.id, state=state, outcome=outcome)
    attempt.ledger.decide(Controller.RESTORE, _record(attempt, outcome), now)
    return attempt.operation


def _end_dry_run(attempt: Attempt, shown: Mapping[str, object]) -> Operation:
    """Leave the plan in the operation's record: all that a dry run writes."""
    done = attempt.operation.ended(State.SUCCEEDED, attempt.world.clock.now(), "nothing was changed: dry run")
    attempt.save(replace(done, plan=shown))
    return attempt.operation


def _record(attempt: Attempt, outcome: str) -> Mapping[str, object]:
    now = attempt.world.clock.now()
    return {
        "at": now.isoformat(),
        "controller": Controller.RESTORE,
        "cause": attempt.operation.id,
        "kind": "operation",
        "reason": attempt.operation.state,
        "sentence": outcome,
        "seconds": (now - attempt.operation.asked).total_seconds(),
    }


def _reason(attempt: Attempt) -> str:
    return f"restore {attempt.operation.id} is under way"


def _pause_autoscale(attempt: Attempt) -> None:
    """We hold the lease of those who change machines; a pause of somebody else's stays as it is."""
    memory, version = attempt.ledger.remember()
    if memory.paused is None:
        attempt.ledger.save_memory(replace(memory, paused=_reason(attempt)), version)


def _resume_autoscale(attempt: Attempt) -> None:
    memory, version = attempt.ledger.remember()
    if memory.paused == _reason(attempt):
        attempt.ledger.save_memory(replace(memory, paused=None), version)
