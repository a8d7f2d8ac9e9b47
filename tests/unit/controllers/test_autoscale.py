"""One tick and what it leaves: calls, records, operations, refusals. The real adapters, on the lab's models, on a fake clock."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from keeper.controllers import answers, autoscale, inbox
from keeper.controllers.ledger import MEMORY, Ledger
from keeper.core import guards
from keeper.core.guards import Violation
from keeper.core.messages import Controller, Kind, Message
from keeper.core.model import PoolName
from keeper.core.operations import Operation, Request, State, Verb
from keeper.core.plan import Reason
from keeper.core.problems import FieldError
from keeper.errors import GuardBroken, LostLease, Unreachable
from lab.azure.model.failures import Failure
from lab.azure.model.faults import Fault, FaultKind
from lab.azure.model.removal import delete_machine
from lab.azure.model.words import Mode
from lab.pools import LabPool
from lab.sim.simulation import Simulation

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
QUICK = {"AUTOSCALE_SETTLE_SECONDS": "30", "AUTOSCALE_UNNEEDED_SECONDS": "60"}


@pytest.fixture
def sim() -> Simulation:
    made = Simulation([LabPool("general", 1, 4, order=10), LabPool("spot", 0, 3, order=20, spot=True)], QUICK)
    made.run(2 * MINUTE)  # templates are learnt, the first growth is long over
    return made


def job(name: str, count: int, cpu: int = 1000) -> dict[str, Any]:
    task = {
        "Name": "t",
        "Driver": "mock_driver",
        "Config": {"run_for": "99h"},
        "Resources": {"CPU": cpu, "MemoryMB": 64},
    }
    group = {"Name": "work", "Count": count, "Tasks": [task]}
    return {
        "ID": name,
        "Name": name,
        "Namespace": "default",
        "Type": "service",
        "Datacenters": ["*"],
        "TaskGroups": [group],
    }


def message(sim: Simulation, kind: Kind = Kind.TIMER, **detail: object) -> Message:
    return Message(kind, Controller.AUTOSCALE, "test", sim.clock(), "test", detail)


def ask(sim: Simulation, request: Request, name: str = "op1") -> Message:
    """Store an operation as the door does, and the message that the door enqueues."""
    now = sim.clock()
    answers.store_once(sim.records, Operation(name, request, "ann", now, State.NOT_STARTED, now))
    return message(sim, Kind.OPERATION, id=name)


def state(sim: Simulation, name: str = "op1") -> State:
    return answers.stored_operation(sim.records, name).state


def writes(sim: Simulation) -> int:
    return len(sim.arm.journal.matching("*/virtualMachineScaleSets/write"))


def calls(sim: Simulation) -> tuple[int, int]:
    """Calls so far to Nomad and to Azure."""
    return sim.nomad_calls(), len(sim.arm.journal)


def test_an_idle_tick_makes_six_calls_to_nomad_and_one_to_azure(sim: Simulation) -> None:
    nomad, azure = calls(sim)
    autoscale.run(sim.world, message(sim))
    after_nomad, after_azure = calls(sim)

    assert after_nomad - nomad <= 6
    assert after_azure - azure == 1


def test_waiting_jobs_cost_one_more_call_each_and_only_once(sim: Simulation) -> None:
    sim.nudges = False
    for name in ("a", "b", "c"):
        sim.submit(job(name, 5))
    nomad, _ = calls(sim)
    autoscale.run(sim.world, message(sim))
    first, _ = calls(sim)
    sim.clock.advance(1)
    autoscale.run(sim.world, message(sim))
    second, _ = calls(sim)

    assert first - nomad <= 6 + 3
    assert second - first <= 6, "specifications are kept while their jobs stay as they are"


@pytest.mark.parametrize("age", [0.001, 5, 3600])
def test_a_message_older_than_the_last_look_costs_nothing(sim: Simulation, age: float) -> None:
    autoscale.run(sim.world, message(sim))
    before, lines = calls(sim), sum(map(len, sim.records.logs.values()))

    stale = replace(message(sim, Kind.NUDGE), at=sim.clock() - timedelta(seconds=age))
    outcome = autoscale.run(sim.world, stale)

    assert outcome.plan is None
    assert calls(sim) == before
    assert sum(map(len, sim.records.logs.values())) == lines


def test_the_same_alert_many_times_grows_once(sim: Simulation) -> None:
    fired = sim.clock().isoformat()
    detail = {"id": "a", "rule": "cpu", "condition": "Fired", "fired": fired, "pool": "general"}
    for _ in range(4):
        inbox.handle(sim.world, message(sim, Kind.ALERT, **detail).to_json())

    assert writes(sim) == 1


def test_a_decision_made_under_an_alert_tells_how_busy_the_pool_was(sim: Simulation) -> None:
    sim.cloud.metrics.script("vmss-general", "Percentage CPU", 91.4)
    detail = {"id": "a", "rule": "cpu", "condition": "Fired", "fired": sim.clock().isoformat(), "pool": "general"}

    inbox.handle(sim.world, message(sim, Kind.ALERT, **detail).to_json())

    newest = answers.status(sim.records, sim.world.settings.snapshots, sim.clock())["last"]
    assert newest["saw"]["cpu"] == {"general": 91.4}
    assert "general at 91 % CPU → grow general 1 → 2 (pressure)" in newest["sentence"]


def test_an_alert_grows_its_pool_also_when_its_metrics_cannot_be_read(sim: Simulation) -> None:
    sim.cloud.inject(Fault(FaultKind.FAIL, action="*/metrics/read", failure=Failure.FORBIDDEN, count=9))
    detail = {"id": "a", "rule": "cpu", "condition": "Fired", "fired": sim.clock().isoformat(), "pool": "general"}

    inbox.handle(sim.world, message(sim, Kind.ALERT, **detail).to_json())

    assert writes(sim) == 1


def test_a_resolved_alert_that_overtakes_its_fire_presses_on_nothing(sim: Simulation) -> None:
    fired = sim.clock().isoformat()
    for condition in ("Resolved", "Fired"):
        detail = {"id": "a", "rule": "cpu", "condition": condition, "fired": fired, "pool": "general"}
        inbox.handle(sim.world, message(sim, Kind.ALERT, **detail).to_json())

    assert writes(sim) == 0


def test_a_scale_operation_runs_until_the_pool_has_its_count(sim: Simulation) -> None:
    inbox.handle(sim.world, ask(sim, Request(Verb.SCALE, "", pool=PoolName("general"), count=3)).to_json())
    assert state(sim) is State.RUNNING

    sim.run(3 * MINUTE)
    assert state(sim) is State.SUCCEEDED
    assert sim.cloud.scale_set_named("vmss-general").capacity >= 1


def test_a_dry_run_writes_nothing_but_its_own_record(sim: Simulation) -> None:
    asked = ask(sim, Request(Verb.SCALE, "", dry_run=True, pool=PoolName("general"), count=3))
    before = {name: each for name, each in sim.records.records.items() if name != "operations/op1.json"}
    logs = {name: list(lines) for name, lines in sim.records.logs.items()}

    inbox.handle(sim.world, asked.to_json())

    done = answers.stored_operation(sim.records, "op1")
    assert (done.state, done.plan["reason"]) == (State.SUCCEEDED, Reason.REQUEST)
    assert "grow general 1 → 3" in done.plan["sentence"]
    assert {n: r for n, r in sim.records.records.items() if n != "operations/op1.json"} == before
    assert sim.records.logs == logs
    assert writes(sim) == 0


def test_a_dry_run_of_a_pause_pauses_nothing(sim: Simulation) -> None:
    inbox.handle(sim.world, ask(sim, Request(Verb.PAUSE, "audit", dry_run=True)).to_json())

    done = answers.stored_operation(sim.records, "op1")
    assert (done.state, done.outcome) == (State.SUCCEEDED, "nothing was changed: dry run")
    assert answers.status(sim.records, sim.world.settings.snapshots, sim.clock())["paused"] is None


def test_a_paused_keeper_changes_nothing_until_resumed(sim: Simulation) -> None:
    inbox.handle(sim.world, ask(sim, Request(Verb.PAUSE, "audit")).to_json())
    assert state(sim) is State.SUCCEEDED
    sim.submit(job("web", 8))
    sim.run(5 * MINUTE)
    assert writes(sim) == 0
    assert answers.status(sim.records, sim.world.settings.snapshots, sim.clock())["paused"] == "audit"

    inbox.handle(sim.world, ask(sim, Request(Verb.RESUME, ""), "op2").to_json())
    sim.run(MINUTE)
    assert writes(sim) >= 1


def test_a_cancelled_scale_operation_asks_for_nothing_more(sim: Simulation) -> None:
    asked = ask(sim, Request(Verb.SCALE, "", pool=PoolName("general"), count=3))
    inbox.handle(sim.world, message(sim, Kind.OPERATION, id="op1", cancel=True).to_json())
    inbox.handle(sim.world, asked.to_json())

    assert state(sim) is State.CANCELED
    assert writes(sim) == 0


def test_a_refused_growth_is_followed_by_the_next_pool_in_the_next_tick(sim: Simulation) -> None:
    sim.nudges = False
    sim.cloud.inject(Fault(FaultKind.FAIL, "vmss-general", action="*/write", failure=Failure.QUOTA_FAMILY))
    sim.submit(job("web", 6))
    autoscale.run(sim.world, message(sim))

    follow_up = sim.corridor.receive()
    assert follow_up is not None, "the keeper asks itself to look again at once"
    inbox.handle(sim.world, follow_up)

    assert sim.cloud.scale_set_named("vmss-spot").capacity > 0
    (aside,) = answers.status(sim.records, sim.world.settings.snapshots, sim.clock())["setAside"]
    assert (aside["pool"], aside["why"]) == ("general", "sku-family-quota")


def test_a_pool_grows_by_no_more_than_its_subnet_has_addresses_for(sim: Simulation) -> None:
    """Azure refuses a growth as a whole when one address is missing: asked for what fits, it gives that."""
    sim.cloud.network.prefixes[sim.world.scale_sets.scale_sets()[PoolName("general")].subnet] = "10.1.0.0/29"

    sim.submit(job("web", 12, cpu=2500))
    sim.run(5 * MINUTE)

    assert sum(len(each.standing()) for each in sim.cloud.scale_sets.values()) == 3
    assert {entry.status for entry in sim.arm.journal.matching("*/virtualMachineScaleSets/write")} == {200}


def test_without_the_right_to_count_addresses_azure_has_the_last_word(sim: Simulation) -> None:
    subnet = sim.world.scale_sets.scale_sets()[PoolName("general")].subnet
    sim.cloud.network.prefixes[subnet] = "10.1.0.0/29"
    sim.cloud.inject(Fault(FaultKind.FAIL, action="*/subnets/read", failure=Failure.FORBIDDEN, count=99))

    sim.submit(job("web", 12, cpu=2500))
    sim.run(MINUTE)

    whys = {each["why"] for each in answers.status(sim.records, sim.world.settings.snapshots, sim.clock())["setAside"]}
    assert whys == {"subnet-full"}


@pytest.mark.parametrize("mode", Mode)
def test_machines_that_vanish_behind_the_keepers_back_are_made_up_for(mode: Mode) -> None:
    sim = Simulation([LabPool("general", 0, 3, mode=mode)], QUICK)
    sim.submit(job("web", 3, cpu=2500))
    sim.run(5 * MINUTE)
    scale_set = sim.cloud.scale_set_named("vmss-general")
    assert len(scale_set.standing()) == 3

    for machine in scale_set.standing():
        delete_machine(sim.cloud, scale_set, machine)
    sim.settle()
    sim.run(30 * MINUTE)

    assert len(scale_set.standing()) == 3, "as many as the work needs and the maximum allows, whatever capacity says"
    assert {
        each["ClientStatus"] for each in sim.nomad.cluster.store.rows("allocs") if each["DesiredStatus"] == "run"
    } == {"running"}


def test_the_last_machine_is_made_up_for_even_when_the_first_substitute_never_joins(sim: Simulation) -> None:
    """Capacity counts a machine that is gone: it is no reason to doubt that Nomad has no nodes."""
    scale_set = sim.cloud.scale_set_named("vmss-general")
    sim.cloud.inject(Fault(FaultKind.NEVER_JOINS, "vmss-general", count=1))
    delete_machine(sim.cloud, scale_set, scale_set.standing()[0])
    sim.run(60 * MINUTE)

    ready = [node["Name"] for node in sim.nomad.cluster.store.rows("nodes") if node["Status"] == "ready"]
    assert ready == [machine.name for machine in scale_set]


def test_while_a_growth_runs_the_keeper_asks_itself_only_once(sim: Simulation) -> None:
    sim.nudges = False
    sim.submit(job("web", 6))
    for _ in range(3):
        autoscale.run(sim.world, message(sim))
        sim.clock.advance(1)

    sim.clock.advance(60)
    found = []
    while (text := sim.corridor.receive()) is not None:
        found.append(json.loads(text)["cause"])
    assert found == ["follow-up"]


def test_waiting_for_a_turn_puts_the_message_back_unchanged(sim: Simulation) -> None:
    text = message(sim, Kind.NUDGE).to_json()
    with sim.world.leases.hold(autoscale.LEASE):
        with pytest.raises(LostLease):
            autoscale.run(sim.world, message(sim))
        inbox.handle(sim.world, text)
        inbox.tick(sim.world, message(sim))  # a timer leaves it to the tick that has its turn

    sim.clock.advance(60)
    assert sim.corridor.receive() == text
    assert sim.corridor.receive() is None


def test_a_nomad_that_does_not_answer_stops_every_shrink_but_not_the_tick(sim: Simulation) -> None:
    sim.submit(job("web", 6))
    sim.run(5 * MINUTE)
    sim.nomad.cluster.deregister_job("default", "web")
    sim.run(30 * SECOND)

    def refuse() -> None:
        raise Unreachable("no leader")

    sim.world = replace(sim.world, nomad=Broken(sim.world.nomad, {"allocations": refuse}))
    sim.run(10 * MINUTE)

    (newest,) = Ledger(sim.records).decided("autoscale", sim.clock(), 1)
    assert (newest["reason"], newest["saw"]["gaps"]) == (Reason.BLIND, ["allocations"])
    assert sim.cloud.scale_set_named("vmss-general").capacity == 2


class Broken:
    """A port some of whose methods fail."""

    def __init__(self, port: object, failing: dict[str, Any]) -> None:
        self._port, self._failing = port, failing

    def __getattr__(self, name: str) -> Any:
        return self._failing.get(name) or getattr(self._port, name)


def test_a_broken_guard_fails_the_tick_and_nothing_is_applied(sim: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    sim.nudges = False
    sim.submit(job("web", 6))
    monkeypatch.setattr(guards, "check", lambda *_: [Violation("within-bounds", "too many")])
    before = dict(sim.records.records)

    with pytest.raises(GuardBroken, match="within-bounds"):
        autoscale.run(sim.world, message(sim))

    assert writes(sim) == 0
    assert sim.records.records == before


def test_damaged_memory_is_kept_aside_and_replaced(sim: Simulation) -> None:
    sim.records.save(MEMORY, b"{broken", version=sim.records.load(MEMORY).version)

    outcome = autoscale.run(sim.world, message(sim))

    assert outcome.plan is not None
    assert sim.records.logs["autoscale/memory.damaged"] == ["{broken"]


@pytest.mark.parametrize("text", ["", "{}", '{"kind":"gossip"}'])
def test_a_message_nobody_understands_fails_and_is_recorded_when_buried(sim: Simulation, text: str) -> None:
    with pytest.raises(FieldError):
        inbox.handle(sim.world, text)

    inbox.bury(sim.records, text, sim.clock())
    (line,) = sim.records.logs[f"poison/{sim.clock():%Y-%m-%d}.jsonl"]
    assert json.loads(line)["message"] == text


def test_an_operation_that_was_never_stored_is_refused(sim: Simulation) -> None:
    with pytest.raises(FieldError, match=r"detail\.id"):
        inbox.handle(sim.world, message(sim, Kind.OPERATION, id="ghost").to_json())


def test_every_tick_leaves_one_decision_record_that_explains_it(sim: Simulation) -> None:
    sim.submit(job("huge", 1, cpu=90_000))
    sim.run(MINUTE)

    newest = Ledger(sim.records).decided("autoscale", sim.clock(), 1)[0]
    assert {
        "at",
        "reason",
        "sentence",
        "saw",
        "chose",
        "rejected",
        "cuts",
        "cause",
        "done",
        "stopped",
        "seconds",
    } <= set(newest)
    assert any("huge" in each["what"] for each in newest["rejected"]), "demand that no pool can serve is reported"
    assert writes(sim) == 0
