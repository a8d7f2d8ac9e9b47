"""What is issued, renewed and retired, and in which order: over years of a cluster's life, cut and blinded anywhere."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core import certificate_guards
from keeper.core.certificates import (
    Audience,
    Authority,
    Bundle,
    Found,
    Issue,
    Leaf,
    Place,
    Publish,
    Rotate,
    Share,
    Terms,
    View,
    Why,
    plan,
    signer,
)
from keeper.core.wanted_certificates import Shape, wanted
from lab.clock import LAB_EPOCH

CONSUL = Shape(region="global", own_bundles=("nomad-ca-bundle", "consul-ca-bundle"), consul_server="server.dc1.consul")
WANTED = wanted(CONSUL)
DAY = timedelta(days=1)
TERMS = Terms(overlap=2 * DAY)
LIFE, CA_LIFE = timedelta(days=90), timedelta(days=730)


@dataclass
class World:
    """Vaults as facts, and machines that take over what they find within the overlap."""

    now: object = LAB_EPOCH
    keys: int = 1
    authorities: list = field(default_factory=list)
    bundles: dict = field(default_factory=dict)
    leaves: dict = field(default_factory=dict)
    shared: dict = field(default_factory=dict)
    machines: dict = field(default_factory=dict)
    """What each audience's machines trust and serve, as of their last visit."""

    def view(self, blind=frozenset()):
        def seen(held, places):
            return {place: held.get(place) for place in places if str(place) not in blind}

        bundles = seen(self.bundles, WANTED.bundles)
        copies = {Place(each, name) for name, who in WANTED.shared.items() for each in (Audience.KEEPER, *who)}
        return View(
            now=self.now,
            wanted=WANTED,
            key=f"ca{self.keys}",
            authorities=tuple(self.authorities) if WANTED.master in bundles else (),
            bundles=bundles,
            leaves=seen(self.leaves, WANTED.leaves),
            shared=seen(self.shared, copies),
            gaps=frozenset(blind),
        )

    def do(self, action):
        match action:
            case Rotate():
                self.keys += 1
            case Found():
                self.authorities.append(Authority(f"ca{self.keys}", self.now, self.now + CA_LIFE, ""))
                self._publish(WANTED.master, tuple(each.id for each in self.authorities))
            case Publish():
                self._publish(action.place, action.authorities)
            case Share():
                fresh = f"fresh-{action.place.name}-{self.now}"
                self.shared[action.place] = self.shared[action.source] if action.source else fresh
            case Issue():
                self.leaves[action.place] = Leaf(action.names, action.signer, self.now, self.now + LIFE)

    def _publish(self, place, authorities):
        if place == WANTED.master:
            self.authorities = [each for each in self.authorities if each.id in authorities]
        self.bundles[place] = Bundle(authorities, self.now)

    def tick(self, blind=frozenset(), cut=None):
        """One tick, which the controller goes through in rounds; cut after that many writes."""
        writes = 0
        for _ in range(5):
            view = self.view(blind)
            actions = plan(view, TERMS)
            assert certificate_guards.broken(actions, view, TERMS) == []
            for action in actions:
                if writes == cut:
                    return
                self.do(action)
                writes += 1
            if not actions:
                return

    def visit(self, audience):
        """The audience's machines take over what their vault holds now."""
        bundle = self.bundles.get(Place(audience, "nomad-ca-bundle"))
        served = {place: leaf for place, leaf in self.leaves.items() if place.audience is audience}
        if bundle is not None and served:
            self.machines[audience] = (set(bundle.authorities), served)

    def everyone_believes_everyone(self):
        for trusted, _ in self.machines.values():
            for _, served in self.machines.values():
                for leaf in served.values():
                    assert leaf.issuer in trusted
                    assert leaf.ends > self.now


@pytest.fixture
def world():
    made = World()
    made.tick()
    return made


def actions(world, **how):
    return plan(world.view(**how), TERMS)


def test_from_nothing_ca_first_then_trust_then_certificates():
    world, kinds = World(), []
    for _ in range(4):
        planned = actions(world)
        kinds.append({type(each) for each in planned})
        for each in planned:
            world.do(each)

    assert kinds == [{Found, Share}, {Publish, Share}, {Issue}, set()]
    assert set(world.leaves) == set(WANTED.leaves)
    assert len(set(world.shared.values())) == len(WANTED.shared)


def test_a_certificate_is_renewed_when_a_third_of_its_life_is_left(world):
    world.now += LIFE * 2 / 3 - DAY
    assert actions(world) == ()

    world.now += DAY

    assert {each.because for each in actions(world)} == {Why.AGE}
    assert len(actions(world)) == len(WANTED.leaves)


def test_a_certificate_for_other_names_is_replaced(world):
    place = Place(Audience.SERVERS, "nomad-agent-tls")
    world.leaves[place] = Leaf(frozenset({"server.other.nomad"}), "ca1", world.now, world.now + LIFE)

    assert [(each.place, each.because) for each in actions(world)] == [(place, Why.NAMES)]


def test_a_new_ca_is_trusted_everywhere_for_the_overlap_before_it_signs(world):
    world.now += CA_LIFE * 2 / 3
    world.tick()

    assert [each.id for each in world.authorities] == ["ca1", "ca2"]
    assert {leaf.issuer for leaf in world.leaves.values()} == {"ca1"}
    assert all(bundle.authorities == ("ca1", "ca2") for bundle in world.bundles.values())

    world.now += TERMS.overlap
    world.tick()

    assert {leaf.issuer for leaf in world.leaves.values()} == {"ca2"}
    assert [each.id for each in world.authorities] == ["ca1", "ca2"]

    world.now += TERMS.overlap
    world.tick()

    assert [each.id for each in world.authorities] == ["ca2"]
    assert all(bundle.authorities == ("ca2",) for bundle in world.bundles.values())


