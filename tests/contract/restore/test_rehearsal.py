"""The rehearsal controller: canaries are kept, drills dispatched once, verdicts judged, old snapshots read anew."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from keeper.controllers import rehearsal, snapshot
from keeper.core import rehearsals
from keeper.core.canaries import Canary
from keeper.core.messages import Controller, Kind, Message
from keeper.core.snapshots import parse_stem, rehearsal_record
from keeper.errors import Gone, Permanent
from keeper.nomad.restoring import NomadCanaries
from keeper.nomad.session import NomadSession
from lab.ca import Authority
from lab.clock import wall_clock
from lab.consul.server import ConsulLab
from tests.contract.consul.script import Step
from tests.contract.restore.consul_theatre import ConsulTheatre


class Drills:
    """A cluster whose drills a test carries out."""

    def __init__(self):
        self.asked = []
        self.left = {}
        self.over = False
        self.registered = True

    def dispatch(self, meta, token):
        if not self.registered:
            raise Gone("Nomad refused to dispatch restore-drill: 404 parameterized job not found")
        if token not in [known for known, _ in self.asked]:
            self.asked.append((token, meta))
        return "restore-drill/dispatch-1"

    def verdict(self, name):
        return self.left.get(name)

    def is_over(self, _job):
        return self.over

    def finish(self, theatre, **changes):
        _, meta = self.asked[-1]
        self.leave(meta, theatre.observe().counts, theatre.canaries.read(), **changes)

    def leave(self, meta, counts, items, **changes):
        """Leave a drill's verdict."""
        body = {
            "snapshot": meta["snapshot"],
            "isolated": True,
            "interfaces": ["lo"],
            "restored": True,
            "counts": dict(counts),
            "leader": "127.0.0.1:4647",
            "canary_job": items["refreshed"] if items else None,
            "canary": items,
            "seconds": {"restore": 1.5},
        }
        self.left[meta["verdict"]] = json.dumps(body | changes).encode()


def kept_as(theatre, token):
    """The canaries as that token keeps them."""
    return NomadCanaries(NomadSession(theatre.settings.nomad, token=lambda: token, ca=theatre.side.authority.read_text))


@pytest.fixture
def drills():
    return Drills()


def tick(theatre, drills, kind=Kind.NUDGE, **detail):
    world = theatre.world
    world = replace(world, restores=replace(world.restores, drills=drills))
    return rehearsal.run(world, Message(kind, Controller.REHEARSAL, "test", wall_clock(), "test", detail))


def record(theatre, stem):
    stored = theatre.records.load(rehearsal_record(parse_stem(stem)))
    return None if stored is None else json.loads(stored.body)


def test_the_canaries_are_made_once_and_prove_themselves(theatre, drills):
    assert tick(theatre, drills).sentence == "refreshed the canaries"
    assert tick(theatre, drills).sentence == "nothing is due"

    assert Canary.of(theatre.canaries.read()).cluster == "prod"
    theatre.side.request("DELETE", "/v1/job/keeper-canary?purge=true")
    assert tick(theatre, drills).sentence == "refreshed the canaries"


def test_the_keepers_own_token_may_keep_the_canaries(theatre, drills):
    theatre.canaries = kept_as(theatre, theatre.side.keeper_token)

    assert tick(theatre, drills).problems == ()


def test_a_right_that_is_missing_is_named_and_stops_nothing_else(theatre, drills):
    theatre.furnish()
    stem = theatre.take()
    theatre.canaries = kept_as(theatre, theatre.side.watcher_token)

    outcome = tick(theatre, drills)

    assert 'variables { path "keeper/canary"' in outcome.problems[0]
    assert f"rehearses {stem}" in outcome.sentence
    with pytest.raises(Permanent):
        tick(theatre, drills, kind=Kind.TIMER)


def test_the_newest_snapshot_is_dispatched_once_and_its_verdict_recorded(theatre, drills):
    theatre.furnish()
    stem = theatre.take()

    assert f"rehearses {stem}" in tick(theatre, drills).sentence
    assert tick(theatre, drills, rehearse=True).sentence == "nothing is due"
    drills.finish(theatre)
    assert tick(theatre, drills).sentence == f"{stem} was restored and is whole"
    assert tick(theatre, drills).sentence == "nothing is due"

    assert len(drills.asked) == 1
    assert (record(theatre, stem)["passed"], record(theatre, stem)["seconds"]) == (True, {"restore": 1.5})


def test_a_verdict_that_misses_something_fails_the_rehearsal_and_is_recorded(theatre, drills):
    theatre.furnish()
    stem = theatre.take()
    tick(theatre, drills)
    drills.finish(theatre, canary=None, trouble="500 no such key")

    outcome = tick(theatre, drills)

    assert record(theatre, stem)["passed"] is False
    assert "the canary variable cannot be read: 500 no such key" in outcome.problems[0]


def test_a_drill_that_ends_without_a_verdict_has_failed(theatre, drills):
    theatre.furnish()
    stem = theatre.take()
    tick(theatre, drills)
    assert record(theatre, stem) is None
    drills.over = True

    tick(theatre, drills)

    assert record(theatre, stem)["problems"] == ["restore-drill/dispatch-1 left no verdict"]


def test_a_drill_that_ends_while_it_is_asked_for_has_left_its_verdict(theatre, drills):
    theatre.furnish()
    stem = theatre.take()
    tick(theatre, drills)

    def ending(_job):
        drills.finish(theatre)
        return True

    drills.is_over = ending

    assert tick(theatre, drills).sentence == f"{stem} was restored and is whole"


