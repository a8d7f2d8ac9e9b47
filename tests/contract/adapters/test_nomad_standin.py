"""The Nomad adapter in front of the stand-in: over TLS with ACLs on, and in-process on a fake clock as the simulator has it."""

from datetime import UTC, datetime, timedelta

import pytest

from keeper.core.model import ClientStatus, DrainStatus, JobKey, NodeStatus, Resources
from keeper.errors import Forbidden, Gone, Permanent, Unreachable
from keeper.nomad.cluster import NomadHttp
from keeper.settings import NomadSettings
from lab.ca import Authority
from lab.clock import FakeClock, wall_clock
from lab.http import Response, Tls, serve
from lab.membership import NodeShape
from lab.nomad.http.inprocess import InProcess
from lab.nomad.server import NomadLab
from lab.nomad.sides import ModelNomad, StandInNomad

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
META = {"keeper-controller": "autoscale"}
SHAPE = NodeShape()


def job(name="web", *, count=1, cpu=1000, node_pool="default"):
    task = {"Name": "main", "Driver": "mock_driver", "Config": {"run_for": "10h"}}
    task["Resources"] = {"CPU": cpu, "MemoryMB": 64}
    group = {"Name": "g", "Count": count, "Tasks": [task], "EphemeralDisk": {"SizeMB": 150}}
    document = {"ID": name, "Name": name, "Type": "service", "Datacenters": ["*"], "NodePool": node_pool}
    return {**document, "TaskGroups": [group], "Meta": {"owner": "team a"}}


class InProcessSide:
    """The stand-in without sockets, on a clock that the test moves."""

    def __init__(self):
        self.clock = FakeClock()
        self.lab = NomadLab(clock=self.clock)
        self.model = ModelNomad(self.lab)
        self.http = InProcess(self.lab.router())
        self.nomad = NomadHttp(
            NomadSettings(address="https://nomad.lab:4646"),
            token=lambda: self.lab.management_token,
            ca=lambda: "",
            transport=self.http,
        )

    def settle(self):
        for _ in range(20):
            self.clock.advance(timedelta(seconds=1))
            self.lab.advance()

    def close(self):
        self.lab.stop()


class NetworkSide:
    """The stand-in over TLS."""

    def __init__(self, authority):
        self.side = StandInNomad(authority).__enter__()
        self.lab = self.model = self.side
        self.lab = self.side.lab
        self.authority = authority
        self.nomad = self.adapter()

    def adapter(self, token=None, ca=None):
        trust = self.authority.certificate.read_text()
        return NomadHttp(
            NomadSettings(address=self.side.url, timeout=timedelta(seconds=5)),
            token=token or (lambda: self.side.keeper_token),
            ca=ca or (lambda: trust),
        )

    def settle(self):
        pause(1.5)

    def close(self):
        self.side.__exit__()


def pause(seconds):
    import threading  # noqa: PLC0415 -- waiting is the exception here

    threading.Event().wait(seconds)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.create(tmp_path_factory.mktemp("ca"), wall_clock())


@pytest.fixture
def network(authority):
    side = NetworkSide(authority)
    yield side
    side.close()


@pytest.fixture(params=["in-process", "https"])
def side(request):
    if request.param == "https":
        yield request.getfixturevalue("network")
    else:
        made = InProcessSide()
        yield made
        made.close()


def test_nodes_work_and_demand_are_seen_as_they_are(side):
    side.model.join("vmss-general_0", SHAPE, {})
    fits, waits = SHAPE.cpu // 2, SHAPE.cpu * 4
    side.lab.cluster.register_job(job("small", cpu=fits))
    side.lab.cluster.register_job(job("large", cpu=waits, count=2))
    side.settle()

    (node,) = side.nomad.nodes()
    (allocation,) = side.nomad.allocations()
    queued = {stub.key.id: stub.queued for stub in side.nomad.jobs()}
    (blocked,) = side.nomad.blocked()

    assert (node.name, node.status, node.ready) == ("vmss-general_0", NodeStatus.READY, True)
    assert (node.resources.cpu, node.resources.memory) == (SHAPE.cpu, SHAPE.memory)
    assert (allocation.node, allocation.client) == (node.id, ClientStatus.RUNNING)
    assert allocation.resources == Resources(cpu=fits, memory=64, disk=150)
    assert queued == {"small": {"g": 0}, "large": {"g": 2}}
    assert (blocked.job.id, blocked.groups) == ("large", {"g"})
    assert JobKey("default", "large") in side.nomad.deploying()


def test_a_jobs_specification_is_what_was_registered(side):
    side.lab.cluster.register_job(job(count=3, cpu=700))
    (stub,) = side.nomad.jobs()

    spec = side.nomad.job(stub.key, stub.modify_index)

    assert (spec.modify_index, spec.meta, stub.meta) == (stub.modify_index, {"owner": "team a"}, {"owner": "team a"})
    assert (spec.groups["g"].count, spec.groups["g"].resources) == (3, Resources(cpu=700, memory=64, disk=150))


