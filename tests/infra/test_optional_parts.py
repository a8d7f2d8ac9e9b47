"""Every optional part is there when it is switched on, and leaves nothing behind when it is off."""

import re

import pytest

from keeper.core.retention import CLOCKS_AGREE
from tests.infra.rules.identity import holders
from tools.infra_prediction import prediction_with, told

NETWORK = "Microsoft.Network/"
RECOVERY = (
    "Microsoft.RecoveryServices/vaults/replicationFabrics/replicationProtectionContainers/replicationProtectedItems"
)
MACHINE = "Microsoft.Compute/virtualMachines"

# Part → types that exist only with it. `everything-on` has all but the jump box, the set, and the NAT gateway; `dev` none.
PARTS = {
    "Azure Firewall": [f"{NETWORK}azureFirewalls", f"{NETWORK}routeTables", f"{NETWORK}firewallPolicies"],
    "Application Gateway": [
        f"{NETWORK}applicationGateways",
        f"{NETWORK}ApplicationGatewayWebApplicationFirewallPolicies",
    ],
    "peering": [f"{NETWORK}virtualNetworks/virtualNetworkPeerings"],
    "flow logs": [f"{NETWORK}networkWatchers/flowLogs"],
    "Azure Files": ["Microsoft.Storage/storageAccounts/fileServices/shares"],
    "keys of ours": ["Microsoft.Compute/diskEncryptionSets"],
    "events": ["Microsoft.EventGrid/systemTopics", "Microsoft.EventGrid/systemTopics/eventSubscriptions"],
    "package": ["Microsoft.Web/sites/extensions"],
    "backup": ["Microsoft.RecoveryServices/vaults/backupPolicies"],
    "Site Recovery": [RECOVERY],
}
KEY = "param sshPublicKey = 'ssh-ed25519 AAAA test'\n"


@pytest.mark.parametrize("part", PARTS)
def test_the_part_is_there_when_on_and_gone_when_off(part, predicted):
    for kind in PARTS[part]:
        assert predicted("everything-on").of(kind), f"{kind} is missing"
        assert predicted("dev").of(kind) == [], f"{kind} is left"


def test_a_dedicated_consul_has_machines_a_vault_and_an_identity_of_its_own(predicted):
    def of_consul(world):
        return (
            len([m for m in world.of(MACHINE) if "-consul-" in m["name"]]),
            len([v for v in world.of("Microsoft.KeyVault/vaults") if "-con-" in v["name"]]),
            len(
                [
                    i
                    for i in world.of("Microsoft.ManagedIdentity/userAssignedIdentities")
                    if i["name"].endswith("-consul")
                ]
            ),
        )

    assert of_consul(predicted("everything-on")) == (3, 1, 1)
    assert of_consul(predicted("production-minimal")) == (0, 0, 0)


def test_vault_on_the_servers_brings_its_ports_and_its_key(predicted):
    def of_vault(world):
        ports = {
            rule["name"]
            for rule in world.one(f"{NETWORK}networkSecurityGroups", "-servers")["properties"]["securityRules"]
        }
        return "AllowVaultApi" in ports, any(
            k["name"].endswith("/vault-seal") for k in world.of("Microsoft.KeyVault/vaults/keys")
        )

    assert of_vault(predicted("everything-on")) == (True, True)
    assert of_vault(predicted("dev")) == (False, False)


def test_a_copy_stands_in_another_region_under_another_identity(predicted):
    def copies(world):
        return [a["location"] for a in world.of("Microsoft.Storage/storageAccounts") if "copy" in a["name"]]

    assert copies(predicted("production-ha")) == ["northeurope"]
    assert copies(predicted("dev")) == []
    assert (
        predicted("production-ha").settings()["SNAPSHOT_COPY_CLIENT_ID"]
        != predicted("production-ha").settings()["AZURE_CLIENT_ID"]
    )


def test_consul_off_leaves_no_port_no_name_and_no_setting(predicted):
    world = predicted("dev")
    rules = [r["name"] for g in world.of(f"{NETWORK}networkSecurityGroups") for r in g["properties"]["securityRules"]]

    assert [name for name in rules if "Consul" in name] == []
    assert world.settings()["CONSUL_ADDRESS"] == ""
    assert [r["name"] for r in world.of(f"{NETWORK}privateDnsZones/A") if r["name"].endswith("/consul")] == []


