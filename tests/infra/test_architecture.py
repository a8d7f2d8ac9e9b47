"""The architecture that was asked for, row by row, as the parameters give it when nothing is chosen.

Rules hold for every choice; what is held here is the choice that is made for whoever chooses nothing, and that each part exists.
"""

import json
import re

import pytest

from tests.infra.rules.compute import WORST_BOOTSTRAP_MINUTES, profile
from tests.infra.rules.network import port_set, rules_of, sources
from tools.infra_bicep import ROOT
from tools.infra_prediction import MACHINE, SCALE_SET, prediction_with, told

KEY = "param sshPublicKey = 'ssh-ed25519 AAAA test'\n"
NSG = "Microsoft.Network/networkSecurityGroups"

SUBNETS = {
    "management": "10.0.1.0/24",
    "servers": "10.0.10.0/24",
    "clients": "10.0.20.0/24",
    "data": "10.0.30.0/24",
    "AzureBastionSubnet": "10.0.2.0/26",
    "functions": "10.0.3.0/26",
}

# What somebody must be told of: alert rule → whom it reaches.
ALERTS = {
    "pool-cpu-high": "keeper",
    "pool-cpu-low": "people",
    "pool-memory-high": "keeper",
    "work-blocked": "people",
    "leader-lost": "people",
    "peers-lost": "people",
    "disk-full": "people",
    "certificate-old": "people",
    "certificates-failed": "people",
    "snapshot-overdue": "people",
    "rehearsal-failed": "people",
    "message-poisoned": "people",
    "function-failures": "people",
    "keeper-silent": "people",
    "spot-evictions": "people",
}


@pytest.fixture(scope="module")
def chosen_by_nobody():
    return prediction_with("defaults", KEY)


def test_the_network_has_the_addresses_of_the_architecture(chosen_by_nobody):
    network = chosen_by_nobody.one("Microsoft.Network/virtualNetworks")["properties"]

    assert network["addressSpace"]["addressPrefixes"] == ["10.0.0.0/16"]
    assert {name: each["addressPrefix"] for name, each in chosen_by_nobody.subnets().items()} == SUBNETS


def test_servers_are_three_d2s_with_a_p10_disk_on_jammy_over_three_zones(chosen_by_nobody):
    servers = chosen_by_nobody.of(MACHINE)
    disks = chosen_by_nobody.of("Microsoft.Compute/disks")

    assert [(s["name"], s["zones"]) for s in servers] == [(f"nomad-server-{n}", [str(n)]) for n in (1, 2, 3)]
    assert {s["properties"]["hardwareProfile"]["vmSize"] for s in servers} == {"Standard_D2s_v5"}
    assert {s["properties"]["storageProfile"]["imageReference"]["sku"] for s in servers} == {"22_04-lts-gen2"}
    assert {(d["sku"]["name"], d["properties"]["diskSizeGB"]) for d in disks} == {("Premium_LRS", 128)}


def test_clients_are_one_flexible_pool_of_three_d4s_over_three_zones(chosen_by_nobody):
    pool = chosen_by_nobody.one(SCALE_SET)

    assert (pool["properties"]["orchestrationMode"], profile(pool)["priority"]) == ("Flexible", "Regular")
    assert (pool["sku"]["name"], pool["sku"]["floor"], pool["zones"]) == ("Standard_D4s_v5", 3, ["1", "2", "3"])


def test_consul_stands_on_the_servers_without_its_mesh_unless_asked_for(chosen_by_nobody, predicted):
    assert (told(chosen_by_nobody.of(MACHINE)[0])["knobs"]["consul"]) == "colocated"
    assert {told(m)["knobs"]["consulMesh"] for m in chosen_by_nobody.members()} == {False}
    assert {told(m)["knobs"]["consulMesh"] for m in predicted("everything-on").members()} == {True}


