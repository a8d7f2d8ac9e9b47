"""Who this machine is, as the instance metadata service says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keepernode.identity import IMDS
from keepernode.problems import Unreachable
from keepernode.shapes import as_list, as_object, child, objects_of, text_or

if TYPE_CHECKING:
    from keepernode.machine import Machine

QUESTION: Final = f"{IMDS}/metadata/instance?api-version=2021-02-01"
OK: Final = 200


@dataclass(frozen=True, slots=True)
class Here:
    """This machine: the name that Azure and Nomad know it by, its private address, its zone (or empty)."""

    name: str
    address: str
    zone: str = ""
    priority: str = "Regular"
    scale_set: str = ""
    architecture: str = "amd64"


def find_here(machine: Machine) -> Here:
    """Ask who this is; Unreachable when the metadata service does not say (shape: tests/recordings/azure/identity)."""
    answer = machine.ask("GET", QUESTION, headers={"Metadata": "true"})
    if answer.status != OK:
        raise Unreachable(f"the instance metadata service answers HTTP {answer.status}; asking again in a minute")
    said = as_object(answer.json(), "instance metadata")
    compute = child(said, "compute")
    interfaces = objects_of(child(said, "network").get("interface"))
    addresses = [each for one in interfaces for each in as_list(child(one, "ipv4").get("ipAddress"))]
    private = [text_or(as_object(each, "ipAddress"), "privateIpAddress") for each in addresses]
    name = text_or(compute, "name")
    if not name or not any(private):
        raise Unreachable("instance metadata has no name or no private address yet; asking again in a minute")
    machine_type = machine.run(["uname", "-m"]).out.strip()
    return Here(
        name=name,
        address=next(each for each in private if each),
        zone=text_or(compute, "zone"),
        priority=text_or(compute, "priority") or "Regular",
        scale_set=text_or(compute, "vmScaleSetName"),
        architecture="arm64" if machine_type == "aarch64" else "amd64",
    )