def test_a_drill_that_is_not_registered_is_said_and_tried_again(theatre, drills):
    theatre.furnish()
    stem = theatre.take()
    drills.registered = False
    assert "parameterized job not found" in tick(theatre, drills).problems[0]
    drills.registered = True

    assert f"rehearses {stem}" in tick(theatre, drills).sentence


def test_an_old_snapshot_that_no_longer_opens_is_found_out(theatre, drills):
    theatre.furnish()
    old = theatre.take()
    theatre.store.now = lambda: wall_clock() + timedelta(seconds=2)
    theatre.take()
    assert f"read {old} anew" in tick(theatre, drills).sentence
    for (container, name), kept in list(theatre.store.blobs.items()):
        if name == f"{old}.snap.enc":
            spoilt = kept.body[:-1] + bytes([kept.body[-1] ^ 1])
            theatre.store.blobs[container, name] = replace(kept, body=spoilt)
    theatre.store.now = lambda: wall_clock() + timedelta(days=2)

    outcome = tick(theatre, drills)

    assert any("does not open" in problem for problem in outcome.problems)


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "spoilt"])
def test_root_keys_beside_an_old_snapshot_that_no_longer_open_are_found_out(theatre, drills, lost):
    theatre.furnish()
    old = theatre.take()
    theatre.store.now = lambda: wall_clock() + timedelta(seconds=2)
    theatre.take()
    where = next(each for each in theatre.store.blobs if each[1] == f"{old}.keystore.enc")
    kept = theatre.store.blobs.pop(where)
    if not lost:
        theatre.store.blobs[where] = replace(kept, body=kept.body[:-1] + bytes([kept.body[-1] ^ 1]))

    outcome = tick(theatre, drills)

    assert any(f"{old}.keystore.enc" in problem for problem in outcome.problems)
    assert f"read {old} anew" not in outcome.sentence


def test_a_damaged_memory_costs_one_more_rehearsal(theatre, drills):
    theatre.furnish()
    stem = theatre.take()
    theatre.records.save(rehearsals.RECORD, b"{", version=None)

    assert f"rehearses {stem}" in tick(theatre, drills).sentence


# Consul --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def both(theatre, tmp_path):
    """A Nomad and a Consul, furnished, in one world."""
    with ConsulLab(Authority.create(tmp_path / "consul", wall_clock())) as server:
        stage = ConsulTheatre(theatre.side, server, with_nomad=True)
        stage.furnish()
        stage.furnish_consul()
        yield stage


def newest(stage):
    """Take a snapshot of both; their stems by product."""
    message = Message(Kind.NUDGE, Controller.SNAPSHOT, "test", wall_clock(), "test", {"take": True})
    outcome = snapshot.run(stage.world, message)
    assert not outcome.problems, outcome.problems
    return {manifest.name.product: manifest.name.stem for manifest in outcome.taken}


def test_both_products_are_rehearsed_each_with_its_own_verdict(both, drills):
    stems = newest(both)

    assert {f"rehearses {stem}" for stem in stems.values()} <= set(tick(both, drills).sentence.split("; "))
    metas = {meta["snapshot"]: meta for _, meta in drills.asked}
    assert metas.keys() == set(stems.values())
    drills.leave(metas[stems["nomad"]], both.observe().counts, both.canaries.read())
    drills.leave(metas[stems["consul"]], both.consul.observe().counts, both.kept.read(), canary_job=None)
    said = tick(both, drills).sentence

    assert all(f"{stem} was restored and is whole" in said for stem in stems.values())
    assert [record(both, stem)["passed"] for stem in stems.values()] == [True, True]
    assert tick(both, drills).sentence == "nothing is due"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"canary": None, "trouble": "404"}, "the canary key cannot be read: 404"),
        (
            {"canary": {"cluster": "prod", "refreshed": "2026-03-01T12:00:00Z", "proof": "x"}},
            "the canary key does not prove",
        ),
        ({}, "keys: 2 found, 3 expected"),
        ({}, "sessions: 0 found, 1 expected"),
        ({"interfaces": ["eth0", "lo"]}, "a way out"),
        ({"restored": False, "problem": "Consul refused the archive: 500 EOF"}, "nothing was restored: Consul refused"),
    ],
)
def test_a_consul_that_did_not_come_back_whole_is_told(both, drills, changes, said):
    stem = newest(both)["consul"]
    tick(both, drills)
    (meta,) = [meta for _, meta in drills.asked if meta["snapshot"] == stem]
    counts = both.consul.observe().counts | {"keys": 2, "sessions": 0}
    drills.leave(meta, counts, both.kept.read(), canary_job=None, **changes)

    outcome = tick(both, drills)

    assert record(both, stem)["passed"] is False
    assert any(said in problem and stem in problem for problem in outcome.problems)


def test_a_consul_token_that_may_not_keep_the_key_stops_nothing_of_nomads(both, drills):
    both.be("reader")
    both.store.now = lambda: wall_clock() + timedelta(days=2)
    both.asked.ask(Step("PUT", "kv/keeper/canary", body="spoilt"))

    outcome = tick(both, drills)

    (problem,) = outcome.problems
    assert 'key "keeper/canary" { policy = "write" }' in problem
    assert "consul-restore-token" in problem


def test_old_snapshots_of_consul_are_read_anew_too(both, drills):
    old = newest(both)
    both.store.now = lambda: wall_clock() + timedelta(seconds=2)
    newest(both)
    read = set()
    for hours in range(1, 30):
        both.store.now = lambda hours=hours: wall_clock() + timedelta(days=2 * hours, hours=hours)
        sentence = tick(both, drills).sentence
        read |= {stem for stem in old.values() if f"read {stem} anew" in sentence}
    assert read == set(old.values())
