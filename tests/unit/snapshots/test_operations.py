"""A snapshot that a person asks for, as before a risky change: it ends well only when each product has one that is newer than the asking."""

from dataclasses import replace

import pytest

from keeper.controllers import snapshot_operations
from keeper.controllers.ledger import Ledger
from keeper.core.messages import Controller, Kind, Message
from keeper.core.operations import Operation, Request, State, Verb
from keeper.core.snapshots import Reason


@pytest.fixture
def ask(stage):
    """Ask for a snapshot, deliver the message, and give back how the operation stands."""

    def asked(cancel=False, name="op1", **request):
        stage.clock.advance(60)
        now, ledger = stage.clock(), Ledger(stage.records)
        made = Request(Verb.SNAPSHOT, "before an upgrade", **request)
        ledger.save_operation(Operation(name, made, "ann", now, State.NOT_STARTED, now), None)
        detail = {"id": name, "cancel": cancel}
        snapshot_operations.run(
            stage.world(), Message(Kind.OPERATION, Controller.SNAPSHOT, "snapshot", now, "http", detail)
        )
        return ledger.operation(name)[0]

    return asked


def test_it_is_taken_though_none_is_due_and_named(stage, ask):
    stage.tick()

    done = ask()

    assert (done.state, len(stage.verified())) == (State.SUCCEEDED, 2)
    assert stage.verified()[-1].name.stem in done.outcome


def test_one_that_could_not_be_taken_fails_with_its_reason(stage, ask):
    stage.nomad.make = lambda: b"hello"

    done = ask()

    assert (done.state, "not_an_archive" in done.outcome) == (State.FAILED, True)


def test_what_a_person_accepts_is_taken_and_nothing_else_is(stage, ask):
    stage.tick()
    stage.index = 10

    refused = ask(accept=frozenset({Reason.SIZE_ABSURD}))
    taken = ask(name="op2", accept=frozenset({Reason.INDEX_BEHIND}))

    assert (refused.state, taken.state) == (State.FAILED, State.SUCCEEDED)
    assert "index_behind" in refused.outcome
    assert stage.verified()[-1].name.index < 100


def test_one_product_without_a_snapshot_is_a_failure_though_the_other_has_one(stage, ask):
    stage.sources = [stage.nomad, stage.consul]
    stage.consul.make = lambda: b"hello"

    assert ask().state is State.FAILED
    assert len(stage.verified()) == 1


def test_where_none_are_taken_nobody_is_told_that_one_was(stage, ask):
    stage.settings = replace(stage.settings, snapshots=replace(stage.settings.snapshots, cluster=""))

    done = ask()

    assert (done.state, "SNAPSHOT_CLUSTER" in done.outcome) == (State.FAILED, True)


def test_a_dry_run_tells_whose_and_takes_none(stage, ask):
    stage.sources = [stage.nomad, stage.consul]

    done = ask(dry_run=True)

    assert (done.state, done.plan["sentence"]) == (State.SUCCEEDED, "a snapshot would be taken of nomad and consul")
    assert stage.verified() == []


def test_a_cancelled_one_takes_none(stage, ask):
    assert ask(cancel=True).state is State.CANCELED
    assert stage.verified() == []