def test_a_drain_is_started_and_taken_back_and_the_node_forgotten(side):
    side.model.join("vmss-general_0", SHAPE, {})
    (node,) = side.nomad.nodes()
    side.lab.cluster.register_job(job(cpu=100))
    side.settle()

    side.nomad.drain(node.id, timedelta(hours=1), META)
    (draining,) = side.nomad.nodes()
    assert draining.last_drain.meta == META
    assert not draining.eligible

    side.nomad.reclaim(node.id, META)
    side.nomad.reclaim(node.id, META)
    (back,) = side.nomad.nodes()
    assert (back.draining, back.eligible) == (False, True)
    assert back.last_drain.status in {DrainStatus.CANCELED, DrainStatus.COMPLETE}

    side.nomad.purge(node.id)
    side.nomad.purge(node.id)
    assert side.nomad.nodes() == ()
    with pytest.raises(Gone):
        side.nomad.drain(node.id, None, META)


def test_a_template_is_what_the_next_node_will_be_like(side):
    side.model.join("vmss-general_0", SHAPE, {"tier": "web"})
    (node,) = side.nomad.nodes()

    template = side.nomad.template(node.id, NOW)

    assert (template.resources, template.drivers) == (node.resources, node.drivers)
    assert template.attributes["meta.tier"] == "web"


def test_an_idle_look_takes_five_calls():
    side = InProcessSide()
    side.http.calls = 0

    for read in (side.nomad.nodes, side.nomad.allocations, side.nomad.jobs, side.nomad.blocked, side.nomad.deploying):
        read()

    assert side.http.calls == 5
    side.close()


class TestTls:
    def test_the_server_must_show_a_certificate_of_the_clusters_ca(self, network, tmp_path):
        stranger = Authority.create(tmp_path, wall_clock()).certificate.read_text()

        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            network.adapter(ca=lambda: stranger).nodes()

    def test_public_cas_vouch_for_nobody(self, network, tmp_path, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(network.authority.certificate))
        stranger = Authority.create(tmp_path, wall_clock()).certificate.read_text()

        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            network.adapter(ca=lambda: stranger).nodes()

    def test_the_server_must_be_a_server_of_the_region(self, network):
        trust = network.authority.certificate.read_text()
        elsewhere = NomadSettings(address=network.side.url, region="elsewhere")

        with pytest.raises(Unreachable, match=r"server\.elsewhere\.nomad"):
            NomadHttp(elsewhere, token=lambda: "", ca=lambda: trust).nodes()

    def test_a_rotated_ca_is_read_again_and_trusted_from_then_on(self, network, tmp_path):
        old = Authority.create(tmp_path, wall_clock()).certificate.read_text()
        bundles = iter([old, old + network.authority.certificate.read_text(), "never asked for"])
        adapter = network.adapter(ca=lambda: next(bundles))

        assert adapter.nodes() == ()
        assert adapter.nodes() == ()

    @pytest.mark.parametrize("bundle", ["", "no certificate"])
    def test_a_ca_bundle_without_a_certificate_trusts_nobody(self, network, bundle):
        with pytest.raises(Permanent, match="CA bundle"):
            network.adapter(ca=lambda: bundle).nodes()


class TestRights:
    def test_the_keepers_policy_is_enough_and_a_watchers_is_not(self, network):
        network.model.join("vmss-general_0", SHAPE, {})
        (node,) = network.nomad.nodes()

        with pytest.raises(Forbidden, match=r'node \{ policy = "write" \}'):
            network.adapter(token=lambda: network.side.watcher_token).drain(node.id, None, META)
        network.nomad.drain(node.id, None, META)

    def test_a_token_that_was_rotated_is_read_again(self, network):
        tokens = iter(["00000000-0000-4000-8000-000000000000", network.side.keeper_token])

        assert network.adapter(token=lambda: next(tokens)).nodes() == ()


def test_a_cluster_that_is_not_there_is_unreachable(network):
    network.lab.stop()

    with pytest.raises(Unreachable, match="no answer from Nomad to list the nodes"):
        network.nomad.nodes()


class Breaking:
    """Breaks the first connection after the request has arrived, then answers."""

    def __init__(self):
        self.arrived = 0

    def __call__(self, _request):
        self.arrived += 1
        if self.arrived == 1:
            raise ConnectionResetError
        return Response(200, {"X-Nomad-KnownLeader": "true", "X-Nomad-LastContact": "0"}, b"[]")


class TestBrokenConnections:
    @pytest.fixture
    def broken(self, authority):
        leaf = authority.issue("broken", names=["server.global.nomad"], addresses=["127.0.0.1"])
        handler, trust = Breaking(), authority.certificate.read_text()
        with serve(handler, tls=Tls(leaf.certificate, leaf.key)) as server:
            yield handler, NomadHttp(NomadSettings(address=server.url), token=lambda: "", ca=lambda: trust)

    def test_a_read_is_tried_again(self, broken):
        handler, nomad = broken

        assert nomad.nodes() == ()
        assert handler.arrived == 2

    def test_a_write_that_may_have_arrived_is_not_repeated(self, broken):
        handler, nomad = broken

        with pytest.raises(Unreachable):
            nomad.purge("76672d36-d6e6-464c-0c2f-ead4037346eb")
        assert handler.arrived == 1
