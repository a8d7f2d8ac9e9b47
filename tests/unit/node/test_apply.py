"""From a fresh machine to a member, on a machine of paper with real openssl, gpgv, tar, blkid and mkfs."""

import json
from datetime import timedelta

import pytest
from keepernode.apply import apply, refresh, reported
from keepernode.clock import utc_now
from keepernode.health import judge
from keepernode.problems import NodeError, Unreachable, Waiting
from keepernode.status import Phase, Status, parse_status, write_status
from keepernode.tls import life
from node_paper import DISK, GOSSIP, TOKEN, Cut

from lab.ca import Authority


def status(machine):
    return parse_status(machine.read("/run/keeper/status.json"))


def run(machine, told, step=apply):
    return reported(machine, lambda: step(machine, told), "node.applied")


def settle(machine, told):
    outcome = run(machine, told)
    assert outcome.pending == []
    machine.deeds.clear()
    machine.argvs.clear()


@pytest.mark.parametrize("role", ["server", "client"])
def test_a_fresh_machine_becomes_a_member_and_a_second_run_changes_nothing(new_machine, told, role):
    machine = new_machine(role)

    run(machine, told(role))

    assert {"nomad", "keeper-health", "keeper-events", "keeper-refresh.timer"} <= machine.active
    assert ("keeper-watch" in machine.active) is (role == "server")
    assert json.loads(machine.read("/var/lib/keeper/ready")) == {"role": role, "nomad": "1.10.5"}
    assert status(machine).phase.value == "ready"

    before = len(machine.deeds)
    outcome = run(machine, told(role))

    assert outcome.changed == outcome.pending == []
    assert machine.deeds[before:] == []


def test_a_machine_with_everything_becomes_a_member_and_a_second_run_changes_nothing(new_machine, told):
    machine = new_machine()
    seal = {"vaultName": "kv", "keyName": "seal", "tenantId": "t"}
    everything = told(consul="colocated", consulMesh=True, vaultSeal=seal, keyringKey=seal)

    run(machine, everything)
    before = len(machine.deeds)
    outcome = run(machine, everything)

    assert {"nomad", "consul", "vault"} <= machine.active
    assert machine.deeds[before:] == outcome.changed == []


def test_a_consul_machine_runs_consul_alone(new_machine, told):
    machine = new_machine("consul", name="consul-0")
    peers = [{"name": f"consul-{n}", "address": f"10.0.30.{4 + n}"} for n in range(3)]

    run(machine, told("consul", consul="dedicated", consulServers=peers))

    assert "consul" in machine.active
    assert "nomad" not in machine.active


def test_a_machine_whose_power_goes_anywhere_is_a_member_after_the_next_boot(new_machine, told):
    server = told()
    whole = new_machine()
    run(whole, server)
    steps = len(whole.deeds)
    assert steps > 40

    for cut_after in range(0, steps, 7):
        machine = new_machine()
        machine.cut_after = cut_after
        with pytest.raises(Cut):
            run(machine, server)
        machine.cut_after = None
        machine.active, machine.loaded, machine.mounted = set(machine.enabled), {}, False
        for unit in machine.active:
            machine._load(unit, "start")

        run(machine, server)

        assert status(machine).phase.value == "ready", f"cut after {cut_after}"
        assert machine.read("/var/lib/keeper/ready") == whole.read("/var/lib/keeper/ready")
        assert sum(deed.startswith("mkfs") for deed in machine.deeds) == 1, f"cut after {cut_after}"


@pytest.mark.parametrize("missing", ["nomad-ca-bundle", "nomad-agent-tls", "nomad-gossip-key"])
def test_a_machine_waits_for_its_secrets_in_good_health_and_says_which(new_machine, told, missing):
    machine = new_machine()
    kept = machine.secrets.pop(missing)

    with pytest.raises(Waiting, match=f"secret {missing} in https://kv-server.vault.azure.net"):
        run(machine, told())

    assert "nomad" not in machine.active
    assert "keeper-health" in machine.active
    page = judge(status(machine), unwell_for=0)
    assert page.status == 200
    assert json.loads(page.body)["ApplicationHealthState"] == "Healthy"
    assert missing in json.loads(page.body)["what"]

    machine.secrets[missing] = kept
    run(machine, told())
    assert status(machine).phase.value == "ready"


def test_a_right_that_has_not_arrived_yet_is_waited_for(new_machine, told):
    machine = new_machine()
    machine.forbidden = True

    with pytest.raises(Waiting, match="takes up to an hour"):
        run(machine, told())


