"""Comparison of an answer with the recorded one: keys, JSON types, error texts, and every value that is not chance.

What is chance is listed in CHANCE (compared by type only) and in MACHINE (facts of the machine that ran the client).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tests.contract.nomad.recorded import UUID

CHANCE = frozenset(
    {
        "AccessorID",
        "Addresses",
        "Alias",
        "AllocModifyIndex",
        "AllocationTime",
        "Available",
        "BlockedEval",
        "CIDR",
        "CPUTicksConsumed",
        "CgroupParent",
        "Checksum",
        "ClassEligibility",
        "ComputedClass",
        "CreateIndex",
        "CreateTime",
        "DataDir",
        "DeploymentID",
        "Device",
        "Digest",
        "DispatchedJobID",
        "EvalCreateIndex",
        "EvalID",
        "EvalIDs",
        "ExpirationTime",
        "Files",
        "FinishedAt",
        "FollowupEvalID",
        "ForceDeadline",
        "Free",
        "HTTPAddr",
        "Hash",
        "HostIP",
        "ID",
        "IP",
        "Idle",
        "Index",
        "InodesUsedPercent",
        "JobCreateIndex",
        "JobModifyIndex",
        "JobSpecModifyIndex",
        "Key",
        "KeyID",
        "LastAllocUpdateIndex",
        "LastContact",
        "LastIndex",
        "LastMissedHeartbeatIndex",
        "LastRestart",
        "LastTerm",
        "LeaderACL",
        "LeaderRPCAddr",
        "LogFile",
        "MAC",
        "MACAddress",
        "MaxDynamicPort",
        "Mode",
        "ModifyIndex",
        "ModifyTime",
        "NextAllocation",
        "NextEval",
        "NextPeriodicLaunch",
        "Node",
        "NodeID",
        "NodeModifyIndex",
        "NodeName",
        "NormScore",
        "PlacedCanaries",
        "PluginDir",
        "PreemptedAllocations",
        "PreemptedByAllocation",
        "PreviousAllocation",
        "PreviousEval",
        "RequireProgressBy",
        "ReservableCores",
        "ReservedCores",
        "Restarts",
        "Revision",
        "ScoreMetaData",
        "Scores",
        "SecretID",
        "ServerName",
        "Size",
        "SnapshotIndex",
        "Speed",
        "StableSince",
        "StartedAt",
        "StatusUpdatedAt",
        "SubmitTime",
        "System",
        "Time",
        "TimeoutAt",
        "Timestamp",
        "Total",
        "TotalPercent",
        "TotalTicks",
        "UpdateTime",
        "UpdatedAt",
        "Uptime",
        "Used",
        "UsedPercent",
        "User",
        "Value",
        "VersionMetadata",
        "WaitUntil",
        "applied_index",
        "arch",
        "commit_index",
        "coordinate_resets",
        "cpu_count",
        "encrypted",
        "event_time",
        "expect",
        "failed",
        "fsm_pending",
        "goroutines",
        "health_score",
        "heartbeat_ttl",
        "id",
        "intent_queue",
        "kernel.name",
        "known_servers",
        "last_contact",
        "last_heartbeat",
        "last_log_index",
        "last_log_term",
        "last_snapshot_index",
        "last_snapshot_term",
        "latest_configuration",
        "latest_configuration_index",
        "leader",
        "leader_addr",
        "left",
        "max_procs",
        "member_time",
        "members",
        "node_id",
        "num_allocations",
        "num_peers",
        "query_time",
        "revision",
        "state",
        "term",
        "token_ttl",
        "version",
    }
)
MACHINE = frozenset(
    {
        "AllocatedPorts",
        "Attributes",
        "CPU",
        "Config",
        "Details",
        "Disk",
        "DiskStats",
        "DisplayMessage",
        "Drivers",
        "Env",
        "Events",
        "HostNetworks",
        "HostVolumes",
        "Limits",
        "Links",
        "Metrics",
        "NetworkStatus",
        "Networks",
        "NodeNetworks",
        "NodeResources",
        "Payload",
        "Reserved",
        "ReservedResources",
        "Resources",
        "TaskStates",
        "config",
        "stats",
    }
)
"""Subtrees of which a real client tells what it runs on: of them only that they are there, and of which type."""

_NUMBER = re.compile(r"\d+(\.\d+)?")


def _name(path: str) -> str:
    """The key that a path ends with."""
    return path.rsplit(".", 1)[-1].partition("[")[0]


@dataclass(slots=True)
class Verdict:
    """The differences found, and how many fields were compared."""

    differences: list[str] = field(default_factory=list)
    compared: int = 0

    def note(self, path: str, text: str) -> None:
        self.differences.append(f"{path}: {text}")


def kind(value: object) -> str:
    """The JSON type; numbers are one type, since JSON knows one."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    names = {str: "string", dict: "object", list: "array", type(None): "null"}
    return names[type(value)]


def normal(text: str) -> str:
    """A text without what differs between runs: identifiers, indexes, addresses' ports stay."""
    text = UUID.sub("<id>", text).removeprefix("rpc error: ")
    text = re.sub(r"(index:? |job modify index |specified )\d+", r"\1<n>", text)
    text = re.sub(r"(\.\w+)\[\d+\]$", r"\1[n]", text)
    return re.sub(r"dispatch-\d+-[0-9a-f]{8}|periodic-\d+", "<child>", text)


