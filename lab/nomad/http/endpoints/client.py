"""/v1/client: what a server passes on to the client of a node. Held to tests/recordings/nomad-1.6.5/01-nodes.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.nomad.http.call import Answer
from lab.nomad.http.decode import MapOf, Struct
from lab.nomad.http.gotext import nanoseconds
from lab.nomad.http.lists import uuid_of
from lab.nomad.model.errors import Refusal
from lab.nomad.model.store import Table
from lab.nomad.model.words import Cause
from lab.nomad.servers import ClientFace

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.http.call import Call
    from lab.nomad.model.store import Record

_META = Struct("NodeMetaApplyRequest", {"NodeID": "string", "Meta": MapOf("string")})
_GIB = 1 << 30


def _node(call: Call, given: str = "") -> Record:
    ident = call.request.value("node_id") or given
    if not ident and isinstance(call.face, ClientFace):
        ident = call.face.node_id()
    if not ident:
        raise Refusal(400, "No local Node and node_id not provided")
    uuid_of(ident, "node")
    record = call.store.get(Table.NODES, ident.lower())
    if record is None:
        raise Refusal(404, f"Unknown node {ident}")
    if record["Status"] == "down":
        raise Refusal(404, "No path to node")
    return record


def metadata(call: Call) -> Answer:
    """Read or change the dynamic metadata of a node; a null takes a key away."""
    call.only("GET", "POST")
    if call.request.method == "GET":
        call.may(call.rights.read("node"))
        return _shown(call, _node(call))
    body: dict[str, Any] = call.body(_META) or {}
    call.may(call.rights.write("node"))
    node = _node(call, body.get("NodeID") or "")
    changes: dict[str, str | None] = body.get("Meta") or {}
    if not changes:
        raise Refusal(400, "missing required Meta object")
    if any(not name for name in changes):
        raise Refusal(400, "metadata keys must not be empty")
    static, dynamic = _static(call, node), call.region.dynamic_meta.setdefault(node["ID"], {})
    dynamic |= changes
    merged = {name: value for name, value in (static | dynamic).items() if value is not None}
    with call.store.transaction(Cause.NODE_REGISTRATION):
        call.store.put(Table.NODES, node["ID"], {**node, "Meta": merged})
    return _shown(call, node)


def _static(call: Call, node: Record) -> dict[str, str]:
    statics = call.region.static_meta
    return statics.setdefault(node["ID"], dict(node["Meta"] or {}))


def _shown(call: Call, node: Record) -> Answer:
    static, dynamic = _static(call, node), call.region.dynamic_meta.get(node["ID"], {})
    merged = {name: value for name, value in (static | dynamic).items() if value is not None}
    return Answer({"Meta": merged, "Dynamic": dynamic, "Static": static})


def stats(call: Call) -> Answer:
    """Answer the host statistics of a node: what its allocations take of what it has."""
    node = _node(call)
    call.may(call.rights.read("node"))
    resources = node["NodeResources"]
    total = resources["Memory"]["MemoryMB"] << 20
    used = sum(_memory(alloc) for alloc in _running(call, node["ID"])) << 20
    disk = _disk("/dev/vda", "/", resources["Disk"]["DiskMB"] << 20)
    cores = resources["Cpu"]["TotalCpuCores"] or 1
    cpu = {"User": 2.0, "System": 1.0, "Idle": 97.0, "TotalPercent": 3.0, "TotalTicks": 60.0}
    return Answer(
        {
            "Memory": {"Total": total, "Available": total - used, "Used": used, "Free": total - used},
            "CPU": [{"CPU": f"cpu{number}", **cpu} for number in range(cores)],
            "DiskStats": [disk],
            "AllocDirStats": {**disk, "Device": "", "Mountpoint": ""},
            "DeviceStats": None,
            "CPUTicksConsumed": 60.0 * cores,
            "Timestamp": nanoseconds(call.region.now()),
            "Uptime": 1252,
        }
    )


def _disk(device: str, mount: str, size: int) -> dict[str, Any]:
    return {
        "Device": device,
        "Mountpoint": mount,
        "Size": size + 10 * _GIB,
        "Used": 10 * _GIB,
        "Available": size,
        "UsedPercent": 100 * 10 * _GIB / (size + 10 * _GIB),
        "InodesUsedPercent": 3.5,
    }


def _running(call: Call, ident: str) -> list[Record]:
    return [alloc for alloc in call.store.by(Table.ALLOCS, "node", ident) if alloc["ClientStatus"] == "running"]


def _memory(alloc: Record) -> int:
    return sum(task["Memory"]["MemoryMB"] for task in alloc["AllocatedResources"]["Tasks"].values())


def collect(call: Call) -> Answer:
    """Have a client collect its stopped allocations: there is nothing to collect here."""
    _node(call)
    call.may(call.rights.write("node"))
    return Answer()


def allocation(call: Call) -> Answer:
    """Do something with one allocation at its client: statistics, restart, signal, garbage collection."""
    parts = call.rest.split("/")
    action = _ALLOC_ACTIONS.get(parts[1]) if len(parts) == 2 else None
    if action is None:
        raise Refusal(404, "resource not found")
    body = action.body(call)
    rights = call.rights
    uuid_of(parts[0], "alloc")
    alloc = call.store.get(Table.ALLOCS, parts[0].lower())
    if alloc is None:
        raise Refusal(404, f'Unknown allocation "{parts[0]}"')
    call.may(rights.namespace(alloc["Namespace"], action.capability))
    return action.answer(call, alloc, body)


def _no_body(_call: Call) -> dict[str, Any]:
    return {}


def _restart_body(call: Call) -> dict[str, Any]:
    if not call.request.body:
        return {}
    try:
        return call.body(_RESTART) or {}
    except Refusal as refusal:
        raise Refusal(500, refusal.text) from refusal


def _signal_body(call: Call) -> dict[str, Any]:
    call.only("PUT", "POST")
    try:
        return call.body(_SIGNAL) or {}
    except Refusal as refusal:
        raise Refusal(400, f"Failed to decode body: {refusal.text}") from refusal


def _exec_body(call: Call) -> dict[str, Any]:
    try:
        return {"command": json.loads(call.request.value("command"))}
    except ValueError as exc:
        raise Refusal(500, "failed to marshal command into json: unexpected end of JSON input") from exc


def _show_stats(call: Call, alloc: Record, _body: dict[str, Any]) -> Answer:
    return Answer(_alloc_stats(call, alloc))


def _show_checks(_call: Call, _alloc: Record, _body: dict[str, Any]) -> Answer:
    return Answer(None)  # no group here has services, so nothing is checked


def _restart(_call: Call, alloc: Record, body: dict[str, Any]) -> Answer:
    task = body.get("TaskName") or ""
    if task and body.get("AllTasks"):
        raise Refusal(500, "task name cannot be set when restarting all tasks")
    if task and task not in alloc["AllocatedResources"]["Tasks"]:
        raise Refusal(500, f"Could not find task runner for task: {task}")
    return Answer({"Index": 0})


def _signal(_call: Call, alloc: Record, body: dict[str, Any]) -> Answer:
    task = body.get("Task") or ""
    if task and task not in alloc["AllocatedResources"]["Tasks"]:
        raise Refusal(500, "Task not found")
    if alloc["ClientStatus"] != "running":
        raise Refusal(500, "Task not running")
    return Answer({"Index": 0})


def _collect_one(_call: Call, alloc: Record, _body: dict[str, Any]) -> Answer:
    if alloc["ClientStatus"] in {"running", "pending"}:
        raise Refusal(500, "No such allocation on client, or allocation not eligible for GC")
    return Answer()


def _exec(_call: Call, _alloc: Record, _body: dict[str, Any]) -> Answer:
    raise Refusal(501, "the stand-in runs no processes: there is nothing to execute a command in")


@dataclass(frozen=True, slots=True)
class _AllocAction:
    """What may be done with an allocation: how its body is read, the right it needs, what it answers."""

    capability: str
    body: Callable[[Call], dict[str, Any]]
    answer: Callable[[Call, Record, dict[str, Any]], Answer]


_RESTART = Struct("struct { TaskName string; AllTasks bool }", {"TaskName": "string", "AllTasks": "bool"})
_SIGNAL = Struct("structs.AllocSignalRequest", {"Task": "string", "Signal": "string"})
_ALLOC_ACTIONS = {
    "stats": _AllocAction("read-job", _no_body, _show_stats),
    "checks": _AllocAction("read-job", _no_body, _show_checks),
    "restart": _AllocAction("alloc-lifecycle", _restart_body, _restart),
    "signal": _AllocAction("alloc-lifecycle", _signal_body, _signal),
    "gc": _AllocAction("submit-job", _no_body, _collect_one),
    "exec": _AllocAction("alloc-exec", _exec_body, _exec),
}


def _alloc_stats(call: Call, alloc: Record) -> dict[str, Any]:
    now = nanoseconds(call.region.now())
    usage = {
        "MemoryStats": {"RSS": _memory(alloc) << 20, "Measured": ["RSS"]},
        "CpuStats": {"Percent": 1.0, "TotalTicks": 20.0, "Measured": ["Percent", "Total Ticks"]},
        "DeviceStats": [],
    }
    tasks = {
        name: {"ResourceUsage": usage, "Timestamp": now, "Pids": None} for name in alloc["AllocatedResources"]["Tasks"]
    }
    return {"ResourceUsage": usage, "Tasks": tasks, "Timestamp": now}
