"""What the agents are told, release by release."""

import json
import re
from collections import Counter
from dataclasses import replace

import pytest
from keepernode.consul_config import consul_files, token_file
from keepernode.hardening import hardening_files
from keepernode.here import Here
from keepernode.knobs import since
from keepernode.nomad_config import nomad_files, wanted_tokens
from keepernode.problems import Misconfigured
from keepernode.reading import parse_user_data
from keepernode.units import DRAIN_SLACK, unit_files
from keepernode.vault_config import vault_files
from node_paper import user_data

HERE = Here("nomad-server-0", "10.0.10.4", "2", "Spot", "vmss-general")
SEAL = {"vaultName": "kv", "keyName": "seal", "tenantId": "t"}
RELEASES = ["1.6.5", "1.7.0", "1.9.0", "1.10.5", "1.11.3", "2.0.5"]


def nomad(role="server", **knobs):
    """All parts of Nomad's configuration in one text, without its indentation."""
    told = parse_user_data(user_data(role, **knobs))
    return "\n".join(re.sub(r"(?m)^ +", "", file.text) for file in nomad_files(told, HERE))


def unit(name, role="server", **knobs):
    files = unit_files(parse_user_data(user_data(role, **knobs)))
    return next(file.text for file in files if file.path.endswith(f"/{name}.service"))


@pytest.mark.parametrize("version", RELEASES)
def test_each_release_is_given_only_blocks_that_it_knows(version):
    knobs = {"nomadVersion": version, "consul": "colocated", "vaultSeal": SEAL, "keyringKey": SEAL}
    server, client = nomad(**knobs), nomad("client", **knobs)

    assert ("service_identity {" in server) is since(version, (1, 7))
    assert ("default_identity {" in server) is since(version, (1, 7))
    assert ("service_auth_method" in client) is since(version, (1, 7))
    assert ('keyring "azurekeyvault" {' in server) is since(version, (1, 9))
    assert ('client_introduction {\nenforcement = "warn"' in server) is since(version, (1, 11))
    assert "keyring" not in client
    assert "client_introduction" not in client


def test_servers_join_other_regions_and_name_the_one_that_owns_the_policies():
    alone, joined = nomad(), nomad(authoritativeRegion="eu", federatedServers=["10.50.10.4", "nomad-1.eu.example"])

    assert "authoritative_region" not in alone
    assert 'authoritative_region = "eu"' in joined
    assert '"10.0.10.6:4648", "10.50.10.4:4648", "nomad-1.eu.example:4648"]' in joined
    assert "bootstrap_expect = 3" in joined
    assert "authoritative" not in nomad("client", authoritativeRegion="eu", federatedServers=["10.50.10.4"])


@pytest.mark.parametrize("version", RELEASES)
def test_a_client_reaches_vault_at_one_of_the_servers_by_the_name_in_its_certificate(version):
    client = nomad("client", nomadVersion=version, vaultSeal=SEAL)

    assert re.search(r'address = "https://10\.0\.10\.[456]:8200"', client)
    assert 'tls_server_name = "vault.service.consul"\nenabled = true' in client
    assert ('jwt_auth_backend_path = "jwt-nomad"\ncreate_from_role = "nomad-workloads"' in client) is since(
        version, (1, 7)
    )
    assert "vault {" not in nomad("client", nomadVersion=version)


def test_clients_spread_over_the_servers_that_run_vault():
    told = parse_user_data(user_data("client", vaultSeal=SEAL))
    texts = [
        file.text
        for n in range(60)
        for file in nomad_files(told, replace(HERE, name=f"vmss-general_{n:08x}"))
        if file.path.endswith("40-vault.hcl")
    ]

    counts = Counter(re.findall(r"10\.0\.10\.\d", "".join(texts)))
    assert set(counts) == {"10.0.10.4", "10.0.10.5", "10.0.10.6"}
    assert min(counts.values()) >= 10


@pytest.mark.parametrize(
    ("release", "uses"), [("1.16.6", {"agent"}), ("1.17.0", {"agent", "dns"}), ("1.21.4", {"agent", "dns"})]
)
def test_consul_answers_dns_by_its_agents_token_where_it_knows_how(release, uses):
    told = parse_user_data(user_data(consulVersion=release))

    assert json.loads(token_file(told, "secret").text) == {"acl": {"tokens": dict.fromkeys(uses, "secret")}}


