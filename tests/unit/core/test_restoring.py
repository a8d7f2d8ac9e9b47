"""Restores: what speaks against one, what must be there afterwards; canaries, keystores, verdicts of rehearsals."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keeper.core import canaries, keystores, operations, rehearsals, restoring
from keeper.core.canaries import Canary
from keeper.core.operations import Operation, State, Verb
from keeper.core.problems import FieldError
from keeper.core.rehearsals import Memory, Pending
from keeper.core.restoring import Force, Found, Situation
from keeper.core.retention import Held, Listing
from keeper.core.snapshots import Level, Manifest, Part, Product, SnapshotName, Tier, WrappedKey

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAME = SnapshotName("prod", Product.NOMAD, NOW, 1229)
CANARY = Canary("prod", NOW - timedelta(hours=2))
KEY_ID = "305b514e-9ff6-c555-3d57-35288d412b33"


def manifest(**changes) -> Manifest:
    made = Manifest(
        name=NAME,
        tier=Tier.HOURLY,
        level=Level.SANE,
        server_version="1.6.5",
        region="global",
        leader="10.0.0.4:4647",
        term=2,
        state_bytes=1000,
        archive_bytes=100,
        archive_sha256="0" * 64,
        digest_announced=True,
        sealed_bytes=128,
        sealed_sha256="1" * 64,
        seal="nkseal-1/aes-256-gcm",
        frame_bytes=1024,
        key=WrappedKey("https://kv/keys/k", "v", "RSA-OAEP-256", b"w"),
        counts={"jobs": (10, 12), "variables": (3, 3), "acl_tokens": (4, 4)},
        servers=3,
        right="management",
        keystore_sha256="2" * 64,
    )
    return replace(made, **changes)


def found(**changes) -> Found:
    counts = {"jobs": 11, "variables": 3, "acl_tokens": 4}
    return replace(Found(counts, "10.0.0.4:4647", "2026-03-01T10:00:00Z", CANARY.items()), **changes)


def situation(version="1.6.5", verified=True, cluster="prod", **changes) -> Situation:
    return Situation(manifest=manifest(**changes), verified=verified, cluster=cluster, version=version)


CONSUL = replace(NAME, product=Product.CONSUL)


@pytest.mark.parametrize(
    ("now", "forces"),
    [
        (situation(), []),
        (situation("1.7.2"), []),
        (situation("1.6.4"), [Force.NEWER_VERSION]),
        (situation("1.6.5-beta.1"), [Force.NEWER_VERSION]),
        (situation("unknown"), []),
        (situation(cluster="other"), [Force.OTHER_CLUSTER]),
        (situation(verified=False), [Force.UNVERIFIED]),
        (situation(level=Level.CONTENT), [Force.UNVERIFIED]),
        (situation(keystore_sha256=None), [Force.WITHOUT_KEYSTORE]),
        (situation("1.9.0", server_version="1.9.0", keystore_sha256=None), []),
        (situation("1.21.4", server_version="1.21.4", name=CONSUL, keystore_sha256=None), []),
        (situation("1.21.5", server_version="1.21.4", name=CONSUL, keystore_sha256=None), [Force.OTHER_VERSION]),
        (situation("1.6.4", verified=False, cluster="x"), [Force.OTHER_CLUSTER, Force.UNVERIFIED, Force.NEWER_VERSION]),
    ],
)
def test_what_speaks_against_a_restore_is_named_by_what_forces_it(now, forces):
    objections = restoring.objections(now)

    assert [each.force for each in objections] == forces
    assert restoring.refused(objections, forces) == []


@pytest.mark.parametrize(
    ("seen", "wrong"),
    [
        (found(), []),
        (found(counts={"jobs": 99, "variables": 3, "acl_tokens": 4}), []),
        (found(counts={"jobs": 9, "variables": 3, "acl_tokens": 4}), ["jobs: 9 found, 10 to 12 expected"]),
        (found(counts={"jobs": 10, "variables": 4, "acl_tokens": 4}), ["variables: 4 found, 3 expected"]),
        (found(counts={"jobs": 10, "variables": 3}), ["acl_tokens could not be counted"]),
        (found(leader=""), ["nobody leads"]),
        (found(canary_job=None), ["the canary job is missing"]),
        (found(canary=None, trouble="500 no such key"), ["the canary variable cannot be read: 500 no such key"]),
        (found(canary=CANARY.items() | {"cluster": "x"}), ["does not prove itself"]),
        (found(canary=Canary("prod", NOW + timedelta(1)).items()), ["after the snapshot"]),
    ],
)
def test_everything_that_is_missing_afterwards_is_said(seen, wrong):
    said = restoring.differences(manifest(), seen)

    assert len(said) == len(wrong)
    assert all(expected in sentence for expected, sentence in zip(wrong, said, strict=True))


def test_consuls_key_is_its_canary_and_its_catalog_counts_only_where_nobody_worked_on_it():
    consul = manifest(name=CONSUL, counts={"keys": (3, 3), "nodes": (5, 5), "sessions": (2, 2)})
    seen = Found({"keys": 3, "nodes": 1, "sessions": 0}, "10.0.0.4:8300", canary=CANARY.items())

    assert restoring.differences(consul, seen) == []
    assert restoring.differences(consul, seen, untouched=True) == [
        "nodes: 1 found, 5 expected",
        "sessions: 0 found, 2 expected",
    ]
    assert restoring.differences(consul, replace(seen, counts={"keys": 2})) == ["keys: 2 found, 3 expected"]
    for canary, said in ((None, "the canary key cannot be read"), ({"proof": "x"}, "the canary key does not prove")):
        (problem,) = restoring.differences(consul, replace(seen, canary=canary))
        assert problem.startswith(said)


def test_a_canary_proves_itself_and_is_refreshed_each_day():
    assert Canary.of(CANARY.items()) == CANARY
    assert Canary.of({}) is None
    assert not canaries.is_due(CANARY.items(), "prod", NOW)
    for items, cluster, now in (
        (None, "prod", NOW),
        (CANARY.items() | {"proof": "x"}, "prod", NOW),
        (CANARY.items(), "other", NOW),
        (CANARY.items(), "prod", NOW + timedelta(days=1)),
    ):
        assert canaries.is_due(items, cluster, now)


def test_a_canary_of_a_clock_that_ran_ahead_is_written_anew_and_one_refreshed_meanwhile_is_believed():
    def of(at):
        return Canary("prod", at).items()

    assert canaries.is_due(of(NOW + timedelta(days=300)), "prod", NOW)
    assert not canaries.is_due(of(NOW + timedelta(seconds=90)), "prod", NOW)
    taken = manifest().name.taken
    assert restoring.differences(manifest(), found(canary=of(taken + timedelta(seconds=90)))) == []
    assert restoring.differences(manifest(), found(canary=of(taken + timedelta(minutes=6))))


def test_a_deposit_that_is_damaged_is_none():
    whole = b'{"keystore":1,"file":{}}'

    for bad in (b"", b"{", b"[]", b'{"keystore":2}', b"[" * 50_000):
        assert keystores.bundle({"a": whole, "b": bad}, ["a", "b"]) is None
        assert keystores.missing({"a": whole, "b": bad}, ["a", "b", "c"]) == ["b", "c"]


def test_a_keystore_is_all_of_the_needed_keys_or_none():
    deposits = {KEY_ID: b'{"keystore": 1, "wrapped": "w"}', KEY_ID.replace("3", "4"): b"{}"}

    whole = keystores.bundle(deposits, [KEY_ID])
    assert whole is not None
    assert json.loads(keystores.unbundle(whole)[KEY_ID]) == {"keystore": 1, "wrapped": "w"}
    assert keystores.bundle(deposits, [KEY_ID, KEY_ID.replace("3", "5")]) is None
    assert keystores.bundle(deposits, []) is None
    for damaged in (b"", b"[]", b'{"keystore": 2, "keys": {}}', b'{"keystore": 1, "keys": {"../../x": {}}}'):
        with pytest.raises(FieldError):
            keystores.unbundle(damaged)


def test_servers_without_a_key_and_silent_ones_are_named():
    held = {"server-0": frozenset({KEY_ID}), "server-1": frozenset()}

    assert keystores.lacking(held, [KEY_ID], 3) == ["server-1", "1 more"]
    assert keystores.lacking({"server-0": frozenset({KEY_ID, "x"})}, [KEY_ID], 1) == []


# Requests -----------------------------------------------------------------------------------------------------------

STEM = NAME.stem


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"snapshot": STEM}, "confirm"),
        ({"snapshot": STEM, "confirm": f"restore other {STEM}"}, "confirm"),
        ({"snapshot": STEM, "confirm": "restore prod latest"}, "confirm"),
        ({"snapshot": "latest", "confirm": "restore prod latest"}, "snapshot"),
        ({"snapshot": "../../etc/passwd", "confirm": "restore prod ../../etc/passwd"}, "snapshot"),
        ({"confirm": "restore prod"}, "snapshot"),
        ({"snapshot": STEM, "dry_run": True, "force": True}, "force"),
        ({"snapshot": STEM, "dry_run": True, "force": ["everything"]}, "force"),
        ({"snapshot": STEM, "dry_run": True, "pool": "general"}, "pool"),
    ],
)
def test_a_restore_that_is_not_meant_is_refused_by_the_field(body, field):
    with pytest.raises(FieldError) as caught:
        operations.parse_request({"operation": "restore", **body}, (), "prod")

    assert caught.value.field == field


def test_a_restores_record_survives_its_text_form_at_every_step():
    body = {"operation": "restore", "snapshot": STEM, "confirm": f"restore prod {STEM}", "force": ["without-undo"]}
    request = operations.parse_request(body, (), "prod")
    assert (request.verb, request.verb.controller) == (Verb.RESTORE, "restore")
    for step in restoring.Step:
        progress = restoring.Progress(snapshot=STEM, step=step, done_bytes=1, total_bytes=2, undo=STEM, restored=NOW)
        operation = Operation("op", request, "ann", NOW, State.RUNNING, NOW, progress=progress)
        assert operations.from_json(json.loads(json.dumps(operations.to_json(operation)))) == operation


# Rehearsals ---------------------------------------------------------------------------------------------------------


def said(**changes) -> bytes:
    body = {
        "snapshot": STEM,
        "isolated": True,
        "interfaces": ["lo"],
        "restored": True,
        "counts": {"jobs": 10, "variables": 3, "acl_tokens": 4},
        "leader": "127.0.0.1:4647",
        "canary_job": "x",
        "canary": CANARY.items(),
        "trouble": "",
        "seconds": {"restore": 1.5},
    }
    return json.dumps(body | changes).encode()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (said(), None),
        (said(snapshot="prod/nomad/20200101T000000Z-000000000001"), "it is about"),
        (said(isolated=False), "way out"),
        (said(interfaces=["eth0", "lo"]), "way out"),
        (said(restored=False, problem="no leader"), "nothing was restored: no leader"),
        (said(counts={"jobs": 10, "variables": 3, "acl_tokens": 0}), "acl_tokens: 0 found, 4 expected"),
        (said(canary=None, trouble="no such key"), "no such key"),
        (said(canary_job=None), "canary job"),
        (said(counts=None), "cannot be read"),
        (b"<html>", "cannot be read"),
    ],
)
def test_only_a_whole_isolated_restore_passes(body, problem):
    verdict = rehearsals.judge(manifest(), body, NOW)

    assert verdict.passed is (problem is None)
    assert problem is None or any(problem in each for each in verdict.problems)


def held(days: int) -> Held:
    taken = NOW - timedelta(days=days)
    return Held(replace(NAME, taken=taken), Tier.DAILY, {Part.ARCHIVE: taken, Part.MANIFEST: taken})


def test_the_newest_is_rehearsed_once_an_interval_and_not_while_one_is_under_way():
    listing, day = Listing([held(3), held(0), held(1)], NOW), timedelta(days=1)

    assert rehearsals.due(Memory(), Product.NOMAD, listing, day) == held(0)
    assert rehearsals.due(Memory(rehearsed={Product.NOMAD: NOW}), Product.NOMAD, listing, day) is None
    pending = Memory(pending={Product.NOMAD: Pending(STEM, "job", NOW)})
    assert rehearsals.due(pending, Product.NOMAD, listing, day) is None
    assert rehearsals.due(Memory(), Product.CONSUL, listing, day) is None


def test_every_old_snapshot_is_drawn_some_day_and_the_newest_never():
    old = [held(n) for n in range(1, 6)]
    drawn = set()
    for hour in range(400):
        listing = Listing([held(0), *old], NOW + timedelta(hours=hour))
        one = rehearsals.old_one(Memory(), listing, timedelta(days=1))
        drawn.add(one.name)

    assert drawn == {each.name for each in old}
    assert rehearsals.old_one(Memory(reread=NOW), Listing(old, NOW), timedelta(days=1)) is None
    assert rehearsals.old_one(Memory(), Listing([held(0)], NOW), timedelta(days=1)) is None


def test_what_the_rehearsals_remember_survives_its_text_form():
    memory = Memory({Product.NOMAD: Pending(STEM, "restore-drill/dispatch-1", NOW)}, {Product.CONSUL: NOW}, NOW)

    assert rehearsals.from_json(rehearsals.to_json(memory).encode()) == memory
    with pytest.raises(ValueError, match="a complete record"):
        rehearsals.from_json(b"{}")