def test_without_an_app_registration_no_alert_calls_the_keeper(predicted):
    def receivers(world):
        return world.one("Microsoft.Insights/actionGroups", "-keeper")["properties"]["azureFunctionReceivers"]

    assert receivers(predicted("dev")) == []
    assert len(receivers(predicted("everything-on"))) == 1


def test_the_way_out_is_a_nat_gateway_unless_a_firewall_is_asked_for(predicted):
    assert len(predicted("dev").of(f"{NETWORK}natGateways")) == 1
    assert predicted("everything-on").of(f"{NETWORK}natGateways") == []


def test_whoever_may_log_in_may_also_pass_through_bastion(predicted):
    def rights_of_people(world):
        return sorted(
            (does, scope.rsplit("/", 2)[-2])
            for who, does, scope, each in holders(world)
            if each["properties"]["principalType"] == "Group"
        )

    assert rights_of_people(predicted("everything-on")) == [
        ("logs in to machines", "resourceGroups"),
        ("sees", "bastionHosts"),
    ]
    assert rights_of_people(predicted("dev")) == []


def test_a_jump_box_replaces_bastion_and_has_no_public_address():
    world = prediction_with(
        "jump box",
        KEY
        + "param access = 'JumpBox'\nparam operatorSources = ['10.99.0.0/24']\nparam consul = { mode: 'Dedicated', mesh: false }",
    )

    assert world.of(f"{NETWORK}bastionHosts") == []
    assert len([m for m in world.of(MACHINE) if m["name"].endswith("-jumpbox")]) == 1
    assert [p["name"] for p in world.of(f"{NETWORK}publicIPAddresses")] == ["pip-nomad-nat"]


def test_an_availability_set_takes_the_place_of_zones():
    world = prediction_with(
        "set", KEY + "param placement = 'AvailabilitySet'\nparam vault = true\nparam serverCount = 5"
    )

    assert world.one("Microsoft.Compute/availabilitySets")["properties"]["platformFaultDomainCount"] == 3
    assert [m["name"] for m in world.of(MACHINE) if m.get("zones")] == []
    assert [s["name"] for s in world.of("Microsoft.Compute/virtualMachineScaleSets") if s.get("zones")] == []


def test_uniform_and_flexible_pools_differ_only_where_azure_asks_for_it(predicted):
    world = predicted("everything-on")
    uniform = world.one("Microsoft.Compute/virtualMachineScaleSets", "-memory")["properties"]
    flexible = world.one("Microsoft.Compute/virtualMachineScaleSets", "-general")["properties"]

    assert uniform["orchestrationMode"] == "Uniform"
    assert uniform["upgradePolicy"] == {"mode": "Manual"}
    assert flexible["virtualMachineProfile"]["networkProfile"]["networkApiVersion"] == "2020-11-01"
    assert "upgradePolicy" not in flexible
    assert uniform["virtualMachineProfile"]["userData"] != flexible["virtualMachineProfile"]["userData"]


def test_without_people_nobody_comes_in():
    world = prediction_with("nobody", KEY)
    rules = world.one(f"{NETWORK}networkSecurityGroups", "-bastion")["properties"]["securityRules"]
    site = world.one("Microsoft.Web/sites")["properties"]["siteConfig"]

    assert [rule["name"] for rule in rules] == [
        "AllowGatewayManager",
        "AllowBastionHosts",
        "AllowAzureLoadBalancer",
        "DenyEverythingElse",
    ]
    assert [each["name"] for each in site["ipSecurityRestrictions"]] == ["alerts", "events"]
    assert site["scmIpSecurityRestrictions"] == []


def test_a_pool_of_rehearsals_brings_an_identity_a_node_pool_and_the_job(predicted):
    def of_rehearsals(world):
        return (
            len(
                [
                    i
                    for i in world.of("Microsoft.ManagedIdentity/userAssignedIdentities")
                    if i["name"] == "id-nomad-drill"
                ]
            ),
            [told(p)["knobs"]["nodePool"] for p in world.of("Microsoft.Compute/virtualMachineScaleSets")].count(
                "rehearsals"
            ),
            world.settings()["REHEARSAL_JOB"],
            len([r for r in world.of("Microsoft.Insights/scheduledQueryRules") if r["name"].startswith("rehearsal-")]),
        )

    assert of_rehearsals(predicted("production-ha")) == (1, 1, "restore-drill", 1)
    assert of_rehearsals(predicted("dev")) == (0, 0, "", 0)
    assert predicted("production-ha").one("Microsoft.Compute/virtualMachineScaleSets", "-drill")["sku"]["floor"] == 0


