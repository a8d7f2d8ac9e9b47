"""A node record from a short description: what a client of that kind tells the servers when it registers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.nomad.model.ids import number_of
from lab.nomad.model.times import rfc3339
from lab.nomad.model.words import DEFAULT_POOL, Eligibility, NodeStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.nomad.model.store import Record

_CONNECT_META = {
    "connect.gateway_image": "docker.io/envoyproxy/envoy:v${NOMAD_envoy_version}",
    "connect.log_level": "info",
    "connect.proxy_concurrency": "1",
    "connect.sidecar_image": "docker.io/envoyproxy/envoy:v${NOMAD_envoy_version}",
}
_DRIVER_ATTRIBUTES = {"mock_driver": "driver.mock", "raw_exec": "driver.raw_exec", "exec": "driver.exec"}
DEFAULT_DRIVERS = ("exec", "mock_driver", "raw_exec")


def node_record(
    *,
    node_id: str,
    name: str,
    now: int,
    datacenter: str = "dc1",
    node_class: str = "",
    node_pool: str = DEFAULT_POOL,
    cpu: int = 4000,
    cores: int = 2,
    memory: int = 8192,
    disk: int = 74386,
    address: str = "127.0.0.1",
    http_port: int = 4646,
    meta: Mapping[str, str] | None = None,
    attributes: Mapping[str, str] | None = None,
    drivers: Sequence[str] = DEFAULT_DRIVERS,
    unhealthy_drivers: Sequence[str] = (),
    devices: Sequence[Record] = (),
    host_volumes: Mapping[str, str] | None = None,
    reserved: Mapping[str, int] | None = None,
    reserved_ports: str = "",
    dynamic_ports: tuple[int, int] = (20000, 32000),
    tls: bool = False,
) -> Record:
    """Answer the full node record of a client that has just fingerprinted itself (status initializing).

    `cpu` is MHz in all, `memory` and `disk` are MB; `reserved` may hold `cpu`, `memory`, `disk` that jobs cannot have;
    `reserved_ports` is text such as `22,80`; `devices` are entries of NodeResources.Devices; `host_volumes` maps a
    volume's name to its path. `address` is the client's own; tasks get it too.
    """
    kept = dict(reserved or {})
    node: Record = {
        "Attributes": _attributes(name, address, http_port, cpu, cores, memory, drivers) | dict(attributes or {}),
        "CSIControllerPlugins": {},
        "CSINodePlugins": {},
        "CgroupParent": "/nomad",
        "Datacenter": datacenter,
        "Drain": False,
        "DrainStrategy": None,
        "Drivers": {d: _driver(d, now, healthy=d not in unhealthy_drivers) for d in (*drivers, *unhealthy_drivers)},
        "Events": [],
        "HTTPAddr": f"{address}:{http_port}",
        "HostNetworks": None,
        "HostVolumes": {n: {"Name": n, "Path": p, "ReadOnly": False} for n, p in (host_volumes or {}).items()} or None,
        "ID": node_id,
        "LastAllocUpdateIndex": 0,
        "LastDrain": None,
        "LastMissedHeartbeatIndex": 0,
        "Links": {},
        "Meta": _CONNECT_META | dict(meta or {}),
        "Name": name,
        "NodeClass": node_class,
        "NodePool": node_pool,
        "NodeResources": _node_resources(cpu, cores, memory, disk, address, dynamic_ports, list(devices)),
        "Reserved": _flat(kept.get("cpu", 0), kept.get("disk", 0), kept.get("memory", 0)),
        "ReservedResources": {
            "Cpu": {"CpuShares": kept.get("cpu", 0), "ReservedCpuCores": None},
            "Disk": {"DiskMB": kept.get("disk", 0)},
            "Memory": {"MemoryMB": kept.get("memory", 0)},
            "Networks": {"ReservedHostPorts": reserved_ports},
        },
        "Resources": _flat(cpu, disk, memory) | {"Networks": [_host_network(address)]},
        "SchedulingEligibility": Eligibility.ELIGIBLE,
        "SecretID": "",
        "Status": NodeStatus.INIT,
        "StatusDescription": "",
        "StatusUpdatedAt": now // 1_000_000_000,
        "TLSEnabled": tls,
    }
    node["ComputedClass"] = computed_class(node)
    return node


def computed_class(node: Record) -> str:
    """Answer the class that Nomad computes: equal for nodes that no constraint (but a unique one) can tell apart."""
    told = {key: node[key] for key in ("Datacenter", "NodeClass", "NodePool")}
    for key in ("Attributes", "Meta"):
        told[key] = {name: value for name, value in node[key].items() if not name.startswith("unique.")}
    told["Devices"] = [
        {key: device[key] for key in ("Attributes", "Name", "Type", "Vendor")}
        for device in node["NodeResources"]["Devices"] or ()
    ]
    return f"v1:{number_of(json.dumps(told, sort_keys=True))}"


def device_group(
    vendor: str, kind: str, name: str, instances: Sequence[str], attributes: Record | None = None
) -> Record:
    """Answer an entry of NodeResources.Devices with healthy instances of these IDs."""
    healthy = [{"HealthDescription": "", "Healthy": True, "ID": i, "Locality": None} for i in instances]
    return {"Attributes": attributes or {}, "Instances": healthy, "Name": name, "Type": kind, "Vendor": vendor}


def _attributes(  # noqa: PLR0917  # each is one fingerprint
    name: str, address: str, port: int, cpu: int, cores: int, memory: int, drivers: Sequence[str]
) -> dict[str, str]:
    found = {
        "cpu.arch": "amd64",
        "cpu.frequency": str(cpu // cores if cores else cpu),
        "cpu.numcores": str(cores),
        "cpu.reservablecores": str(cores),
        "cpu.totalcompute": str(cpu),
        "kernel.arch": "x86_64",
        "kernel.name": "linux",
        "kernel.version": "6.1.0",
        "memory.totalbytes": str(memory * 1024 * 1024),
        "nomad.advertise.address": f"{address}:{port}",
        "nomad.service_discovery": "true",
        "nomad.version": "1.6.5",
        "os.name": "debian",
        "os.version": "12.11",
        "unique.hostname": name,
        "unique.network.ip-address": address,
    }
    found |= {f"driver.{driver}": "1" for driver in drivers}
    return found | {
        _DRIVER_ATTRIBUTES[d]: "1" if d != "mock_driver" else "true" for d in drivers if d in _DRIVER_ATTRIBUTES
    }


def _driver(name: str, now: int, *, healthy: bool) -> Record:
    return {
        "Attributes": {_DRIVER_ATTRIBUTES.get(name, f"driver.{name}"): "true"} if healthy else {},
        "Detected": healthy,
        "HealthDescription": "Healthy" if healthy else "",
        "Healthy": healthy,
        "UpdateTime": rfc3339(now),
    }


def _flat(cpu: int, disk: int, memory: int) -> Record:
    return {
        "CPU": cpu,
        "Cores": 0,
        "Devices": None,
        "DiskMB": disk,
        "IOPS": 0,
        "MemoryMB": memory,
        "MemoryMaxMB": 0,
        "Networks": None,
    }


def _network(cidr: str, device: str, ip: str, mbits: int, mode: str) -> Record:
    return {
        "CIDR": cidr,
        "DNS": None,
        "Device": device,
        "DynamicPorts": None,
        "IP": ip,
        "MBits": mbits,
        "Mode": mode,
        "ReservedPorts": None,
    }


def _host_network(address: str) -> Record:
    return _network(f"{address}/32", "eth0", address, 1000, "host")


def _node_resources(  # noqa: PLR0917  # each is one resource
    cpu: int, cores: int, memory: int, disk: int, address: str, ports: tuple[int, int], devices: list[Record]
) -> Record:
    alias = {"Address": address, "Alias": "default", "Family": "ipv4", "Gateway": "", "ReservedPorts": ""}
    return {
        "Cpu": {"CpuShares": cpu, "ReservableCpuCores": list(range(cores)), "TotalCpuCores": cores},
        "Devices": devices or None,
        "Disk": {"DiskMB": disk},
        "MaxDynamicPort": ports[1],
        "Memory": {"MemoryMB": memory},
        "MinDynamicPort": ports[0],
        "Networks": [_network("", "", "", 0, "bridge"), _host_network(address)],
        "NodeNetworks": [
            {"Addresses": None, "Device": "", "MacAddress": "", "Mode": "bridge", "Speed": 0},
            {"Addresses": [alias], "Device": "eth0", "MacAddress": "", "Mode": "host", "Speed": 1000},
        ],
    }
