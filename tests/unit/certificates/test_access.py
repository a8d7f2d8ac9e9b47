"""Access control of Nomad, set up by ticks that die at each write, and what each version of Nomad needs."""

import json
import logging

import pytest

from keeper.core import access
from keeper.core.access import Bootstrap, Choose, Entry, Grant, Hand, Kind, Token, View, Write
from keeper.core.certificates import Audience, Place, Why
from keeper.core.snapshots import Product
from keeper.core.wanted_access import ConsulShape, NomadShape, wanted_of_consul, wanted_of_nomad
from keeper.nomad.access import NomadAccess
from keeper.nomad.session import NomadSession
from lab.nomad.http.inprocess import InProcess
from lab.nomad.server import NomadLab

SHAPE = {"management": "nomad-management-token", "keeper": "nomad-keeper-token", "saver": "nomad-snapshot-token"}
WANTED = wanted_of_nomad(NomadShape(**SHAPE, version="1.6.5"))
MANAGEMENT = Place(Audience.KEEPER, "nomad-management-token")
TOKENS = (
    (Audience.KEEPER, "nomad-keeper-token"),
    (Audience.KEEPER, "nomad-snapshot-token"),
    (Audience.SERVERS, "nomad-watcher-token"),
)


class CutError(BaseException):
    """The process dies."""


class Dying(InProcess):
    """The way to Nomad, on which the process dies just before or just after its nth write."""

    left, after = 0, False

    def send(self, request, *args, **options):
        if request.method == "GET" or not self.left:
            return super().send(request, *args, **options)
        self.left -= 1
        if not self.left and not self.after:
            raise CutError
        answer = super().send(request, *args, **options)
        if not self.left:
            raise CutError
        return answer


@pytest.fixture
def lab(clock):
    made = NomadLab(clock=clock, management_token="")
    for _ in range(20):
        clock.advance(1)
        made.advance()
    yield made
    made.stop()


@pytest.fixture
def way(lab):
    return Dying(lab.router())


@pytest.fixture
def forming(room, way):
    """Vaults whose certificates are there, and a Nomad without any token."""

    def session(token):
        return NomadSession(room.settings.nomad, token=token, ca=lambda: "", transport=way)

    room.tick()
    room.access = [NomadAccess(session(str), lambda: session(lambda: room.value(*MANAGEMENT_SECRET)))]
    return room


MANAGEMENT_SECRET = (Audience.KEEPER, "nomad-management-token")


def names_on(lab):
    return sorted(token["Name"] for token in lab.region.store.rows("acl_token"))


ALL = ["Bootstrap Token", "keeper", "keeper-snapshot-management", "keeper-watcher"]


def test_from_nothing_to_every_token(forming, lab):
    outcome = forming.tick()

    assert outcome.problems == ()
    assert names_on(lab) == ALL
    assert len({forming.value(*each) for each in (*TOKENS, MANAGEMENT_SECRET)}) == 4
    assert forming.tick().sentence == "nothing is due"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 7))
def test_a_tick_that_dies_at_any_write_to_nomad_is_finished_by_the_next(forming, lab, way, number, after):
    way.left, way.after = number, after
    with pytest.raises(CutError):
        forming.tick()
    way.left = 0

    forming.clock.advance(300)
    forming.tick()

    assert forming.tick().sentence == "nothing is due"
    assert names_on(lab) == ALL
    held = {token["Name"]: token["SecretID"] for token in lab.region.store.rows("acl_token")}
    assert held["Bootstrap Token"] == forming.value(*MANAGEMENT_SECRET)
    assert held["keeper"] == forming.value(Audience.KEEPER, "nomad-keeper-token")
    assert held["keeper-watcher"] == forming.value(Audience.SERVERS, "nomad-watcher-token")


def test_the_secret_is_in_the_vault_before_nomad_hears_of_it(forming, way):
    way.left = 1
    with pytest.raises(CutError):
        forming.tick()

    assert len(forming.value(*MANAGEMENT_SECRET)) == 36


