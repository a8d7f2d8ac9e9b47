"""Which of several nodes is chosen, and with which scores."""

import pytest

from lab.nomad.model.constraints import compare


def test_the_binpack_score_is_the_recorded_one(lab):
    # 02-demand, step 31: 2000 MHz and 1024 MB on an empty node of 4000 MHz and 8192 MB
    lab.node(cpu=4000, memory=8192)

    lab.run("web", cpu=2000, memory=1024)

    (score,) = lab.allocs("web")[0]["Metrics"]["ScoreMetaData"]
    assert score["Scores"]["binpack"] == pytest.approx(0.518821124805948)
    assert score["NormScore"] == pytest.approx(0.518821124805948)


@pytest.mark.parametrize(("algorithm", "nodes_used"), [("binpack", 1), ("spread", 2)])
def test_binpack_fills_and_spread_scatters(lab, algorithm, nodes_used):
    for name in "ab":
        lab.node(name)
    lab.cluster.set_scheduler_config({"SchedulerAlgorithm": algorithm})

    for number in range(2):
        lab.run(f"job{number}", cpu=900)

    assert len({a["NodeID"] for number in range(2) for a in lab.allocs(f"job{number}")}) == nodes_used


def test_an_affinity_and_a_spread_pull_in_their_directions(lab):
    lab.node("a", node_class="small")
    large = lab.node("b", node_class="large")
    affinity = [{"LTarget": "${node.class}", "RTarget": "large", "Operand": "=", "Weight": 50}]
    lab.run("aff", cpu=50, Affinities=affinity)
    assert [a["NodeID"] for a in lab.allocs("aff")] == [large]

    lab.run("spread", count=2, cpu=50, Spreads=[{"Attribute": "${node.class}", "Weight": 100}])
    assert len({a["NodeID"] for a in lab.allocs("spread")}) == 2


def test_spread_targets_are_met_in_their_shares(lab):
    for number in range(4):
        lab.node(f"n{number}", datacenter="dc1" if number < 2 else "dc2", cpu=8000)
    targets = [{"Value": "dc1", "Percent": 70}, {"Value": "dc2", "Percent": 30}]

    lab.run("shared", count=10, cpu=50, Spreads=[{"Attribute": "${node.datacenter}", "SpreadTarget": targets}])

    where = [lab.look(a["NodeID"])["Datacenter"] for a in lab.allocs("shared")]
    assert (where.count("dc1"), where.count("dc2")) == (7, 3)


def test_datacenters_are_globs_and_pool_all_takes_every_node(lab):
    lab.node("a", datacenter="east-1")
    lab.node("b", datacenter="west-1", node_pool="gpu")

    lab.run("east", cpu=10, Datacenters=["east-*"])
    lab.run("everywhere", kind="system", cpu=10, NodePool="all")

    assert len(lab.allocs("east")) == 1
    assert len(lab.allocs("everywhere")) == 2
    assert lab.store.get("node_pools", "gpu") is not None


def test_distinct_property_counts_per_value(lab):
    for number in range(3):
        lab.node(f"n{number}", meta={"rack": "r1" if number < 2 else "r2"})
    constraint = {"Operand": "distinct_property", "LTarget": "${meta.rack}", "RTarget": "1"}

    evaluation = lab.eval(lab.run("racks", count=3, cpu=10, Constraints=[constraint]))

    assert len({lab.look(a["NodeID"])["Meta"]["rack"] for a in lab.allocs("racks")}) == 2
    assert evaluation["QueuedAllocations"] == {"g": 1}


def test_equal_seeds_and_operations_give_equal_clusters(lab):
    other = type(lab)()
    for one in (lab, other):
        for name in "abc":
            one.node(name)
        one.run("web", count=5, cpu=700)
        one.wait(10)

    assert lab.store.rows("allocs") == other.store.rows("allocs")
    assert lab.store.rows("evals") == other.store.rows("evals")


def test_one_long_step_of_the_clock_comes_to_the_same_as_many_short_ones(lab):
    other = type(lab)()
    for one in (lab, other):
        home = one.node("a")
        one.node("b")
        one.run("web", count=3, cpu=700)
        one.run("bat", kind="batch", cpu=100, config={"run_for": "7s"})
        one.cluster.drain_node(home, {"Deadline": 20_000_000_000, "IgnoreSystemJobs": False})
    lab.wait(60)
    other.now = lab.now
    other.cluster.advance()

    assert lab.store.rows("allocs") == other.store.rows("allocs")
    assert lab.store.rows("nodes") == other.store.rows("nodes")


@pytest.mark.parametrize(
    ("left", "operand", "right", "holds"),
    [
        ("9", "<", "10", True),
        ("b", "<", "a", False),
        ("1.5", ">=", "1.5", True),
        ("linux", "!=", "windows", True),
        (None, "!=", "windows", True),
        (None, "=", "x", False),
        (None, "is_not_set", "", True),
        ("x", "is_set", "", True),
        ("a,b,c", "set_contains", "c, a", True),
        ("a,b,c", "set_contains_any", "z,a", True),
        ("a,b", "set_contains_all", "a,c", False),
        ("node-12", "regexp", "[0-9]+$", True),
        ("1.6.5", "version", ">= 1.4, < 2.0", True),
        ("1.7.0-beta", "version", ">= 1.6", False),
        ("1.7.0-beta", "semver", ">= 1.6.0", True),
        ("nonsense", "version", ">= 1", False),
    ],
)
def test_operators_compare_as_nomad_does(left, operand, right, holds):
    assert compare(operand, left, right) is holds
