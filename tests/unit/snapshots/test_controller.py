"""The snapshot controller: what is due is taken, what failed says why, nothing half done is visible."""

import hashlib
import json
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from keeper.controllers import snapshot
from keeper.controllers.taking import load_manifest
from keeper.core.messages import Controller, Kind, Message, parse_message
from keeper.core.snapshots import MANIFEST_METADATA, BadSnapshot, Part, Product, Reason, Tier
from keeper.errors import Forbidden, LostLease, Permanent, Throttled, Unreachable
from lab.archives import archive_of
from lab.damage import damaged


def plain(stage, held, store=None):
    store = store or stage.store
    manifest = load_manifest(store, held)
    name = held.name.blob(Part.ARCHIVE)
    return b"".join(stage.keys.unwrap(manifest.key).open(name, store.read(held.tier, name)))


def said(stage, product=Product.NOMAD):
    record = json.loads(stage.records.load("snapshots/status.json").body)
    return record["products"][product]["problem"]


def test_a_due_snapshot_is_taken_sealed_and_opens_again(stage):
    stage.tick()

    (held,) = stage.verified()
    manifest = load_manifest(stage.store, held)
    archive = plain(stage, held)
    assert hashlib.sha256(archive).hexdigest() == manifest.archive_sha256
    assert archive == archive_of(stage.state, stage.index)
    assert stage.state[:18] not in stage.store.blobs[held.tier.container, held.name.blob(Part.ARCHIVE)].body
    assert (manifest.name.index, manifest.counts) == (stage.index, {"jobs": (2, 2)})


def test_its_copy_is_the_same_bytes_under_the_same_name(stage):
    stage.tick()

    assert stage.copies.blobs.keys() == stage.store.blobs.keys()
    assert all(stage.copies.blobs[name].body == kept.body for name, kept in stage.store.blobs.items())


def test_the_archive_carries_its_manifest_in_its_metadata(stage):
    stage.tick()

    (held,) = stage.verified()
    metadata = stage.store.metadata(held.tier, held.name.blob(Part.ARCHIVE))
    assert metadata[MANIFEST_METADATA].encode() == b"".join(stage.store.read(held.tier, held.name.blob(Part.MANIFEST)))


def test_a_second_look_takes_nothing(stage):
    stage.tick()
    stage.tick(Kind.TIMER)
    stage.hour(0.5)

    assert stage.tick().sentence == "nothing is due"
    assert len(stage.verified()) == 1


def test_a_timer_that_was_missed_for_days_is_made_up_for_by_one_snapshot(stage):
    stage.tick()
    stage.hour(100)
    stage.tick(Kind.TIMER)

    assert len(stage.verified()) == 2


def test_a_day_has_one_daily_and_then_hourlies(stage):
    for _ in range(30):
        stage.tick()
        stage.hour()

    tiers = [held.tier for held in stage.verified()]
    assert tiers.count(Tier.MONTHLY) == 1
    assert tiers.count(Tier.DAILY) == 1
    assert tiers.count(Tier.HOURLY) == 28


def test_both_products_are_taken_and_one_failure_does_not_stop_the_other(stage):
    stage.sources = [stage.nomad, stage.consul]
    stage.nomad.make = lambda: b"hello"

    outcome = stage.tick()

    assert [manifest.name.product for manifest in outcome.taken] == [Product.CONSUL]
    assert not outcome.taken[0].digest_announced
    assert said(stage).startswith("not_an_archive")
    assert said(stage, Product.CONSUL) == ""


def test_nothing_damaged_becomes_visible(stage):
    stage.tick()
    stage.hour()
    sound = archive_of(stage.state, stage.index + 1)
    before = dict(stage.store.blobs)
    for each in damaged(sound, 40):
        stage.nomad.make, stage.nomad.digest = (lambda body=each.body: body), each.digest
        stage.tick()
        assert stage.store.blobs == before, each.how


