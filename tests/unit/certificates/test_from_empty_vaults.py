"""From empty vaults to what machines take: judged by the node program's own code, cut at each write, and without a leak."""

import json
import logging
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from keepernode import vaulted
from keepernode.knobs import ConsulMode, Role
from keepernode.tls import Service, split_pem, stage
from node_paper import PaperMachine

from keeper.azure.arm import CONNECT_SECONDS, READ_SECONDS
from keeper.core.certificates import Audience
from keeper.core.messages import Kind
from keeper.core.wanted_certificates import BUNDLE
from keeper.errors import LostLease, Permanent
from lab.azure.inprocess import InProcessTransport
from lab.azure.tokens import Tenant
from lab.ca import Authority
from lab.certificates import AUTHORITY, BASE, KEEPER, PUBLISHER, VaultRoom
from lab.clock import FakeClock
from lab.keyvault.errors import throttled
from lab.keyvault.key_store import make_key

DEDICATED = replace(
    BASE,
    certificates=replace(
        BASE.certificates, consul_vault="https://kv-consul.vault.azure.net", with_vault=True, domain="nomad.internal"
    ),
)
MACHINES = {Audience.SERVERS: Role.SERVER, Audience.CLIENTS: Role.CLIENT, Audience.CONSUL: Role.CONSUL}


class CutError(BaseException):
    """The process dies."""


def written(room):
    """Every name in every vault."""
    return {
        f"{audience}/{each.name}" for audience, vault in room.vaults.items() for each in vault.secrets.shelf.newest()
    }


def make(settings=BASE):
    clock = FakeClock()
    return VaultRoom(Tenant("0c0c0c0c-0000-4000-8000-000000000001", clock), clock, settings=settings)


@pytest.mark.parametrize(
    ("audience", "secret", "service"),
    [
        (Audience.SERVERS, "nomad-agent-tls", Service("nomad", "root", "server.global.nomad", 4646)),
        (Audience.SERVERS, "consul-agent-tls", Service("consul", "root", "server.dc1.consul", 8501)),
        (Audience.CLIENTS, "nomad-agent-tls", Service("nomad", "root", "client.global.nomad", 4646)),
        (Audience.CLIENTS, "consul-agent-tls", Service("consul", "root", "client.dc1.consul", 8501)),
    ],
)
def test_a_machine_takes_what_was_issued(present, tmp_path, audience, secret, service):
    present.tick()
    machine = PaperMachine(tmp_path / "machine")

    folder = stage(machine, service, split_pem(present.value(audience, secret), present.value(audience, BUNDLE)))

    assert machine.owners[f"{folder}/key.pem"] == ("root", 0o600)


@pytest.mark.parametrize(
    ("mode", "settings", "audiences"),
    [
        (ConsulMode.OFF, replace(BASE, snapshots=replace(BASE.snapshots, consul_address="")), ("servers", "clients")),
        (ConsulMode.COLOCATED, BASE, ("servers", "clients")),
        (ConsulMode.DEDICATED, DEDICATED, ("servers", "clients", "consul")),
    ],
)
def test_everything_that_a_machine_waits_for_is_there(mode, settings, audiences):
    room = make(settings)
    room.tick()

    for audience in map(Audience, audiences):
        missing = {f"{audience}/{name}" for name in waited_for(MACHINES[audience], mode, vault=settings is DEDICATED)}
        assert missing - written(room) == set()


def waited_for(role, mode, *, vault):
    """What `cloud-init/README.md` says that a machine cannot do without."""
    serves_consul = {ConsulMode.COLOCATED: Role.SERVER, ConsulMode.DEDICATED: Role.CONSUL}.get(mode)
    found = {vaulted.CA_BUNDLE}
    found |= {vaulted.NOMAD_CERTIFICATE} if role is not Role.CONSUL else set()
    found |= {vaulted.NOMAD_GOSSIP} if role is Role.SERVER else set()
    found |= {vaulted.CONSUL_CERTIFICATE, vaulted.CONSUL_GOSSIP} if serves_consul else set()
    return found | ({vaulted.VAULT_CERTIFICATE} if vault and role is Role.SERVER else set())


