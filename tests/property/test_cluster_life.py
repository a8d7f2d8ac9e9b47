"""The real controller and adapters against the lab's models: load comes and goes, Azure and Nomad fail, the worker dies anywhere.

Whatever happens, nothing live is deleted, nothing is lowered, no limit is passed; and once the trouble is over, all that can
run runs, nothing is left half done and nothing idles above the floor.
"""

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from keeper.core.messages import Controller, Kind, Message
from keeper.core.model import Pool, ScaleSet
from lab.azure.model.failures import Failure
from lab.azure.model.faults import Fault, FaultKind
from lab.azure.model.removal import delete_machine
from lab.azure.model.words import Mode
from lab.pools import LabPool
from lab.sim.simulation import Simulation

IN_CI = bool(os.environ.get("CI"))
RUNS = 500 if IN_CI else 10
"""Per world; with the four worlds below 2,000 in CI, the same ones each time, and other ones on each run elsewhere."""

HOW = settings(
    max_examples=RUNS,
    derandomize=IN_CI,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=[Phase.generate] if IN_CI else list(Phase),
)
"""A life takes half a second: CI tells the one it found, a person's machine looks for the shortest."""

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
GENERAL = LabPool("general", 1, 4, order=10)
SPOT = LabPool("spot", 0, 3, order=20, price=0.05, spot=True, sku="Standard_F4s_v2")
UNIFORM = replace(GENERAL, mode=Mode.UNIFORM, minimum=0)
SETTINGS = {
    "AUTOSCALE_SETTLE_SECONDS": "60",
    "AUTOSCALE_UNNEEDED_SECONDS": "120",
    "AUTOSCALE_JOIN_TIMEOUT_SECONDS": "300",
}
LIVE = {"pending", "running", "unknown"}


def job(name: str, count: int, cpu: int, *, batch: bool = False) -> dict[str, Any]:
    task = {
        "Name": "main",
        "Driver": "mock_driver",
        "Config": {"run_for": "400s" if batch else "999h"},
        "Resources": {"CPU": cpu, "MemoryMB": 256},
    }
    group = {"Name": "work", "Count": count, "Tasks": [task]}
    kind = "batch" if batch else "service"
    return {"ID": name, "Name": name, "Namespace": "default", "Type": kind, "Datacenters": ["*"], "TaskGroups": [group]}


@dataclass(frozen=True)
class Happening:
    """Something that befalls the cluster, after a while."""

    after: timedelta
    what: str
    do: Callable[[Simulation], object]

    def __repr__(self) -> str:
        return f"after {self.after.total_seconds():g} s {self.what}"


def submitting(name: str, count: int, cpu: int) -> tuple[str, Callable[[Simulation], object]]:
    batch = name.startswith("batch")
    return f"{name} wants {count} x {cpu}", lambda sim: sim.submit(job(name, count, cpu, batch=batch))


def stopping(name: str) -> tuple[str, Callable[[Simulation], object]]:
    def stop(sim: Simulation) -> None:
        if sim.nomad.cluster.store.get("jobs", ("default", name)):
            sim.nomad.cluster.deregister_job("default", name)
            sim.settle()

    return f"{name} stops", stop


def failing(
    kind: FaultKind, failure: Failure, pool: str | None, count: int
) -> tuple[str, Callable[[Simulation], object]]:
    fault = Fault(kind, scale_set=pool, failure=failure, count=count, duration=10 * MINUTE, come=1)
    return f"{kind} {failure} on {pool} x {count}", lambda sim: sim.cloud.inject(fault)


def alerting(condition: str) -> tuple[str, Callable[[Simulation], object]]:
    def alert(sim: Simulation) -> None:
        now = sim.clock()
        detail = {"id": "a1", "rule": "cpu", "condition": condition, "fired": now.isoformat(), "pool": "general"}
        sim.tell(Message(Kind.ALERT, Controller.AUTOSCALE, "alert", now, "monitor", detail))

    return f"alert {condition}", alert