def test_a_failure_is_one_line_with_reason_and_runbook_and_is_tried_again_soon(stage):
    stage.nomad.make = lambda: archive_of(stage.state)[:-20]

    outcome = stage.tick()

    (problem,) = outcome.problems
    assert "\n" not in problem
    assert problem.startswith("cut_short: ")
    assert "docs/runbooks/snapshot-damaged.md" in problem
    assert stage.corridor.next_due() == stage.clock() + timedelta(minutes=5)
    stage.tick()
    stage.clock.advance(timedelta(minutes=5))
    assert stage.corridor.receive() is not None
    assert stage.corridor.receive() is None


def test_a_timers_tick_that_failed_fails_for_azure_to_see(stage):
    stage.nomad.make = lambda: b""

    with pytest.raises(Permanent, match="cut_short"):
        stage.tick(Kind.TIMER)
    assert stage.records.tail("decisions/snapshot/2026-01-05.jsonl", 1)


def test_a_problem_is_forgotten_once_it_is_over(stage):
    good = stage.nomad.make
    stage.nomad.make = lambda: b""
    stage.tick()
    stage.nomad.make = good
    stage.tick()

    assert said(stage) == ""
    assert len(stage.verified()) == 1


def test_an_index_behind_the_last_one_is_refused_and_may_be_accepted_by_name(stage):
    stage.tick()
    stage.hour()
    stage.nomad.make = lambda: archive_of(stage.state, index=5)

    assert stage.tick().problems[0].startswith("index_behind")
    assert stage.tick(accept=["index_behind"]).taken[0].name.index == 5


def test_an_index_behind_what_the_servers_just_told_is_refused(stage):
    stage.nomad.index = 5000

    assert stage.tick().problems[0].startswith("index_behind")


def test_a_state_that_shrank_absurdly_is_refused_and_may_be_accepted_by_name(stage):
    stage.state = random.Random(1).randbytes(3_000_000)  # noqa: S311 -- repeatable bytes that do not pack
    stage.tick()
    stage.hour()
    stage.state = b"empty"

    assert stage.tick().problems[0].startswith("size_absurd")
    assert stage.tick(accept=["size_absurd"]).taken


def test_a_snapshot_asked_for_is_taken_though_none_is_due_but_only_once(stage):
    stage.tick()
    stage.clock.advance(60)
    asked = stage.clock()
    assert stage.tick(take=True).taken
    stage.clock.advance(60)
    again = Message(Kind.NUDGE, Controller.SNAPSHOT, "test", asked, "test", {"take": True})
    assert snapshot.run(stage.world(), again).taken == ()


def test_a_snapshot_asked_for_that_failed_is_asked_for_again_until_it_is_there(stage):
    stage.tick()
    stage.clock.advance(60)
    stage.store.step = refusing(Unreachable("reset"), "stage")
    assert stage.tick(take=True).problems

    stage.clock.advance(300)
    wish = parse_message(stage.corridor.receive())
    assert wish.detail == {"take": True}
    assert snapshot.run(stage.world(), wish).problems

    stage.store.step = lambda _: None
    stage.clock.advance(300)
    again = parse_message(stage.corridor.receive())
    assert again == wish
    assert snapshot.run(stage.world(), again).taken
    assert snapshot.run(stage.world(), again).taken == ()


def refusing(error, where):
    def step(what):
        if what.startswith(where):
            raise error

    return step


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Forbidden("no role"), Reason.STORAGE_REFUSED),
        (Permanent("the account is full"), Reason.STORAGE_REFUSED),
        (Throttled("busy"), Reason.STORAGE_UNREACHABLE),
        (Unreachable("reset"), Reason.STORAGE_UNREACHABLE),
    ],
)
@pytest.mark.parametrize("where", ["stage", "write"])
def test_storage_that_refuses_leaves_nothing_and_says_so(stage, error, reason, where):
    stage.store.step = refusing(error, where)

    outcome = stage.tick()

    assert outcome.problems[0].startswith(reason)
    assert stage.store.blobs == {}
    stage.store.step = lambda _: None
    stage.tick()
    assert len(stage.verified()) == 1


