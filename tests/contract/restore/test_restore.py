"""Restores against servers: everything comes back, what must not happen is refused by name, and a cut run is finished."""

import contextlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from keeper.controllers import restore
from keeper.controllers.taking import load_manifest
from keeper.core import manifest_json
from keeper.core.operations import State
from keeper.core.restoring import Step
from keeper.core.retention import tier_of
from keeper.core.snapshots import BadSnapshot, Part, Product, Reason, Tier, parse_stem
from keeper.errors import Throttled, Transient, Unreachable
from lab.clock import wall_clock
from lab.membership import NodeShape
from lab.scenarios.backup_set import service
from tests.contract.restore.theatre import CLUSTER, Killed


def test_all_comes_back_into_fresh_servers_and_the_variable_opens(either):
    either.furnish()
    stem = either.take()
    either.start_fresh(either.lose_everything())
    assert either.jobs() == set()

    done = either.restored(stem)

    assert (done.state, either.jobs()) == (State.SUCCEEDED, {"job-0", "job-1", "job-2"})
    assert either.side.request("GET", "/v1/var/app/1")["Items"] == {"k": "v"}
    assert done.progress.proof["differences"] == []
    assert either.paused() is None


def test_clients_that_come_back_run_the_old_work_and_new_work(either):
    shape = NodeShape(cpu=2000, memory=2048)
    with contextlib.ExitStack() as stack:
        stack.callback(either.side.leave, "client-1")
        either.side.join("client-1", shape, {})
        either.furnish()
        either.side.request("PUT", "/v1/jobs", {"Job": service("web", 2)})
        either.until(lambda: either.running("web") == 2)
        stem = either.take()
        either.start_fresh(either.lose_everything())

        assert either.restored(stem).state is State.SUCCEEDED
        either.come_back("client-1", shape)
        either.side.request("PUT", "/v1/jobs", {"Job": service("afterwards", 1)})

        either.until(lambda: (either.running("afterwards"), either.running("web")) == (1, 2))


def test_work_that_waited_for_room_still_waits_after_a_restore_and_gets_it(either):
    shape = NodeShape(cpu=2000, memory=2048)
    either.furnish()
    either.side.request("PUT", "/v1/jobs", {"Job": service("waiting", 1)})
    stem = either.take()
    either.start_fresh(either.lose_everything())
    assert either.restored(stem).state is State.SUCCEEDED

    with contextlib.ExitStack() as stack:
        stack.callback(either.side.leave, "client-1")
        either.side.join("client-1", shape, {})
        either.until(lambda: either.running("waiting") == 1)


def test_the_keyring_trap_is_seen_and_said_with_its_undo(either):
    either.furnish()
    stem = either.take()
    either.lose_everything()
    either.start_fresh()
    import keeper.controllers.restore_steps as steps  # noqa: PLC0415 -- only its patience is shortened

    kept, steps.PATIENCE = steps.PATIENCE, steps.PATIENCE * 0
    try:
        done = either.restored(stem)
    finally:
        steps.PATIENCE = kept

    assert done.state is State.FAILED
    assert "the canary variable cannot be read" in done.outcome
    assert "no such key" in done.outcome
    assert done.outcome.endswith(f"undo: restore {CLUSTER} {done.progress.undo}")
    assert "restore op1 is under way" in either.paused()


def test_the_undo_brings_the_state_before_back(theatre):
    theatre.furnish(jobs=2)
    stem = theatre.take()
    theatre.side.request("PUT", "/v1/jobs", {"Job": {**_job("later")}})

    done = theatre.restored(stem)
    assert theatre.jobs() == {"job-0", "job-1"}
    undone = theatre.restored(done.progress.undo)

    assert (undone.state, theatre.jobs()) == (State.SUCCEEDED, {"job-0", "job-1", "later"})


def test_the_state_before_a_restore_takes_no_days_or_months_place(theatre):
    theatre.furnish()
    stem = theatre.take()
    theatre.store.now = lambda: wall_clock() + timedelta(days=40)

    done = theatre.restored(stem)

    listing = theatre.store.listing(CLUSTER)
    assert listing.find(parse_stem(done.progress.undo)).tier is Tier.HOURLY
    assert tier_of(listing.now, listing.held, Product.NOMAD) is Tier.MONTHLY