def test_a_server_before_1_7_is_told_of_vault_only_with_the_token_that_it_needs_to_start():
    old, new = (parse_user_data(user_data(nomadVersion=version, vaultSeal=SEAL)) for version in ("1.6.5", "1.10.5"))

    assert "enabled" not in nomad(nomadVersion="1.6.5", vaultSeal=SEAL).partition("vault {")[2]
    (token,) = dict(wanted_tokens(old))
    assert token == "nomad-vault-token"
    file = dict(wanted_tokens(old))[token](old, "s.secret")
    assert (file.mode, file.owner) == (0o600, "nomad")
    assert file.text == 'vault {\n  enabled = true\n  token = "s.secret"\n}\n'
    assert dict(wanted_tokens(new)) == {}


def test_only_servers_outside_of_the_owning_region_copy_its_policies():
    def tokens(role="server", **knobs):
        return set(dict(wanted_tokens(parse_user_data(user_data(role, **knobs)))))

    assert tokens(region="us", authoritativeRegion="eu") == {"nomad-replication-token"}
    assert tokens(region="eu", authoritativeRegion="eu") == set()
    assert tokens("client", region="us", authoritativeRegion="eu") == set()


def test_a_shared_folder_is_offered_to_jobs_and_nomad_starts_after_its_mount():
    share = {"host": "account.file.core.windows.net", "path": "/account/files"}

    assert 'host_volume "files" {\npath = "/srv/files"' in nomad("client", filesShare=share)
    assert " srv-files.mount\n" in unit("nomad", "client", filesShare=share)
    assert "host_volume" not in nomad("client")
    assert "srv-files" not in unit("nomad", "server", filesShare=share)


def test_releases_are_compared_as_numbers():
    assert since("1.11.0", (1, 9))
    assert since("2.0.0", (1, 11))
    assert not since("1.9.9", (1, 10))


def test_a_server_never_leaves_on_a_signal():
    assert "leave_on_interrupt = false\nleave_on_terminate = false" in nomad()
    assert "drain_on_shutdown" not in nomad()
    body = json.loads(consul_files(parse_user_data(user_data(consul="colocated")), HERE)[0].text)
    assert body["leave_on_terminate"] is False
    assert body["skip_leave_on_interrupt"] is True


def test_a_client_drains_when_it_is_stopped_and_systemd_waits_for_longer_than_that():
    client = nomad("client", drainDeadlineSeconds=900)

    assert "leave_on_interrupt = true\nleave_on_terminate = false" in client
    assert 'drain_on_shutdown {\ndeadline = "900s"\nforce = false' in client
    text = unit("nomad", "client", drainDeadlineSeconds=900)
    assert f"TimeoutStopSec={900 + DRAIN_SLACK}\n" in text
    assert "KillSignal=SIGINT\n" in text
    assert "KillMode=process\n" in text


def test_a_client_runs_as_root_and_a_server_as_nobody_in_particular():
    assert "User=root\n" in unit("nomad", "client")
    assert "User=nomad\n" in unit("nomad")
    assert "User=nomad\n" in unit("keeper-watch")
    assert "DynamicUser=yes\n" in unit("keeper-health")


def test_no_agent_starts_before_its_data_disk_is_mounted():
    for name in ("nomad", "consul", "vault"):
        assert "RequiresMountsFor=/data\n" in unit(name, consul="colocated", vaultSeal=SEAL)


def test_the_first_consul_server_is_not_killed_while_it_waits_for_the_others():
    assert "Type=exec\n" in unit("consul", consul="colocated")
    assert "Type=notify\n" in unit("nomad")


def test_systemd_waits_for_no_word_from_a_nomad_that_says_none():
    assert "Type=exec\n" in unit("nomad", nomadVersion="1.6.5")
    assert "Type=notify\n" in unit("nomad", nomadVersion="1.8.0")


def test_tls_is_on_everywhere_and_names_are_verified():
    for role in ("server", "client"):
        text = nomad(role)
        assert "http = true\nrpc = true\n" in text
        assert "verify_server_hostname = true" in text
    body = json.loads(consul_files(parse_user_data(user_data(consul="colocated")), HERE)[0].text)
    assert body["tls"]["internal_rpc"] == {"verify_server_hostname": True}
    assert body["tls"]["defaults"]["verify_incoming"] is True
    assert body["acl"]["default_policy"] == "deny"


def test_access_control_is_on_everywhere():
    assert "acl {\nenabled = true\n}" in nomad()
    assert "acl {\nenabled = true\n}" in nomad("client")


def test_the_ports_are_those_of_the_network_rules():
    ports = {"nomadHttp": 14646, "nomadRpc": 14647, "nomadSerf": 14648, "dynamicFirst": 25000, "dynamicLast": 26000}
    client = nomad("client", ports=ports)

    assert "http = 14646\nrpc = 14647\nserf = 14648" in client
    assert "min_dynamic_port = 25000\nmax_dynamic_port = 26000" in client
    assert '"10.0.10.4:14647"' in client
    assert '"10.0.10.4:14648"' in nomad(ports=ports)


