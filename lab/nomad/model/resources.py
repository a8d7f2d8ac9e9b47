"""What an allocation takes from a node, and what a node has to give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.nomad.model.store import Record


@dataclass(frozen=True, slots=True)
class Take:
    """What one allocation takes: MHz, MB of memory and disk, cores, ports as (address, number), device instances."""

    cpu: int
    memory: int
    disk: int
    cores: frozenset[int] = frozenset()
    ports: tuple[tuple[str, int], ...] = ()
    devices: tuple[tuple[tuple[str, str, str], str], ...] = ()


@dataclass(frozen=True, slots=True)
class Room:
    """What a node can give after its own reservation: MHz, MB of memory and disk, cores, MHz per core."""

    cpu: int
    memory: int
    disk: int
    cores: frozenset[int]
    mhz_per_core: int


_PRESTART, _POSTSTOP = "prestart", "poststop"


def take_of(allocated: Record) -> Take:
    """Add up AllocatedResources. Tasks that run before or after the main ones share their room with them."""
    main, before, after, beside = [0, 0], [0, 0], [0, 0], [0, 0]
    cores: set[int] = set()
    ports = [(port["HostIP"], port["Value"]) for port in allocated["Shared"]["Ports"] or ()]
    devices: list[tuple[tuple[str, str, str], str]] = []
    for name, task in allocated["Tasks"].items():
        into = _phase(allocated["TaskLifecycles"].get(name), main, before, after, beside)
        into[0] += task["Cpu"]["CpuShares"]
        into[1] += task["Memory"]["MemoryMB"]
        cores.update(task["Cpu"]["ReservedCores"] or ())
        ports += [(net["IP"], port["Value"]) for net in task["Networks"] or () for port in _ports(net)]
        devices += [((d["Vendor"], d["Type"], d["Name"]), i) for d in task["Devices"] or () for i in d["DeviceIDs"]]
    cpu, memory = (beside[i] + max(main[i], before[i], after[i]) for i in (0, 1))
    return Take(cpu, memory, allocated["Shared"]["DiskMB"], frozenset(cores), tuple(ports), tuple(devices))


def room_of(node: Record) -> Room:
    """Answer what a node can give, its reserved resources taken off."""
    has, reserved = node["NodeResources"], node["ReservedResources"]
    kept = frozenset(_core_numbers(reserved["Cpu"]["ReservedCpuCores"]))
    cores = frozenset(has["Cpu"]["ReservableCpuCores"] or ()) - kept
    return Room(
        cpu=has["Cpu"]["CpuShares"] - reserved["Cpu"]["CpuShares"],
        memory=has["Memory"]["MemoryMB"] - reserved["Memory"]["MemoryMB"],
        disk=has["Disk"]["DiskMB"] - reserved["Disk"]["DiskMB"],
        cores=cores,
        mhz_per_core=has["Cpu"]["CpuShares"] // has["Cpu"]["TotalCpuCores"] if has["Cpu"]["TotalCpuCores"] else 0,
    )


def _phase(
    lifecycle: Record | None, main: list[int], before: list[int], after: list[int], beside: list[int]
) -> list[int]:
    if lifecycle is None:
        return main
    if lifecycle["Hook"] == _PRESTART:
        return beside if lifecycle["Sidecar"] else before
    return after if lifecycle["Hook"] == _POSTSTOP else main


def _ports(network: Record) -> list[Record]:
    return [*(network["ReservedPorts"] or ()), *(network["DynamicPorts"] or ())]


def _core_numbers(cores: list[int] | None) -> list[int]:
    return list(cores or ())