def test_servers_that_lost_all_their_state_get_the_same_management_token_again(forming, room, clock):
    forming.tick()
    before = forming.value(*MANAGEMENT_SECRET)
    fresh = NomadLab(clock=clock, management_token="", seed=2)
    for _ in range(20):
        clock.advance(1)
        fresh.advance()
    way = Dying(fresh.router())

    def session(token):
        return NomadSession(room.settings.nomad, token=token, ca=lambda: "", transport=way)

    forming.access = [NomadAccess(session(str), lambda: session(lambda: forming.value(*MANAGEMENT_SECRET)))]
    forming.tick()

    assert forming.value(*MANAGEMENT_SECRET) == before
    assert names_on(fresh) == ALL
    fresh.stop()


def test_a_policy_that_somebody_changed_is_what_it_was_again(forming, lab):
    forming.tick()
    lab.region.acl.upsert_policy({"Name": "keeper-watcher", "Rules": 'node { policy = "write" }'})

    forming.tick()

    rules = lab.region.store.get("acl_policy", "keeper-watcher")["Rules"]
    assert 'node { policy = "read" }' in rules


def test_no_token_reaches_a_log_or_a_record(forming, caplog):
    with caplog.at_level(logging.DEBUG):
        forming.tick()
    said = caplog.text + json.dumps(list(forming.records.logs.values()))

    assert [each for each in (*TOKENS, MANAGEMENT_SECRET) if forming.value(*each) in said] == []


def view(**seen):
    return View(wanted=WANTED, **{"chosen": True, "manages": True, **seen})


def test_the_secret_comes_before_the_bootstrap_and_that_before_all_else():
    assert access.plan(view(chosen=False, manages=False)) == (Choose(MANAGEMENT),)
    assert access.plan(view(manages=False)) == (Bootstrap(Product.NOMAD),)


def test_a_token_waits_for_its_policies_and_what_could_not_be_read_waits_for_the_next_look():
    keeper = Token("keeper", (Place(Audience.KEEPER, "nomad-keeper-token"),), ("keeper",))

    planned = access.plan(view(entries={}, tokens={}, places={}))
    assert [type(each) for each in planned] == [Write, Write, Grant]
    assert planned[-1].token.policies == ()

    rules = {(Kind.POLICY, entry.name): entry.body for entry in WANTED.entries}
    assert Grant(keeper) in access.plan(view(entries=rules, tokens={}, places={}))
    assert access.plan(view()) == ()


def test_a_copy_that_differs_is_written_anew():
    place = Place(Audience.SERVERS, "nomad-watcher-token")
    planned = access.plan(view(entries=None, tokens={"keeper-watcher": "a"}, places={place: "b"}))

    assert planned == (Hand("keeper-watcher", place, Why.DIFFERS),)


@pytest.mark.parametrize(
    ("version", "policies"),
    [("1.6.5", ()), ("1.11.2", ()), ("1.11.3", ("keeper-snapshot",)), ("2.0.1", ("keeper-snapshot",))],
)
def test_saving_snapshots_needs_no_management_token_once_nomad_has_a_right_for_it(version, policies):
    wanted = wanted_of_nomad(NomadShape(**SHAPE, version=version))
    (saver,) = [each for each in wanted.tokens if each.places[0].name == "nomad-snapshot-token"]

    assert saver.policies == policies


def consul(**changes):
    shape = {
        "management": "consul-snapshot-token",
        "saver": "consul-snapshot-token",
        "nomad_version": "1.10.5",
        "machines": (Audience.SERVERS, Audience.CLIENTS),
        "keys_url": "https://localhost:4646/.well-known/jwks.json",
        "bundle": "PEM",
    }
    return wanted_of_consul(ConsulShape(**{**shape, **changes}))


def test_nomad_makes_consuls_tokens_itself_only_before_its_work_signs_in():
    old, new = consul(nomad_version="1.6.5"), consul()

    assert [entry.name for entry in old.entries if "acl" in entry.body] == ["keeper-nomad-servers"]
    assert [entry.name for entry in new.entries if 'acl = "write"' in entry.body] == []
    assert {entry.kind for entry in new.entries} == set(Kind)
    assert {entry.kind for entry in old.entries} == {Kind.POLICY}


def test_what_depends_on_nomads_version_waits_until_that_is_known():
    assert {token.name for token in consul(nomad_version="").tokens} == {"keeper-agent-servers", "keeper-agent-clients"}


def test_a_ca_that_changes_changes_how_work_signs_in():
    one, other = (
        next(entry for entry in consul(bundle=pem).entries if entry.kind is Kind.METHOD) for pem in ("A", "B")
    )

    assert isinstance(one, Entry)
    assert one != other