def test_a_token_without_the_right_is_named(stage):
    def refused():
        raise BadSnapshot(Reason.RIGHT_MISSING, "Nomad refused: it needs a management token")

    stage.nomad.make = refused

    assert stage.tick().problems[0].startswith("right_missing: Nomad refused: it needs a management token")


def test_a_lost_lease_stops_before_the_next_write(stage):
    def lose(_):
        stage.leases.break_lease("snapshot")
        stage.leases.hold("snapshot").__enter__()

    stage.store.step = lose
    stage.state = random.Random(2).randbytes(30_000_000)  # noqa: S311 -- the same

    with pytest.raises(LostLease):
        stage.tick()
    assert stage.store.blobs == {}


def test_a_run_cut_between_archive_and_manifest_is_finished_by_the_next(stage):
    stage.store.step = lambda what: (_ for _ in ()).throw(KeyboardInterrupt) if what.endswith("json") else None
    with pytest.raises(KeyboardInterrupt):
        stage.tick()
    assert stage.verified() == []
    stage.store.step = lambda _: None
    stage.clock.advance(31)

    outcome = stage.tick()

    assert "finished" in outcome.sentence
    assert outcome.taken == ()  # what was finished is fresh enough
    (held,) = stage.verified()
    assert plain(stage, held) == archive_of(stage.state, stage.index)


def test_a_copy_cut_before_its_manifest_is_read_back_and_finished(stage):
    stage.copies.step = lambda what: (_ for _ in ()).throw(KeyboardInterrupt) if what.endswith("json") else None
    with pytest.raises(KeyboardInterrupt):
        stage.tick()
    stage.copies.step = lambda _: None
    stage.clock.advance(31)
    stage.tick()

    assert len(stage.verified(store=stage.copies)) == 1


def test_a_damaged_original_is_noticed_when_it_is_read_back_and_is_not_copied(stage):
    real_put = stage.store.put

    def spoil(tier, name, body):
        real_put(tier, name, body)
        for (container, blob), kept in stage.store.blobs.items():
            if blob.endswith(Part.ARCHIVE):
                stage.store.blobs[container, blob] = replace(kept, body=kept.body[:-1] + b"?")

    stage.store.put = spoil

    outcome = stage.tick()

    assert any(problem.startswith("unreadable") for problem in outcome.problems)
    assert stage.copies.blobs == {}


def test_expired_ones_are_deleted_the_newest_stay_and_no_call_is_forbidden(stage):
    for _ in range(24 * 4):
        stage.tick()
        stage.hour()

    hourly = [held for held in stage.verified() if held.tier is Tier.HOURLY]
    assert 44 <= len(hourly) <= 50
    assert len({held.name.taken.date() for held in stage.verified()}) == 5
    assert stage.store.forbidden == stage.copies.forbidden == []
    assert stage.store.blobs.keys() == stage.copies.blobs.keys()


def test_a_policy_longer_than_the_setting_keeps_them_and_is_no_failure(stage):
    stage.store.intervals = {tier.container: timedelta(days=10) for tier in Tier}
    for _ in range(60):
        assert stage.tick().problems == ()
        stage.hour()

    assert len(stage.verified()) == 60


def test_while_a_snapshot_fails_nothing_is_deleted(stage):
    for _ in range(3):
        stage.tick()
        stage.hour()
    stage.hour(24 * 30)
    stage.nomad.make = lambda: b""
    before = dict(stage.store.blobs)
    stage.tick()

    assert stage.store.blobs == before


def test_a_clock_that_jumped_is_said_names_nothing_wrong_and_deletes_nothing(stage):
    stage.tick()
    stage.hour(24 * 40)
    stage.reading.off = timedelta(days=3650)
    before = len(stage.store.blobs)

    outcome = stage.tick()

    assert outcome.problems[0].startswith("clock_jumped")
    assert outcome.taken[0].name.taken == stage.clock().replace(microsecond=0)
    assert len(stage.store.blobs) == before + 2


