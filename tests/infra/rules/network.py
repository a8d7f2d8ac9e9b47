"""Who may talk to whom, and where everything stands."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from itertools import combinations
from typing import Any

from tests.infra.rules.registry import rule
from tools.infra_prediction import SCALE_SET, Prediction, told

NSG = "Microsoft.Network/networkSecurityGroups"
OPEN = {"*", "any", "internet", "0.0.0.0/0", "::/0", "0.0.0.0", "/0"}  # noqa: S104 -- what a rule may not say
AZURE_NAMES = {"AzureBastionSubnet": "bastion", "AzureFirewallSubnet": "firewall"}
MACHINES = {"servers", "clients", "data", "management"}


def rules_of(world: Prediction, group: str) -> list[dict[str, Any]]:
    """Security rules of the group of a subnet, by priority."""
    rules = world.one(NSG, f"-{group}")["properties"]["securityRules"]
    return sorted(rules, key=lambda each: each["properties"]["priority"])


def sources(each: dict[str, Any]) -> list[str]:
    """Sources of a security rule."""
    properties = each["properties"]
    return [*properties.get("sourceAddressPrefixes", []), *filter(None, [properties.get("sourceAddressPrefix")])]


def port_set(each: dict[str, Any]) -> set[str]:
    """Destination ports of a security rule, as written."""
    properties = each["properties"]
    return {*properties.get("destinationPortRanges", []), *filter(None, [properties.get("destinationPortRange")])}


def _allowed(world: Prediction) -> Iterator[tuple[str, dict[str, Any]]]:
    for group in world.of(NSG):
        for each in group["properties"]["securityRules"]:
            if each["properties"]["access"] == "Allow" and each["properties"]["direction"] == "Inbound":
                yield group["name"].rsplit("-", 1)[-1], each


def _open_ssh(world: Prediction) -> None:
    rules_of(world, "servers")[0]["properties"].update(sourceAddressPrefix="0.0.0.0/0", sourceAddressPrefixes=[])


@rule(_open_ssh)
def nothing_is_open_to_everybody(world: Prediction) -> Iterable[str]:
    """No inbound rule allows any source, by whatever name: neither on a subnet, nor on a side of the function app."""
    for subnet, each in _allowed(world):
        if any(source.lower() in OPEN for source in sources(each)):
            yield f"{subnet}: {each['name']} is open to {sources(each)}"
    site = world.one("Microsoft.Web/sites")["properties"]["siteConfig"]
    for side in ("ipSecurityRestrictions", "scmIpSecurityRestrictions"):
        if site[f"{side}DefaultAction"] != "Deny":
            yield f"the function app is open by {side}"
        yield from (f"the function app lets in {e['ipAddress']}" for e in site[side] if e["ipAddress"].lower() in OPEN)


@rule(
    lambda world: rules_of(world, "clients").pop() and world.one(NSG, "-clients")["properties"]["securityRules"].pop()
)
def everything_else_is_denied(world: Prediction) -> Iterable[str]:
    """Each group ends with an explicit deny of everything inbound, and lets Azure's health probes in before it."""
    for group in world.of(NSG):
        rules = sorted(group["properties"]["securityRules"], key=lambda each: each["properties"]["priority"])
        last, before = rules[-1]["properties"], rules[-2]["properties"] if len(rules) > 1 else {}
        if (last["access"], last["priority"], last["destinationPortRange"]) != ("Deny", 4096, "*"):
            yield f"{group['name']} does not end with a deny"
        if before.get("sourceAddressPrefix") != "AzureLoadBalancer":
            yield f"{group['name']} does not allow health probes before its deny"


@rule(lambda world: rules_of(world, "data")[0]["properties"].update(description=""))
def every_network_rule_says_why(world: Prediction) -> Iterable[str]:
    """Each security rule has a description, and a priority of its own."""
    for group in world.of(NSG):
        rules = [each["properties"] for each in group["properties"]["securityRules"]]
        if len({each["priority"] for each in rules}) != len(rules):
            yield f"{group['name']} uses a priority twice"
        yield from (f"{group['name']} has a rule without a reason" for each in rules if len(each["description"]) < 15)


@rule(lambda world: world.subnets()["clients"].update(networkSecurityGroup=None))
def every_subnet_is_guarded(world: Prediction) -> Iterable[str]:
    """Each subnet has its group (Azure forbids one on its firewall), and no implicit way out."""
    for name, subnet in world.subnets().items():
        if name != "AzureFirewallSubnet" and not subnet.get("networkSecurityGroup"):
            yield f"{name} has no network security group"
        if subnet.get("defaultOutboundAccess") is not False:
            yield f"{name} has Azure's default outbound access"


