"""Names and clocks: no two snapshots share a name, and a clock that jumped costs no snapshot and hides none."""

import json
from datetime import timedelta

import pytest

from keeper.controllers.taking import Asked, take
from keeper.core.retention import Listing
from keeper.core.snapshots import Tier

YEAR = timedelta(days=365)


class NeverLost:
    def confirm(self):
        pass


def again(stage):
    """One more at this very second and, as an idle cluster's is, at this very index."""
    stage.index -= 1
    listing = stage.store.listing("lab")
    return take(stage.world().snapshots, stage.nomad, listing, NeverLost(), Asked(stage.settings.snapshots))


def jump(stage, by):
    """Both clocks: what storage tells and what we read ourselves."""
    stage.reading.off += by
    stage.accounts.off += by


def told_overdue(stage, caplog):
    caplog.clear()
    stage.tick()
    return "snapshot.overdue" in [json.loads(record.message)["event"] for record in caplog.records]


def test_snapshots_of_one_second_and_index_have_names_of_their_own_in_the_order_of_taking(stage):
    stage.tick()

    taken = [again(stage) for _ in range(3)]

    held = stage.verified()
    assert len({each.name.stem for each in held}) == 4
    assert [each.name for each in held][1:] == [manifest.name for manifest in taken]
    assert {each.name.index for each in held} == {stage.index}
    assert taken[-1].name.taken - stage.clock().replace(microsecond=0) == timedelta(seconds=3)


def test_one_that_a_person_asks_for_in_the_second_of_the_last_is_taken(stage):
    stage.tick()
    stage.clock.advance(0.2)

    outcome = stage.tick(take=True)

    assert (len(outcome.taken), outcome.problems, len(stage.verified())) == (1, (), 2)


def test_after_storages_clock_came_back_from_the_future_snapshots_go_on_and_the_newest_is_told(stage, caplog):
    jump(stage, YEAR)
    stage.tick()
    jump(stage, -YEAR)

    assert not told_overdue(stage, caplog)
    (_, future) = stage.verified()
    stage.tick()
    assert len(stage.verified()) == 2  # not one at every look either
    stage.hour()
    stage.tick()

    newest = stage.store.listing("lab").newest(future.name.product)
    assert newest.name.taken == stage.clock().replace(microsecond=0)
    assert len(stage.verified()) == 3


def test_while_storages_clock_is_in_the_past_snapshots_go_on(stage):
    stage.tick()
    jump(stage, -YEAR)

    assert stage.tick().problems == ()
    stage.hour()
    assert stage.tick().problems == ()
    assert len(stage.verified()) == 3
    jump(stage, YEAR)
    stage.tick()

    assert stage.store.listing("lab").newest(stage.nomad.product).name.taken == stage.clock().replace(microsecond=0)


def test_a_snapshot_that_a_wrong_clock_dated_does_not_hush_the_alarm(stage, caplog):
    stage.tick()
    stage.nomad.make = lambda: b""
    stage.reading.off = -YEAR

    assert told_overdue(stage, caplog)


@pytest.mark.parametrize("forwards", [True, False])
def test_our_own_clock_that_jumped_costs_no_snapshot_and_deletes_none(stage, forwards):
    for _ in range(6):
        stage.tick()
        stage.hour()
    stage.reading.off = YEAR if forwards else -YEAR
    before = {held.name for held in stage.verified()}

    outcome = stage.tick()

    assert outcome.problems[0].startswith("clock_jumped: our clock is 31536000 s off the storage account's")
    assert {held.name for held in stage.verified()} == before | {outcome.taken[0].name}


def test_the_newest_real_ones_are_kept_beside_those_from_the_future(stage):
    jump(stage, YEAR)
    for _ in range(3):
        stage.tick()
        stage.hour()
    jump(stage, -YEAR)
    stage.tick()
    real = stage.verified()[0]
    stage.nomad.make = lambda: b""
    listing = Listing(stage.store.listing("lab").held, stage.clock() + timedelta(days=300))

    assert real.tier is Tier.MONTHLY
    assert real in listing.kept(real.name.product, 3)