def test_machines_of_rehearsals_take_no_traffic_from_outside(predicted):
    def reached(world, pool):
        profile = world.one("Microsoft.Compute/virtualMachineScaleSets", pool)["properties"]["virtualMachineProfile"]
        interface = profile["networkProfile"]["networkInterfaceConfigurations"][0]["properties"]
        return interface["ipConfigurations"][0]["properties"]["applicationGatewayBackendAddressPools"]

    assert len(reached(predicted("everything-on"), "-general")) == 1
    assert reached(predicted("everything-on"), "-drill") == []


@pytest.mark.parametrize(("nomad", "deposits"), [("1.6.5", True), ("1.8.4", True), ("1.9.0", False), ("1.10.5", False)])
def test_root_keys_are_deposited_before_1_9_and_not_from_then_on(nomad, deposits):
    world = prediction_with(nomad, f"{KEY}param releases = {{ nomad: '{nomad}', consul: '1.21.4', vault: '1.20.3' }}")
    server = told(next(m for m in world.of(MACHINE) if m["name"].endswith("-server-1")))["knobs"]
    client = told(world.of("Microsoft.Compute/virtualMachineScaleSets")[0])["knobs"]
    rights = [
        scope.rsplit("/", 1)[-1]
        for who, _, scope, _ in holders(world)
        if (who == "servers" and "state" in scope) or "-kpr-" in scope
    ]

    assert ("keystore" in server) == deposits
    assert "keystore" not in client
    assert ({"keystores", "nomad-snapshots"} <= set(rights)) == deposits
    if deposits:
        assert server["keystore"]["blobUrl"].startswith("https://stnomadstate")
        assert server["keystore"]["keyUrl"].endswith(".vault.azure.net/keys/nomad-snapshots")


def test_servers_learn_whom_to_join_and_clients_what_to_mount_and_both_the_seal(predicted):
    world = predicted("everything-on")
    server = told(world.of(MACHINE)[-1])["knobs"]
    client = told(world.one("Microsoft.Compute/virtualMachineScaleSets", "-general"))["knobs"]
    share = world.one("Microsoft.Storage/storageAccounts/fileServices/shares")

    assert (server["authoritativeRegion"], server["federatedServers"][0]) == ("west", "10.1.10.9")
    assert client["filesShare"] == {
        "host": f"{share['name'].split('/')[0]}.file.core.windows.net",
        "path": f"/{share['name'].split('/')[0]}/{share['name'].split('/')[-1]}",
    }
    assert share["properties"]["enabledProtocols"] == "NFS"
    assert client["vaultSeal"] == server["vaultSeal"]
    for name in ("authoritativeRegion", "federatedServers", "keystore"):
        assert name not in client
    assert {"filesShare", "vaultSeal", "authoritativeRegion"}.isdisjoint(told(predicted("dev").members()[0])["knobs"])


def test_consul_has_one_datacenter_for_machines_and_the_keeper(predicted):
    world = predicted("everything-on")

    assert {told(member)["knobs"]["consulDatacenter"] for member in world.members()} == {"west"}
    assert world.settings()["CONSUL_TLS_NAME"] == "server.west.consul"


def test_each_product_whose_state_is_saved_has_an_alert_by_absence(predicted):
    def watched(world):
        rules = [r["properties"]["criteria"]["allOf"][0] for r in world.of("Microsoft.Insights/scheduledQueryRules")]
        ages = [each for each in rules if "snapshot.age" in each["query"]]
        assert {(each["operator"], each["threshold"]) for each in ages} == {("LessThan", 1)}
        young = f"between (-{CLOCKS_AGREE.total_seconds()} .. 1.5 * todouble(told.interval))"  # as `snapshot_plan.is_overdue`
        assert all(each["query"].endswith(young) for each in ages)
        return [re.findall(r'product\) == "(\w+)"', each["query"])[0] for each in ages]

    assert sorted(watched(predicted("production-minimal"))) == ["consul", "nomad"]
    assert watched(predicted("dev")) == ["nomad"]


def test_locks_can_be_left_out(predicted):
    assert predicted("dev").of("Microsoft.Authorization/locks") == []
    assert predicted("production-minimal").of("Microsoft.Authorization/locks") != []
