"""The rehearsal controller: canaries are kept, drills dispatched once, verdicts judged, old snapshots read anew."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from keeper.controllers import rehearsal
from keeper.core import rehearsals
from keeper.core.canaries import Canary
from keeper.core.messages import Controller, Kind, Message
from keeper.core.snapshots import parse_stem, rehearsal_record
from keeper.errors import Gone, Permanent
from keeper.nomad.restoring import NomadCanaries
from keeper.nomad.session import NomadSession
from lab.clock import wall_clock


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
        items = theatre.canaries.read()
        body = {
            "snapshot": meta["snapshot"],
            "isolated": True,
            "interfaces": ["lo"],
            "restored": True,
            "counts": dict(theatre.observe().counts),
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


def test_a_damaged_memory_costs_one_more_rehearsal(theatre, drills):
    theatre.furnish()
    stem = theatre.take()
    theatre.records.save(rehearsals.RECORD, b"{", version=None)

    assert f"rehearses {stem}" in tick(theatre, drills).sentence
