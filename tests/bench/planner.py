"""How fast the planner is, and how much memory it takes. Run by `make bench`; `python -m tests.bench.planner` prints the list."""

import json
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import process_time

from keeper.core import scaling
from keeper.core.plan import Grow, Plan
from keeper.core.view import View
from tests.bench.rows import memory
from tests.property.builders import (
    RULES,
    allocation,
    group,
    job,
    node,
    pool,
    view,
)

QUEUED = 30_000
NODES = 1_000
PER_NODE = 30


def much_queued() -> View:
    """30,000 queued allocations of 30 jobs in three sizes; a pool that is empty and may have 1,000 nodes."""
    sizes = ((200, 400), (250, 500), (300, 600))
    jobs = [job(f"job-{n:02}", group("g", *sizes[n % 3], disk=10, count=QUEUED // 30)) for n in range(30)]
    return view([pool(maximum=5 * NODES)], jobs=jobs, queued={j.key.id: QUEUED // 30 for j in jobs})


def much_queued_differently() -> View:
    """30,000 queued allocations of 30,000 jobs, no two of one size."""
    jobs = [
        job(f"job-{n:05}", group("g", 100 + n * 7919 % 307, 200 + n * 104729 % 613, disk=10)) for n in range(QUEUED)
    ]
    return view([pool(maximum=5 * NODES)], jobs=jobs, queued={j.key.id: 1 for j in jobs})


def steady() -> View:
    """1,000 nodes with 30 allocations each, full: nothing to do."""
    jobs = [job(f"job-{n:03}", group("g", 260, 520, disk=10, count=60)) for n in range(NODES * PER_NODE // 60)]
    nodes = [node(number=n) for n in range(NODES)]
    allocations = tuple(
        allocation(jobs[(n * PER_NODE + i) % len(jobs)], each, i)
        for n, each in enumerate(nodes)
        for i in range(PER_NODE)
    )
    return view([pool(maximum=2 * NODES)], nodes, jobs=jobs, allocations=allocations, listed=False)


def half_empty() -> View:
    """The same with half the work: many nodes might leave, and each proof has to be made."""
    whole = steady()
    return View(
        whole.now,
        whole.pools,
        whole.memory,
        nodes=whole.nodes,
        allocations=whole.allocations[::2],
        job_stubs=whole.job_stubs,
        jobs=whole.jobs,
        scale_sets=whole.scale_sets,
        templates=whole.templates,
    )


def timed(make: Callable[[], View], check: Callable[[Plan], bool], *, times: int = 5) -> float:
    """The median of some runs, in seconds. A wrong plan is no result."""
    made = make()
    taken: list[float] = []
    for _ in range(times):
        start = process_time()
        plan = scaling.plan_autoscale(made, RULES)
        taken.append(process_time() - start)
        if not check(plan):
            raise AssertionError(plan.sentence)
    return median(taken)


def grown(least: int, most: int) -> Callable[[Plan], bool]:
    """Whether a plan buys that many instances."""
    return lambda plan: any(isinstance(each, Grow) and least <= each.target <= most for each in plan.actions)


def peak(make: Callable[[], View]) -> float:
    """MiB that an interpreter takes at its peak which makes a view and plans, all told."""
    scaling.plan_autoscale(make(), RULES)
    return memory("VmHWM")


def results() -> list[dict[str, object]]:
    """The benchmarks as `build/bench.json` lists them."""
    how = "python -m tests.bench.planner, CPU time, median of 1 to 5 runs"
    memory = subprocess.run(
        [sys.executable, "-m", "tests.bench.planner", "peak"], capture_output=True, check=True, text=True
    )
    rows = (
        ("planner.30000_queued_onto_new_nodes", timed(much_queued, grown(900, 1100), times=3), "s", 5.0),
        ("planner.30000_different_onto_new_nodes", timed(much_queued_differently, grown(900, 1100), times=1), "s", 5.0),
        ("planner.30000_different_peak", float(memory.stdout), "MiB", 400.0),
        ("planner.1000x30_steady", timed(steady, lambda plan: not plan.actions), "s", 0.3),
        ("planner.1000x30_half_empty", timed(half_empty, lambda plan: plan.reason is not None), "s", 0.3),
    )
    return [
        {"name": name, "value": round(value, 4), "unit": unit, "bar": bar, "ok": value <= bar, "how": how}
        for name, value, unit, bar in rows
    ]


if __name__ == "__main__":
    print(peak(much_queued_differently) if sys.argv[1:] == ["peak"] else json.dumps(results(), indent=1))  # noqa: T201 -- a benchmark speaks to a person
