"""The network beside the scale sets: subnets and their addresses, private DNS zones with their records, load balancers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass(slots=True)
class RecordSet:
    """The addresses behind one name in a private zone."""

    name: str
    properties: dict[str, Any]
    etag: str


@dataclass(slots=True)
class Zone:
    """A private DNS zone; record sets by type and lower-case name."""

    name: str
    records: dict[tuple[str, str], RecordSet] = field(default_factory=dict)
    version: int = 0

    def next_etag(self) -> str:
        """Return an ETag that this zone has not used yet."""
        self.version += 1
        return str(UUID(int=self.version * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128, version=4))


@dataclass(slots=True)
class Network:
    """Zones and load balancers, by (subscription, group, name) in lower case."""

    zones: dict[tuple[str, str, str], Zone] = field(default_factory=dict)
    load_balancers: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)
    """Address prefixes of subnets by their ids in lower case; those that are not here are roomy."""

    def prefix(self, subnet: str) -> str:
        """Return the address prefix of a subnet."""
        return self.prefixes.get(subnet.lower(), "10.0.0.0/12")

    def add_zone(self, subscription: str, group: str, name: str) -> Zone:
        """Create a private DNS zone, or return the one that is there."""
        return self.zones.setdefault((subscription.lower(), group.lower(), name.lower()), Zone(name))


def private_address(network: int, number: int) -> str:
    """Return the address of the n-th instance of a network: 10.<network>.x.y, the first four of each subnet left to Azure."""
    host = number + 4
    return f"10.{network % 256}.{host // 256 % 256}.{host % 256}"