class Comparer:
    """Compares bodies. `machine` false also compares inside MACHINE subtrees (the stand-in owes them in full)."""

    def __init__(self, *, partial: bool, machine: bool, loose: bool = False) -> None:
        self.partial, self.machine, self.loose = partial, machine, loose
        self.verdict = Verdict()

    def compare(self, path: str, want: Any, got: Any) -> None:
        if want == "<missing>":
            self.verdict.note(path, f"expected no such key, got {got!r:.80}")
            return
        if isinstance(want, str) and want.startswith("<") and want.endswith(">"):
            self.verdict.compared += 1  # what the recording replaced: only its presence can be compared
            return
        self.verdict.compared += 1
        if kind(want) != kind(got):
            self._unlike(path, want, got)
        elif isinstance(want, dict):
            self._objects(path, want, got)
        elif isinstance(want, list):
            self._arrays(path, want, got)
        elif not self._chance(path) and not _same(want, got):
            self.verdict.note(path, f"expected {want!r:.120}, got {got!r:.120}")

    def _unlike(self, path: str, want: Any, got: Any) -> None:
        # A chance value may be empty one time and full another: null and "" stand for nothing.
        empty = {"null", "string", "array", "object"}
        if self._chance(path) and {kind(want), kind(got)} <= empty:
            return
        self.verdict.note(path, f"expected {kind(want)}, got {kind(got)} {got!r:.80}")

    def _chance(self, path: str) -> bool:
        return _name(path) in CHANCE

    def _objects(self, path: str, want: dict[str, Any], got: dict[str, Any]) -> None:
        name = _name(path)
        if name in CHANCE or (self.machine and name in MACHINE):
            return
        if name in MAPS:
            self._maps(path, want, got)
            return
        for key, value in want.items():
            if key in got:
                self.compare(f"{path}.{key}", value, got[key])
            elif value != "<missing>" and not (self.partial and value is None):
                # A trimmed recording has null also for keys that were not there.
                self.verdict.note(path, f"key {key} is missing")
        for key in got.keys() - want.keys():
            if not self.partial:
                self.verdict.note(path, f"key {key} should not be there")

    def _maps(self, path: str, want: dict[str, Any], got: dict[str, Any]) -> None:
        """Maps whose keys are chance: compared by the type of their values."""
        if bool(want) != bool(got):
            self.verdict.note(path, f"expected {len(want)} entries, got {len(got)}")
        elif want:
            self.verdict.compared += 1
            if {kind(value) for value in want.values()} != {kind(value) for value in got.values()}:
                self.verdict.note(path, "values of another type")

    def _arrays(self, path: str, want: list[Any], got: list[Any]) -> None:
        name = _name(path)
        if name in CHANCE or (self.machine and name in MACHINE):
            return
        if name in CAPPED:
            self._capped(path, want, got)
            return
        if name in SEVERAL:
            self._loosely(path, want, got)
            return
        if not self.loose and len(want) != len(got):
            self.verdict.note(path, f"expected {len(want)} elements, got {len(got)}")
            return
        if self.loose:
            self._loosely(path, want, got)
            return
        for number, (one, other) in enumerate(aligned(want, got)):
            self.compare(f"{path}[{number}]", one, other)

    def _capped(self, path: str, want: list[Any], got: list[Any]) -> None:
        """The newest must be the same, the others must be of the same kind."""
        if bool(want) != bool(got):
            self.verdict.note(path, f"expected {len(want)} elements, got {len(got)}")
        elif want:
            self.compare(f"{path}[-1]", want[-1], got[-1])

    def _loosely(self, path: str, want: list[Any], got: list[Any]) -> None:
        if bool(want) != bool(got):
            self.verdict.note(path, f"expected {len(want)} elements, got {len(got)}")
        for number, element in enumerate(got):
            best: Verdict | None = None
            for candidate in want:
                trial = Comparer(partial=self.partial, machine=self.machine)
                trial.compare(f"{path}[{number}]", candidate, element)
                if best is None or len(trial.verdict.differences) < len(best.differences):
                    best = trial.verdict
            if best is not None:
                self.verdict.compared += best.compared
                self.verdict.differences += best.differences


MAPS = frozenset({"ClassEligibility", "Keys", "Drivers", "Attributes"})
"""Maps whose keys are chance or facts of a machine."""

SEVERAL = frozenset({"Networks", "NodeNetworks"})
"""Lists of a machine's parts: each element must be like a recorded one."""

CAPPED = frozenset({"Events"})
"""Lists of which only the newest are kept: how many there are depends on what came before the recording."""


def _same(want: Any, got: Any) -> bool:
    if isinstance(want, str):
        return normal(want) == normal(got)
    return want == got


def aligned(want: list[Any], got: list[Any]) -> list[tuple[Any, Any]]:
    """Pair elements that are alike: order by identifiers is chance, so equal elements may stand elsewhere."""
    left = list(got)
    pairs: list[tuple[Any, Any]] = []
    for element in want:
        best = max(left, key=lambda other: _likeness(element, other))
        left.remove(best)
        pairs.append((element, best))
    return pairs


def _likeness(one: Any, other: Any) -> float:
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [key for key in one if key not in CHANCE or key == "ID"]
        return sum(_weight(key) for key in keys if key in other and _same_simple(one[key], other[key]))
    return 1.0 if _same_simple(one, other) else 0.0


def _weight(key: str) -> float:
    return {"Name": 3.0, "ID": 8.0, "Status": 3.0, "TriggeredBy": 3.0, "ClientStatus": 2.0, "JobID": 3.0}.get(key, 1.0)


def _same_simple(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return normal(one) == normal(other) if not UUID.fullmatch(one) else one == other
    return one == other