def dying(left: int) -> tuple[str, Callable[[Simulation], object]]:
    return f"the worker dies {left} effects later", lambda sim: setattr(sim.bomb, "left", left)


def vanishing(pool: str, number: int) -> tuple[str, Callable[[Simulation], object]]:
    def vanish(sim: Simulation) -> None:
        scale_set = sim.cloud.scale_set_named(pool)
        if standing := scale_set.standing():
            delete_machine(sim.cloud, scale_set, standing[number % len(standing)])
            sim.settle()

    return f"somebody deletes a machine of {pool}", vanish


def nudging(times: int) -> tuple[str, Callable[[Simulation], object]]:
    def nudge(sim: Simulation) -> None:
        for late in range(times):
            at = sim.clock() - late * 7 * SECOND
            sim.tell(Message(Kind.NUDGE, Controller.AUTOSCALE, "evaluation-blocked", at, "watcher/x"))

    return f"{times} nudges, stale ones among them", nudge


NAMES = st.sampled_from(["web", "api", "batch-a", "batch-b"])
WHATS = st.one_of(
    st.builds(submitting, NAMES, st.integers(1, 5), st.sampled_from([300, 1000, 2500])),
    st.builds(stopping, NAMES),
    st.builds(
        failing,
        st.sampled_from([FaultKind.FAIL, FaultKind.THROTTLE, FaultKind.STALE_LISTS, FaultKind.PARTIAL]),
        st.sampled_from(list(Failure)),
        st.sampled_from(["vmss-general", "vmss-spot", None]),
        st.integers(1, 4),
    ),
    st.builds(
        failing,
        st.sampled_from(
            [FaultKind.NEVER_JOINS, FaultKind.PROVISIONING_FAILS, FaultKind.STAYS_CREATING, FaultKind.SLOW_BOOT]
        ),
        st.just(Failure.VM_AGENT),
        st.sampled_from(["vmss-general", "vmss-spot"]),
        st.integers(1, 2),
    ),
    st.builds(alerting, st.sampled_from(["Fired", "Resolved"])),
    st.builds(dying, st.integers(0, 6)),
    st.builds(nudging, st.integers(1, 5)),
    st.builds(vanishing, st.sampled_from(["vmss-general", "vmss-spot"]), st.integers(0, 3)),
)
LIVES = st.lists(
    st.builds(lambda after, what: Happening(after * SECOND, *what), st.integers(0, 200), WHATS), max_size=8
)


class Witness:
    """Stands between controller and scale sets, and checks each write against the models at that very moment."""

    def __init__(self, sim: Simulation) -> None:
        self._sim, self._real = sim, sim.world.scale_sets

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def grow(self, pool: Pool, current: ScaleSet, target: int) -> str | None:
        there = self._sim.cloud.scale_set_named(pool.scale_set).capacity
        assert target >= there or current.capacity != there, f"capacity of {pool.name} lowered from {there} to {target}"
        operation = self._real.grow(pool, current, target)
        coming = len(self._sim.cloud.scale_set_named(pool.scale_set).standing())
        assert coming <= pool.maximum, f"{pool.name} gets {coming} machines, more than {pool.maximum}"
        return operation

    def delete(self, pool: Pool, ids: Sequence[str]) -> None:
        scale_set = self._sim.cloud.scale_set_named(pool.scale_set)
        names = {instance.name for instance in scale_set if instance.instance_id in ids}
        for name in names:
            assert work_on(self._sim, name) == [], f"{name} was deleted with live work"
        self._real.delete(pool, ids)


def work_on(sim: Simulation, name: str) -> list[str]:
    """Live work of the node of that name; what follows nodes is no work, and a node that is down has none."""
    store = sim.nomad.cluster.store
    nodes = {node["ID"] for node in store.rows("nodes") if node["Name"] == name and node["Status"] == "ready"}
    return [a["ID"] for a in store.rows("allocs") if a["NodeID"] in nodes and a["ClientStatus"] in LIVE]


