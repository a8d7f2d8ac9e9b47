"""What machines are given: the constant loader, and userData that the node program understands."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.conftest import NAMES
from tools.infra_bicep import ROOT
from tools.infra_prediction import custom_data_text, prediction_with, told, user_data_text

CUSTOM_DATA_LIMIT = 16 * 1024
USER_DATA_LIMIT = 64 * 1024
KEY = "param sshPublicKey = 'ssh-ed25519 AAAA test'\n"

RING = 3_000
"""Bytes of a key ring as large as HashiCorp's own."""

# Every kind of member: servers by zones and in a set, with and without Vault, 22.04 and 24.04, Consul in its three places.
VARIANTS = {
    "availability set": "param placement = 'AvailabilitySet'\nparam vault = true\nparam serverCount = 5",
    "mirror": f"""param egress = 'AzureFirewall'
param releases = {{
  nomad: '1.10.5'
  consul: '1.21.4'
  vault: '1.20.3'
  mirror: {{
    url: 'https://mirror.example.com/releases'
    signer: {{ key: '{base64.b64encode(bytes(RING)).decode()}', fingerprint: '{"A" * 40}' }}
    cniUrl: 'https://mirror.example.com:8443/cni'
    cni: {{ version: '1.7.1', amd64: '{"0" * 64}', arm64: '{"0" * 64}' }}
  }}
}}""",
    "jump box": "param access = 'JumpBox'\nparam operatorSources = ['10.99.0.0/24']\nparam consul = { mode: 'Dedicated', mesh: false }",
}


@pytest.fixture(scope="session")
def variants():
    return {name: prediction_with(name, KEY + parameters) for name, parameters in VARIANTS.items()}


@pytest.fixture(scope="session")
def members(predicted, variants):
    """Every member of every prediction, by a readable name."""
    worlds = [*(predicted(name) for name in NAMES), *variants.values()]
    return {f"{world.name}/{member['name']}": member for world in worlds for member in world.members()}


def test_custom_data_is_small_raw_and_encoded(members):
    for member in members.values():
        encoded = custom_data_text(member) or ""
        assert len(base64.b64decode(encoded)) <= len(encoded) <= CUSTOM_DATA_LIMIT


def test_user_data_fits_raw_and_encoded(members):
    sizes = {name: len(user_data_text(member) or "") for name, member in members.items()}

    assert {name: size for name, size in sizes.items() if size > USER_DATA_LIMIT} == {}


def test_user_data_carries_the_very_bundle_that_is_checked_in(members):
    bundle = json.loads((ROOT / "cloud-init" / "bundle.json").read_text())

    for member in members.values():
        assert (user_data_text(member) or "").startswith(bundle["program"])
        assert told(member)["sha256"] == bundle["sha256"]


def test_the_node_program_accepts_every_knob(members, tmp_path):
    for name, member in members.items():
        file = tmp_path / "user-data.json"
        file.write_text(json.dumps(told(member)))
        # In a process of its own: the program is not a package of this project.
        check = "import sys; sys.path.insert(0, sys.argv[1]); from keepernode.reading import parse_user_data; parse_user_data(open(sys.argv[2], 'rb').read())"
        done = subprocess.run(
            [sys.executable, "-c", check, str(ROOT / "cloud-init" / "node"), str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stderr.strip().splitlines()[-1]}"


def test_changing_any_knob_changes_no_byte_of_custom_data(members):
    loaders = {custom_data_text(member) for member in members.values()}
    different = {user_data_text(member) for member in members.values()}

    assert loaders == {base64.b64encode((ROOT / "cloud-init" / "loader.yaml").read_bytes()).decode()}
    assert len(different) > len(NAMES)


def test_every_role_is_told_where_releases_come_from(variants):
    given = [told(member)["knobs"] for member in variants["mirror"].members()]

    assert {knobs["releasesUrl"] for knobs in given} == {"https://mirror.example.com/releases"}
    assert {knobs["cniUrl"] for knobs in given} == {"https://mirror.example.com:8443/cni"}
    assert {(knobs["releaseFingerprint"], len(base64.b64decode(knobs["releaseKey"]))) for knobs in given} == {
        ("A" * 40, RING)
    }
    assert {knobs["cni"]["version"] for knobs in given} == {"1.7.1"}


def test_a_firewall_lets_machines_reach_the_mirror(variants):
    rules = variants["mirror"].one("Microsoft.Network/firewallPolicies/ruleCollectionGroups")["properties"]

    assert "mirror.example.com" in rules["ruleCollections"][0]["rules"][0]["targetFqdns"]


def test_a_knob_that_is_not_given_takes_no_room(members):
    assert [name for name, member in members.items() if None in told(member)["knobs"].values()] == []


def test_the_jump_box_is_no_member(variants):
    jump_box = variants["jump box"].one("Microsoft.Compute/virtualMachines", "-jumpbox")

    assert (user_data_text(jump_box), custom_data_text(jump_box)) == (None, None)


@pytest.mark.skipif(
    shutil.which("cloud-init") is None and not os.environ.get("CI"),
    reason="cloud-init is not installed; run `sh tools/scan-tools` as root",
)
def test_cloud_init_accepts_every_rendered_variant(members, tmp_path):
    rendered = {custom_data_text(member) for member in members.values()}
    assert rendered

    for number, text in enumerate(sorted(filter(None, rendered))):
        file = tmp_path / f"{number}.yaml"
        file.write_bytes(base64.b64decode(text))
        done = _schema(file)
        assert done.returncode == 0, done.stdout + done.stderr

    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("#cloud-config\nwrite_files: 7\n")
    assert _schema(wrong).returncode != 0


def _schema(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["cloud-init", "schema", "-c", str(file)], capture_output=True, text=True, check=False)
