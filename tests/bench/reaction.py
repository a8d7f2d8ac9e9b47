"""From queued work to the request for a machine, at a hundred nodes: with nudges, and with every nudge lost."""

import time

from lab.deployment import Deployment
from lab.pools import LabPool
from tests.bench.app import NODES, fill, job, wait
from tests.bench.rows import Row, p50, p99, row

NUDGED, LOST, PERIOD = 30, 8, 5
NEVER = "0 0 0 1 1 *"


def reactions(lab: Deployment, tries: int) -> list[float]:
    """Submit work for one more machine, again and again; seconds until Azure is asked each time."""
    times = []
    for n in range(tries):
        asked = growths(lab)
        began = time.monotonic()
        lab.nomad.request("PUT", "/v1/jobs", {"Job": job(f"probe-{n:02}", 1, 3900)})
        wait(lambda asked=asked: growths(lab) > asked, 30)
        times.append(time.monotonic() - began)
        wait(lambda n=n: runs(lab, f"probe-{n:02}"), 30)
    return times


def growths(lab: Deployment) -> int:
    """How often Azure was asked for machines."""
    return len(lab.arm.journal.matching("*/virtualMachineScaleSets/write"))


def runs(lab: Deployment, name: str) -> bool:
    """Whether the job's allocation runs."""
    found = lab.nomad.request("GET", f"/v1/job/{name}/allocations")
    return any(each["ClientStatus"] == "running" for each in found)


def measure() -> list[Row]:
    """Two labs, one after the other; only the watcher and the timer differ."""
    pools = [LabPool("general", NODES, NODES + 50)]
    limits = {"LIMIT_CORES": "10000", "LIMIT_INSTANCES": "1000"}
    with Deployment(pools, {**limits, "AUTOSCALE_SCHEDULE": NEVER}, real=False) as lab:
        fill(lab)
        nudged = reactions(lab, NUDGED)
    with Deployment(pools, {**limits, "AUTOSCALE_SCHEDULE": f"*/{PERIOD} * * * * *"}, watch=False, real=False) as lab:
        fill(lab)
        lost = reactions(lab, LOST)
    how = f"job registered → capacity PATCH at the ARM stand-in, {NODES} nodes, {{}}, the whole path real but Azure and Nomad"
    return [
        row("queued → ARM request, nudged, p50", p50(nudged), "s", 2, how.format(f"{NUDGED} tries, no timer at all")),
        row("queued → ARM request, nudged, p99", p99(nudged), "s", 5, how.format(f"largest of {NUDGED}")),
        row(
            f"queued → ARM request, every nudge lost, timer each {PERIOD} s, worst",
            max(lost),
            "s",
            PERIOD + 2,
            how.format(f"largest of {LOST}, no watcher"),
        ),
    ]
