"""/v1/metrics in both formats, without a token. Families, types and labels of tests/recordings/nomad-1.6.5/09-metrics.json."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.nomad.http.call import Answer
from lab.nomad.model.store import Table
from lab.nomad.servers import ServerFace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.nomad.http.call import Call
    from lab.nomad.model.store import Record

PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_QUANTILES = ("0.5", "0.9", "0.99")
_SUMMARIES = (
    "nomad.nomad.leader.barrier",
    "nomad.nomad.leader.reconcile",
    "nomad.nomad.leader.reconcileMember",
    "nomad.nomad.worker.dequeue_eval",
    "nomad.nomad.worker.invoke_scheduler_service",
    "nomad.nomad.worker.send_ack",
    "nomad.nomad.worker.submit_plan",
    "nomad.nomad.worker.update_eval",
    "nomad.nomad.worker.wait_for_index",
    "nomad.raft.commitTime",
    "nomad.raft.leader.dispatchLog",
    "nomad.raft.leader.lastContact",
)
_ALWAYS_ZERO = (
    "nomad.nomad.blocked_evals.total_quota_limit",
    "nomad.nomad.broker.total_cancelable",
    "nomad.nomad.broker.total_pending",
    "nomad.nomad.broker.total_ready",
    "nomad.nomad.broker.total_unacked",
    "nomad.nomad.broker.total_waiting",
    "nomad.nomad.plan.queue_depth",
    "nomad.nomad.vault.distributed_tokens_revoking",
    "nomad.nomad.vault.token_last_renewal",
    "nomad.nomad.vault.token_next_renewal",
    "nomad.nomad.vault.token_ttl",
    "nomad.raft.leader.oldestLogAge",
)


class Gauge(NamedTuple):
    """One value of a family."""

    name: str
    value: float
    labels: dict[str, str]
    kind: str = "gauge"


def metrics(call: Call) -> Answer:
    """Answer what the agent measures: Prometheus text for `format=prometheus`, JSON for anything else."""
    call.only("GET")
    if isinstance(call.face, ServerFace):
        leads = call.face.server is call.region.servers.leader
        gauges, summaries = list(_leader(call) if leads else _follower()), _SUMMARIES if leads else ()
    else:
        node = call.store.get(Table.NODES, call.face.node_id())
        gauges, summaries = list(_client(call, node)) if node else [], ()
    gauges.append(Gauge("nomad.runtime.num_goroutines", 176, {}))
    if call.request.value("format") == "prometheus":
        text = _prometheus(gauges, summaries)
        return Answer(raw=text.encode(), content_type=PROMETHEUS_TYPE)
    return Answer(_json(call, gauges, summaries))


def _json(call: Call, gauges: list[Gauge], summaries: Iterable[str]) -> dict[str, Any]:
    shown = [{"Name": g.name, "Value": g.value, "Labels": g.labels} for g in gauges if g.kind == "gauge"]
    sample = {"Count": 1, "Max": 0, "Mean": 0, "Min": 0, "Rate": 0, "Stddev": 0, "Sum": 0, "Labels": {}}
    return {
        "Timestamp": call.region.now().strftime("%Y-%m-%d %H:%M:%S +0000 UTC"),
        "Gauges": sorted(shown, key=lambda gauge: (gauge["Name"], sorted(gauge["Labels"].items()))),
        "Points": [],
        "Counters": [{**sample, "Name": "nomad.nomad.rpc.request"}],
        "Samples": [{**sample, "Name": name} for name in summaries],
    }


def _prometheus(gauges: list[Gauge], summaries: Iterable[str]) -> str:
    families: dict[str, list[Gauge]] = {}
    for gauge in gauges:
        families.setdefault(_underscored(gauge.name), []).append(gauge)
    lines = [
        "# HELP go_gc_duration_seconds A summary of the pause duration of garbage collection cycles.",
        "# TYPE go_gc_duration_seconds summary",
        'go_gc_duration_seconds{quantile="0"} 0',
        "go_gc_duration_seconds_sum 0",
        "go_gc_duration_seconds_count 0",
        "# HELP go_goroutines Number of goroutines that currently exist.",
        "# TYPE go_goroutines gauge",
        "go_goroutines 176",
    ]
    for name, members in sorted(families.items()):
        lines += [f"# HELP {name} {name}", f"# TYPE {name} {members[0].kind}"]
        lines += [f"{name}{_labels(member.labels)} {_number(member.value)}" for member in members]
    for dotted in summaries:
        name = _underscored(dotted)
        lines += [f"# HELP {name} {name}", f"# TYPE {name} summary"]
        lines += [f'{name}{{quantile="{quantile}"}} NaN' for quantile in _QUANTILES]
        lines += [f"{name}_sum 0", f"{name}_count 0"]
    return "\n".join(lines) + "\n"


def _underscored(name: str) -> str:
    return name.replace(".", "_").replace("-", "_")


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{labels[name]}"' for name in sorted(labels)) + "}" if labels else ""


def _number(value: float) -> str:
    if math.isfinite(value) and value == int(value):
        return str(int(value)) if abs(value) < 1e6 else f"{value:e}".replace("e+0", "e+0")
    return repr(float(value))


def _follower() -> Iterator[Gauge]:
    for name in ("blocked_evals.total_blocked", "blocked_evals.total_escaped", "blocked_evals.total_quota_limit"):
        yield Gauge(f"nomad.nomad.{name}", 0, {})
    yield Gauge("nomad.nomad.broker.total_ready", 0, {})
    yield Gauge("nomad.nomad.heartbeat.active", 0, {})


def _leader(call: Call) -> Iterator[Gauge]:
    store, servers = call.store, call.region.servers
    alive = sum(member.alive for member in servers.peers())
    yield Gauge("nomad.nomad.autopilot.failure_tolerance", max(0, alive - len(servers.peers()) // 2 - 1), {})
    yield Gauge("nomad.nomad.autopilot.healthy", float(all(member.alive for member in servers.peers())), {})
    yield from (Gauge(name, 0, {}) for name in _ALWAYS_ZERO)
    ready = sum(node["Status"] == "ready" for node in store.rows(Table.NODES))
    yield Gauge("nomad.nomad.heartbeat.active", ready, {})
    yield Gauge("nomad.raft.appliedIndex", store.index, {})
    yield Gauge("nomad.raft.leader.dispatchNumLogs", 1, {})
    yield Gauge("nomad.state.snapshotIndex", store.index, {})
    yield from _jobs(call)
    yield from _blocked(call)


def _jobs(call: Call) -> Iterator[Gauge]:
    counts = dict.fromkeys(("dead", "pending", "running"), 0)
    for job in call.store.rows(Table.JOBS):
        counts[job["Status"]] += 1
    for status, count in counts.items():
        yield Gauge(f"nomad.nomad.job_status.{status}", count, {})
    for summary in call.store.rows(Table.JOB_SUMMARIES):
        for group, states in summary["Summary"].items():
            labels = {"job": summary["JobID"], "namespace": summary["Namespace"], "task_group": group}
            for state, count in states.items():
                yield Gauge(f"nomad.nomad.job_summary.{state.lower()}", count, labels)


def _blocked(call: Call) -> Iterator[Gauge]:
    blocked = [record for record in call.store.rows(Table.EVALS) if record["Status"] == "blocked"]
    escaped = [record for record in blocked if record.get("EscapedComputedClass")]
    yield Gauge("nomad.nomad.blocked_evals.total_blocked", len(blocked), {})
    yield Gauge("nomad.nomad.blocked_evals.total_escaped", len(escaped), {})
    for record in blocked:
        labels = {"job": record["JobID"], "namespace": record["Namespace"]}
        cpu, memory = _exhausted(record)
        yield Gauge("nomad.nomad.blocked_evals.job.cpu", cpu, labels)
        yield Gauge("nomad.nomad.blocked_evals.job.memory", memory, labels)
        for datacenter, node_class in _places(record):
            place = {"datacenter": datacenter, "node_class": node_class}
            yield Gauge("nomad.nomad.blocked_evals.cpu", cpu, place)
            yield Gauge("nomad.nomad.blocked_evals.memory", memory, place)


def _exhausted(record: Record) -> tuple[int, int]:
    tasks = [
        task
        for failed in (record.get("FailedTGAllocs") or {}).values()
        for task in (failed["ResourcesExhausted"] or {}).values()
    ]
    return sum(task["CPU"] for task in tasks), sum(task["MemoryMB"] for task in tasks)


def _places(record: Record) -> set[tuple[str, str]]:
    return {
        (datacenter, node_class)
        for failed in (record.get("FailedTGAllocs") or {}).values()
        for datacenter in failed["NodesAvailable"] or {}
        for node_class in failed["ClassExhausted"] or {"": 0}
    }


def _client(call: Call, node: Record) -> Iterator[Gauge]:
    labels = {
        "datacenter": node["Datacenter"],
        "node_class": node["NodeClass"],
        "node_id": node["ID"],
        "node_pool": node["NodePool"],
        "node_scheduling_eligibility": node["SchedulingEligibility"],
        "node_status": node["Status"],
    }
    allocs = call.store.by(Table.ALLOCS, "node", node["ID"])
    live = [alloc for alloc in allocs if alloc["ClientStatus"] in {"pending", "running"}]
    used, total = _used(live), _capacity(node)
    for name in ("cpu", "memory", "disk"):
        yield Gauge(f"nomad.client.allocated.{name}", used[name], labels)
        yield Gauge(f"nomad.client.unallocated.{name}", total[name] - used[name], labels)
    yield Gauge("nomad.client.allocated.max_memory", used["memory"], labels)
    yield Gauge("nomad.client.unallocated.network", 0, {**labels, "device": ""})
    states = [alloc["ClientStatus"] for alloc in allocs]
    counts = {
        "blocked": 0,
        "migrating": 0,
        "pending": states.count("pending"),
        "running": states.count("running"),
        "terminal": len(states) - len(live),
    }
    for state, count in counts.items():
        yield Gauge(f"nomad.client.allocations.{state}", count, labels)
    yield Gauge("nomad.client.uptime", 1839, labels)
    yield from _host(labels, total)
    for alloc in live:
        yield from _allocation(alloc)


def _host(labels: dict[str, str], total: dict[str, int]) -> Iterator[Gauge]:
    for number in range(2):
        cpu = {**labels, "cpu": f"cpu{number}"}
        for name, value in {
            "idle": 96,
            "system": 2,
            "total": 4,
            "total_percent": 4,
            "total_ticks": 81,
            "user": 2,
        }.items():
            yield Gauge(f"nomad.client.host.cpu.{name}", value, cpu)
        yield Gauge("nomad.client.host.cpu.total_ticks_count", 81, cpu, "counter")
    disk = {**labels, "disk": "/dev/vda"}
    size = total["disk"] << 20
    sizes = {"available": size, "inodes_percent": 3, "size": size, "used": 0, "used_percent": 0}
    for name, value in sizes.items():
        yield Gauge(f"nomad.client.host.disk.{name}", value, disk)
    memory = total["memory"] << 20
    for name, value in {"available": memory, "free": memory, "total": memory, "used": 0}.items():
        yield Gauge(f"nomad.client.host.memory.{name}", value, labels)


def _allocation(alloc: Record) -> Iterator[Gauge]:
    for task, given in alloc["AllocatedResources"]["Tasks"].items():
        labels = {
            "alloc_id": alloc["ID"],
            "job": alloc["JobID"],
            "namespace": alloc["Namespace"],
            "task": task,
            "task_group": alloc["TaskGroup"],
        }
        values = {
            "cpu.allocated": given["Cpu"]["CpuShares"],
            "memory.allocated": given["Memory"]["MemoryMB"] << 20,
            "memory.rss": given["Memory"]["MemoryMB"] << 19,
        }
        idle = ("system", "throttled_periods", "throttled_time", "total_percent", "total_ticks", "user")
        values |= {f"cpu.{name}": 0 for name in idle}
        for name, value in values.items():
            yield Gauge(f"nomad.client.allocs.{name}", value, labels)
        yield Gauge("nomad.client.allocs.memory.swap", 0, labels)
        yield Gauge("nomad.client.allocs.cpu.total_ticks_count", 1, labels, "counter")


def _used(allocs: list[Record]) -> dict[str, int]:
    used = {"cpu": 0, "memory": 0, "disk": 0}
    for alloc in allocs:
        used["disk"] += alloc["AllocatedResources"]["Shared"]["DiskMB"]
        for task in alloc["AllocatedResources"]["Tasks"].values():
            used["cpu"] += task["Cpu"]["CpuShares"]
            used["memory"] += task["Memory"]["MemoryMB"]
    return used


def _capacity(node: Record) -> dict[str, int]:
    resources = node["NodeResources"]
    return {
        "cpu": resources["Cpu"]["CpuShares"],
        "memory": resources["Memory"]["MemoryMB"],
        "disk": resources["Disk"]["DiskMB"],
    }
