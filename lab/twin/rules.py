"""Network security groups as nftables: what the templates predict, word for word, and Azure's own rules after them.

Azure's documentation of the rules that every group ends with, and of the tags:
https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.twin.blueprint import Site
    from tools.infra_prediction import Resource

BALANCER = "168.63.129.16"
TAGS = {
    "VirtualNetwork": "10.0.0.0/16",
    "AzureLoadBalancer": BALANCER,
    # The platform's own callers of Bastion have no address that a twin could have.
    "GatewayManager": "192.0.2.0/24",
}
AZURES_OWN = {
    "Inbound": (
        ("VirtualNetwork", "VirtualNetwork", "return"),
        ("AzureLoadBalancer", "*", "return"),
        ("*", "*", "drop"),
    ),
    "Outbound": (("VirtualNetwork", "VirtualNetwork", "return"), ("*", "*", "return"), ("*", "*", "drop")),
}


def nftables(site: Site) -> str:
    """Render every subnet's group as two chains: one for what leaves the subnet, one for what comes to it.

    In a chain `return` allows: the other side's chain decides next, and at the end the packet passes.
    """
    groups = {group["id"].lower(): group for group in site.prediction.of("Microsoft.Network/networkSecurityGroups")}
    chains: list[str] = []
    jumps: dict[str, list[str]] = {"Outbound": [], "Inbound": []}
    for name, properties in site.prediction.subnets().items():
        group = groups[properties["networkSecurityGroup"]["id"].lower()]
        for direction, side in (("Outbound", "saddr"), ("Inbound", "daddr")):
            chain = f"{name}_{direction}".lower()
            jumps[direction].append(f"ip {side} {site.subnets[name]} jump {chain}")
            chains.append(_chain(chain, _lines(group, direction)))
    base = ["type filter hook forward priority 0; policy accept", "ct state established,related accept"]
    forward = _chain("forward", [*base, *jumps["Outbound"], *jumps["Inbound"]])
    return f"table ip groups {{\n{''.join(chains)}{forward}}}\n"


def _lines(group: Resource, direction: str) -> list[str]:
    given = [rule["properties"] for rule in group["properties"]["securityRules"]]
    rules = sorted((rule for rule in given if rule["direction"] == direction), key=lambda rule: rule["priority"])
    lines = [line for rule in rules for line in _rule(rule)]
    for source, destination, verdict in AZURES_OWN[direction]:
        lines.append(" ".join([*_side("saddr", [source]), *_side("daddr", [destination]), verdict]))
    return lines


def _rule(rule: dict[str, Any]) -> Iterable[str]:
    """One rule; for any protocol with ports it takes two lines, as only TCP and UDP have any."""
    sources, destinations = _values(rule, "sourceAddressPrefix"), _values(rule, "destinationAddressPrefix")
    ports = _values(rule, "destinationPortRange")
    if _values(rule, "sourcePortRange") != ["*"]:
        raise ValueError(f"a rule on source ports is not rendered: {rule}")
    where = [*_side("saddr", sources), *_side("daddr", destinations)]
    verdict = "return" if rule["access"] == "Allow" else "drop"
    protocol = rule["protocol"].lower()
    if ports == ["*"]:
        protocols = [[]] if protocol == "*" else [["meta", "l4proto", protocol]]
    else:
        names = ["tcp", "udp"] if protocol == "*" else [protocol]
        protocols = [[name, "dport", f"{{ {', '.join(ports)} }}"] for name in names]
    return [" ".join([*where, *each, verdict]) for each in protocols]


def _values(rule: dict[str, Any], name: str) -> list[str]:
    """A property that Azure takes as one value or, under the plural, as several."""
    plural = f"{name}es" if name.endswith("x") else f"{name}s"
    many = rule.get(plural) or []
    one = rule.get(name)
    return [str(each) for each in (many or (one if isinstance(one, list) else [one]))]


def _side(side: str, prefixes: list[str]) -> list[str]:
    addresses = [TAGS.get(prefix, prefix) for prefix in prefixes]
    if "*" in addresses:
        return []
    unknown = [each for each in addresses if not each[0].isdigit()]
    if unknown:
        raise ValueError(f"the tag {unknown[0]} has no address here; give it one in TAGS")
    return ["ip", side, f"{{ {', '.join(addresses)} }}"]


def _chain(name: str, lines: list[str]) -> str:
    return f"  chain {name} {{\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"
