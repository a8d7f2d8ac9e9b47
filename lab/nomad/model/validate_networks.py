"""Problems of the networks of a group and of its tasks, in Nomad's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_MAX_PORT = 65535


class _Ports:
    """The labels and static ports that are taken so far."""

    def __init__(self) -> None:
        self.labels: set[str] = set()
        self._static: dict[tuple[str, int], str] = {}

    def label(self, port: Record) -> list[str]:
        if port["Label"] in self.labels:
            return [f"Port label {port['Label']} already in use by taskgroup network"]
        return []

    def value(self, port: Record, owner: str) -> list[str]:
        number = port["Value"]
        if not number:
            return []
        place = port["HostNetwork"], number
        if place in self._static:
            return [f"Static port {number} already reserved by {self._static[place]}"]
        if number > _MAX_PORT:
            return [f"Port {port['Label']} ({number}) cannot be greater than {_MAX_PORT}"]
        self._static[place] = f"{owner}:{port['Label']}"
        return []


def network_problems(group: Record) -> list[str]:
    """Answer the problems of a group's networks, and of those that its tasks ask for."""
    found: list[str] = []
    taken = _Ports()
    for network in group["Networks"] or ():
        for port in _ports(network):
            found += [*taken.label(port), *taken.value(port, "taskgroup network"), *_target(port)]
            taken.labels.add(port["Label"])
        found += _hostname(network.get("Hostname") or "")
    for task in group["Tasks"] or ():
        for port in (port for network in task["Resources"]["Networks"] or () for port in _ports(network)):
            found += [*taken.label(port), *taken.value(port, task["Name"])]
    return found


def _ports(network: Record) -> list[Record]:
    return [*(network["ReservedPorts"] or ()), *(network["DynamicPorts"] or ())]


def port_labels(networks: list[Record] | None) -> set[str]:
    """Answer the labels of all ports of networks."""
    return {port["Label"] for network in networks or () for port in _ports(network)}


def _target(port: Record) -> list[str]:
    if port["To"] < -1:
        return [f'Port "{port["Label"]}" cannot be mapped to negative value {port["To"]}']
    if port["To"] > _MAX_PORT:
        return [f'Port "{port["Label"]}" cannot be mapped to a port ({port["To"]}) greater than {_MAX_PORT}']
    return []


def _hostname(name: str) -> list[str]:
    labels = name.removesuffix(".").split(".")
    good = not name or "${" in name or (len(name) <= 254 and all(0 < len(label) <= 63 for label in labels))
    return [] if good else ["Hostname is not a valid DNS name"]
