"""Choices that nobody wrote down: every parameter drawn at random, from a seed, as a person might set it.

What Azure or the template would refuse is not drawn: tests/infra/test_refusals.py plays that.
"""

import json
from random import Random
from typing import Any

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-north"
NORTH = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/vnet-north"
ROOMY = {
    "management": "10.0.1.0/24",
    "servers": "10.0.10.0/24",
    "clients": "10.0.20.0/22",
    "data": "10.0.30.0/24",
    "bastion": "10.0.2.0/26",
    "functions": "10.0.3.0/26",
    "firewall": "10.0.4.0/26",
    "gateway": "10.0.5.0/24",
}
TIGHT = {
    "management": "172.20.0.0/28",
    "servers": "172.20.0.16/28",
    "clients": "172.20.1.0/24",
    "data": "172.20.0.32/27",
    "bastion": "172.20.0.64/26",
    "functions": "172.20.0.128/27",
    "firewall": "172.20.0.192/26",
    "gateway": "172.20.2.0/26",
}
"""The smallest subnets that are allowed."""


def drawn(seed: int) -> str:
    """Parameters as Bicep text; the same seed gives the same ones."""
    random = Random(seed)  # noqa: S311 -- a draw that must repeat
    chosen = {
        "sshPublicKey": "ssh-ed25519 AAAA test",
        "stage": random.choice(["dev", "staging", "production"]),
        **_network(random),
        **_servers(random),
        **_rest(random),
    }
    if chosen["customerKeys"] != "Off" and "recovery" in chosen["backup"]:
        chosen["backup"]["recovery"]["diskEncryptionSetId"] = (
            f"{GROUP}/providers/Microsoft.Compute/diskEncryptionSets/des"
        )
    chosen["clientPools"] = _pools(random, zonal=chosen["placement"] == "Zones", room=20)
    if chosen["stage"] == "dev":
        chosen["lock"] = "None"
    return "\n".join(f"param {name} = {_bicep(value)}" for name, value in chosen.items())


def _network(random: Random) -> dict[str, Any]:
    subnets, prefix = random.choice([(ROOMY, "10.0.0.0/16"), (TIGHT, "172.20.0.0/20")])
    given: dict[str, Any] = {
        "addressPrefix": prefix,
        "subnets": subnets,
        "egress": random.choice(["NatGateway", "AzureFirewall"]),
        "access": random.choice(["Bastion", "JumpBox"]),
        "operatorSources": random.choice([["10.99.0.0/24"], ["203.0.113.0/24", "198.51.100.7"]]),
        "applicationPorts": random.choice([[], ["8080"], ["8080", "9000-9100"]]),
    }
    if random.random() < 0.5:
        groups = ("network", "compute", "storage", "security", "monitoring")
        given["resourceGroups"] = {area: f"rg-nomad-{area}" for area in groups}
    if random.random() < 0.5:
        given["applicationGateway"] = {
            "hostName": "apps.example.com",
            "sources": ["198.51.100.0/24"],
            "certificateSecretId": "https://example.vault.azure.net/secrets/apps",
            "backendPort": 8080,
        }
    if random.random() < 0.5:
        given["federation"] = {
            "networks": random.choice([[], [NORTH]]),
            "servers": ["10.1.10.0/24"],
            "join": random.choice([[], ["10.1.10.9", "10.1.10.10"]]),
            "authoritativeRegion": random.choice(["global", "west"]),
        }
    return given


def _servers(random: Random) -> dict[str, Any]:
    placement = random.choice(["Zones", "Zones", "AvailabilitySet"])
    disks = ["Premium_LRS", "PremiumV2_LRS", "UltraSSD_LRS"] if placement == "Zones" else ["Premium_LRS"]
    given: dict[str, Any] = {
        "placement": placement,
        "serverCount": random.choice([3, 5]),
        "serverDisk": random.choice(disks),
        "ubuntu": random.choice(["22.04", "24.04"]),
        "nomad": {"region": random.choice(["global", "west"]), "datacenter": "dc1"},
        "releases": {
            "nomad": random.choice(["1.6.5", "1.8.4", "1.9.7", "1.10.5", "2.0.5"]),
            "consul": "1.21.4",
            "vault": "1.20.3",
        },
        "vault": random.choice([True, False]),
    }
    if placement == "Zones":
        given["zones"] = random.choice([["1", "2", "3"], ["1", "2", "3"], ["2"]])
    mode = random.choice(["CoLocated", "Dedicated", "Off"])
    given["consul"] = {"mode": mode, "mesh": mode != "Off" and random.random() < 0.5}
    return given


def _pools(random: Random, *, zonal: bool, room: int) -> list[dict[str, Any]]:
    pools: list[dict[str, Any]] = []
    for number in range(random.choice([1, 2, 3, 10])):
        pool: dict[str, Any] = {"name": f"pool-{number}", "min": random.randint(0, 3), "max": random.randint(3, room)}
        pool["mode"] = random.choice(["Flexible", "Uniform"])
        pool["priority"] = random.choice(["Regular", "Spot"])
        if zonal and random.random() < 0.5:
            pool["zones"] = random.choice([["1"], ["1", "3"], ["1", "2", "3"]])
        if random.random() < 0.3:
            pool["price"] = random.choice(["0", "0.115", "12"])
        if random.random() < 0.2:
            pool["rehearsals"] = True
        if random.random() < 0.2:
            pool |= {
                "sku": "Standard_L8s_v3",
                "node": {"cores": 8, "cpuMhz": 22400, "memoryMb": 64200, "diskMb": 48000},
            }
        pools.append(pool)
    return pools


def _rest(random: Random) -> dict[str, Any]:
    recovery = {
        "location": "northeurope",
        "resourceGroupId": GROUP,
        "networkId": NORTH,
        "subnetName": "servers",
    }
    given: dict[str, Any] = {
        "storageRedundancy": random.choice(["Standard_GZRS", "Standard_RAGZRS", "Standard_GRS", "Standard_RAGRS"]),
        "copyLocation": random.choice(["", "northeurope"]),
        "files": random.choice([True, False]),
        "customerKeys": random.choice(["Off", "Software", "Hardware"]),
        "apiClientId": random.choice(["", "55555555-5555-5555-5555-555555555555"]),
        "adminGroupId": random.choice(["", "44444444-4444-4444-4444-444444444444"]),
        "packageUrl": random.choice(["", "https://example.com/keeper.zip"]),
        "alertEmails": random.choice([[], ["platform@example.com"]]),
        "eventSubscriptions": random.choice([True, False]),
        "backup": random.choice([{"servers": True}, {"servers": False}, {"servers": True, "recovery": recovery}]),
        "logs": {"retentionDays": random.choice([30, 730]), "dailyQuotaGb": random.choice([-1, 5])},
    }
    if random.random() < 0.5:
        given["logs"]["flowLogs"] = {"resourceGroup": "NetworkWatcherRG", "watcher": "NetworkWatcher_westeurope"}
    return given


def _bicep(value: Any) -> str:
    """A value as Bicep writes it: quotes are single, and JSON is otherwise understood."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name}: {_bicep(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_bicep(each) for each in value) + "]"
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)