def test_a_server_without_its_fellows_waits_for_a_leader_and_says_how_many_it_takes(new_machine, told):
    machine = new_machine()
    machine.well = False

    with pytest.raises(Waiting, match="2 of 3 servers"):
        run(machine, told())

    assert status(machine).phase.value == "waiting"


def test_a_server_says_that_the_region_which_owns_the_policies_is_not_joined(new_machine, told):
    machine = new_machine()
    federated = told(authoritativeRegion="eu", federatedServers=["10.50.10.4"])

    assert run(machine, federated).pending == [
        "region eu is not joined: check federatedServers and the way there, then restart nomad here"
    ]
    machine.regions.append("eu")
    assert run(machine, federated).pending == []


def test_the_replication_token_is_taken_when_it_is_there_and_goes_with_the_region(new_machine, told):
    machine = new_machine()
    federated = told(authoritativeRegion="eu", federatedServers=["10.50.10.4"])
    settle_in(machine, federated)
    machine.secrets["nomad-replication-token"] = "canary-replication-token"
    run(machine, federated, refresh)
    assert run(machine, federated).changed == ["restart nomad.service"]
    assert b"canary-replication-token" in machine.read("/etc/nomad.d/61-replication-token.hcl")

    run(machine, told())

    assert "61-replication-token.hcl" not in machine.names_in("/etc/nomad.d")


def settle_in(machine, told):
    machine.regions.append("eu")
    settle(machine, told)


def test_a_server_is_a_member_before_the_watchers_token_exists_and_watches_once_it_does(new_machine, told):
    machine = new_machine()
    del machine.secrets["nomad-watcher-token"]
    run(machine, told())
    assert status(machine).phase.value == "ready"
    assert "keeper-watch" not in machine.active

    machine.secrets["nomad-watcher-token"] = TOKEN
    run(machine, told())

    assert "keeper-watch" in machine.active
    assert machine.owners["/etc/keeper/watcher.token"] == ("nomad", 0o600)


def test_no_secret_reaches_a_command_line_a_log_or_a_file_that_others_can_read(new_machine, told, capsys):
    machine = new_machine()
    run(machine, told())
    key = machine.secrets["nomad-agent-tls"].splitlines()[1]

    said = capsys.readouterr().out + json.dumps(machine.argvs) + json.dumps(machine.deeds)
    for secret in (GOSSIP, TOKEN, key, "token-for"):
        assert secret not in said
        for path, (_, mode) in machine.owners.items():
            held = machine.at(path)
            if held.is_file() and secret.encode() in held.read_bytes():
                assert mode == 0o600, f"{path} holds a secret and is readable with {mode:o}"


def test_a_changed_knob_restarts_a_server_in_its_turn_only_and_while_the_others_are_well(new_machine, told):
    machine = new_machine()
    settle(machine, told())
    changed = told(clientIntroduction="strict", nomadVersion="1.11.1")

    machine.time = machine.time.replace(minute=4)  # server 1's slot
    assert "its turn in" in run(machine, changed).pending[0]
    machine.time = machine.time.replace(minute=9, second=5)  # its own again
    machine.sick_peers = {"10.0.10.6"}
    assert "nomad on nomad-server-2 to be well first" in run(machine, changed).pending[0]
    assert not any("restart nomad" in deed for deed in machine.deeds)
    machine.sick_peers = set()
    outcome = run(machine, changed)

    assert outcome.changed == ["restart nomad.service"]
    assert "systemctl restart nomad.service" in machine.deeds
    assert b'enforcement = "strict"' in machine.read("/etc/nomad.d/20-server.hcl")
    assert run(machine, changed).changed == []


def test_a_changed_knob_restarts_a_client_in_place_without_draining_it(new_machine, told):
    machine = new_machine("client")
    settle(machine, told("client"))

    outcome = run(machine, told("client", nodeMeta={"rack": "7"}))

    assert "restart nomad.service" in outcome.changed
    assert "systemctl kill --kill-who=main --signal=SIGTERM nomad.service" in machine.deeds
    assert not any(deed.startswith(("systemctl stop", "systemctl restart nomad")) for deed in machine.deeds)
    assert b'rack = "7"' in machine.read("/etc/nomad.d/20-client.hcl")


def test_a_new_release_is_installed_beside_the_old_one(new_machine, told):
    machine = new_machine()
    settle(machine, told())

    run(machine, told(nomadVersion="1.11.1"))

    assert machine.real_path("/usr/local/bin/nomad") == "/opt/keeper/releases/nomad/1.11.1/nomad"
    assert machine.real_path("/opt/keeper/releases/nomad/1.10.5/nomad") is not None