@rule(lambda world: world.subnets()["servers"].update(natGateway=None, routeTable=None))
def machines_have_exactly_one_way_out(world: Prediction) -> Iterable[str]:
    """Subnets of machines leave through the NAT gateway or the firewall, never both and never neither."""
    for name in (*MACHINES, "functions"):
        subnet = world.subnets()[name]
        if bool(subnet.get("natGateway")) == bool(subnet.get("routeTable")):
            yield f"{name} has {'two ways' if subnet.get('natGateway') else 'no way'} out"


@rule(lambda world: world.subnets()["data"].update(addressPrefix="10.0.20.128/25"))
def subnets_do_not_overlap(world: Prediction) -> Iterable[str]:
    """Every subnet lies inside the network and shares no address with another."""
    space = ip_network(
        world.one("Microsoft.Network/virtualNetworks")["properties"]["addressSpace"]["addressPrefixes"][0]
    )
    prefixes = {name: ip_network(subnet["addressPrefix"]) for name, subnet in world.subnets().items()}
    yield from (f"{name} lies outside" for name, prefix in prefixes.items() if not prefix.subnet_of(space))
    for (one, first), (other, second) in combinations(prefixes.items(), 2):
        if first.overlaps(second):
            yield f"{one} and {other} overlap"


def _fixed_addresses(world: Prediction) -> Iterator[tuple[str, str, str]]:
    for nic in world.of("Microsoft.Network/networkInterfaces"):
        given = nic["properties"]["ipConfigurations"][0]["properties"]
        yield nic["name"], given["privateIPAddress"], given["subnet"]["id"].rsplit("/", 1)[-1]
    for balancer in world.of("Microsoft.Network/loadBalancers"):
        given = balancer["properties"]["frontendIPConfigurations"][0]["properties"]
        yield balancer["name"], given["privateIPAddress"], given["subnet"]["id"].rsplit("/", 1)[-1]


def _call_from_elsewhere(world: Prediction) -> None:
    applications = next(each for each in rules_of(world, "clients") if "8080" in port_set(each))
    applications["properties"]["sourceAddressPrefixes"].append("198.51.100.0/24")


@rule(_call_from_elsewhere)
def machines_are_called_from_inside(world: Prediction) -> Iterable[str]:
    """Whoever may call servers, clients or data stands in a subnet of ours, or in another private network that was named."""
    subnets = {subnet["addressPrefix"] for subnet in world.subnets().values()}
    for group in ("servers", "clients", "data", "functions"):
        for each in rules_of(world, group):
            if each["properties"]["access"] == "Deny" or sources(each) == ["AzureLoadBalancer"]:
                continue
            for source in {*sources(each)} - subnets:
                if group == "clients" or not ip_network(source).is_private or source.startswith(("198.", "203.")):
                    yield f"{group}: {each['name']} lets in {source}"


def _twin_address(world: Prediction) -> None:
    one, other, *_ = world.of("Microsoft.Network/networkInterfaces")
    other["properties"]["ipConfigurations"] = one["properties"]["ipConfigurations"]


@rule(
    lambda world: world.of("Microsoft.Network/networkInterfaces")[0]["properties"]["ipConfigurations"][0][
        "properties"
    ].update(privateIPAllocationMethod="Dynamic")
)
def addresses_of_machines_never_change(world: Prediction) -> Iterable[str]:
    """Machines and the balancer have static addresses: peers and names point at them for ever."""
    fronts = [b["properties"]["frontendIPConfigurations"] for b in world.of("Microsoft.Network/loadBalancers")]
    for each in [n["properties"]["ipConfigurations"] for n in world.of("Microsoft.Network/networkInterfaces")] + fronts:
        if each[0]["properties"]["privateIPAllocationMethod"] != "Static":
            yield f"{each[0]['properties']['privateIPAddress']} may change"


@rule(_twin_address)
def fixed_addresses_lie_in_their_subnets(world: Prediction) -> Iterable[str]:
    """Fixed addresses are unique, inside their subnet, and none of the first four and the last that Azure keeps."""
    seen: set[str] = set()
    for name, address, subnet in _fixed_addresses(world):
        prefix = ip_network(world.subnets()[subnet]["addressPrefix"])
        if ip_address(address) not in prefix or ip_address(address) in {*list(prefix)[:4], prefix[-1]}:
            yield f"{name} cannot have {address} in {prefix}"
        if address in seen:
            yield f"{name} shares {address}"
        seen.add(address)


