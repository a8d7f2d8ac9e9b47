"""Nomad's JSON of nodes into the keeper's words."""

from collections.abc import Iterator
from datetime import datetime

from keeper.core.model import (
    Device,
    DrainStatus,
    InstanceName,
    LastDrain,
    MHz,
    Node,
    NodeId,
    NodeStatus,
    Resources,
    Template,
    TemplateSource,
)
from keeper.nomad import wire

UNIQUE = "unique."


def to_node(stub: wire.NodeStub) -> Node:
    """Translate one node of the list."""
    drain = stub.get("LastDrain")
    return Node(
        id=NodeId(stub["ID"]),
        name=InstanceName(stub["Name"]),
        status=NodeStatus(stub["Status"]),
        eligible=stub["SchedulingEligibility"] == "eligible",
        draining=stub["Drain"],
        resources=allocatable(stub),
        node_class=stub["NodeClass"],
        node_pool=stub.get("NodePool") or "default",
        datacenter=stub["Datacenter"],
        last_drain=_last_drain(drain) if drain else None,
        drivers=healthy_drivers(stub),
        host_volumes=frozenset(stub.get("HostVolumes") or ()),
        read_only_volumes=read_only_volumes(stub),
        networks=networks(stub),
        core_mhz=core_mhz(stub),
        devices=devices(stub),
        reserved_ports=reserved_ports(stub),
    )


def to_template(node: wire.FullNode, seen: datetime) -> Template:
    """Reduce a whole node to what a further node like it will have: everything but what is unique to this one."""
    attributes = {f"attr.{key}": value for key, value in (node["Attributes"] or {}).items()}
    attributes |= {f"meta.{key}": value for key, value in (node.get("Meta") or {}).items()}
    return Template(
        source=TemplateSource.SEEN,
        resources=allocatable(node),
        node_class=node["NodeClass"],
        node_pool=node.get("NodePool") or "default",
        datacenter=node["Datacenter"],
        attributes={key: value for key, value in attributes.items() if not _is_unique(key)},
        unique=frozenset(filter(_is_unique, attributes)),
        drivers=healthy_drivers(node),
        host_volumes=frozenset(node.get("HostVolumes") or ()),
        read_only_volumes=read_only_volumes(node),
        networks=networks(node),
        core_mhz=core_mhz(node),
        devices=devices(node),
        seen=seen,
    )


def allocatable(node: wire.NodeStub) -> Resources:
    """What work may use: what the machine has less what is reserved."""
    has, kept = node["NodeResources"], node.get("ReservedResources")
    cores = set(has["Cpu"].get("ReservableCpuCores") or ())
    if kept is None:
        return Resources(has["Cpu"]["CpuShares"], len(cores), has["Memory"]["MemoryMB"], has["Disk"]["DiskMB"])
    return Resources(
        cpu=has["Cpu"]["CpuShares"] - kept["Cpu"]["CpuShares"],
        cores=len(cores.difference(kept["Cpu"].get("ReservedCpuCores") or ())),
        memory=has["Memory"]["MemoryMB"] - kept["Memory"]["MemoryMB"],
        disk=has["Disk"]["DiskMB"] - kept["Disk"]["DiskMB"],
    )


def healthy_drivers(node: wire.NodeStub) -> frozenset[str]:
    """Name the drivers that can start tasks now. Some unhealthy ones are listed too: the list says what was looked for."""
    return frozenset(
        name for name, driver in (node["Drivers"] or {}).items() if driver["Healthy"] and driver["Detected"]
    )


def read_only_volumes(node: wire.NodeStub) -> frozenset[str]:
    """Name the host volumes that nobody may write to."""
    return frozenset(name for name, volume in (node.get("HostVolumes") or {}).items() if volume["ReadOnly"])


def networks(node: wire.NodeStub) -> frozenset[str]:
    """Say what networks there are, in the words of `keeper.nomad.jobspec`."""
    has = node["NodeResources"]
    modes = {mode_of(network.get("Mode")) for network in has.get("Networks") or ()}
    aliases = {host_network(a["Alias"]) for net in has.get("NodeNetworks") or () for a in net.get("Addresses") or ()}
    return frozenset(modes | aliases)


def mode_of(mode: str | None) -> str:
    """A network's mode, the host's own unless another one is named."""
    return f"mode {mode or 'host'}"


def host_network(name: str) -> str:
    """A host network by its name."""
    return f"host network {name}"


def core_mhz(node: wire.NodeStub) -> MHz:
    """What one core takes with it: its share of the whole machine, reserved parts included."""
    cpu = node["NodeResources"]["Cpu"]
    cores = cpu.get("TotalCpuCores") or 0
    return cpu["CpuShares"] // cores if cores else 0


def _is_unique(key: str) -> bool:
    return key.partition(".")[2].startswith(UNIQUE)


def devices(node: wire.NodeStub) -> tuple[Device, ...]:
    """Count the healthy devices of each group."""
    return tuple(
        Device(group["Vendor"], group["Type"], group["Name"], sum(each["Healthy"] for each in group["Instances"] or ()))
        for group in node["NodeResources"].get("Devices") or ()
    )


def reserved_ports(node: wire.NodeStub) -> frozenset[int]:
    """The host ports that no work may take."""
    kept = node.get("ReservedResources")
    networks = kept.get("Networks") if kept else None
    return frozenset(_ports((networks.get("ReservedHostPorts") if networks else None) or ""))


def _ports(text: str) -> Iterator[int]:
    """Read `22,8000-8010`."""
    for part in filter(None, (part.strip() for part in text.split(","))):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _last_drain(drain: wire.PastDrain) -> LastDrain:
    return LastDrain(
        status=DrainStatus(drain["Status"]),
        started=datetime.fromisoformat(drain["StartedAt"]),
        updated=datetime.fromisoformat(drain["UpdatedAt"]),
        meta=drain.get("Meta") or {},
    )
