"""The recorded answers of a real Consul 1.19.2, replayed against the stand-in, and a real one where there is one."""

import pytest

from keeper.core.archive import ArchiveCheck, Limits
from keeper.core.snapshots import BadSnapshot
from lab.consul.archive import unpack
from lab.consul.state import Table
from lab.damage import damaged, members_of
from tests.contract.consul.playing import RECORDED, Player, load, unlike

LIMITS = Limits(1 << 30)


def checked(archive):
    check = ArchiveCheck(LIMITS)
    check.push(archive)
    return check.end(None)


@pytest.mark.parametrize("kind", ["stand-in", "real"])
@pytest.mark.parametrize("name", ["rights", "restore", "no-leader"])
def test_every_answer_is_like_the_recorded_one(begin, kind, name):
    with begin(kind, **({"expected": 2} if name == "no-leader" else {})) as side:
        player = Player(side)
        if name != "no-leader":
            player.furnish()
        seen = player.play(name)

    recorded = load(name)
    assert [each["request"] for each in seen] == [each["request"] for each in recorded]
    found = {}
    for was, now in zip(recorded, seen, strict=True):
        if differs := unlike(was, now):
            request = now["request"]
            found[f"{request['method']} {request['path']} as {request['token']} {request.get('body', '')!s:.40}"] = (
                differs
            )
    assert found == {}


def test_the_recorded_archive_passes_the_check_and_says_what_was_in_the_server():
    archive = (RECORDED / "snapshot.snap").read_bytes()

    facts = checked(archive)
    state = unpack(archive)

    assert (facts.servers, facts.term, facts.index) == (1, 2, state.index)
    assert sorted(state.tables[Table.KEYS]) == ["app/one", "app/two"]
    assert list(state.tables[Table.METHODS]) == ["workloads"]
    assert len(state.tables[Table.TOKENS]) == 5


def test_of_damaged_real_archives_none_passes_that_holds_anything_else_though_no_digest_tells():
    sound = (RECORDED / "snapshot.snap").read_bytes()
    whole, passed, tried = members_of(sound), [], 0
    for each in damaged(sound, 1200):
        if "an index behind" in each.how:
            continue  # sound in itself; the controller compares it with the cluster's
        tried += each.body != sound
        try:
            checked(each.body)
        except BadSnapshot:
            continue
        if members_of(each.body) != whole:
            passed.append(each.how)

    assert (passed, tried > 1200) == ([], True)


@pytest.mark.parametrize(
    ("taken", "into"), [("stand-in", "real"), ("real", "stand-in"), ("real", "real"), ("stand-in", "stand-in")]
)
def test_an_archive_of_either_restores_into_either(begin, taken, into):
    with begin(taken) as source, begin(into) as fresh:
        first, second = Player(source), Player(fresh)
        archive = first.furnish()
        checked(archive)
        before = look(first)
        second.archives = {"sound": archive}

        answer = second.ask(step("PUT", "snapshot", archive="sound"))

        assert (answer.status_code, answer.text) == (200, "")
        assert look(second) == before
        checked(second.save())


def look(player):
    """What anybody would miss: keys with their values, sessions, tokens with their rights, rules, auth methods, the catalog."""
    values = [player.ask(step("GET", f"kv/app/{key}?raw", "reader")).text for key in ("one", "two")]
    ours = ("backup", "reader", "nobody")
    tokens = {each["Description"]: each["SecretID"] for each in player.ask(step("GET", "acl/tokens")).json()}
    policies = [each["Name"] for each in player.ask(step("GET", "acl/policies")).json()]
    return {
        "values": values,
        "tokens": {name: tokens[name] for name in ours},
        "policies": sorted(policies),
        "sessions": [each["Name"] for each in player.ask(step("GET", "session/list")).json()],
        "methods": [each["Name"] for each in player.ask(step("GET", "acl/auth-methods")).json()],
        "nodes": [each["Node"] for each in player.ask(step("GET", "catalog/nodes", "reader")).json()],
        "services": list(player.ask(step("GET", "catalog/services", "reader")).json()),
        "refused": player.ask(step("GET", "snapshot", "reader")).text,
        "allowed": player.ask(step("GET", "snapshot", "backup")).status_code,
    }


def step(method, path, who="management", **more):
    from tests.contract.consul.script import Step  # noqa: PLC0415 -- only here

    return Step(method, path, who, **more)