def test_nobody_finds_what_is_not_for_them():
    room = make(DEDICATED)
    room.tick()

    found = written(room)
    assert not {"clients/nomad-gossip-key", "clients/vault-server-tls", "consul/nomad-gossip-key"} & found
    assert not any(name.startswith("consul/nomad-agent") for name in found)


def test_gossip_keys_are_32_bytes_and_the_same_wherever_they_are(room):
    room.tick()
    values = {room.value(audience, "consul-gossip-key") for audience in Audience if audience in room.vaults}

    assert len(values) == 1
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", values.pop())
    assert room.value(Audience.SERVERS, "nomad-gossip-key") != room.value(Audience.SERVERS, "consul-gossip-key")


def test_servers_are_known_by_the_names_of_the_private_domain_and_clients_are_not():
    room = make(DEDICATED)
    room.tick()

    for audience, expected in ((Audience.SERVERS, True), (Audience.CLIENTS, False)):
        leaf = x509.load_pem_x509_certificate(room.value(audience, "nomad-agent-tls").encode())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert ("*.nomad.internal" in names.get_values_for_type(x509.DNSName)) is expected


def test_nothing_is_done_twice(room):
    room.tick()
    before = {audience: [each for each in vault.calls if each[0] != "GET"] for audience, vault in room.vaults.items()}

    outcome = room.tick()

    assert outcome.sentence == "nothing is due"
    assert before == {a: [each for each in v.calls if each[0] != "GET"] for a, v in room.vaults.items()}


def test_without_vaults_nothing_is_looked_at():
    room = make(replace(BASE, certificates=replace(BASE.certificates, servers_vault="", clients_vault="")))

    assert room.tick().sentence == "no vaults are configured"


def writes_of(room):
    return sum(len([each for each in vault.calls if each[0] != "GET"]) for vault in room.vaults.values())


def cut_at(room, number, *, after):
    """Have the process die just before or just after its nth write."""
    left = [number]
    for vault in room.vaults.values():
        answer = vault.handle

        def handle(request, answer=answer):
            if request.method == "GET":
                return answer(request)
            left[0] -= 1
            if left[0] == 0 and not after:
                raise CutError
            response = answer(request)
            if left[0] == 0:
                raise CutError
            return response

        vault.handle = handle


WRITES = 22


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_a_tick_that_dies_at_any_write_is_finished_by_the_next(number, after):
    room = make()
    cut_at(room, number, after=after)
    with pytest.raises(CutError):
        room.tick()
    for vault in room.vaults.values():
        del vault.handle

    room.clock.advance(timedelta(minutes=5))
    room.tick()

    assert room.tick().sentence == "nothing is due"
    assert len({room.value(audience, "consul-gossip-key") for audience in room.vaults}) == 1
    assert len({room.value(a, BUNDLE) for a in room.vaults}) == 1
    for audience, name in ((Audience.SERVERS, "nomad-agent-tls"), (Audience.CLIENTS, "consul-agent-tls")):
        pem = room.value(audience, name).encode()
        leaf = x509.load_pem_x509_certificate(pem)
        assert load_pem_private_key(pem, None).public_key() == leaf.public_key()
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(room.value(audience, BUNDLE).encode()))


def test_that_many_writes_make_a_cluster(room):
    """So that the test above cuts at each of them, and at none that is not."""
    room.tick()

    assert writes_of(room) == WRITES


def test_no_key_and_no_secret_reaches_a_log_or_a_record(room, caplog):
    with caplog.at_level(logging.DEBUG):
        room.tick()
    said = caplog.text + json.dumps([each.body.decode() for each in room.records.records.values()])
    said += json.dumps(list(room.records.logs.values()))
    lines = {
        line
        for audience, vault in room.vaults.items()
        for each in vault.secrets.shelf.newest()
        if each.name != "nomad-ca-bundle"
        for line in room.value(audience, each.name).splitlines()
        if "-----" not in line and line not in room.value(Audience.KEEPER, BUNDLE)
    }

    assert len(lines) > 20
    assert [line for line in lines if line in said] == []
    assert "PRIVATE KEY" not in said