def test_a_client_tells_nomad_its_pool_its_zone_and_its_class():
    client = nomad("client", pool="spot", nodePool="batch", nodeClass="big")

    assert 'node_pool = "batch"\nnode_class = "big"' in client
    assert 'keeper_pool = "spot"' in client
    assert 'zone = "2"' in client
    assert 'name = "nomad-server-0"' in client


def test_a_text_cannot_break_out_of_its_quotes():
    assert 'rack = "a\\"\\nserver { enabled = true }"' in nomad(
        "client", nodeMeta={"rack": 'a"\nserver { enabled = true }'}
    )


def test_a_pool_with_a_datacenter_of_its_own_is_still_in_the_one_consul():
    (file,) = consul_files(parse_user_data(user_data("client", consul="colocated", datacenter="edge")), HERE)

    assert json.loads(file.text)["datacenter"] == "dc1"


def test_vault_joins_its_fellows_and_is_unsealed_by_a_key():
    (file,) = vault_files(parse_user_data(user_data(vaultSeal=SEAL)), HERE)

    assert file.text.count("retry_join {") == 2
    assert file.text.count('leader_tls_servername = "vault.service.consul"') == 2
    assert '10.0.10.4:8200"\n    leader' not in file.text
    assert 'seal "azurekeyvault" {' in file.text


def test_a_client_keeps_nomads_ports_from_the_kernel():
    texts = {file.path: file.text for file in hardening_files(parse_user_data(user_data("client")), host_clock=True)}

    assert "net.ipv4.ip_local_port_range = 49152 65535\n" in texts["/etc/sysctl.d/90-keeper.conf"]
    assert "PasswordAuthentication no\n" in texts["/etc/ssh/sshd_config.d/10-keeper.conf"]
    assert "ForwardToSyslog=yes\n" in texts["/etc/systemd/journald.conf.d/90-keeper.conf"]
    assert "/dev/ptp_hyperv" in texts["/etc/chrony/conf.d/90-keeper.conf"]


def test_chrony_is_not_told_of_a_clock_that_is_not_there():
    files = hardening_files(parse_user_data(user_data("client")), host_clock=False)

    assert not any("chrony" in file.path for file in files)


def test_every_problem_of_the_knobs_is_told_at_once_by_its_name():
    wrong = user_data(
        "server",
        nomadVersion="latest",
        servers=[{"name": "a", "address": "1"}, {"name": "", "address": "2"}],
        consul="sometimes",
        drainDeadlineSeconds=0,
        colour="red",
        vaultUrl="http://kv",
        ports={"health": 70000},
        clientIntroduction="perhaps",
        dataDiskLun=99,
    )

    with pytest.raises(Misconfigured) as raised:
        parse_user_data(wrong)

    for said in (
        "nomadVersion must be a version such as 1.10.5, not 'latest'",
        "servers must be a list of {name, address}",
        "consul must be colocated, dedicated or off",
        "drainDeadlineSeconds must be a whole number from 1 to 86400, not 0",
        "colour is not a knob",
        "vaultUrl must be an https address",
        "health is none",
        "clientIntroduction must be none, warn or strict",
        "dataDiskLun",
    ):
        assert said in str(raised.value)


@pytest.mark.parametrize(
    ("role", "knobs", "said"),
    [
        ("server", {"servers": []}, "servers must name at least one"),
        (
            "server",
            {"servers": [{"name": f"s{n}", "address": "a"} for n in range(4)]},
            "servers must be an odd number, not 4",
        ),
        ("client", {"consul": "dedicated"}, "consulServers must be given"),
        ("server", {"queueUrl": None}, "queueUrl must be given on servers"),
        ("consul", {}, "role consul needs consul to be dedicated"),
        ("server", {"federatedServers": ["10.50.10.4"]}, "authoritativeRegion must be given with federatedServers"),
        ("server", {"federatedServers": ["10.50.10.4:4648"]}, "federatedServers must be a list of names or addresses"),
        ("client", {"filesShare": {"host": "account", "path": "share"}}, "filesShare must be {host, path}"),
        ("client", {"filesShare": {"host": "a b", "path": "/a/b"}}, "filesShare must be {host, path}"),
        ("boss", {}, "role must be one of server, client, consul, not 'boss'"),
    ],
)
def test_knobs_that_contradict_each_other_are_refused_by_name(role, knobs, said):
    with pytest.raises(Misconfigured, match=re.escape(said)):
        parse_user_data(user_data(role, **knobs))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "role": "server"}'])
def test_user_data_of_another_kind_is_refused(text):
    with pytest.raises(Misconfigured):
        parse_user_data(text)
