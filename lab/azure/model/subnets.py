"""Which subnet a scale set's instances get their addresses from, and how many it has left."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.azure.model.network import Network
    from lab.azure.model.resources import ScaleSet

RESERVED = 5
"""Addresses that Azure keeps of each subnet: the first four and the last."""


def subnet_of(scale_set: ScaleSet) -> str | None:
    """Return the id of the subnet that the primary addresses of a scale set's instances come from."""
    for nic in scale_set.profile.get("networkProfile", {}).get("networkInterfaceConfigurations", []):
        for configuration in nic.get("properties", {}).get("ipConfigurations", []):
            found: str | None = configuration.get("properties", {}).get("subnet", {}).get("id")
            return found
    return None


def free_addresses(network: Network, scale_sets: Iterable[ScaleSet], subnet: str) -> int:
    """Count the addresses that a subnet has left."""
    used = sum(len(each.instances) for each in scale_sets if (subnet_of(each) or "").lower() == subnet.lower())
    return ip_network(network.prefix(subnet)).num_addresses - RESERVED - used