def test_a_part_of_the_configuration_that_is_no_longer_wanted_goes(new_machine, told):
    machine = new_machine()
    seal = {"vaultName": "kv", "keyName": "seal", "tenantId": "t"}
    settle(machine, told(vaultSeal=seal))

    run(machine, told())

    assert "40-vault.hcl" not in machine.names_in("/etc/nomad.d")
    assert "50-gossip.hcl" in machine.names_in("/etc/nomad.d")


def test_a_new_certificate_is_taken_over_by_a_reload_in_turn_and_proven(new_machine, told, authority):
    machine = new_machine()
    settle(machine, told())
    machine.secrets["nomad-agent-tls"] = authority.pem("server.global.nomad")
    machine.time = machine.time.replace(minute=4)

    assert "its turn" in run(machine, told(), refresh).pending[0]
    machine.time = machine.time.replace(minute=9, second=5)
    outcome = run(machine, told(), refresh)

    assert outcome.changed == ["certificate of nomad"]
    assert "systemctl reload nomad" in machine.deeds
    assert machine.loaded["nomad"].decode().strip() in machine.secrets["nomad-agent-tls"]
    assert len(machine.names_in("/var/lib/keeper/tls/nomad")) == 2  # the one in use, and the link
    assert run(machine, told(), refresh).changed == []


def test_a_server_that_was_away_while_the_ca_changed_believes_the_others_by_the_new_one(new_machine, told, tmp_path):
    machine = new_machine()
    settle(machine, told())
    following = Authority.create(tmp_path / "next", utc_now())
    leaf = following.issue("leaf", names=["server.global.nomad"])
    machine.secrets["nomad-ca-bundle"] = following.certificate.read_text()
    machine.secrets["nomad-agent-tls"] = leaf.key.read_text() + leaf.certificate.read_text()
    machine.peers_ca = following.certificate.read_text()
    machine.time = machine.time.replace(minute=9, second=5)

    assert run(machine, told(), refresh).changed == ["certificate of nomad"]


def test_a_server_keeps_its_cas_until_the_others_follow(new_machine, told, tmp_path):
    machine = new_machine()
    settle(machine, told())
    machine.peers_ca = machine.secrets["nomad-ca-bundle"]
    following = Authority.create(tmp_path / "next", utc_now())
    leaf = following.issue("leaf", names=["server.global.nomad"])
    machine.secrets["nomad-ca-bundle"] = following.certificate.read_text()
    machine.secrets["nomad-agent-tls"] = leaf.key.read_text() + leaf.certificate.read_text()
    machine.time = machine.time.replace(minute=9, second=5)

    assert "to be well first" in run(machine, told(), refresh).pending[0]


def test_a_cluster_that_slept_until_every_certificate_ended_wakes_up(new_machine, told, authority):
    machine = new_machine()
    settle(machine, told())
    machine.secrets["nomad-agent-tls"] = authority.pem("server.global.nomad")
    machine.well, machine.sick_peers = False, {"10.0.10.5", "10.0.10.6"}

    assert run(machine, told(), refresh).changed == ["certificate of nomad"]


def test_a_certificate_that_is_not_served_after_a_reload_is_taken_back(new_machine, told, authority):
    machine = new_machine("client")
    settle(machine, told("client"))
    old = machine.real_path("/var/lib/keeper/tls/nomad/current")
    machine.secrets["nomad-agent-tls"] = authority.pem("client.global.nomad")
    machine.deaf = {"nomad"}

    with pytest.raises(NodeError, match="the old one is back"):
        run(machine, told("client"), refresh)

    assert machine.real_path("/var/lib/keeper/tls/nomad/current") == old
    assert status(machine).phase.value == "ready"
    assert "old one is back" in status(machine).what


def old_ones(capsys):
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {each["agent"]: each["remaining_seconds"] for each in lines if each["event"] == "certificate.old"}


def test_a_certificate_that_should_have_been_renewed_is_told_whatever_kept_it_from_that(new_machine, told, capsys):
    machine = new_machine()
    everything = told(consul="colocated")
    settle(machine, everything)
    end = life(machine, "nomad").end
    machine.time = end - timedelta(days=20)
    run(machine, everything, refresh)
    assert old_ones(capsys) == {}

    machine.time = end - timedelta(days=2)
    machine.forbidden = True
    with pytest.raises(Waiting, match="the right to read"):
        run(machine, everything, refresh)

    assert set(old_ones(capsys)) == {"nomad", "consul"}
    assert run_out_of_reach(machine, everything, capsys)["nomad"] == timedelta(days=2).total_seconds()