def live(sim: Simulation, happenings: Sequence[Happening]) -> None:
    sim.world = replace(sim.world, scale_sets=Witness(sim))
    for happening in happenings:
        sim.run(happening.after)
        happening.do(sim)
    sim.run(5 * MINUTE)


def quieten(sim: Simulation) -> None:
    """The trouble is over, and enough time passes for everything that waits on time."""
    sim.cloud.faults.clear()
    sim.bomb.left = None
    sim.tell(alert_resolved(sim))
    sim.timer = 5 * MINUTE
    sim.run(timedelta(hours=2))
    sim.run(max(set_aside_until(sim) - sim.clock(), timedelta()) + 10 * MINUTE)


def set_aside_until(sim: Simulation) -> datetime:
    """When the last pool may grow again: a size that a subscription has not is asked for again a day later."""
    memory = json.loads(sim.records.records["autoscale/memory.json"].body)
    return max((datetime.fromisoformat(each["until"]) for each in memory["set_asides"]), default=sim.clock())


def alert_resolved(sim: Simulation) -> Message:
    now = sim.clock()
    detail = {"id": "a1", "rule": "cpu", "condition": "Resolved", "fired": now.isoformat(), "pool": "general"}
    return Message(Kind.ALERT, Controller.AUTOSCALE, "alert", now, "monitor", detail)


def assert_all_is_well(sim: Simulation) -> None:
    store = sim.nomad.cluster.store
    nodes = [node for node in store.rows("nodes") if node["Status"] == "ready"]
    assert [n["Name"] for n in nodes if n["SchedulingEligibility"] != "eligible"] == [], "left drained or ineligible"
    for pool in sim.pools:
        scale_set = sim.cloud.scale_set_named(pool.scale_set)
        mine = {node["Name"] for node in nodes if node["Name"].startswith(pool.scale_set)}
        assert {instance.name for instance in scale_set} == mine, f"{pool.name}: machines and nodes differ"
        zones = Counter(instance.zone for instance in scale_set)
        fullest = max(zones.values(), default=0)  # an idle machine stays where its zone would have too few without it
        idle = [each.name for each in scale_set if zones[each.zone] == fullest and not work_on(sim, each.name)]
        assert len(idle) <= pool.minimum, f"{pool.name}: {idle} idle above the floor"
        assert len(mine) >= pool.minimum, f"{pool.name}: below the floor"
    queued = {s["JobID"]: s["Summary"]["work"]["Queued"] for s in store.rows("summaries")}
    assert {name: count for name, count in queued.items() if count} == {}, "work waits although it fits the limits"
    killed = [a["ID"] for a in store.rows("allocs") if a["JobID"].startswith("batch") and a["ClientStatus"] == "failed"]
    assert killed == [], "batch work was killed"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Hours of ticks would drown what failed."""
    log = logging.getLogger("keeper")
    before = log.level
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(before)


@pytest.mark.parametrize(
    ("pools", "nudges", "timer"),
    [
        ([GENERAL, SPOT], True, 30 * SECOND),
        ([GENERAL, SPOT], False, MINUTE),
        ([UNIFORM, SPOT], True, MINUTE),
        ([UNIFORM, SPOT], False, 30 * SECOND),
    ],
    ids=["flexible-nudged", "flexible-timers-only", "uniform-nudged", "uniform-timers-only"],
)
def test_a_cluster_lives_through_anything(pools: list[LabPool], nudges: bool, timer: timedelta) -> None:
    @HOW
    @given(happenings=LIVES, seed=st.integers(0, 1000))
    def lives_through(happenings: list[Happening], seed: int) -> None:
        sim = Simulation(pools, SETTINGS, seed=seed, timer=timer, nudges=nudges)
        live(sim, happenings)
        quieten(sim)
        assert_all_is_well(sim)

    lives_through()
