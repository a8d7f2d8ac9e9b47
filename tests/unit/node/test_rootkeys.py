"""The root keys of a whole server before Nomad 1.9: fetched before its first start, kept by a timer, and gone with 1.9."""

import base64
import json

import pytest
from keepernode.apply import apply, reported
from keepernode.keystore import KeystoreConfig, keep
from keepernode.problems import Misconfigured
from keepernode.reading import parse_user_data
from node_deposits import BLOB_URL, KEY_URL
from node_paper import user_data

KEY_ID = "305b514e-9ff6-c555-3d57-35288d412b33"
KEYSTORE = {"blobUrl": BLOB_URL, "keyUrl": KEY_URL}
FILE = f"/data/nomad/server/keystore/{KEY_ID}.nks.json"
CONFIG = "/etc/keeper/keystore.json"
NOMAD_STARTS = "systemctl enable --now nomad.service"


def run(machine, told):
    return reported(machine, lambda: apply(machine, told), "node.applied")


def root_key():
    meta = {"KeyID": KEY_ID, "Algorithm": "aes256-gcm", "State": "active"}
    return {"Meta": meta, "DEK": "REVL", "KEK": base64.b64encode(b"k" * 32).decode()}


@pytest.fixture
def deposited(new_machine, told):
    """What a server that is gone has deposited."""
    gone = new_machine()
    settings = told(nomadVersion="1.6.5", keystore=KEYSTORE)
    run(gone, settings)
    gone.at(FILE).parent.mkdir(parents=True)
    gone.at(FILE).write_text(json.dumps(root_key()))
    keep(gone, config_of(gone))
    assert set(gone.deposits.blobs) == {f"lab/{KEY_ID}.json", "lab/servers/nomad-server-0.json"}
    return gone.deposits


def config_of(machine):
    return KeystoreConfig.read(machine.at(CONFIG))


def test_a_fresh_server_has_the_deposited_keys_before_nomad_starts(new_machine, told, deposited):
    machine = new_machine()
    machine.deposits = deposited

    run(machine, told(nomadVersion="1.6.5", keystore=KEYSTORE))

    assert json.loads(machine.read(FILE)) == root_key()
    assert machine.owners[FILE] == ("nomad", 0o600)
    assert machine.owners["/data/nomad/server"] == ("nomad", 0o700)  # Nomad makes its own state in there
    assert machine.deeds.index(f"write {FILE}") < machine.deeds.index(NOMAD_STARTS)
    assert "keeper-keystore.timer" in machine.active
    assert not any("restart nomad" in deed for deed in machine.deeds)


def test_a_fresh_cluster_without_deposits_starts_all_the_same(new_machine, told):
    machine = new_machine()
    settings = told(nomadVersion="1.6.5", keystore=KEYSTORE)

    run(machine, settings)

    assert {"nomad", "keeper-keystore.timer"} <= machine.active
    machine.deeds.clear()
    assert run(machine, settings).changed == machine.deeds == []


@pytest.mark.parametrize("way", ["away", "forbidden"])
def test_storage_that_cannot_be_had_keeps_no_server_from_starting(new_machine, told, deposited, capsys, way):
    machine = new_machine()
    machine.deposits = deposited
    deposited.away, deposited.vault_status = way == "away", 403 if way == "forbidden" else 200

    run(machine, told(nomadVersion="1.6.5", keystore=KEYSTORE))

    assert "nomad" in machine.active
    said = [json.loads(line.removeprefix("<3>")) for line in capsys.readouterr().out.splitlines()]
    (late,) = [line for line in said if line["event"] == "keystore.late"]
    assert "keeper-keystore puts them back" in late["why"]

    deposited.away, deposited.vault_status = False, 200
    changed = keep(machine, config_of(machine))
    assert changed == [f"put back {KEY_ID}", "restart nomad.service"]


def test_a_server_in_use_asks_nobody_for_keys(new_machine, told):
    machine = new_machine()
    settings = told(nomadVersion="1.6.5", keystore=KEYSTORE)
    run(machine, settings)
    machine.deposits.away = True

    assert run(machine, settings).changed == []


@pytest.mark.parametrize("changed", [{"nomadVersion": "1.10.5", "keystore": KEYSTORE}, {"nomadVersion": "1.6.5"}])
def test_nothing_is_left_behind_with_nomad_1_9_or_without_the_knob(new_machine, told, changed):
    machine = new_machine()
    run(machine, told(nomadVersion="1.6.5", keystore=KEYSTORE))

    run(machine, told(**changed))

    assert machine.read(CONFIG) is None
    assert [name for name in machine.names_in("/etc/systemd/system") if "keystore" in name] == []
    assert [unit for unit in machine.active | machine.enabled if "keystore" in unit] == []
    machine.deeds.clear()
    assert run(machine, told(**changed)).changed == machine.deeds == []


def test_only_servers_before_1_9_keep_root_keys(new_machine, told):
    client = new_machine("client")
    run(client, told("client", nomadVersion="1.6.5", keystore=KEYSTORE))

    assert client.read(CONFIG) is None
    assert not any("keystore" in name for name in client.names_in("/etc/systemd/system"))


def test_the_command_is_told_whom_to_take_turns_with(new_machine, told):
    machine = new_machine(name="nomad-server-1", address="10.0.10.5")
    run(machine, told(nomadVersion="1.6.5", keystore=KEYSTORE))

    config = config_of(machine)

    assert (config.index, config.count, config.unit) == (1, 3, "nomad.service")
    assert config.others == [f"https://10.0.10.{n}:4646/v1/agent/health?type=server" for n in (4, 6)]
    assert (config.nomad_server_name, config.cluster) == ("server.global.nomad", "lab")


def test_a_wrong_keystore_knob_is_named():
    with pytest.raises(Misconfigured, match=r"keystore must be \{blobUrl, keyUrl\}, both https addresses"):
        parse_user_data(user_data(keystore={"blobUrl": "http://state"}))