def run_out_of_reach(machine, told, capsys):
    """What is told while not even the metadata service answers."""
    machine.imds_answers = False
    with pytest.raises(Unreachable):
        run(machine, told, refresh)
    return old_ones(capsys)


def test_a_renewed_certificate_is_old_no_longer(new_machine, told, tmp_path, capsys):
    machine = new_machine("client")
    now = machine.secrets["nomad-ca-bundle"], machine.secrets["nomad-agent-tls"]
    old = Authority.create(tmp_path / "old", utc_now() - timedelta(days=25))
    leaf = old.issue("leaf", names=["client.global.nomad"])
    machine.secrets["nomad-ca-bundle"] = old.certificate.read_text()
    machine.secrets["nomad-agent-tls"] = leaf.key.read_text() + leaf.certificate.read_text()
    settle(machine, told("client"))
    machine.time = utc_now()
    run(machine, told("client"), refresh)
    assert timedelta(days=4) < timedelta(seconds=old_ones(capsys)["nomad"]) < timedelta(days=5)

    machine.secrets["nomad-ca-bundle"], machine.secrets["nomad-agent-tls"] = now
    run(machine, told("client"), refresh)

    assert old_ones(capsys) == {}


def test_refresh_leaves_a_machine_alone_that_is_no_member_yet(new_machine, told):
    machine = new_machine()

    assert refresh(machine, told()).changed == machine.deeds == []


def test_a_failed_step_is_one_line_that_says_what_to_do(new_machine, told):
    machine = new_machine()
    machine.broken = {"apt-get": "E: no route to host"}

    with pytest.raises(NodeError) as raised:
        run(machine, told())

    assert "\n" not in str(raised.value)
    assert "E: no route to host; check the route out" in str(raised.value)
    assert status(machine).phase.value == "failed"
    assert judge(status(machine), unwell_for=0).status == 503


def test_a_broken_ssh_configuration_is_taken_back_before_the_daemon_sees_it(new_machine, told):
    machine = new_machine()
    machine.broken = {"/usr/sbin/sshd": "bad configuration option"}

    with pytest.raises(NodeError, match=r"sshd refuses .* it was taken back"):
        run(machine, told())

    assert machine.read("/etc/ssh/sshd_config.d/10-keeper.conf") is None
    assert not any("ssh.service" in deed for deed in machine.deeds)


def test_a_container_leaves_its_hosts_kernel_alone(new_machine, told):
    machine = new_machine("client")
    machine.container = True

    run(machine, told("client"))

    assert not any(
        deed.startswith(("sysctl", "augenrules", "systemctl restart systemd-modules")) for deed in machine.deeds
    )
    assert status(machine).phase.value == "ready"


def test_a_machine_that_is_leaving_is_not_started_again(new_machine, told):
    machine = new_machine("client")
    settle(machine, told("client"))
    write_status(machine, Status(Phase.LEAVING, "preempted"))
    machine.active.discard("nomad")

    run(machine, told("client", nodeMeta={"rack": "7"}))

    assert "nomad" not in machine.active
    assert status(machine).phase.value == "leaving"


def test_a_new_program_is_run_by_what_ran_the_old_one(new_machine, told):
    machine = new_machine()
    settle(machine, told())
    program = machine.at("/opt/keeper/abc/keeper_node.py")
    program.parent.mkdir(parents=True)
    program.write_text("")
    machine.at("/opt/keeper/current").symlink_to(program.parent)

    run(machine, told())

    assert "systemctl try-restart keeper-health.service keeper-events.service keeper-watch.service" in machine.deeds


def test_a_person_finds_the_command_that_the_runbooks_name(new_machine, told):
    machine = new_machine()

    run(machine, told())

    assert machine.read("/usr/local/sbin/keeper-node").decode().endswith('/opt/keeper/current/keeper_node.py "$@"\n')
    assert machine.owners["/usr/local/sbin/keeper-node"] == ("root", 0o755)


def test_a_machine_restarts_only_units_that_it_has(new_machine, told):
    machine = new_machine("client")

    run(machine, told("client"))

    assert "systemctl try-restart keeper-health.service keeper-events.service" in machine.deeds


def test_the_data_disk_is_where_the_servers_state_lies(new_machine, told):
    machine = new_machine()

    run(machine, told())

    unit = machine.read("/etc/systemd/system/data.mount").decode()
    assert "Where=/data" in unit
    assert "/dev/disk/by-uuid/" in unit
    assert f"mkfs.ext4 -q -L cluster-data -m 1 {DISK}" in machine.deeds
    assert b'data_dir = "/data/nomad"' in machine.read("/etc/nomad.d/10-agent.hcl")
