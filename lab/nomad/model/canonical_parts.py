"""The smaller parts of a job in full: constraints, resources, networks, scaling, volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.canonical_tasks import fill, policy
from lab.nomad.model.ids import uuid_of

if TYPE_CHECKING:
    from lab.nomad.model.store import Record


def constraints(given: list[Record] | None, *, affinity: bool = False) -> list[Record] | None:
    """Answer constraints (or affinities, which have a weight) in full; None for none."""
    default: Record = {"LTarget": "", "Operand": "", "RTarget": ""}
    if affinity:
        default["Weight"] = 50
    return [fill(default, one) for one in given or ()] or None


def spreads(given: list[Record] | None) -> list[Record] | None:
    """Answer spreads in full; None for none."""
    return [
        {
            "Attribute": one.get("Attribute", ""),
            "SpreadTarget": [fill({"Percent": 0, "Value": ""}, t) for t in one.get("SpreadTarget") or ()] or None,
            "Weight": 50 if one.get("Weight") is None else one["Weight"],
        }
        for one in given or ()
    ] or None


def resources(given: Record | None) -> Record:
    """Answer a task's resources in full. 100 MHz is the default unless cores are asked for; memory is 300 MB."""
    own = given or {}
    cores = own.get("Cores") or 0
    cpu = own.get("CPU")
    return {
        "CPU": (0 if cores else 100) if cpu is None else cpu,
        "Cores": cores,
        "Devices": [_device(device) for device in own.get("Devices") or ()] or None,
        "DiskMB": 0,
        "IOPS": own.get("IOPS") or 0,
        "MemoryMB": 300 if own.get("MemoryMB") is None else own["MemoryMB"],
        "MemoryMaxMB": own.get("MemoryMaxMB") or 0,
        "Networks": [_network(network) for network in own.get("Networks") or ()] or None,
    }


def group_networks(given: list[Record] | None) -> list[Record] | None:
    """Answer a group's networks in full: each port on the host network `default` unless it names one."""
    return [_network(network) for network in given or ()] or None


_DNS: Record = {"Options": None, "Searches": None, "Servers": None}


def _network(network: Record) -> Record:
    return {
        "CIDR": network.get("CIDR") or "",
        "DNS": None if network.get("DNS") is None else fill(_DNS, network["DNS"]),
        "Device": "",
        "DynamicPorts": [_port(port) for port in network.get("DynamicPorts") or ()] or None,
        "IP": network.get("IP") or "",
        "MBits": network.get("MBits") or 0,
        "Mode": network.get("Mode") or "",
        "ReservedPorts": [_port(port) for port in network.get("ReservedPorts") or ()] or None,
        **({"Hostname": network["Hostname"]} if network.get("Hostname") else {}),
    }


def _port(port: Record) -> Record:
    full = fill({"HostNetwork": "", "Label": "", "To": 0, "Value": 0}, port)
    return full | {"HostNetwork": full["HostNetwork"] or "default"}


def _device(device: Record) -> Record:
    return {
        "Affinities": constraints(device.get("Affinities"), affinity=True),
        "Constraints": constraints(device.get("Constraints")),
        "Count": 1 if device.get("Count") is None else device["Count"],
        "Name": device.get("Name", ""),
    }


def volumes(given: dict[str, Record] | None) -> dict[str, Record] | None:
    """Answer a group's volumes in full; None for none."""
    default: Record = {
        "AccessMode": "",
        "AttachmentMode": "",
        "MountOptions": None,
        "Name": "",
        "PerAlloc": False,
        "ReadOnly": False,
        "Source": "",
        "Type": "",
    }
    known = {name: volume for name, volume in (given or {}).items() if volume and volume.get("Type") in {"host", "csi"}}
    return {name: fill(default, volume) | _options(volume) for name, volume in known.items()} or ({} if given else None)


def _options(volume: Record) -> Record:
    own = volume.get("MountOptions")
    return {"MountOptions": None if own is None else fill({"FSType": "", "MountFlags": None}, own)}


def scaling(job: Record, group: Record, count: int) -> Record | None:
    """Answer a group's scaling policy in full. Its indexes are set when the job is written."""
    own = group.get("Scaling")
    if own is None:
        return None
    namespace, name = job["Namespace"], group.get("Name") or ""
    full = policy(own, count, {"Group": name, "Job": job["ID"], "Namespace": namespace})
    return full | {"ID": uuid_of(f"scaling/{namespace}/{job['ID']}/{name}"), "Type": full["Type"] or "horizontal"}