def test_a_dry_run_tells_the_phrase_and_changes_nothing(theatre):
    theatre.furnish()
    stem = theatre.take()
    before = set(theatre.records.records)

    done = theatre.restored("latest", dry_run=True)

    assert done.plan["confirm"] == f"restore {CLUSTER} {stem}"
    assert (done.plan["objections"], theatre.sent) == ([], 0)
    assert set(theatre.records.records) - before == {f"operations/{done.id}.json"}


def test_a_snapshot_without_its_root_keys_is_refused_unless_forced_by_name(theatre):
    theatre.furnish()
    theatre.keystores.kept = {}
    stem = theatre.take()

    refused = theatre.restored(stem)
    forced = theatre.restored(stem, "without-keystore")

    assert (refused.state, "force: without-keystore" in refused.outcome) == (State.FAILED, True)
    assert (forced.state, theatre.sent) == (State.SUCCEEDED, 1)


def test_another_clusters_snapshot_is_refused_unless_forced_by_name(theatre):
    theatre.furnish()
    stem = theatre.take()
    theatre.settings = replace(theatre.settings, snapshots=replace(theatre.settings.snapshots, cluster="other"))

    refused = theatre.restored(stem, "unverified")
    assert (refused.state, theatre.sent) == (State.FAILED, 0)
    assert "it is of cluster prod, this is other (force: other-cluster)" in refused.outcome

    assert theatre.restored(stem, "other-cluster").state is State.SUCCEEDED


def test_a_newer_servers_snapshot_is_refused(theatre):
    theatre.furnish()
    stem = theatre.take()
    older = replace(theatre.target.observe(), version="1.6.4")
    theatre.observe = lambda: older

    refused = theatre.restored(stem)

    assert (refused.state, theatre.sent) == (State.FAILED, 0)
    assert "it is of 1.6.5, the servers run the older 1.6.4 (force: newer-version)" in refused.outcome


def test_an_archive_without_a_manifest_is_refused_unless_forced_by_name(theatre):
    theatre.furnish()
    name = parse_stem(theatre.take())
    (held,) = theatre.store.listing(CLUSTER).held
    forget(theatre, held.tier, name.blob(Part.MANIFEST))

    assert "force: unverified" in theatre.restored(name.stem).outcome
    assert theatre.restored(name.stem, "unverified").state is State.SUCCEEDED


def test_what_is_no_snapshot_never_reaches_the_servers(theatre):
    theatre.furnish()
    name = parse_stem(theatre.take())
    (held,) = theatre.store.listing(CLUSTER).held
    theatre.store.read = lambda tier, blob, read=theatre.store.read: (
        iter([b"GIF89a, not a snapshot"]) if blob == name.blob(Part.ARCHIVE) else read(tier, blob)
    )

    done = theatre.restored(name.stem)

    assert (done.state, theatre.sent, held.verified) == (State.FAILED, 0, True)
    assert "is no sealed snapshot" in done.outcome
    assert len(done.outcome.splitlines()) == 1
    assert theatre.paused() is None


@pytest.mark.parametrize(
    "change", [{"server_version": "1.0.0"}, {"counts": {}}, {"keystore_sha256": None}, {"name": None}]
)
def test_a_manifest_that_was_tampered_with_never_leads_to_a_restore(theatre, change):
    theatre.furnish()
    name = parse_stem(theatre.take())
    other = replace(name, index=name.index + 1)
    (held,) = theatre.store.listing(CLUSTER).held
    manifest = load_manifest(theatre.store, held)
    forged = manifest_json.to_json(replace(manifest, **(change if "name" not in change else {"name": other}))).encode()
    theatre.store.read = lambda tier, blob, read=theatre.store.read: (
        iter([forged]) if blob == name.blob(Part.MANIFEST) else read(tier, blob)
    )

    done = theatre.restored(name.stem, "without-keystore")

    assert (done.state, theatre.sent, theatre.paused()) == (State.FAILED, 0, None)
    assert done.outcome.startswith("unreadable: the manifest of ")


