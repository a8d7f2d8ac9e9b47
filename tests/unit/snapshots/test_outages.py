"""Bad days that last: an account that is away, a manifest that was damaged, a clock that stays wrong, a hold that stays."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from keeper.controllers import snapshot, sweeping
from keeper.core.messages import Controller, Kind, Message, parse_message
from keeper.core.snapshots import Part, Product, Tier
from keeper.errors import Unreachable

ROOT_KEY = "aaaaaaaa-1111-2222-3333-444444444444"


class Deposits:
    """What the servers deposited."""

    def __init__(self, body=b'{"keystore":1,"wrapped":"w"}'):
        self.body = body

    def needed(self):
        return [ROOT_KEY]

    def deposits(self, _cluster):
        return {ROOT_KEY: self.body}


def away(_):
    raise Unreachable("no answer")


def wishes(stage):
    """Every message that waits, as it is delivered."""
    found = []
    while (body := stage.corridor.receive()) is not None:
        found.append(parse_message(body))
    return found


def spoil(stage, store, part):
    """Make one part of the newest snapshot garbage."""
    held = stage.verified(store=store)[-1]
    where = held.tier.container, held.name.blob(part)
    store.blobs[where] = replace(store.blobs[where], body=b"{}")


def lies_beside(stage, keystores):
    """Have snapshots taken with these root keys beside them."""
    world = stage.world

    def with_keys():
        made = world()
        return replace(made, snapshots=replace(made.snapshots, keystores=keystores))

    stage.world = with_keys


def events(caplog):
    return [json.loads(record.message) for record in caplog.records]


def test_a_damaged_manifest_is_said_and_keeps_nobody_from_the_next_snapshot(stage, caplog):
    stage.tick()
    stage.hour(2)
    stage.tick()
    spoil(stage, stage.store, Part.MANIFEST)
    stage.hour(2)

    outcome = stage.tick()

    assert len(outcome.taken) == 1
    assert [each["reason"] for each in events(caplog) if each["event"] == "snapshot.failed"] == ["unreadable"]


def test_behind_a_damaged_manifest_the_one_before_still_tells_a_state_that_went_back(stage):
    stage.tick()
    stage.hour(2)
    stage.tick()
    spoil(stage, stage.store, Part.MANIFEST)
    stage.hour(2)
    stage.index = 10

    assert stage.tick().problems[0].startswith("index_behind")


def test_after_days_without_the_second_account_all_that_is_kept_long_gets_its_copy(stage):
    stage.sources = [stage.nomad, stage.consul]
    stage.copies.step = away
    for _ in range(24 * 5):
        stage.hour()
        stage.tick()

    stage.copies.step = lambda _: None
    for _ in range(24):
        stage.hour()
        stage.tick()
        for product in Product:
            assert stage.copies.listing("lab").newest(product) == stage.store.listing("lab").newest(product)

    copied = {held.name for held in stage.copies.listing("lab").held}
    kept_long = [held for held in stage.store.listing("lab").held if held.tier is not Tier.HOURLY]
    assert len(kept_long) >= 10
    assert [held.name.stem for held in kept_long if held.name not in copied] == []


@pytest.mark.parametrize("off", [timedelta(days=-30), timedelta(minutes=-2), timedelta(), timedelta(days=30)])
def test_a_wish_is_granted_once_however_wrong_our_clock_is(stage, off):
    stage.tick()
    stage.clock.advance(2000)
    stage.reading.off = off
    wish = Message(Kind.NUDGE, Controller.SNAPSHOT, "test", stage.reading.now(), "test", {"take": True})

    taken = []
    for _ in range(4):
        taken.append(len(snapshot.run(stage.world(), wish).taken))
        stage.clock.advance(120)

    assert taken == [1, 0, 0, 0]


def test_a_wish_that_was_granted_is_not_repeated_because_a_copy_fails(stage):
    stage.copies.step = away
    for _ in range(3):
        assert stage.tick(take=True).taken
        stage.clock.advance(1)

    stage.clock.advance(300)
    assert [wish.detail for wish in wishes(stage)] == [{}]


def test_snapshots_that_a_hold_keeps_do_not_keep_those_of_other_tiers(stage, monkeypatch):
    monkeypatch.setattr(sweeping, "DELETIONS_AT_ONCE", 5)
    stage.store.intervals = {Tier.DAILY.container: timedelta(days=9999)}
    stage.settings = replace(stage.settings, snapshots=replace(stage.settings.snapshots, interval=timedelta(days=1)))
    for _ in range(30):
        stage.tick()
        stage.hour(24)
    tried = len(stage.store.forbidden)
    stage.settings = replace(stage.settings, snapshots=replace(stage.settings.snapshots, interval=timedelta(hours=1)))
    for _ in range(60):
        stage.tick()
        stage.hour()

    assert 5 < tried <= 5 * 30
    assert len([held for held in stage.verified() if held.tier is Tier.DAILY]) > 20
    assert len([held for held in stage.verified() if held.tier is Tier.HOURLY]) <= 50


def test_a_copied_keystore_that_was_spoilt_on_its_way_is_none(stage):
    lies_beside(stage, Deposits())
    real = stage.copies.create

    def spoiling(tier, name, body, metadata):
        real(tier, name, body[:-1] + b"?" if name.endswith(Part.KEYSTORE) else body, metadata)

    stage.copies.create = spoiling

    outcome = stage.tick()

    assert outcome.taken[0].keystore_sha256
    assert "keystore.enc is not what was copied" in outcome.problems[0]
    assert stage.verified(store=stage.copies) == []


def test_a_damaged_deposit_costs_the_root_keys_and_not_the_snapshot(stage, caplog):
    lies_beside(stage, Deposits(b"{"))

    (manifest,) = stage.tick().taken

    assert manifest.keystore_sha256 is None
    assert [each["keys"] for each in events(caplog) if each["event"] == "keystore.missing"] == [[ROOT_KEY]]
