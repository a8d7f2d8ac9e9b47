"""Drains as recorded in 04-drain: A to H, D1 to D3."""

import pytest

from lab.nomad.model.errors import Refusal

SECOND = 1_000_000_000
MINUTE = 60 * SECOND


def drain(lab, node, seconds=60, **more):
    ignore = more.pop("ignore_system", False)
    deadline = seconds * SECOND if seconds > 0 else seconds
    return lab.cluster.drain_node(node, {"Deadline": deadline, "IgnoreSystemJobs": ignore}, **more)


def test_a_services_move_one_at_a_time_and_system_work_stops_last(lab):
    home = lab.node("a")
    lab.run("api", count=2, cpu=700)
    lab.run("log", kind="system", cpu=50)
    lab.node("b")
    lab.wait(3)

    answer = drain(lab, home, meta={"run": "42"}, accessor="me")

    assert (answer["EvalIDs"], answer["EvalCreateIndex"]) == (None, 0)
    node = lab.look(home)
    assert (node["Drain"], node["SchedulingEligibility"]) == (True, "ineligible")
    assert node["DrainStrategy"]["ForceDeadline"] == "2026-11-23T18:01:03Z"
    assert node["LastDrain"] == {
        "AccessorID": "me",
        "Meta": {"run": "42"},
        "StartedAt": "2026-11-23T18:00:03Z",
        "Status": "draining",
        "UpdatedAt": "2026-11-23T18:00:03Z",
    }
    assert node["Events"][-1]["Message"] == "Node drain strategy set"
    lab.wait(1.2)
    moving = lab.allocs("api", NodeID=home, DesiredStatus="stop")
    assert len(moving) == 1
    assert moving[0]["DesiredDescription"] == "alloc is being migrated"
    assert moving[0]["NextAllocation"]
    lab.wait(10)
    node = lab.look(home)
    assert (node["Drain"], node["SchedulingEligibility"]) == (False, "ineligible")
    assert node["LastDrain"]["Status"] == "complete"
    assert node["LastDrain"]["Meta"] == {"run": "42"}
    assert node["Events"][-1]["Message"] == "Node drain complete"
    assert lab.summary("api") == {"Running": 2, "Complete": 2}
    assert [a["DesiredStatus"] for a in lab.allocs("log", NodeID=home)] == ["stop"]


def test_b_system_work_stays_when_it_is_ignored(lab):
    home = lab.node()
    lab.run("log", kind="system", cpu=50)
    lab.wait(2)

    drain(lab, home, ignore_system=True)
    lab.wait(3)

    assert lab.look(home)["LastDrain"]["Status"] == "complete"
    assert [a["ClientStatus"] for a in lab.allocs("log")] == ["running"]


def test_c_batch_work_is_waited_for_and_killed_at_the_deadline(lab):
    home = lab.node()
    lab.node("b")
    lab.run("long", kind="batch", cpu=3000)
    (alloc,) = lab.allocs("long")
    lab.wait(2)

    drain(lab, alloc["NodeID"], 5)
    lab.wait(4.9)
    assert lab.allocs("long")[0]["ClientStatus"] == "running"
    assert lab.look(alloc["NodeID"])["Drain"] is True
    lab.wait(1.2)

    node = lab.look(alloc["NodeID"])
    assert node["Drain"] is False
    assert node["Events"][-1]["Details"] == {"deadline_reached": "true"}
    assert home


def test_c2_batch_work_that_ends_in_time_ends_the_drain(lab):
    home = lab.node()
    lab.run("short", kind="batch", cpu=100, config={"run_for": "5s"})
    lab.wait(1)

    drain(lab, home, 60)
    lab.wait(6)

    assert lab.look(home)["LastDrain"]["Status"] == "complete"
    assert lab.summary("short") == {"Complete": 1}


def test_d1_complete_does_not_mean_moved(lab):
    home = lab.node()
    lab.run("single", cpu=3000)
    lab.wait(3)

    drain(lab, home)
    lab.wait(3)

    assert lab.look(home)["LastDrain"]["Status"] == "complete"
    assert lab.summary("single") == {"Complete": 1, "Queued": 1}
    assert len(lab.blocked("single")) == 1


def test_d2_without_room_and_deadline_the_second_allocation_holds_the_drain(lab):
    home = lab.node()
    lab.run("tight", count=2, cpu=1900)
    lab.wait(5)

    drain(lab, home, 0)
    lab.wait(3600)

    node = lab.look(home)
    assert node["Drain"] is True
    assert node["DrainStrategy"]["ForceDeadline"] is None
    assert lab.summary("tight") == {"Running": 1, "Complete": 1, "Queued": 1}