def test_the_second_accounts_silence_keeps_nobody_from_a_snapshot(stage):
    def silent(_):
        raise Unreachable("no answer")

    stage.copies.listing = silent

    outcome = stage.tick()

    assert len(outcome.taken) == 1
    assert outcome.problems[0].startswith("storage_unreachable")


def test_ages_are_told_every_tick_and_silence_about_nothing(stage, caplog):
    stage.tick()
    stage.hour(2)
    stage.nomad.make = lambda: b""
    stage.tick()

    lines = [json.loads(record.message) for record in caplog.records]
    ages = [line["age"] for line in lines if line["event"] == "snapshot.age"]
    assert ages == [0.0, 7200.0]
    assert [line["event"] for line in lines].count("snapshot.overdue") == 1
    failed = next(line for line in lines if line["event"] == "snapshot.failed")
    assert (failed["reason"], failed["runbook"]) == ("cut_short", "docs/runbooks/snapshot-damaged.md")


def test_no_line_and_no_record_holds_the_data_key(stage, caplog):
    stage.tick()

    (held,) = stage.verified()
    secret = load_manifest(stage.store, held).key.wrapped  # the stand-in's wrapping is none
    told = caplog.text + json.dumps([stored.body.decode() for stored in stage.records.records.values()])
    assert secret.hex() not in told
    assert repr(secret) not in told


def test_the_deletion_plan_can_be_shown_first_and_is_then_what_happens(stage):
    for _ in range(5):
        stage.tick()
        stage.hour()
    stage.hour(24 * 400)
    stage.tick(sweep="show", take=True)
    shown = json.loads(stage.records.tail(f"decisions/snapshot/{stage.clock():%Y-%m-%d}.jsonl", 1)[0])["sweep"]
    before = {held.name.stem for held in stage.verified()}

    stage.tick()

    gone = before - {held.name.stem for held in stage.verified()}
    assert gone == {each["snapshot"] for each in shown if each["becomes"] == "deleted"}
    assert len(gone) == 3
    assert {each["snapshot"] for each in shown} == before


def test_a_tick_cut_before_any_of_its_writes_leaves_nothing_half_done_and_the_next_one_finishes(stage):
    class Cut(BaseException):
        pass

    for at in range(1, 50):
        one = type(stage)()
        left = [at]

        def step(_, left=left):
            left[0] -= 1
            if left[0] == 0:
                raise Cut

        one.store.step = one.copies.step = step
        try:
            one.tick()
        except Cut:
            pass
        else:
            break
        for store in (one.store, one.copies):
            assert all(plain(one, held, store) for held in one.verified(store=store))
        one.store.step = one.copies.step = lambda _: None
        one.clock.advance(31)
        one.tick()
        assert one.store.blobs.keys() == one.copies.blobs.keys()
        assert all(held.verified for held in one.store.listing("lab").held)
        assert len(one.verified()) == 1
    assert at > 6


def test_a_sweep_cut_after_any_deletion_leaves_no_manifest_without_its_archive(stage):
    class Cut(BaseException):
        pass

    for _ in range(4):
        stage.tick()
        stage.hour()
    stage.hour(24 * 400)
    stage.nomad.make = lambda: archive_of(stage.state, stage.index + 1)
    for last in range(1, 3):
        left = [last]

        def step(what, left=left):
            if what.startswith("delete"):
                left[0] -= 1
                if left[0] < 0:
                    raise Cut

        stage.store.step = step
        with pytest.raises(Cut):
            stage.tick()
        stage.clock.advance(31)
        assert all(Part.MANIFEST not in held.parts or held.verified for held in stage.store.listing("lab").held)


def test_a_copy_that_was_spoilt_on_its_way_is_none(stage):
    real = stage.copies.create

    def spoil(tier, name, body, metadata):
        real(tier, name, body[:-1] + b"?" if name.endswith(Part.ARCHIVE) else body, metadata)

    stage.copies.create = spoil

    outcome = stage.tick()

    assert any(problem.startswith("unreadable") for problem in outcome.problems)
    assert stage.verified(store=stage.copies) == []