def _misdirect(world: Prediction) -> None:
    record = next(r for r in world.of("Microsoft.Network/privateDnsZones/A") if r["name"].endswith("-server-1"))
    record["properties"]["aRecords"] = [{"ipv4Address": "10.0.10.99"}]


@rule(_misdirect)
def every_peer_has_a_name(world: Prediction) -> Iterable[str]:
    """The name that machines dial for each server resolves to the address of that machine, and to nothing else."""
    zone = next(z["name"] for z in world.of("Microsoft.Network/privateDnsZones") if z["name"].endswith(".internal"))
    records = {
        f"{record['name'].rsplit('/', 1)[-1]}.{zone}": [
            each["ipv4Address"] for each in record["properties"]["aRecords"]
        ]
        for record in world.of("Microsoft.Network/privateDnsZones/A")
    }
    nics = {name.removeprefix("nic-"): address for name, address, _ in _fixed_addresses(world)}
    for member in world.members():
        knobs = told(member)["knobs"]
        for peer in [*knobs["servers"], *knobs["consulServers"]]:
            if records.get(peer["address"]) != [nics[peer["name"]]]:
                yield f"{peer['address']} resolves to {records.get(peer['address'])}, not {nics[peer['name']]}"


@rule(
    lambda world: world.of("Microsoft.Network/networkInterfaces")[0]["properties"]["ipConfigurations"][0][
        "properties"
    ].update(publicIPAddress={"id": "x"})
)
def no_machine_has_a_public_address(world: Prediction) -> Iterable[str]:
    """Public addresses belong to the ways in and out, never to a machine."""
    for nic in world.of("Microsoft.Network/networkInterfaces"):
        if any(c["properties"].get("publicIPAddress") for c in nic["properties"]["ipConfigurations"]):
            yield f"{nic['name']} has a public address"
    for pool in world.of(SCALE_SET):
        if "publicIPAddressConfiguration" in str(pool):
            yield f"{pool['name']} gives public addresses"
    owners = ("-nat", "-bastion", "-firewall", "-gateway")
    for address in world.of("Microsoft.Network/publicIPAddresses"):
        if not address["name"].endswith(owners) or address["sku"]["name"] != "Standard":
            yield f"{address['name']} belongs to nothing that needs it, or is Basic"


@rule(lambda world: rules_of(world, "clients")[-3]["properties"].update(sourceAddressPrefixes=["10.0.20.0/24"]))
def people_come_in_by_one_door(world: Prediction) -> Iterable[str]:
    """SSH is allowed from Bastion's subnet, or from the jump box's, and from operators to the jump box; nowhere else."""
    subnets = {AZURE_NAMES.get(name, name): subnet["addressPrefix"] for name, subnet in world.subnets().items()}
    door = subnets.get("bastion", subnets["management"])
    for subnet, each in _allowed(world):
        if "22" not in port_set(each):
            continue
        if sources(each) != [door] and (subnet != "management" or "bastion" in subnets):
            yield f"{subnet} allows SSH from {sources(each)}"


@rule(
    lambda world: world.one("Microsoft.Network/loadBalancers")["properties"]["probes"][0]["properties"].update(
        protocol="Tcp"
    )
)
def the_balancer_asks_nomad_over_tls(world: Prediction) -> Iterable[str]:
    """The internal Standard balancer serves 4646 and asks each server over TLS whether it knows a leader."""
    balancer = world.one("Microsoft.Network/loadBalancers")
    probe, given = (balancer["properties"][part][0]["properties"] for part in ("probes", "loadBalancingRules"))
    if (probe["protocol"], probe["port"], probe["requestPath"]) != ("Https", 4646, "/v1/agent/health?type=server"):
        yield f"the probe asks {probe['protocol']} {probe['port']} {probe['requestPath']}"
    if (given["frontendPort"], given["backendPort"]) != (4646, 4646) or balancer["sku"]["name"] != "Standard":
        yield "the balancer does not serve 4646"


@rule(lambda world: world.subnets()["functions"].update(delegations=[]))
def the_function_app_has_a_subnet_of_its_own(world: Prediction) -> Iterable[str]:
    """The app is joined to the subnet that is delegated to it, and no machine stands there."""
    delegated = [
        name
        for name, subnet in world.subnets().items()
        if any(d["properties"]["serviceName"] == "Microsoft.App/environments" for d in subnet.get("delegations", []))
    ]
    joined = world.one("Microsoft.Web/sites")["properties"]["virtualNetworkSubnetId"].rsplit("/", 1)[-1]
    if delegated != [joined]:
        yield f"the app stands in {joined}, delegated is {delegated}"