def test_a_key_version_that_cannot_open_it_fails_in_one_line_before_anything_is_sent(theatre):
    theatre.furnish()
    stem = theatre.take()

    def unwrap(_):
        raise BadSnapshot(Reason.KEY_UNUSABLE, "cannot unwrap a data key with k/v1: 403 disabled")

    theatre.keys.unwrap = unwrap

    done = theatre.restored(stem)

    assert (done.state, theatre.sent, theatre.paused()) == (State.FAILED, 0, None)
    assert done.outcome.startswith("key_unusable: cannot unwrap a data key with k/v1: 403 disabled (see docs/runbooks/")


def test_a_vault_that_is_busy_for_a_moment_is_asked_again(theatre):
    theatre.furnish()
    stem = theatre.take()
    busy, unwrap = [Throttled("the vault is busy")] * 3, theatre.keys.unwrap

    def unwrapping(wrapped):
        if busy:
            raise busy.pop()
        return unwrap(wrapped)

    theatre.keys.unwrap = unwrapping

    assert theatre.restored(stem).state is State.SUCCEEDED


def test_a_snapshot_that_the_first_account_lost_is_restored_from_its_copy(theatre):
    theatre.copies = theatre.another_account()
    theatre.furnish()
    stem = theatre.take()
    theatre.store.blobs.clear()
    theatre.side.request("PUT", "/v1/jobs", {"Job": {**_job("later")}})

    lost, done = theatre.restored(stem), theatre.restored(stem, copy=True)

    assert (lost.state, done.state) == (State.FAILED, State.SUCCEEDED)
    assert theatre.jobs() == {"job-0", "job-1", "job-2"}
    assert theatre.restored("latest", dry_run=True, copy=True).plan["snapshot"] == stem


def test_a_damaged_copy_is_refused_as_a_damaged_original_is(theatre):
    theatre.copies = theatre.another_account()
    theatre.furnish()
    stem = theatre.take()
    for at, kept in list(theatre.copies.blobs.items()):
        if at[1].endswith(Part.ARCHIVE):
            theatre.copies.blobs[at] = replace(kept, body=kept.body[:-1] + b"?")

    done = theatre.restored(stem, copy=True)

    assert (done.state, theatre.sent) == (State.FAILED, 0)
    assert done.outcome.startswith("unreadable: ")


def test_without_a_second_account_its_copy_is_refused_plainly(theatre):
    theatre.furnish()

    done = theatre.restored(theatre.take(), copy=True)

    assert (done.state, theatre.sent, "SNAPSHOT_COPY_BLOB_URL" in done.outcome) == (State.FAILED, 0, True)


def test_a_snapshot_that_does_not_exist_is_named(theatre):
    missing = f"{CLUSTER}/nomad/20200101T000000Z-000000000007"

    assert theatre.restored(missing).outcome == f"snapshot: expected one that exists, got {missing!r}"


def test_a_token_without_the_right_fails_in_one_line_that_names_it(theatre):
    theatre.furnish()
    stem = theatre.take()
    theatre.become(theatre.side.keeper_token)

    done = theatre.restored(stem)

    assert (done.state, theatre.sent) == (State.FAILED, 0)
    assert "management token" in done.outcome
    assert "nomad-management-token" in done.outcome


def test_after_a_rotation_the_token_of_the_restored_time_proves_the_restore(either, caplog):
    either.furnish()
    stem = either.take()
    either.rotate()

    done = either.restored(stem)

    assert (done.state, done.progress.proof["differences"]) == (State.SUCCEEDED, [])
    told = [line for line in map(json.loads, caplog.messages) if line["event"] == "token.former_used"]
    assert [line["secret"] for line in told] == ["nomad-management-token"]
    either.side.management_token = either.secret[0]  # what a person finds to hold now
    undone = either.restored(done.progress.undo)
    assert undone.state is State.SUCCEEDED  # and the newest holds again: nobody had to touch the secret
    assert either.target.observe().counts["acl_tokens"] >= 3


def test_when_no_version_of_the_secret_is_known_that_is_said_with_the_undo(either):
    either.furnish()
    stem = either.take()
    either.rotate()
    del either.secret[0]

    done = either.restored(stem)

    assert done.state is State.FAILED
    assert "know neither the newest token in nomad-management-token nor its 0 former enabled versions" in done.outcome
    assert done.outcome.endswith(f"undo: restore {CLUSTER} {done.progress.undo}")


