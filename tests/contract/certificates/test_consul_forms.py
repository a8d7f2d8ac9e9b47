"""From empty vaults to a real Consul with access control; where there is no binary it says so."""

import json
import socket
import struct
from urllib.parse import urlsplit

import pytest
import requests
from forming import consul_program, join, make_room, real_consul, standin_nomad, until

from keeper.core.certificates import Audience
from keeper.errors import Permanent
from keeper.trust import VerifiedTransport

pytestmark = pytest.mark.skipif(consul_program() is None, reason="no Consul binary on PATH or in CONSUL_BIN")


def ready(outcome):
    return not outcome.waits and not outcome.done and not outcome.problems


@pytest.fixture(scope="module")
def formed(tmp_path_factory):
    """Both products' servers up, and everything set up; once, because a real server takes its time to lead."""
    room, tmp_path = make_room(), tmp_path_factory.mktemp("cluster")
    room.tick()
    with standin_nomad(room, tmp_path) as nomad, real_consul(room, tmp_path) as consul:
        join(room, nomad=nomad, consul=consul)
        until(room, ready)
        yield room, Asking(room, consul, tmp_path)


class Asking:
    """Somebody who calls Consul with a token from a vault."""

    def __init__(self, room, url, folder):
        self.room, self.url = room, url
        self.trust = folder / "trust.pem"
        self.trust.write_text(room.value(Audience.KEEPER, "consul-ca-bundle"))

    def ask(self, audience, secret, method, path, body=None):
        session = requests.Session()
        session.mount(self.url, VerifiedTransport(self.trust.read_text(), "server.dc1.consul", "Consul"))
        headers = {"X-Consul-Token": self.room.value(audience, secret)} if secret else {}
        with (
            session,
            session.request(method, self.url + path, data=body and json.dumps(body), headers=headers) as answer,
        ):
            return answer.status_code, answer.text


NODE = {"Node": "client-1", "Address": "10.0.20.4"}


def test_agents_register_themselves_and_do_nothing_else(formed):
    _, asking = formed
    agent = (Audience.CLIENTS, "consul-agent-token")

    assert asking.ask(*agent, "PUT", "/v1/catalog/register", NODE)[0] == 200
    assert asking.ask(*agent, "PUT", "/v1/kv/x", {"a": 1})[0] == 403
    assert asking.ask(*agent, "GET", "/v1/acl/tokens")[0] == 403
    assert asking.ask(Audience.CLIENTS, "", "PUT", "/v1/catalog/register", {**NODE, "Node": "b"})[0] == 403


def addresses_of(name, server):
    """How many addresses Consul's DNS knows of a name (RFC 1035: a header, one question of type A)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        asking.sendto(question, (server, 8600))
        return struct.unpack(">6H", asking.recv(512)[:12])[3]


def test_by_an_agents_token_its_dns_knows_services_and_without_it_none(formed):
    room, asking = formed
    server = urlsplit(asking.url).hostname
    service = {**NODE, "Service": {"Service": "shop", "Port": 80}}
    keeps = (Audience.KEEPER, "consul-snapshot-token")
    assert asking.ask(*keeps, "PUT", "/v1/catalog/register", service)[0] == 200
    assert addresses_of("shop.service.consul", server) == 0

    token = {"Token": room.value(Audience.SERVERS, "consul-agent-token")}
    assert asking.ask(*keeps, "PUT", "/v1/agent/token/dns", token)[0] == 200

    assert addresses_of("shop.service.consul", server) == 1


def test_nomad_registers_services_and_makes_no_tokens_on_clients(formed):
    _, asking = formed
    asking.ask(Audience.CLIENTS, "consul-agent-token", "PUT", "/v1/catalog/register", NODE)
    service = {**NODE, "SkipNodeUpdate": True, "Service": {"Service": "web", "Port": 80}}

    assert asking.ask(Audience.CLIENTS, "nomad-consul-token", "PUT", "/v1/catalog/register", service)[0] == 200
    assert asking.ask(Audience.CLIENTS, "nomad-consul-token", "PUT", "/v1/acl/token", {"Description": "x"})[0] == 403


def test_a_management_token_is_where_snapshots_look_for_it(formed):
    _, asking = formed

    assert asking.ask(Audience.KEEPER, "consul-snapshot-token", "GET", "/v1/acl/tokens")[0] == 200


def test_everybody_has_a_token_of_their_own(formed):
    room, _ = formed
    names = [
        (audience, name)
        for audience in (Audience.SERVERS, Audience.CLIENTS)
        for name in ("consul-agent-token", "nomad-consul-token")
    ]

    assert len({room.value(*each) for each in names}) == len(names)


def test_access_that_somebody_else_set_up_is_said(formed):
    room, _ = formed
    ours = room.value(Audience.KEEPER, "consul-snapshot-token")
    room.vaults[Audience.KEEPER].set_secret("consul-snapshot-token", "7a6f0c1e-0000-4000-8000-000000000000")

    with pytest.raises(Permanent, match="put the secret of a management token into consul-snapshot-token"):
        room.tick()

    room.vaults[Audience.KEEPER].set_secret("consul-snapshot-token", ours)
    assert ready(room.tick())