def test_the_ca_key_never_leaves_and_machines_keys_never_arrive(room):
    room.tick()

    keeper = room.vaults[Audience.KEEPER]
    assert all("/keys/nomad-ca" in path or "/secrets/" in path for _, path, _ in keeper.calls)
    read = [path for vault in room.vaults.values() for method, path, _ in vault.calls if method == "GET"]
    assert not any(re.search(r"/secrets/[\w-]+-tls", path) for path in read)


def test_the_record_says_what_was_done_and_why(room):
    room.tick()
    (line,) = room.records.logs[next(iter(room.records.logs))]
    record = json.loads(line)

    assert (record["controller"], record["reason"]) == ("certificates", "issued")
    issued = [each for each in record["chose"] if each["action"] == "issue"]
    assert {each["place"] for each in issued} >= {"servers/nomad-agent-tls", "clients/nomad-agent-tls"}
    assert all(each["because"] == "missing" for each in issued)


def test_a_right_that_is_missing_in_one_vault_keeps_nobody_else_waiting(room):
    room.vaults[Audience.CLIENTS].grants = {KEEPER.object_id: ()}

    with pytest.raises(Permanent, match="not authorized"):
        room.tick()

    assert "servers/nomad-agent-tls" in written(room)
    assert not any(name.startswith("clients/") for name in written(room))


def test_it_works_with_just_the_rights_that_the_template_grants(pytestconfig):
    """The vaults of these tests refuse everything else."""
    template = (pytestconfig.rootpath / "bicep" / "modules" / "security" / "keeperRoles.bicep").read_text()

    assert [action for action in {*AUTHORITY, *PUBLISHER} if f"'{action}'" not in template] == []


def test_a_busy_vault_is_no_failure_of_the_timer(room):
    def busy(_):
        raise throttled(10)

    room.vaults[Audience.CLIENTS].fail = busy

    outcome = room.tick()

    assert len(outcome.problems) >= 1
    assert "servers/nomad-agent-tls" in written(room)


def test_a_master_bundle_that_is_none_is_left_to_a_person(room):
    room.tick()
    room.vaults[Audience.KEEPER].set_secret(BUNDLE, "spoilt")

    with pytest.raises(Permanent, match="keeper/nomad-ca-bundle is no bundle of CAs"):
        room.tick()

    assert room.value(Audience.KEEPER, BUNDLE) == "spoilt"
    assert "CERTIFICATE" in room.value(Audience.SERVERS, BUNDLE)


def test_a_copy_that_somebody_spoilt_is_mended(room):
    room.tick()
    room.vaults[Audience.CLIENTS].set_secret(BUNDLE, "spoilt")

    room.tick()

    assert room.value(Audience.CLIENTS, BUNDLE) == room.value(Audience.KEEPER, BUNDLE)


def test_a_certificate_that_somebody_deleted_is_left_to_a_person_and_all_else_goes_on(room):
    room.tick()
    room.clock.advance(timedelta(days=61))
    vault = room.vaults[Audience.CLIENTS]
    for store in (vault.certificates, vault.secrets, vault.keys):
        store.shelf.delete("nomad-agent-tls")

    with pytest.raises(Permanent, match="deleted but recoverable"):
        room.tick()

    renewed = x509.load_pem_x509_certificate(room.value(Audience.CLIENTS, "consul-agent-tls").encode())
    assert renewed.not_valid_after_utc > room.clock() + timedelta(days=80)


def test_a_certificate_that_somebody_disabled_is_issued_anew(room):
    room.tick()
    before = room.value(Audience.SERVERS, "nomad-agent-tls")
    vault = room.vaults[Audience.SERVERS]
    for store in (vault.certificates, vault.secrets):
        store.shelf.get("nomad-agent-tls").change({"attributes": {"enabled": False}}, room.clock())

    room.tick()

    assert room.value(Audience.SERVERS, "nomad-agent-tls") != before


