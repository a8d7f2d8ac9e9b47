"""What differs between the allocations of a system or sysbatch job and one on every ready node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.nomad.model.tainted import expired, may_disconnect, ran_successfully, unknown_since
from lab.nomad.model.usage import terminal
from lab.nomad.model.words import Client, Desired, JobType, NodeStatus

if TYPE_CHECKING:
    from lab.nomad.model.store import Record


@dataclass(slots=True)
class SystemDiff:
    """Allocations by what is to be done; `place` has name, group, node and the last one that ended there."""

    stop: list[Record] = field(default_factory=list)
    migrate: list[Record] = field(default_factory=list)
    lost: list[Record] = field(default_factory=list)
    disconnecting: list[Record] = field(default_factory=list)
    reconnecting: list[Record] = field(default_factory=list)
    update: list[Record] = field(default_factory=list)
    ignore: list[Record] = field(default_factory=list)
    place: list[tuple[str, Record, str, Record | None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The nodes that matter to a job: ready ones, those something has happened to, those asleep (not ready)."""

    ready: dict[str, Record]
    tainted: dict[str, Record | None]
    asleep: set[str]
    now: int


def diff_system(job: Record | None, fleet: Fleet, allocs: list[Record]) -> SystemDiff:
    """Answer what is to be done; a job of None (purged or stopped) wants nothing."""
    diff = SystemDiff()
    required = {f"{job['ID']}.{g['Name']}[0]": g for g in job["TaskGroups"] if g["Count"]} if job else {}
    existing: set[tuple[str, str]] = set()
    ended: dict[tuple[str, str], Record] = {}
    for alloc in allocs:
        if terminal(alloc):
            ended[alloc["NodeID"], alloc["Name"]] = alloc
            continue
        existing.add((alloc["NodeID"], alloc["Name"]))
        wanted = job if alloc["Name"] in required else None
        _bin(diff, wanted, fleet, alloc).append(alloc)
    for node_id in fleet.ready:
        for name, group in required.items():
            if (node_id, name) not in existing and node_id not in fleet.tainted:
                _missing(diff, job, (name, group, node_id), ended.get((node_id, name)))
    return diff


def _missing(diff: SystemDiff, job: Record | None, spot: tuple[str, Record, str], last: Record | None) -> None:
    if last is not None and job is not None and job["Type"] == JobType.SYSBATCH:
        same = last["Job"]["JobModifyIndex"] == job["JobModifyIndex"]
        (diff.ignore if same else diff.update).append(last)
    else:
        diff.place.append((*spot, last))


def _bin(diff: SystemDiff, job: Record | None, fleet: Fleet, alloc: Record) -> list[Record]:
    if job is None:
        return diff.stop
    if (alloc.get("DesiredTransition") or {}).get("Migrate"):
        return diff.migrate
    early = _patient(diff, alloc, fleet)
    return _by_node(diff, job, fleet, alloc) if early is None else early


def _by_node(diff: SystemDiff, job: Record, fleet: Fleet, alloc: Record) -> list[Record]:
    node_id = alloc["NodeID"]
    if node_id in fleet.tainted:
        return _on_tainted(diff, alloc, fleet.tainted[node_id])
    if node_id in fleet.asleep:
        return diff.ignore
    if node_id not in fleet.ready:
        return diff.stop
    return diff.update if alloc["Job"]["JobModifyIndex"] != job["JobModifyIndex"] else diff.ignore


def _patient(diff: SystemDiff, alloc: Record, fleet: Fleet) -> list[Record] | None:
    if not may_disconnect(alloc):
        return None
    if expired(alloc, fleet.now):
        return diff.lost
    if alloc["ClientStatus"] == Client.UNKNOWN and alloc["DesiredStatus"] == Desired.RUN:
        return diff.ignore
    back = alloc["ClientStatus"] == Client.RUNNING and unknown_since(alloc) is not None
    return diff.reconnecting if back and alloc["NodeID"] not in fleet.tainted else None


def _on_tainted(diff: SystemDiff, alloc: Record, node: Record | None) -> list[Record]:
    if alloc["Job"]["Type"] == JobType.SYSBATCH and ran_successfully(alloc):
        return diff.ignore
    waits = node is not None and node["Status"] == NodeStatus.DISCONNECTED and may_disconnect(alloc)
    if waits and alloc["ClientStatus"] == Client.RUNNING:
        return diff.disconnecting
    gone = node is None or node["Status"] == NodeStatus.DOWN
    return diff.lost if gone else diff.ignore
