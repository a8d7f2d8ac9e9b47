"""What is told to somebody can be reached by them: addresses, endpoints, and the rules on the way."""

import json
import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network

from tests.infra.rules.network import port_set, rules_of, sources
from tests.infra.rules.registry import rule
from tests.infra.rules.storage import ENDPOINT
from tools.infra_prediction import MACHINE, SCALE_SET, Prediction, told

GATEWAY = "Microsoft.Network/applicationGateways"
_SERVICE = re.compile(r"([a-z0-9-]+)\.(?:(blob|queue|table|file)\.core\.windows\.net|(vault)\.azure\.net)")


def _told_addresses(world: Prediction) -> Iterator[tuple[str, str, str]]:
    """Who is told of which part of which service: the subnet of the listener, the name, the part."""
    tellings = [("functions", json.dumps(world.settings()))]
    for member in world.members():
        profile = member["properties"].get("virtualMachineProfile", member["properties"])
        subnet = re.findall(r"/subnets/([a-z]+)", json.dumps(profile["networkProfile"]))
        home = "data" if "-consul-" in member["name"] else "servers"
        tellings.append((subnet[0] if subnet else home, json.dumps(told(member)["knobs"])))
    for subnet, text in tellings:
        for name, storage, vault in _SERVICE.findall(text):
            yield subnet, name, storage or vault


def _close_copies(world: Prediction) -> None:
    world.resources.remove(next(e for e in world.of(ENDPOINT) if "copy" in e["name"]))


@rule(_close_copies)
def whatever_is_told_has_an_endpoint(world: Prediction) -> Iterable[str]:
    """Each vault and account that a setting or a knob names has an endpoint in the network, of the part that is named."""
    reached = set[tuple[str, str]]()
    for endpoint in world.of(ENDPOINT):
        connection = endpoint["properties"]["privateLinkServiceConnections"][0]["properties"]
        reached.add((connection["privateLinkServiceId"].rsplit("/", 1)[-1], connection["groupIds"][0]))
        if endpoint["location"] != world.one("Microsoft.Network/virtualNetworks")["location"]:
            yield f"{endpoint['name']} stands in another region than its network"
    for subnet, name, part in sorted(set(_told_addresses(world))):
        if (name, part) not in reached:
            yield f"{subnet} is told of {name}, whose {part} has no endpoint"


def _shut_out_gateway(world: Prediction) -> None:
    allowed = next(each for each in rules_of(world, "data") if "443" in port_set(each))["properties"]
    allowed["sourceAddressPrefixes"].remove(world.subnets()["gateway"]["addressPrefix"])


@rule(_shut_out_gateway)
def whoever_is_told_is_let_in(world: Prediction) -> Iterable[str]:
    """The subnet of each listener may call endpoints: 443, and 2049 for shares. So may the gateway, which fetches its certificate."""
    let_in = {port: sources(each) for each in rules_of(world, "data") for port in port_set(each)}
    callers = {(subnet, "2049" if part == "file" else "443") for subnet, _, part in _told_addresses(world)}
    callers |= {("gateway", "443")} if world.of(GATEWAY) else set()
    for subnet, port in sorted(callers):
        if world.subnets()[subnet]["addressPrefix"] not in let_in.get(port, []):
            yield f"{subnet} cannot reach endpoints at {port}"


def _crowd(world: Prediction) -> None:
    nic = next(n for n in world.of("Microsoft.Network/networkInterfaces") if "-consul-1" in n["name"])
    nic["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"] = "10.0.30.10"


@rule(_crowd)
def endpoints_never_take_a_fixed_address(world: Prediction) -> Iterable[str]:
    """Azure gives endpoints the lowest free addresses of their subnet, from the fifth on: fixed ones lie beyond all of them."""
    for nic in world.of("Microsoft.Network/networkInterfaces"):
        given = nic["properties"]["ipConfigurations"][0]["properties"]
        subnet = given["subnet"]["id"]
        endpoints = len([e for e in world.of(ENDPOINT) if e["properties"]["subnet"]["id"] == subnet])
        first = ip_network(world.subnets()[subnet.rsplit("/", 1)[-1]]["addressPrefix"])[4]
        if endpoints and ip_address(given["privateIPAddress"]) < first + endpoints:
            yield f"{nic['name']} has {given['privateIPAddress']}, which one of {endpoints} endpoints takes first"


# Where Azure is stricter than the letters, digits and hyphens that all our names are made of.
LIMITS = {
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.KeyVault/vaults": r"[a-zA-Z](?!.*--)[a-zA-Z0-9-]{1,22}[a-zA-Z0-9]",
    "Microsoft.Web/sites": r"[a-z0-9](?!.*--)[a-z0-9-]{0,58}[a-z0-9]",
    MACHINE: r"[a-z0-9][a-z0-9-]{0,62}[a-z0-9]",
    SCALE_SET: r"[a-z0-9][a-z0-9-]{0,62}[a-z0-9]",
    "Microsoft.EventGrid/systemTopics": r"[a-zA-Z0-9-]{3,50}",
    "Microsoft.RecoveryServices/vaults": r"[a-zA-Z][a-zA-Z0-9-]{1,49}",
    "Microsoft.OperationalInsights/workspaces": r"[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}",
    "Microsoft.Insights/dataCollectionEndpoints": r"[a-zA-Z0-9][a-zA-Z0-9-]{1,42}[a-zA-Z0-9]",
    "Microsoft.Insights/dataCollectionRules": r"[a-zA-Z0-9][a-zA-Z0-9-]{1,62}[a-zA-Z0-9]",
    ENDPOINT: r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}[a-zA-Z0-9_]",
}


@rule(lambda world: world.of(SCALE_SET)[0].update(name="vmss-nomad-general-"))
def names_are_such_as_azure_takes(world: Prediction) -> Iterable[str]:
    """Names keep the length and the letters that Azure allows for their type, and instances those of a host name."""
    for kind, pattern in LIMITS.items():
        yield from (f"{kind} {e['name']} is no name" for e in world.of(kind) if not re.fullmatch(pattern, e["name"]))
    for pool in world.of(SCALE_SET):
        prefix = pool["properties"]["virtualMachineProfile"]["osProfile"]["computerNamePrefix"]
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,56}-", prefix):
            yield f"hosts of {pool['name']} would be called {prefix}"
