"""Ports of a node: static ones that may collide, dynamic ones that are handed out."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.nomad.model.store import Record
    from lab.nomad.model.usage import NodeUse


class PortsTaken(Exception):  # the reason a node is passed over, not a fault
    """The node cannot give the ports; the text is the dimension without its `network: `."""


@lru_cache(maxsize=1024)
def reserved_numbers(text: str) -> frozenset[int]:
    """Answer the port numbers of text such as `22,8000-8010`."""
    numbers: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


class PortBook:
    """The ports of one node while one allocation is fitted onto it."""

    def __init__(self, node: Record, use: NodeUse) -> None:
        self._node = node
        self._taken = use.ports
        self._new: set[tuple[str, int]] = set()
        self._kept = reserved_numbers(node["ReservedResources"]["Networks"]["ReservedHostPorts"])
        has = node["NodeResources"]
        self._range = (has.get("MinDynamicPort") or 20000, has.get("MaxDynamicPort") or 32000)

    def group_ports(self, network: Record) -> list[Record]:
        """Answer AllocatedPorts for a group's network; raise `PortsTaken` when one cannot be had."""
        given = []
        for port in network["ReservedPorts"] or ():
            address = self._address(port["HostNetwork"])
            if not self._free(address, port["Value"]):
                raise PortsTaken(f"reserved port collision {port['Label']}={port['Value']}")
            given.append(self._take(address, port, port["Value"]))
        for port in network["DynamicPorts"] or ():
            address = self._address(port["HostNetwork"])
            given.append(self._take(address, port, self._dynamic(address)))
        return given

    def task_network(self, network: Record) -> Record:
        """Answer the network resource for a task that asks for ports itself."""
        address = self._address("default")
        for port in network["ReservedPorts"] or ():
            if not self._free(address, port["Value"]):
                raise PortsTaken(f"reserved port collision {port['Label']}={port['Value']}")
            self._new.add((address, port["Value"]))
        dynamic = []
        for port in network["DynamicPorts"] or ():
            value = self._dynamic(address)
            self._new.add((address, value))
            dynamic.append({**port, "Value": value, "To": value if port["To"] == -1 else port["To"]})
        return {**network, "IP": address, "DynamicPorts": dynamic or None}

    def _take(self, address: str, port: Record, value: int) -> Record:
        self._new.add((address, value))
        to = value if port["To"] == -1 else port["To"]
        return {"HostIP": address, "Label": port["Label"], "To": to, "Value": value}

    def _free(self, address: str, value: int) -> bool:
        spot = (address, value)
        return value not in self._kept and not self._taken.get(spot) and spot not in self._new

    def _dynamic(self, address: str) -> int:
        low, high = self._range
        for value in range(low, high + 1):
            if self._free(address, value):
                return value
        raise PortsTaken("dynamic port selection failed")

    def _address(self, host_network: str) -> str:
        for network in self._node["NodeResources"]["NodeNetworks"] or ():
            for address in network["Addresses"] or ():
                if address["Alias"] == host_network:
                    return address["Address"]
        raise PortsTaken(f'no addresses available for "{host_network}" network')


def shared_network(network: Record, ports: list[Record], node: Record) -> Record:
    """Answer the group's network resource with the ports that were given."""
    by_label = {port["Label"]: port for port in ports}
    address = next((port["HostIP"] for port in ports), _host_address(node))

    def filled(wanted: list[Record] | None) -> list[Record] | None:
        return [
            {**port, "Value": by_label[port["Label"]]["Value"], "To": by_label[port["Label"]]["To"]}
            for port in wanted or ()
        ] or None

    return {
        **network,
        "IP": address,
        "DynamicPorts": filled(network["DynamicPorts"]),
        "ReservedPorts": filled(network["ReservedPorts"]),
    }


def _host_address(node: Record) -> str:
    return next((n["IP"] for n in node["NodeResources"]["Networks"] if n["Mode"] == "host"), "")