def test_the_keeper_runs_python_3_13_on_flex_consumption(chosen_by_nobody):
    site = chosen_by_nobody.one("Microsoft.Web/sites")

    assert chosen_by_nobody.one("Microsoft.Web/serverfarms")["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
    assert site["properties"]["functionAppConfig"]["runtime"] == {"name": "python", "version": "3.13"}
    assert site["identity"]["type"] == "UserAssigned"


def test_a_package_is_deployed_from_its_url(predicted):
    assert predicted("everything-on").one("Microsoft.Web/sites/extensions")["properties"] == {
        "packageUri": "https://example.com/keeper.zip",
        "remoteBuild": True,
    }


def test_state_is_copied_over_zones_and_to_the_paired_region(chosen_by_nobody):
    accounts = {a["name"][7:-8]: a["sku"]["name"] for a in chosen_by_nobody.of("Microsoft.Storage/storageAccounts")}

    assert accounts["state"] == "Standard_GZRS"
    assert {"arti", "host"} < accounts.keys()


def test_servers_are_imaged_daily_unless_it_is_switched_off(chosen_by_nobody, predicted):
    policies = "Microsoft.RecoveryServices/vaults/backupPolicies"

    for world in (chosen_by_nobody, predicted("production-minimal"), predicted("production-ha")):
        assert world.one(policies)["properties"]["schedulePolicy"]["scheduleRunFrequency"] == "Daily"
    assert predicted("dev").of(policies) == []


def test_every_alert_that_was_asked_for_is_there_and_reaches_whom_it_should(predicted):
    world = predicted("everything-on")
    reached = {}
    for each in world.of("Microsoft.Insights/scheduledQueryRules"):
        reached[each["name"].split("-nomad")[0]] = each["properties"]["actions"]["actionGroups"][0]
    for each in world.of("Microsoft.Insights/metricAlerts"):
        reached[each["name"].split("-nomad")[0]] = each["properties"]["actions"][0]["actionGroupId"]

    assert {name: group.rsplit("-", 1)[-1] for name, group in reached.items()} == ALERTS


def test_alerts_sign_in_to_the_keeper_with_an_identity_and_no_key(predicted):
    group = predicted("everything-on").one("Microsoft.Insights/actionGroups", "-keeper")
    (receiver,) = group["properties"]["azureFunctionReceivers"]

    assert [each.rsplit("/", 1)[-1] for each in group["identity"]["userAssignedIdentities"]] == ["id-nomad-alerts"]
    assert receiver["managedIdentity"]
    assert "?" not in receiver["httpTriggerUrl"]


@pytest.mark.parametrize("name", ["dev", "everything-on"])
def test_a_workbook_shows_the_cluster(name, predicted):
    workbook = predicted(name).one("Microsoft.Insights/workbooks")["properties"]

    assert json.loads(workbook["serializedData"])["items"]


def test_flow_logs_cover_the_whole_network(predicted):
    for name in ("production-ha", "everything-on"):
        logs = predicted(name).one("Microsoft.Network/networkWatchers/flowLogs")["properties"]
        assert logs["enabled"]
        assert logs["targetResourceId"] == predicted(name).one("Microsoft.Network/virtualNetworks")["id"]


def test_repairs_count_from_the_time_that_a_machine_really_gives_itself():
    loader = (ROOT / "cloud-init" / "loader.yaml").read_text()

    assert re.findall(r"TimeoutStartSec=(\d+)min", loader) == [str(WORST_BOOTSTRAP_MINUTES)]


def test_ports_of_workloads_are_open_to_machines_and_the_gateway_alone(predicted):
    world = predicted("everything-on")
    subnets = world.subnets()
    rules = {each["name"]: each for each in rules_of(world, "clients")}
    inside = {subnets[name]["addressPrefix"] for name in ("servers", "clients", "gateway")}

    assert port_set(rules["AllowApplications"]) == {"8080", "9000-9100"}
    assert {*sources(rules["AllowApplications"])} == inside
    assert (port_set(rules["AllowGateway"]), sources(rules["AllowGateway"])) == ({"8080"}, ["10.0.5.0/24"])
    assert "AllowApplications" not in {each["name"] for each in rules_of(predicted("dev"), "clients")}


def test_the_gateway_prevents_and_does_not_only_detect(predicted):
    world = predicted("everything-on")
    gateway = world.one("Microsoft.Network/applicationGateways")["properties"]
    wall = world.one("Microsoft.Network/ApplicationGatewayWebApplicationFirewallPolicies")

    assert gateway["sku"]["tier"] == "WAF_v2"
    assert gateway["firewallPolicy"]["id"] == wall["id"]
    assert (wall["properties"]["policySettings"]["state"], wall["properties"]["policySettings"]["mode"]) == (
        "Enabled",
        "Prevention",
    )


def test_every_vault_that_machines_read_tells_the_keeper_of_its_certificates(predicted):
    world = predicted("everything-on")
    told_of = {each["properties"]["source"].rsplit("/", 1)[-1] for each in world.of("Microsoft.EventGrid/systemTopics")}

    assert {v["name"] for v in world.of("Microsoft.KeyVault/vaults") if "-kpr-" not in v["name"]} < told_of


def test_an_ultra_disk_is_allowed_on_its_machine():
    world = prediction_with("ultra", KEY + "param serverDisk = 'UltraSSD_LRS'\nparam ubuntu = '24.04'")

    assert {d["sku"]["name"] for d in world.of("Microsoft.Compute/disks")} == {"UltraSSD_LRS"}
    assert {m["properties"]["additionalCapabilities"]["ultraSSDEnabled"] for m in world.of(MACHINE)} == {True}
    assert {m["properties"]["storageProfile"]["imageReference"]["offer"] for m in world.of(MACHINE)} == {
        "ubuntu-24_04-lts"
    }


def test_tags_of_the_operator_are_on_everything_that_takes_tags(predicted):
    tagged = [each for each in predicted("everything-on").resources if "cluster" in each.get("tags", {})]

    assert len(tagged) > 100
    assert [each["name"] for each in tagged if each["tags"].get("owner") != "platform"] == []
