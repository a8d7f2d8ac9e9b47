"""The function app as a process: how long it takes to import, what an idle tick costs, how large the worker is, how fast doors answer."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lab.deployment import ROOT, Deployment
from lab.pools import LabPool, settings_of
from lab.scenarios.day import cpu_alert
from tests.bench.rows import Row, memory, p50, p95, row

if TYPE_CHECKING:
    import requests

NODES, PER_NODE = 100, 30
TICKS, KNOCKS = 15, 60
IMPORT = "import time; t = time.perf_counter(); import function_app; print(time.perf_counter() - t)"


def measure_import() -> list[Row]:
    """`import function_app` in fresh processes, byte code present."""
    environment = {**os.environ, **settings_of([LabPool("general", 1, 4)], "0" * 36), "PYTHONPATH": str(ROOT)}
    times = []
    for _ in range(9):
        done = subprocess.run(
            [sys.executable, "-c", IMPORT], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
        )
        times.append(float(done.stdout))
    return [row("import of function_app", p50(times[1:]), "s", 0.5, "median of 8 fresh processes after one to warm up")]


def fill(lab: Deployment) -> None:
    """A hundred ready nodes with thirty allocations each."""
    wait(lambda: ready_nodes(lab) >= NODES, 60)
    for n in range(30):
        lab.nomad.request("PUT", "/v1/jobs", {"Job": job(f"load-{n:02}", NODES, 130)})
    wait(lambda: running(lab) >= NODES * PER_NODE, 120)


def job(name: str, count: int, cpu: int) -> dict[str, object]:
    """A service of equal allocations that run for ever."""
    task = {
        "Name": "main",
        "Driver": "raw_exec",
        "Config": {"command": "/bin/sleep", "args": ["36000"]},
        "Resources": {"CPU": cpu, "MemoryMB": 64},
    }
    group = {"Name": "work", "Count": count, "Tasks": [task], "EphemeralDisk": {"SizeMB": 101}}
    return {"ID": name, "Name": name, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group]}


def ready_nodes(lab: Deployment) -> int:
    """How many nodes are ready."""
    return sum(node["Status"] == "ready" for node in lab.nomad.request("GET", "/v1/nodes"))


def running(lab: Deployment) -> int:
    """How many allocations run."""
    summaries = [stub["JobSummary"]["Summary"] for stub in lab.nomad.request("GET", "/v1/jobs")]
    return sum(group["Running"] for summary in summaries for group in summary.values())


def wait(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until it holds; TimeoutError when it does not."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(0.1)


def measure_idle(lab: Deployment) -> list[Row]:
    """Ticks of the real worker while nothing is to be done."""
    for _ in range(3):
        invoked = lab.host.invoke("autoscale")
        if not invoked.ok:
            raise RuntimeError(invoked.error)
    arm, nomad = len(lab.arm.journal), lab.nomad.lab.requests_answered()
    before = cpu_seconds(lab.host.worker_pid)
    for _ in range(TICKS):
        lab.host.invoke("autoscale")
    spent = (cpu_seconds(lab.host.worker_pid) - before) / TICKS
    how = f"mean of {TICKS} ticks at {NODES} nodes and {NODES * PER_NODE} allocations, the worker's own user and system time"
    return [
        row("idle tick, CPU", spent, "s", 0.3, how),
        row("idle tick, calls to Nomad", (lab.nomad.lab.requests_answered() - nomad) / TICKS, "calls", 6, how),
        row("idle tick, calls to Azure Resource Manager", (len(lab.arm.journal) - arm) / TICKS, "calls", 1, how),
        row(
            "worker's memory after these ticks", memory("VmRSS", lab.host.worker_pid), "MB", 150, "VmRSS of the worker"
        ),
    ]


def measure_doors(lab: Deployment) -> list[Row]:
    """Each door that validates and enqueues, over HTTP, warm."""
    alert = cpu_alert(lab.cloud.subscription, "vmss-general", "Resolved")
    scale = {"operation": "resume", "dry_run": True}
    doors: dict[str, Callable[[], requests.Response]] = {
        "alerts": lambda: lab.api("POST", "alerts", alert),
        "operations": lambda: lab.api("POST", "operations", scale),
        "status": lambda: lab.api("GET", "status"),
    }
    rows = []
    for name, knock in doors.items():
        knock()
        times = []
        for _ in range(KNOCKS):
            began = time.perf_counter()
            answer = knock()
            times.append(time.perf_counter() - began)
            answer.raise_for_status()
            time.sleep(0.02)
        rows.append(row(f"door {name} answers, p95", 1000 * p95(times), "ms", 200, f"{KNOCKS} requests in turn, warm"))
        lab.host.wait_idle()
    return rows


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure() -> list[Row]:
    """All of it, on one lab of a hundred nodes whose timer never comes."""
    pools = [LabPool("general", NODES, NODES + 50)]
    settings = {"AUTOSCALE_SCHEDULE": "0 0 0 1 1 *", "LIMIT_CORES": "10000"}
    with Deployment(pools, settings, watch=False, real=False) as lab:
        fill(lab)
        return [*measure_import(), *measure_idle(lab), *measure_doors(lab)]
