"""Clients that die, come back, are purged: as recorded in 05-node-lifecycle."""

from datetime import timedelta

SECOND = 1_000_000_000


def test_a_silent_client_is_down_after_its_heartbeat_and_its_work_is_lost(lab):
    home = lab.node("a")
    lab.run("svc", cpu=300)
    lab.run("bat", kind="batch", cpu=300)
    lab.wait(3)
    lab.node("b")

    lab.cluster.stop_client(home)
    lab.wait(3)
    assert lab.look(home)["Status"] == "ready"
    lab.wait(10)

    node = lab.look(home)
    assert (node["Status"], node["SchedulingEligibility"]) == ("down", "eligible")
    assert node["Events"][-1]["Message"] == "Node heartbeat missed"
    (lost,) = lab.allocs("svc", NodeID=home)
    assert (lost["DesiredStatus"], lost["ClientStatus"]) == ("stop", "lost")
    assert lost["DesiredDescription"] == "alloc is lost since its node is down"
    assert lost["ClientDescription"] == "Tasks are running"
    assert lab.summary("svc") == {"Running": 1, "Lost": 1}
    assert lab.summary("bat") == {"Running": 1, "Lost": 1}


def test_a_patient_group_makes_the_node_disconnected_first(lab):
    home = lab.node("a")
    rules = {"Unlimited": True, "Delay": 5 * SECOND, "DelayFunction": "constant", "MaxDelay": 0}
    lab.run("disc", cpu=300, group={"MaxClientDisconnect": 20 * SECOND, "ReschedulePolicy": rules})
    lab.wait(3)
    lab.node("b")

    lab.cluster.stop_client(home)
    lab.wait(13)
    assert lab.look(home)["Status"] == "disconnected"
    (waiting,) = lab.allocs("disc", NodeID=home)
    assert (waiting["DesiredStatus"], waiting["ClientStatus"]) == ("run", "unknown")
    lab.wait(6)
    assert len(lab.running("disc")) == 1
    lab.wait(40)

    assert lab.look(home)["Status"] == "down"
    (gone,) = lab.allocs("disc", NodeID=home)
    assert (gone["DesiredStatus"], gone["ClientStatus"]) == ("stop", "lost")
    triggers = {one["TriggeredBy"] for one in lab.evals("disc")}
    assert {"max-disconnect-timeout", "alloc-failure", "node-update"} <= triggers


def test_a_disconnected_client_that_returns_in_time_keeps_its_allocation(lab):
    home = lab.node("a")
    lab.run("disc", cpu=300, group={"MaxClientDisconnect": 600 * SECOND})
    lab.wait(3)
    (before,) = lab.allocs("disc")

    lab.cluster.stop_client(home, kill=False)
    lab.wait(15)
    assert lab.summary("disc")["Unknown"] == 1
    lab.cluster.restart_client(home)
    lab.wait(10)

    assert lab.look(home)["Status"] == "ready"
    assert before["ID"] in {a["ID"] for a in lab.running("disc")}


def test_a_restart_with_the_data_dir_brings_lost_allocations_back_for_a_while(lab):
    home = lab.node("a")
    lab.run("svc", cpu=300)
    lab.wait(3)
    lab.node("b")
    lab.cluster.stop_client(home, kill=False)
    lab.wait(15)

    node = lab.cluster.restart_client(home)
    lab.wait(2)

    assert (node["ID"], node["Status"]) == (home, "ready")
    (alloc,) = lab.allocs("svc", NodeID=home)
    assert (alloc["DesiredStatus"], alloc["ClientStatus"]) == ("stop", "running")
    lab.wait(10)
    assert lab.allocs("svc", NodeID=home)[0]["ClientStatus"] == "complete"


def test_a_reimaged_client_is_a_second_node_of_the_same_name(lab):
    old = lab.node("vm0")
    lab.cluster.stop_client(old)
    lab.wait(15)

    new = lab.node("vm0")

    assert new != old
    assert [lab.look(i)["Status"] for i in (old, new)] == ["down", "ready"]


def test_purging_a_live_client_loses_its_work_and_it_comes_back(lab):
    home = lab.node("a")
    lab.run("svc", cpu=300)
    lab.wait(3)
    lab.cluster.drain_node(home, {"Deadline": 0, "IgnoreSystemJobs": False})
    lab.cluster.drain_node(home, None, mark_eligible=True)

    answer = lab.cluster.purge_node(home)

    assert answer["EvalIDs"]
    assert lab.look(home) is None
    assert lab.allocs("svc", NodeID=home)[0]["ClientStatus"] == "lost"
    lab.wait(25)
    back = lab.look(home)
    assert (back["Status"], back["LastDrain"]) == ("ready", None)
    assert [event["Message"] for event in back["Events"]] == ["Node registered"]


def test_gc_removes_nodes_that_are_down(lab):
    home = lab.node("a")
    lab.cluster.stop_client(home)
    lab.wait(15)

    lab.cluster.gc()

    assert lab.look(home) is None


def test_a_client_that_is_not_simulated_lives_by_its_heartbeats(lab):
    home = lab.cluster.register_node(name="real", simulated=False)["ID"]
    for _ in range(5):
        lab.wait(4)
        assert lab.cluster.heartbeat(home) >= timedelta(seconds=5)
    assert lab.look(home)["Status"] == "ready"

    lab.wait(20)
    assert lab.look(home)["Status"] == "down"
    lab.cluster.heartbeat(home)
    assert lab.look(home)["Status"] == "ready"


def test_a_purged_nodes_allocations_stay_known_until_collected(lab):
    home = lab.node("a")
    lab.run("svc", cpu=300)
    lab.wait(3)
    lab.cluster.stop_client(home)
    lab.wait(15)
    lab.cluster.purge_node(home)

    assert [a["ClientStatus"] for a in lab.store.by("allocs", "node", home)] == ["lost"]


def test_meta_makes_classes_unless_it_is_unique(lab):
    same = {lab.look(lab.node(n, meta={"unique.instance": n}))["ComputedClass"] for n in "ab"}
    apart = {lab.look(lab.node(n, meta={"instance": n}))["ComputedClass"] for n in "cd"}

    assert (len(same), len(apart)) == (1, 2)