def test_machines_that_believe_another_ca_hear_of_ours_before_it_signs(world):
    """A guest's certificates are taken over by ours once the bundle with both has been there for the overlap."""
    for place, leaf in world.leaves.items():
        world.leaves[place] = replace(leaf, issuer="guest")
    for place, bundle in world.bundles.items():
        world.bundles[place] = Bundle(("guest", *bundle.authorities), world.now)
    view = replace(world.view(), guests=frozenset({"guest"}))

    assert plan(view, TERMS) == ()
    later = plan(replace(view, now=view.now + TERMS.overlap), TERMS)
    assert [(type(each), each.because) for each in later] == [(Issue, Why.ISSUER)] * len(world.leaves)


def test_a_copy_without_a_guest_gets_it(world):
    view = replace(world.view(), guests=frozenset({"guest"}))

    assert {each.place for each in plan(view, TERMS)} == {each for each in WANTED.bundles if each != WANTED.master}


def test_a_key_that_a_person_rotated_becomes_a_ca_in_the_same_order(world):
    world.keys += 1
    world.tick()

    assert [each.id for each in world.authorities] == ["ca1", "ca2"]
    assert signer(world.view(), TERMS).id == "ca1"


@pytest.mark.parametrize("hidden", [str(place) for place in (*WANTED.bundles, *WANTED.leaves)])
def test_what_could_not_be_read_retires_nothing(world, hidden):
    world.keys += 1
    for _ in range(2):
        world.tick()
        world.now += TERMS.overlap

    assert not any(isinstance(each, Publish) for each in actions(world, blind={hidden}))
    assert any(each.because is Why.UNNEEDED for each in actions(world) if isinstance(each, Publish))


def test_a_copy_of_a_shared_key_that_differs_is_made_like_the_master_again(world):
    place = Place(Audience.CLIENTS, "consul-gossip-key")
    world.shared[place] = "by hand"

    assert actions(world) == (Share(place, Place(Audience.KEEPER, "consul-gossip-key"), Why.DIFFERS),)


def test_a_master_that_is_lost_comes_back_from_a_copy_and_is_never_made_anew(world):
    master = Place(Audience.KEEPER, "nomad-gossip-key")
    world.shared[master] = None

    assert actions(world) == (Share(master, Place(Audience.SERVERS, "nomad-gossip-key"), Why.MISSING),)


def test_no_shared_key_is_made_while_a_copy_could_not_be_read(world):
    world.shared[Place(Audience.KEEPER, "nomad-gossip-key")] = None

    assert actions(world, blind={"servers/nomad-gossip-key"}) == ()


def test_a_vault_that_does_not_answer_keeps_nobody_else_waiting():
    world = World()
    world.tick(blind={"clients/nomad-ca-bundle", "clients/nomad-agent-tls", "clients/consul-agent-tls"})

    assert {place.audience for place in world.leaves} == {Audience.SERVERS}


@pytest.mark.parametrize(
    ("action", "guard"),
    [
        (Publish(WANTED.bundles[2], (), Why.DIFFERS), "someone-is-trusted"),
        (Publish(WANTED.bundles[2], ("ca2",), Why.UNNEEDED), "needed-stays"),
        (Issue(Place(Audience.SERVERS, "nomad-agent-tls"), frozenset(), "ca2", Why.AGE), "trusted-before-it-signs"),
        (Share(Place(Audience.KEEPER, "nomad-gossip-key"), None, Why.MISSING), "one-gossip"),
    ],
)
def test_each_guard_stops_what_it_names(world, action, guard):
    world.keys += 1
    world.do(Found(Why.AGE))

    assert [name for name, _ in certificate_guards.broken((action,), world.view(), TERMS)] == [guard]


steps = st.lists(
    st.tuples(
        st.timedeltas(timedelta(hours=1), timedelta(days=20)),
        st.none() | st.integers(0, 6),
        st.sets(st.sampled_from([str(place) for place in (*WANTED.bundles, *WANTED.leaves)]), max_size=2),
        st.booleans(),
    ),
    max_size=60,
)


@given(steps)
def test_machines_that_visit_within_the_overlap_always_believe_each_other(played):
    """Ticks are cut and blinded, keys rotated; a whole tick and a visit come within each overlap, as timers make them.

    Servers and clients visit in turn, so that there are always machines that have not heard of the last tick.
    """
    world = World()
    turns = cycle((Audience.SERVERS, Audience.CLIENTS))
    for passes, cut, blind, rotates in played:
        world.keys += rotates and world.keys == len(world.authorities)
        world.tick(blind, cut)
        end = world.now + passes
        while world.now < end:
            world.now += min(TERMS.overlap / 2, end - world.now)
            world.tick(cut=cut if world.now < end else None)
            world.tick()
            world.visit(next(turns))
            world.everyone_believes_everyone()


@given(steps)
def test_a_tick_that_is_cut_anywhere_is_finished_by_the_next(played):
    world = World()
    for passes, cut, _, _ in played[:10]:
        world.tick(cut=cut)
        world.tick()
        assert plan(world.view(), TERMS) == ()
        world.now += passes