def test_servers_that_lack_the_root_keys_are_waited_for_and_named(theatre):
    theatre.furnish()
    stem = theatre.take()
    theatre.keystores.silent = True
    message = theatre.ask(stem)

    waiting = theatre.run(message, ticks=2)
    assert (waiting.state, theatre.sent) == (State.RUNNING, 0)
    assert waiting.progress.doing.startswith("waiting for the root keys on 1 more")
    theatre.keystores.silent = False

    assert theatre.run(message).state is State.SUCCEEDED


def test_a_server_that_stops_in_mid_stream_is_asked_again(theatre):
    theatre.furnish()
    stem = theatre.take()
    sends = [Unreachable("no answer from Nomad to restore a snapshot: the connection broke")]

    def restoring(archive, size, whole=theatre.target.restore):
        if sends:
            next(iter(archive()))
            raise sends.pop()
        whole(archive, size)

    theatre.restore = restoring

    assert theatre.restored(stem).state is State.SUCCEEDED


@pytest.mark.parametrize("name", ["cluster", "snapshot"])
def test_a_lease_that_is_taken_away_stops_the_restore_before_the_servers_take_it(theatre, name):
    theatre.furnish()
    stem = theatre.take()
    theatre.side.request("PUT", "/v1/jobs", {"Job": {**_job("later")}})
    message, others = theatre.ask(stem), []

    def restoring(archive, size, whole=theatre.target.restore):
        if not others:
            theatre.leases.break_lease(name)
            others.append(theatre.leases.hold(name))
            others[0].__enter__()
        whole(archive, size)

    theatre.restore = restoring
    stopped = theatre.run(message, ticks=2)
    assert (stopped.state, stopped.progress.step, "later" in theatre.jobs()) == (State.RUNNING, Step.KEYED, True)
    theatre.leases.break_lease(name)

    assert (theatre.run(message).state, "later" in theatre.jobs()) == (State.SUCCEEDED, False)


def test_a_cancelled_restore_leaves_the_state_as_it_was(theatre):
    theatre.furnish()
    stem = theatre.take()
    theatre.keystores.silent = True
    message = theatre.ask(stem)
    theatre.run(message, ticks=1)

    restore.run(theatre.world, replace(message, detail={**message.detail, "cancel": True}))

    assert (theatre.operation(message).state, theatre.sent, theatre.paused()) == (State.CANCELED, 0, None)


def test_a_run_killed_at_any_write_is_finished_by_the_next(theatre):
    theatre.furnish()
    stem = theatre.take()
    save, killed = theatre.records.save, 0
    for fatal in range(1, 40):
        message, writes = theatre.ask(stem), iter(range(1, 1000))

        def saving(name, body, *, version, writes=writes, fatal=fatal):
            if next(writes) == fatal:
                raise Killed
            return save(name, body, version=version)

        theatre.records.save = saving
        try:
            restore.run(theatre.world, message)
        except Killed:
            killed += 1
        except Transient:
            pass
        theatre.records.save = save
        for name in ("cluster", "snapshot"):
            theatre.leases.break_lease(name)
        done = theatre.run(message)
        assert (done.state, theatre.jobs(), theatre.paused()) == (State.SUCCEEDED, {"job-0", "job-1", "job-2"}, None)
        if fatal > killed:
            break
    assert killed >= 8


@pytest.mark.parametrize("verb", ["restore"])
def test_a_message_for_an_unknown_operation_is_not_dropped(theatre, verb):
    message = theatre.ask(f"{CLUSTER}/nomad/20200101T000000Z-000000000007")

    with pytest.raises(ValueError, match="the id of a stored restore"):
        restore.run(theatre.world, replace(message, cause=verb, detail={"id": "nobody"}))


def forget(theatre, tier, name):
    """Take one blob away behind the store's back."""
    listing = theatre.store.listing

    def without(cluster):
        seen = listing(cluster)
        held = [
            replace(h, parts={part: at for part, at in h.parts.items() if (h.tier, h.name.blob(part)) != (tier, name)})
            for h in seen.held
        ]
        return replace(seen, held=tuple(held))

    theatre.store.listing = without


def _job(name):
    from tests.contract.restore.theatre import job  # noqa: PLC0415 -- only here

    return job(name)
