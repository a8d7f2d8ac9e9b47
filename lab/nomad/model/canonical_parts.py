"""The smaller parts of a job in full: constraints, resources, networks, services, scaling, volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.model.ids import uuid_of

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_BARE = frozenset({"distinct_hosts", "distinct_property", "is_set", "is_not_set"})


def _fill(default: Record, own: Record) -> Record:
    return {key: value if own.get(key) is None else own[key] for key, value in default.items()}


def constraints(given: list[Record] | None, *, affinity: bool = False) -> list[Record] | None:
    """Answer constraints (or affinities, which have a weight) in full; None for none."""
    default: Record = {"LTarget": "", "Operand": "", "RTarget": ""}
    if affinity:
        default["Weight"] = 50
    full = [_fill(default, one) for one in given or ()]
    for one in full:
        one["Operand"] = one["Operand"] or "="
    return full or None


def spreads(given: list[Record] | None) -> list[Record] | None:
    """Answer spreads in full; None for none."""
    return [
        {
            "Attribute": one.get("Attribute", ""),
            "SpreadTarget": [_fill({"Percent": 0, "Value": ""}, t) for t in one.get("SpreadTarget") or ()] or None,
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
        "DiskMB": own.get("DiskMB") or 0,
        "IOPS": own.get("IOPS") or 0,
        "MemoryMB": 300 if own.get("MemoryMB") is None else own["MemoryMB"],
        "MemoryMaxMB": own.get("MemoryMaxMB") or 0,
        "Networks": [_network(network) for network in own.get("Networks") or ()] or None,
    }


def group_networks(given: list[Record] | None) -> list[Record] | None:
    """Answer a group's networks in full: each port on the host network `default` unless it names one."""
    return [_network(network) for network in given or ()] or None


def _network(network: Record) -> Record:
    return {
        "CIDR": network.get("CIDR") or "",
        "DNS": network.get("DNS"),
        "Device": network.get("Device") or "",
        "DynamicPorts": [_port(port) for port in network.get("DynamicPorts") or ()] or None,
        "IP": network.get("IP") or "",
        "MBits": network.get("MBits") or 0,
        "Mode": network.get("Mode") or "",
        "ReservedPorts": [_port(port) for port in network.get("ReservedPorts") or ()] or None,
        **({"Hostname": network["Hostname"]} if network.get("Hostname") else {}),
    }


def _port(port: Record) -> Record:
    return _fill({"HostNetwork": "default", "Label": "", "To": 0, "Value": 0}, port)


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
    return {name: _fill(default, volume) for name, volume in (given or {}).items()} or None


def scaling(job: Record, group: Record, count: int) -> Record | None:
    """Answer a group's scaling policy in full. Its indexes are set when the job is written."""
    own = group.get("Scaling")
    if own is None:
        return None
    namespace = job.get("Namespace") or "default"
    return {
        "CreateIndex": 0,
        "Enabled": True if own.get("Enabled") is None else own["Enabled"],
        "ID": own.get("ID") or uuid_of(f"scaling/{namespace}/{job['ID']}/{group.get('Name')}"),
        "Max": own.get("Max") or 0,
        "Min": count if own.get("Min") is None else own["Min"],
        "ModifyIndex": 0,
        "Policy": own.get("Policy"),
        "Target": {"Group": group.get("Name"), "Job": job["ID"], "Namespace": namespace},
        "Type": own.get("Type") or "horizontal",
    }


_SERVICE: Record = {
    "Address": "",
    "AddressMode": "auto",
    "CanaryMeta": None,
    "CanaryTags": None,
    "Connect": None,
    "EnableTagOverride": False,
    "Meta": None,
    "Name": "",
    "Namespace": "default",
    "OnUpdate": "require_healthy",
    "PortLabel": "",
    "Provider": "consul",
    "TaggedAddresses": None,
    "Tags": None,
    "TaskName": "",
}
_CHECK: Record = {
    "AddressMode": "",
    "Args": None,
    "Body": "",
    "CheckRestart": None,
    "Command": "",
    "Expose": False,
    "FailuresBeforeCritical": 0,
    "GRPCService": "",
    "GRPCUseTLS": False,
    "Header": None,
    "InitialStatus": "",
    "Interval": 0,
    "Method": "",
    "Name": "",
    "OnUpdate": "require_healthy",
    "Path": "",
    "PortLabel": "",
    "Protocol": "",
    "SuccessBeforePassing": 0,
    "TLSServerName": "",
    "TLSSkipVerify": False,
    "TaskName": "",
    "Timeout": 0,
    "Type": "",
}


def services(given: list[Record] | None, _owner: Record) -> list[Record] | None:
    """Answer services in full; None for none."""
    return [_service(service) for service in given or ()] or None


def _service(service: Record) -> Record:
    full: dict[str, Any] = _fill(_SERVICE, service)
    checks = [_fill(_CHECK, check) for check in service.get("Checks") or ()]
    for check in checks:
        check["Name"] = check["Name"] or f'service: "{full["Name"]}" check'
    return full | {"Checks": checks or None}