@pytest.mark.parametrize("age", [timedelta(days=10), timedelta(days=-10)])
def test_another_regions_ca_stays_in_every_bundle_and_never_signs(room, tmp_path, age):
    room.tick()
    guest = Authority.create(tmp_path, room.clock() - age).certificate.read_text()
    ours = room.value(Audience.KEEPER, BUNDLE)
    room.vaults[Audience.KEEPER].set_secret(BUNDLE, ours + guest)
    for _ in range(5):
        room.tick()
        room.clock.advance(timedelta(days=25))
    room.tick()
    before = writes_of(room)
    room.tick()

    assert writes_of(room) == before
    for audience in room.vaults:
        assert guest.strip() in room.value(audience, BUNDLE)
    (authority,) = x509.load_pem_x509_certificates(ours.encode())
    leaf = x509.load_pem_x509_certificate(room.value(Audience.SERVERS, "nomad-agent-tls").encode())
    assert believes(authority, leaf)
    assert leaf.not_valid_after_utc > room.clock()


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
def test_a_ca_key_of_any_curve_signs(curve):
    room = make(replace(BASE, certificates=replace(BASE.certificates, key="our-own")))
    key = make_key({"kty": "EC", "crv": curve, "key_ops": ["sign", "verify"]})
    room.vaults[Audience.KEEPER].keys.shelf.add("our-own", key, {})

    room.tick()

    assert written(room) >= {"servers/nomad-agent-tls", "clients/nomad-agent-tls"}


def test_no_call_outlasts_a_ticks_patience(room, monkeypatch):
    waits = []

    def send(self, request, **options):
        waits.append((options.get("connection_timeout"), options.get("read_timeout")))
        return sending(self, request, **options)

    sending = InProcessTransport.send
    monkeypatch.setattr(InProcessTransport, "send", send)
    room.tick()

    assert set(waits) == {(CONNECT_SECONDS, READ_SECONDS)}


def test_a_lease_that_another_tick_holds_is_waited_for(room):
    with room.leases.hold("certificates"), pytest.raises(LostLease):
        room.tick(Kind.EVENT)

    assert writes_of(room) == 0


def test_cas_follow_each_other_for_years_and_every_machine_always_believes_every_other():
    """Four and a half years in steps of 25 days, with the real X.509."""
    settings = replace(BASE, certificates=replace(BASE.certificates, overlap=timedelta(days=20)))
    room = make(settings)
    signers = []
    for _ in range(66):
        room.tick()
        bundles = [x509.load_pem_x509_certificates(room.value(a, BUNDLE).encode()) for a in room.vaults]
        for audience in (Audience.SERVERS, Audience.CLIENTS):
            leaf = x509.load_pem_x509_certificate(room.value(audience, "nomad-agent-tls").encode())
            assert leaf.not_valid_after_utc > room.clock() + timedelta(days=25)
            for bundle in bundles:
                assert any(leaf.issuer == each.subject and believes(each, leaf) for each in bundle)
            signers.append(leaf.issuer.rfc4514_string())
        room.clock.advance(timedelta(days=25))

    assert len(set(signers)) >= 3


def believes(authority, leaf):
    try:
        leaf.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001 - whatever cryptography says against it
        return False
    return True


FROM_ELSEWHERE = {"nomad-replication-token", "nomad-vault-token"}
"""What only another region, or HashiCorp Vault, can make: a person puts these."""


def test_names_of_secrets_are_those_that_machines_read():
    from keeper.core import wanted_access, wanted_certificates  # noqa: PLC0415 - compared word by word

    ours = {
        *(getattr(wanted_certificates, name) for name in ("BUNDLE", "NOMAD_CERTIFICATE", "NOMAD_GOSSIP")),
        *(getattr(wanted_certificates, name) for name in ("CONSUL_CERTIFICATE", "CONSUL_GOSSIP", "VAULT_CERTIFICATE")),
        *(getattr(wanted_access, name) for name in ("WATCHER_TOKEN", "CONSUL_AGENT_TOKEN", "NOMAD_CONSUL_TOKEN")),
    }
    theirs = {
        value
        for name, value in vars(vaulted).items()
        if isinstance(value, str) and re.search(r"BUNDLE|CERTIFICATE|GOSSIP|TOKEN", name)
    }

    assert theirs - ours <= FROM_ELSEWHERE
    assert ours <= theirs