def test_d2_a_changed_deadline_keeps_the_start_and_a_cancel_brings_the_work_back(lab):
    home = lab.node()
    lab.run("tight", count=2, cpu=1900)
    lab.wait(5)
    drain(lab, home, 0, meta={"case": "D2"})
    lab.wait(5)

    drain(lab, home, 600, meta={"case": "D2b"})
    changed = lab.look(home)
    lab.cluster.drain_node(home, None, mark_eligible=False)
    cancelled = lab.look(home)
    answer = lab.cluster.set_eligibility(home, "eligible")
    lab.wait(5)

    assert changed["Events"][-1]["Message"] == "Node drain strategy updated"
    assert changed["LastDrain"]["StartedAt"] < changed["LastDrain"]["UpdatedAt"]
    assert changed["LastDrain"]["Meta"] == {"case": "D2b"}
    assert cancelled["LastDrain"]["Status"] == "canceled"
    assert cancelled["SchedulingEligibility"] == "ineligible"
    assert answer["EvalIDs"]
    assert lab.summary("tight") == {"Running": 2, "Complete": 1}


def test_d3_at_the_deadline_all_that_is_left_is_stopped(lab):
    home = lab.node()
    lab.run("tight", count=2, cpu=1900)
    lab.run("log", kind="system", cpu=20)
    lab.wait(5)

    drain(lab, home, 8)
    lab.wait(8.9)
    assert len(lab.allocs("tight", DesiredStatus="run")) == 1
    lab.wait(0.2)

    assert lab.look(home)["Drain"] is False
    assert lab.allocs("tight", DesiredStatus="run") == []
    lab.wait(1)
    assert lab.summary("tight") == {"Complete": 2, "Queued": 2}
    assert lab.allocs("log", DesiredStatus="run") == []


def test_e_a_forced_drain_is_complete_while_tasks_still_run(lab):
    home = lab.node()
    slow = {"KillTimeout": 8 * SECOND, "Config": {"run_for": "10h", "kill_after": "8s"}}
    lab.run("slow", cpu=300, task=slow)
    lab.wait(3)

    drain(lab, home, -1)
    lab.wait(1.1)

    assert lab.look(home)["LastDrain"]["Status"] == "complete"
    (alloc,) = lab.allocs("slow")
    assert (alloc["DesiredStatus"], alloc["ClientStatus"]) == ("stop", "running")
    lab.wait(9)
    assert lab.allocs("slow")[0]["ClientStatus"] == "complete"


def test_h2_a_normal_drain_waits_for_a_task_that_is_slow_to_stop(lab):
    home = lab.node()
    slow = {"KillTimeout": 8 * SECOND, "Config": {"run_for": "10h", "kill_after": "8s"}}
    lab.run("slow", cpu=300, task=slow)
    lab.wait(3)

    drain(lab, home, 60)
    lab.wait(8)
    assert lab.look(home)["Drain"] is True
    lab.wait(3)
    assert lab.look(home)["LastDrain"]["Status"] == "complete"


def test_g_mark_eligible_is_ignored_when_a_drain_starts(lab):
    home = lab.node()

    drain(lab, home, 5, mark_eligible=True)
    lab.wait(1)

    assert lab.look(home)["SchedulingEligibility"] == "ineligible"
    assert lab.look(home)["LastDrain"]["Status"] == "complete"


def test_h_eligibility_has_its_rules(lab):
    home = lab.node()
    lab.run("web", cpu=100)
    lab.wait(3)
    assert lab.cluster.set_eligibility(home, "eligible")["Index"] == 0
    made = lab.cluster.set_eligibility(home, "ineligible")
    assert made["EvalIDs"] is None
    assert lab.running("web")
    drain(lab, home, 0)

    for value, text in (
        ("eligible", "can not set node's scheduling eligibility to eligible while it is draining"),
        ("maybe", 'invalid scheduling eligibility "maybe"'),
    ):
        with pytest.raises(Refusal) as refused:
            lab.cluster.set_eligibility(home, value)
        assert (refused.value.status, refused.value.text) == (500, text)
    with pytest.raises(Refusal) as refused:
        drain(lab, "11111111-2222-3333-4444-555555555555")
    assert (refused.value.status, refused.value.text) == (500, "node not found")


def test_a_node_keeps_its_ten_newest_events(lab):
    home = lab.node()
    for _ in range(6):
        lab.cluster.set_eligibility(home, "ineligible")
        lab.cluster.set_eligibility(home, "eligible")

    events = lab.look(home)["Events"]

    assert len(events) == 10
    assert events[-1]["Message"] == "Node marked as eligible for scheduling"
