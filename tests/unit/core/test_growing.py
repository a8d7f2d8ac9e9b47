"""Waiting work gets as many machines as it needs, from the right pool, in one step, and nothing else does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from keeper.core import guards, scaling
from keeper.core.memory import FailureKind, Growth, GrowthFailure, Memory, Pressure, ScaleRequest, SetAside
from keeper.core.model import (
    Constraint,
    Desired,
    Device,
    DeviceAsk,
    Distinct,
    InstanceState,
    JobKind,
    Mode,
    Operand,
    Priority,
    Provisioning,
    Resources,
    TemplateSource,
)
from keeper.core.plan import Drain, Grow, Plan, Reason, Reclaim
from keeper.core.rules import AutoscaleRules
from keeper.core.stock import take_stock
from keeper.core.templates import choose
from keeper.core.view import Gap, View
from tests.property.builders import (
    LONG_AGO,
    NODE,
    NOW,
    RULES,
    allocation,
    blocked,
    group,
    instance,
    job,
    left,
    node,
    pool,
    scale_set,
    stub,
    template,
    view,
)


def decided(seen: View, rules: AutoscaleRules = RULES) -> Plan:
    plan = scaling.plan_autoscale(seen, rules)
    assert guards.check(plan, seen, rules) == []
    return plan


def grown(plan: Plan) -> dict[str, int]:
    return {action.pool: action.target for action in plan.actions if isinstance(action, Grow)}


def whys(plan: Plan) -> str:
    return "\n".join(f"{each.what}: {each.why}" for each in plan.rejected)


def waiting(count: int = 4, pools=None, nodes=(), ask=None, **given) -> View:
    """A view in which one group waits; four allocations fill one node unless told otherwise."""
    spec = job("web", ask or group(cpu=2000, memory=4000, count=count), **given)
    return view(pools or [pool()], nodes, jobs=[spec], queued={"web": count})


def test_an_empty_pool_grows_to_the_right_size_in_one_step():
    assert grown(decided(waiting(40))) == {"general": 10}


def test_free_room_is_used_before_anything_is_bought():
    assert grown(decided(waiting(8, nodes=[node()]))) == {"general": 2}


def test_work_that_fits_into_free_room_is_left_to_nomad():
    assert decided(waiting(4, nodes=[node()])).actions == ()


def test_room_that_work_has_taken_is_not_free():
    spec = job("old", group(cpu=5000, memory=4000))
    seen = waiting(4, nodes=[node()])
    seen = replace(seen, allocations=(allocation(spec, node()),))

    assert grown(decided(seen)) == {"general": 2}


def test_what_is_told_to_stop_takes_its_room_until_it_has_stopped():
    spec = job("old", group(cpu=8000, memory=4000))
    seen = replace(waiting(4, nodes=[node()]), allocations=(allocation(spec, node(), desired=Desired.STOP),))

    assert grown(decided(seen)) == {"general": 2}


def test_nodes_that_leave_are_taken_back_before_anything_is_bought():
    plan = decided(waiting(8, nodes=[node(), left(node(number=1))]))

    assert [type(each) for each in plan.actions] == [Reclaim]
    assert plan.reason is Reason.RECLAIM


def test_a_running_drain_of_ours_is_cancelled_when_its_room_is_needed():
    plan = decided(waiting(4, nodes=[left(node(), over=False)]))

    assert [type(each) for each in plan.actions] == [Reclaim]


def test_what_was_bought_and_has_not_joined_is_not_bought_again():
    seen = waiting(8)
    upcoming = (instance(node(number=7), created=NOW), instance(node(number=8), created=NOW))
    seen = replace(seen, scale_sets={"general": scale_set(pool(), 2)}, instances={"general": upcoming})

    assert grown(decided(seen)) == {}


def test_capacity_that_azure_is_still_working_on_is_not_bought_again():
    asked = Memory(growths=(Growth(pool().name, NOW, 0, 2, "operation"),))
    seen = replace(waiting(8), scale_sets={"general": scale_set(pool(), 2)}, memory=asked)

    assert grown(decided(seen)) == {}


@pytest.mark.parametrize(("mode", "target"), [(Mode.UNIFORM, 3), (Mode.FLEXIBLE, 5)])
def test_for_capacity_that_never_came_azure_is_asked_again_so_that_it_comes(mode, target):
    """Two are needed of three that never came: a Uniform scale set keeps to its goal, a Flexible one adds the difference."""
    mine = pool(mode=mode, maximum=4)
    seen = replace(waiting(8, pools=[mine]), scale_sets={"general": scale_set(mine, 3)}, instances={"general": ()})

    assert grown(decided(seen)) == {"general": target}


def test_capacity_that_a_flexible_scale_set_lost_is_not_waited_for():
    mine = pool()
    asked = Memory(growths=(Growth(mine.name, NOW, 3, 4, "operation"),))
    lost = replace(waiting(12, pools=[mine]), memory=asked, instances={"general": ()})
    lost = replace(lost, scale_sets={"general": scale_set(mine, 4, provisioning=Provisioning.UPDATING)})

    (stock,) = take_stock(lost, RULES).values()

    assert (stock.upcoming, stock.existing, stock.held) == (1, 1, 1)


def test_pools_of_one_subnet_share_its_free_addresses():
    pools = [pool("general", order=10, maximum=3), pool("more", order=20), pool("apart", order=30)]
    seen = waiting(40, pools=pools)
    subnets = {"general": "/shared", "more": "/shared", "apart": "/own"}
    sets = {name: replace(each, subnet=subnets[name]) for name, each in seen.scale_sets.items()}
    seen = replace(seen, scale_sets=sets)

    assert scaling.subnets_wanted(seen, RULES) == ("/own", "/shared")
    assert grown(decided(replace(seen, free_addresses={"/shared": 5}))) == {"general": 3, "more": 2, "apart": 5}


def test_what_no_address_is_left_for_waits_and_says_so():
    seen = waiting()
    seen = replace(seen, scale_sets={"general": scale_set(pool(), 0, subnet="/full")}, free_addresses={"/full": 0})

    assert grown(decided(seen)) == {}
    assert "waits: general: the free addresses of its subnet" in whys(decided(seen))


def test_addresses_are_counted_only_when_something_may_grow():
    quiet = view([pool()], [node()])
    quiet = replace(quiet, scale_sets={"general": scale_set(pool(), 1, subnet="/s")})

    assert scaling.subnets_wanted(quiet, RULES) == ()
    assert scaling.subnets_wanted(replace(quiet, pools=(pool(minimum=2),)), RULES) == ("/s",)
    assert scaling.subnets_wanted(replace(quiet, memory=Memory(paused="audit"), pools=(pool(minimum=2),)), RULES) == ()


@pytest.mark.parametrize(
    ("glob", "count"), [("dc*", 1), ("*1", 1), ("dc1", 1), ("*", 1), ("dc?", 0), ("dc[1]", 0), ("d*2", 0)]
)
def test_of_a_datacenters_letters_only_the_star_means_others(glob, count):
    assert grown(decided(waiting(datacenters=(glob,)))) == ({"general": count} if count else {})


ZONAL = pool(zones=("1", "2", "3"))


@pytest.mark.parametrize(
    "constraint",
    [
        Constraint("${meta.zone}", Operand.EQUAL, "3"),
        Constraint("${attr.platform.azure.zone}", Operand.EQUAL, "3"),
        Constraint("${meta.zone}", Operand.DISTINCT_PROPERTY, ""),
    ],
)
def test_where_the_zone_of_the_next_machine_matters_one_is_tried_in_each_zone(constraint):
    """The node that was learnt from is in zone 1; what a new one is like is seen when it is there."""
    learnt = template(ZONAL, attributes={"attr.platform.azure.zone": "1", "meta.zone": "1"})
    asked = group(cpu=2000, memory=4000, constraints=(constraint,))

    for idle, more in ((0, 1), (2, 1), (3, 0)):
        seen = waiting(2, [ZONAL], [node(number=n) for n in range(idle)], ask=asked)
        plan = decided(replace(seen, templates={"general": learnt}))
        assert grown(plan) == ({"general": idle + 1} if more else {}), whys(plan)
    assert "tried in vain: constraint" in whys(plan)


def test_system_work_is_no_demand():
    seen = waiting(3, kind=JobKind.SYSTEM)

    assert decided(seen).actions == ()
    assert decided(replace(seen, blocked=(), gaps=frozenset({Gap.EVALUATIONS}))).actions == ()


def test_work_that_a_quota_holds_back_is_no_demand():
    seen = waiting(3)
    seen = replace(seen, blocked=(blocked(next(iter(seen.jobs.values())), quota="team"),))

    assert "waits for quota team" in whys(decided(seen))
    assert decided(seen).actions == ()


def test_work_that_nomad_has_not_given_up_on_is_settling():
    assert decided(replace(waiting(3), blocked=())).actions == ()


def test_when_evaluations_could_not_be_read_growth_goes_on():
    seen = replace(waiting(4), blocked=(), gaps=frozenset({Gap.EVALUATIONS}))

    assert grown(decided(seen)) == {"general": 1}


def test_what_system_work_took_is_forgotten_when_it_has_gone():
    """Idle nodes show that nothing follows nodes any more: a template that remembers otherwise would buy too many."""
    took = replace(template(pool()), overhead=Resources(cpu=4000))
    agent = job("agent", group(cpu=4000, memory=100), kind=JobKind.SYSTEM)
    seen = waiting(8, nodes=[node()])
    seen = replace(seen, templates={"general": took}, memory=Memory(templates={pool().name: took}))

    assert grown(decided(replace(seen, allocations=(allocation(agent, node()),)))) == {"general": 4}
    assert grown(decided(seen)) == {"general": 2}


def test_a_stopped_job_is_no_demand():
    seen = waiting(3)
    seen = replace(seen, job_stubs=tuple(replace(each, stopped=True) for each in seen.job_stubs))

    assert decided(seen).actions == ()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"ask": group(cpu=9000)}, "asks for more cpu than one instance has"),
        ({"ask": group(memory=17000)}, "asks for more memory"),
        ({"ask": group(disk=60000)}, "asks for more disk"),
        ({"ask": group(cpu=0, cores=5)}, "asks for more cpu, cores"),
        ({"datacenters": ("mars",)}, "datacenter is dc1, not mars"),
        ({"node_pool": "gpu"}, "node pool is default, not gpu"),
        ({"ask": group(drivers=frozenset({"qemu"}))}, "no driver qemu"),
        ({"ask": group(host_volumes=frozenset({"certs"}))}, "no volume certs"),
        ({"ask": group(devices=(DeviceAsk("nvidia/gpu", 1),))}, "no 1 devices nvidia/gpu"),
        (
            {"ask": group(constraints=(Constraint("${attr.cpu.arch}", Operand.EQUAL, "arm64"),))},
            "constraint ${attr.cpu.arch} = arm64",
        ),
        (
            {"ask": group(constraints=(Constraint("${node.unique.name}", Operand.EQUAL, "vmss-general_1"),))},
            "constraint ${node.unique.name} = vmss-general_1",
        ),
    ],
)
def test_infeasible_work_is_reported_and_never_bought_for(given, why):
    plan = decided(waiting(3, **given))

    assert plan.actions == ()
    assert "infeasible" in whys(plan)
    assert why in whys(plan)


def test_what_a_template_does_not_know_is_tried_with_a_single_instance():
    ask = group(constraints=(Constraint("${attr.cpu.arch}", Operand.EQUAL, "arm64"),))
    seen = waiting(30, ask=ask)
    guessed = template(pool(), source=TemplateSource.TAGS, drivers=None)

    assert grown(decided(replace(seen, templates={"general": guessed}))) == {"general": 1}


def test_reserved_cores_take_their_share_of_mhz():
    """Four cores of 2000 MHz: three cores and 2000 MHz fill a node."""
    spec = job("web", group("cores", cpu=0, cores=3, memory=100), group("plain", cpu=2000, memory=100))
    seen = view([pool()], jobs=[spec], queued={"web": 2})

    assert grown(decided(seen)) == {"general": 2}


@pytest.mark.parametrize(
    ("ask", "count", "instances"),
    [
        (group(static_ports=frozenset({8080})), 3, 3),
        (group(distinct=Distinct.GROUP), 3, 3),
        (group(distinct=Distinct.JOB), 3, 3),
        (group(constraints=(Constraint("${node.unique.id}", Operand.DISTINCT_PROPERTY, ""),)), 3, 3),
        (group(cpu=100, memory=100, disk=20000), 4, 2),
        (group(cpu=100, memory=100), 4, 1),
    ],
)
def test_allocations_that_must_stay_apart_get_instances_of_their_own(ask, count, instances):
    assert grown(decided(waiting(count, ask=ask))) == {"general": instances}


def test_a_node_that_has_one_of_a_distinct_job_takes_no_second():
    spec = job("web", group(cpu=100, memory=100, distinct=Distinct.JOB))
    here = node()
    seen = view([pool()], [here], jobs=[spec], queued={"web": 1}, allocations=(allocation(spec, here),))

    assert grown(decided(seen)) == {"general": 2}


def test_a_port_that_is_taken_is_not_free():
    spec = job("web", group(static_ports=frozenset({8080})))
    here = node()
    taken = allocation(spec, here, static_ports=frozenset({8080}))
    seen = view([pool()], [here], jobs=[spec], queued={"web": 1}, allocations=(taken,))

    assert grown(decided(seen)) == {"general": 2}


def test_a_property_that_must_differ_bounds_what_is_bought():
    """All nodes of the pool are of one rack, so more nodes help only up to two allocations."""
    ask = group(cpu=8000, constraints=(Constraint("${meta.rack}", Operand.DISTINCT_PROPERTY, "2"),))
    racked = template(pool(), attributes={"meta.rack": "r1"})
    seen = replace(waiting(5, ask=ask), templates={"general": racked})

    assert grown(decided(seen)) == {"general": 2}


def test_devices_are_counted():
    gpus = (Device("nvidia", "gpu", "T4", 2),)
    ask = group(cpu=100, memory=100, devices=(DeviceAsk("gpu", 1),))
    seen = replace(waiting(3, ask=ask), templates={"general": template(pool(), devices=gpus)})

    assert grown(decided(seen)) == {"general": 2}


def test_what_system_work_takes_on_each_node_is_set_aside_when_sizing():
    agent = job("agent", group(cpu=1000, memory=1000), kind=JobKind.SYSTEM)
    web = job("web", group(cpu=7500, memory=100))
    here = node()
    full = allocation(job("old", group(cpu=7000)), here, 1)
    seen = view([pool()], [here], jobs=[agent, web], queued={"web": 1}, allocations=(allocation(agent, here), full))

    assert "asks for more cpu than one instance has" in whys(decided(seen))


def two_pools(**second) -> list:
    return [pool("general", order=10, price=0.2), pool("spot", **({"order": 20, "price": 0.1} | second))]


def test_the_first_pool_in_order_is_asked_first():
    assert grown(decided(waiting(4, two_pools()))) == {"general": 1}


def test_what_the_first_pool_may_not_have_goes_to_the_next_in_the_same_tick():
    pools = [replace(two_pools()[0], maximum=2), two_pools()[1]]

    assert grown(decided(waiting(20, pools))) == {"general": 2, "spot": 3}


def test_in_one_order_the_least_waste_wins_and_then_the_price():
    pools = two_pools(order=10)
    big = {"general": template(pools[0], resources=NODE.times(4)), "spot": template(pools[1])}

    assert grown(decided(replace(waiting(4, pools), templates=big))) == {"spot": 1}
    assert grown(decided(waiting(4, pools))) == {"spot": 1}


def test_each_ask_goes_to_a_pool_that_can_run_it():
    pools = two_pools(node_class="fast")
    slow, fast = (
        job("slow", group(cpu=8000)),
        job("fast", group(cpu=8000, constraints=(Constraint("${node.class}", Operand.EQUAL, "fast"),))),
    )
    seen = view(pools, jobs=[slow, fast], queued={"slow": 2, "fast": 3})

    assert grown(decided(seen)) == {"general": 2, "spot": 3}


@pytest.mark.parametrize(
    ("rules", "target"),
    [
        (AutoscaleRules(max_instances=3), 3),
        (AutoscaleRules(max_cores=8), 2),
        (AutoscaleRules(max_cost=1.0), 5),
    ],
)
def test_limits_over_all_pools_cut_what_is_bought(rules, target):
    plan = decided(waiting(40, [pool(price=0.2)]), rules)

    assert grown(plan) == {"general": target}
    assert "waits: general: the limit of" in whys(plan)


def test_a_floor_that_is_violated_is_repaired_at_once():
    plan = decided(view([pool(minimum=2)]))

    assert grown(plan) == {"general": 2}
    assert plan.reason is Reason.FLOOR


def test_what_the_floor_buys_serves_the_demand():
    assert grown(decided(waiting(8, [pool(minimum=2)]))) == {"general": 2}


def pressed(**given) -> Memory:
    usual = {"fired": NOW, "expires": NOW + timedelta(hours=1)}
    return Memory(pressures=(Pressure("a", "cpu", pool().name, **(usual | given)),))


def test_a_fired_alert_adds_a_step_without_any_demand():
    plan = decided(view([pool()], [node()], memory=pressed()))

    assert grown(plan) == {"general": 2}
    assert plan.reason is Reason.PRESSURE
    assert plan.memory.pressures[0].stepped == NOW


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ({"stepped": NOW - RULES.pressure_cooldown}, 2),
        ({"stepped": NOW - RULES.pressure_cooldown + timedelta(seconds=1)}, None),
        ({"resolved": NOW}, None),
        ({"expires": NOW}, None),
    ],
)
def test_pressure_steps_once_per_cooldown_until_resolved_or_expired(given, target):
    plan = decided(view([pool()], [node()], memory=pressed(**given)))

    assert grown(plan).get("general") == target


def test_a_step_that_never_reached_azure_is_taken_again():
    asked = NOW - timedelta(seconds=30)
    memory = replace(pressed(stepped=asked), growths=(Growth(pool().name, asked, 1, 2, None),))

    assert grown(decided(view([pool()], [node()], memory=memory))) == {"general": 2}


def test_pressure_takes_back_what_leaves_before_it_buys():
    plan = decided(view([pool()], [node(), left(node(number=1))], memory=pressed()))

    assert [type(each) for each in plan.actions] == [Reclaim]


def test_pressure_stays_inside_the_limits():
    plan = decided(view([pool(maximum=1)], [node()], memory=pressed()))

    assert plan.actions == ()
    assert plan.cuts[0].what.startswith("general: 1 of 1 for pressure: its maximum of 1")


def test_a_scale_request_holds_until_it_is_reached():
    asked = Memory(requests=(ScaleRequest("op", pool().name, 3, NOW, NOW + timedelta(hours=1)),))
    nodes = [node(number=n) for n in range(3)]

    assert grown(decided(view([pool()], nodes[:1], memory=asked))) == {"general": 3}
    assert decided(view([pool()], nodes[:1], memory=asked)).memory.requests == asked.requests
    assert decided(view([pool()], nodes, memory=asked)).memory.requests == ()


def test_a_scale_request_that_expires_is_dropped():
    asked = Memory(requests=(ScaleRequest("op", pool().name, 3, NOW, NOW),))
    plan = decided(view([pool()], [node()], memory=asked))

    assert (plan.actions, plan.memory.requests) == ((), ())


def test_paused_means_hands_off():
    plan = decided(replace(waiting(4), memory=Memory(paused="maintenance")))

    assert (plan.actions, plan.reason) == ((), Reason.PAUSED)
    assert "maintenance" in plan.sentence


def quota(kind: FailureKind = FailureKind.SKU_FAMILY_QUOTA, cores_left: int | None = None) -> GrowthFailure:
    return GrowthFailure(pool().name, kind, NOW, "OperationNotAllowed", "quota", cores_left=cores_left, limit=1000)


def test_after_a_failed_growth_the_next_pool_is_used_at_once():
    seen = replace(waiting(8, two_pools(sku="Standard_F8s_v2")), failures=(quota(),))

    assert grown(decided(seen)) == {"spot": 2}


def test_what_of_the_ask_still_fits_the_quota_is_asked_for():
    """Limit 1000, used 986, eight cores each: exactly one more."""
    pools = [replace(each, sku="Standard_D8s_v5") for each in two_pools(priority=Priority.SPOT)]
    plan = decided(replace(waiting(20, pools), failures=(quota(cores_left=14),)))

    assert grown(plan) == {"general": 1, "spot": 4}
    assert plan.memory.set_asides[0].cores_left == 6


@pytest.mark.parametrize(
    ("kind", "zones", "buys"),
    [
        (FailureKind.SKU_FAMILY_QUOTA, (), {"other-family", "spot", "zonal"}),
        (FailureKind.SKU_NOT_AVAILABLE, (), {"other-family", "spot", "zonal"}),
        (FailureKind.LOW_PRIORITY_QUOTA, (), {"other-family", "zonal"}),
        (FailureKind.REGIONAL_QUOTA, (), set()),
        (FailureKind.ZONAL_ALLOCATION, ("1",), {"other-family", "spot"}),
        (FailureKind.OVERCONSTRAINED_ZONAL, ("1",), {"other-family", "spot"}),
        (FailureKind.ALLOCATION, (), {"other-family", "spot", "zonal"}),
        (FailureKind.THROTTLED, (), {"other-family", "spot", "zonal"}),
    ],
)
def test_each_failure_sets_aside_what_shares_its_reason(kind, zones, buys):
    pools = [
        pool("general"),
        pool("other-family", sku="Standard_F4s_v2"),
        pool("spot", priority=Priority.SPOT),
        pool("zonal", zones=("1",), sku="Standard_E4s_v5"),
    ]
    able = {
        each.name
        for each in pools
        if grown(decided(replace(waiting(4, [pools[0], each][-1:] if each.name != "general" else [each]))))
    }
    memory = Memory(set_asides=(SetAside(kind, pool().name, NOW + timedelta(minutes=5), 1, NOW, zones),))
    bought = set()
    for each in pools[1:]:
        seen = waiting(4, [replace(pools[0], maximum=0), each])
        bought |= grown(decided(replace(seen, memory=memory))).keys()

    assert able == {each.name for each in pools}
    assert bought == buys


def test_a_set_aside_that_is_over_is_tried_again():
    memory = Memory(set_asides=(SetAside(FailureKind.ALLOCATION, pool().name, NOW, 1, LONG_AGO),))

    assert grown(decided(replace(waiting(4), memory=memory))) == {"general": 1}


def test_nomad_is_believed_when_it_refuses_what_fits_for_long():
    key = (job("web").key, "g")
    seen = waiting(2, nodes=[node()])

    first = decided(seen)
    assert (first.actions, first.memory.refused) == ((), {key: NOW})

    later = decided(replace(seen, now=NOW + RULES.believe_after, memory=first.memory))
    assert grown(later) == {"general": 2}
    assert later.memory.believed == {key: 1}

    soon_after = replace(
        seen, now=NOW + RULES.believe_after * 2, memory=replace(later.memory, growths=()), scale_sets=seen.scale_sets
    )
    assert grown(decided(soon_after)) == {}


def test_work_that_no_longer_waits_is_no_longer_refused():
    memory = Memory(refused={(job("web").key, "g"): LONG_AGO}, believed={(job("web").key, "g"): 3})
    plan = decided(view([pool()], [node()], jobs=[job("web")], memory=memory))

    assert (plan.memory.refused, plan.memory.believed) == ({}, {})


def test_a_pool_grows_while_another_is_drained():
    """A drain is never an obstacle to growth."""
    pools = two_pools(node_class="fast")
    fast = job("fast", group(cpu=8000, constraints=(Constraint("${node.class}", Operand.EQUAL, "fast"),)))
    nodes = [node("general", n) for n in range(3)]
    seen = view(
        pools, nodes, jobs=[fast], queued={"fast": 1}, memory=Memory(unneeded={n.name: LONG_AGO for n in nodes})
    )

    plan = decided(seen)

    assert {type(each) for each in plan.actions} == {Grow, Drain}


def test_a_pool_that_never_had_a_node_is_sized_by_its_tags_and_then_by_its_size():
    empty = pool(sku="Standard_D4s_v5")
    tagged = scale_set(empty, 0, tags={"Keeper-Node-Cpu-Mhz": "4000", "keeper-node-memory-mb": "16000"})
    for scale, instances in ((scale_set(empty, 0), 4), (tagged, 8)):
        seen = replace(waiting(16), scale_sets={"general": scale})
        seen = replace(seen, templates=choose(seen, seen.memory))

        # Drivers are not known yet, so one instance tells; with a driver named, all that fits is bought.
        assert grown(decided(seen)) == {"general": 1}
        plain = job("web", group(cpu=2000, memory=1000, drivers=frozenset()))
        assert grown(decided(replace(seen, jobs={plain.key: plain}))) == {"general": instances}


def test_instances_that_never_join_are_deleted_and_their_pool_is_set_aside():
    healthy = node()
    lost = instance(node(number=9), created=LONG_AGO)
    seen = view([pool()], [healthy], memory=Memory(first_seen={lost.name: NOW - RULES.join_timeout}))
    seen = replace(seen, instances={"general": (instance(healthy), lost)}, scale_sets={"general": scale_set(pool(), 2)})

    plan = decided(seen)

    assert [each.instances for each in plan.actions] == [(lost.name,)]
    assert plan.memory.set_asides[0].kind is FailureKind.NEVER_JOINED

    gone = replace(seen, memory=plan.memory, instances={"general": (instance(healthy),)})
    assert decided(gone).memory.never_joined == {"general": 1}


def test_an_instance_is_given_its_time_to_join_from_when_it_was_first_seen():
    lost = instance(node(number=9), created=LONG_AGO)
    seen = view([pool()], [node()])
    seen = replace(seen, instances={"general": (instance(node()), lost)}, scale_sets={"general": scale_set(pool(), 2)})

    plan = decided(seen)

    assert plan.actions == ()
    assert plan.memory.first_seen == {lost.name: NOW}


def test_an_instance_that_somebody_stopped_is_no_latecomer():
    stopped = instance(node(number=9), state=InstanceState.STOPPED)
    seen = view([pool()], [node()], memory=Memory(first_seen={stopped.name: LONG_AGO}))
    seen = replace(
        seen, instances={"general": (instance(node()), stopped)}, scale_sets={"general": scale_set(pool(), 2)}
    )

    assert decided(seen).actions == ()


def test_a_job_whose_specification_was_not_read_is_not_guessed_at():
    seen = replace(waiting(4), jobs={}, gaps=frozenset({Gap.JOB_SPECS}))

    assert decided(seen).actions == ()
    assert "its specification was not read" in whys(decided(seen))


def test_resources_of_all_kinds_are_kept_apart():
    assert Resources(1, 2, 3, 4).exceeded(Resources(2, 2, 4, 4)) == ("cpu", "memory")
    assert stub(job()).queued == {"g": 0}
