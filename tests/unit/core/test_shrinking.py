"""An instance leaves only when nobody needs it and nobody is hurt, and it leaves step by step."""

from dataclasses import replace
from datetime import timedelta

import pytest

from keeper.core import demand, guards, scaling
from keeper.core.memory import Memory, Pressure, ScaleRequest
from keeper.core.model import (
    DRAIN_DEADLINE,
    NO_DEADLINE,
    Constraint,
    DrainStatus,
    InstanceState,
    JobKind,
    LastDrain,
    NodeStatus,
    Operand,
    PoolName,
    Priority,
    Resources,
    Template,
    TemplateSource,
)
from keeper.core.plan import Delete, Drain, Plan, Purge, Reason, Reclaim
from keeper.core.rules import AutoscaleRules
from keeper.core.view import Claim, Gap, View
from tests.property.builders import (
    DRIVERS,
    LONG_AGO,
    NOW,
    RULES,
    allocation,
    group,
    instance,
    job,
    left,
    name_of,
    node,
    pool,
    scale_set,
    unneeded,
    view,
)

NODES = [node(number=n) for n in range(3)]
WEB = job("web", group(cpu=1000, memory=1000, count=4))
CRUNCH = job("crunch", group(cpu=1000, memory=1000), kind=JobKind.BATCH)


def decided(seen: View, rules: AutoscaleRules = RULES) -> Plan:
    plan = scaling.plan_autoscale(seen, rules)
    assert guards.check(plan, seen, rules) == []
    return plan


def drained(plan: Plan) -> list[str]:
    return [each.instance for each in plan.actions if isinstance(each, Drain)]


def whys(plan: Plan) -> str:
    return "\n".join(f"{each.what}: {each.why}" for each in plan.rejected)


def idle(nodes=NODES, pools=None, *, jobs=(), placed=(), **given) -> View:
    """Nodes that have been found unneeded for long; `placed` puts (job, node) allocations on them."""
    allocations = tuple(allocation(spec, on, n) for n, (spec, on) in enumerate(placed))
    usual = {"memory": unneeded(*nodes), "jobs": jobs, "allocations": allocations}
    return view(pools or [pool()], nodes, **(usual | given))


def test_an_idle_node_is_drained_with_a_deadline_and_says_whose_drain_it_is():
    plan = decided(idle(NODES[:1]))

    (action,) = plan.actions
    assert isinstance(action, Drain)
    assert (action.instance, action.deadline, plan.reason) == (NODES[0].name, RULES.drain_deadline, Reason.SURPLUS)
    assert action.meta("autoscale", NOW)[DRAIN_DEADLINE] == (NOW + RULES.drain_deadline).isoformat()


def test_an_instance_must_have_been_unneeded_in_every_tick_for_long_enough():
    seen = idle(NODES[:1], memory=Memory())

    first = decided(seen)
    assert (first.actions, first.memory.unneeded) == ((), {NODES[0].name: NOW})
    early = decided(replace(seen, memory=first.memory, now=NOW + RULES.unneeded_for - timedelta(seconds=1)))
    assert early.actions == ()
    due = decided(replace(seen, memory=first.memory, now=NOW + RULES.unneeded_for))
    assert drained(due) == [NODES[0].name]


def test_an_instance_that_was_needed_meanwhile_starts_anew():
    seen = idle(NODES[:1], jobs=[WEB], placed=[(WEB, NODES[0])])

    assert decided(seen).memory.unneeded == {}


@pytest.mark.parametrize(
    ("changes", "nodes", "count"),
    [
        ({"minimum": 3}, 3, 0),
        ({"minimum": 2}, 3, 1),
        ({}, 3, 1),
        ({}, 30, 3),
    ],
)
def test_no_more_leave_than_the_minimum_and_the_budget_allow(changes, nodes, count):
    many = [node(number=n) for n in range(nodes)]

    assert len(drained(decided(idle(many, [pool(maximum=99, **changes)])))) == count


def test_with_budget_to_spare_the_minimum_still_holds():
    assert len(drained(decided(idle(NODES, [pool(minimum=2)]), AutoscaleRules(max_draining=9)))) == 1


def test_a_dead_node_that_left_is_not_deleted_when_that_would_break_the_floor():
    dead = replace(left(NODES[0]), status=NodeStatus.DOWN)

    assert decided(idle([dead], [pool(minimum=1, maximum=1)])).actions == ()


def test_nodes_that_leave_already_use_up_the_budget():
    busy = left(NODES[0], over=False, batch=True)
    seen = idle([busy, *NODES[1:]], jobs=[CRUNCH], placed=[(CRUNCH, busy)])

    assert drained(decided(seen)) == []
    assert "are leaving general" in whys(decided(seen))


def test_the_work_of_a_drained_node_must_fit_elsewhere():
    full = job("full", group(cpu=7500, memory=100, count=2))
    seen = idle(NODES[:2], jobs=[WEB, full], placed=[(WEB, NODES[0]), (full, NODES[1])])

    assert drained(decided(seen)) == []
    assert "would not fit elsewhere" in whys(decided(seen))


def test_the_node_with_the_fewest_allocations_leaves_first():
    seen = idle(NODES[:2], jobs=[WEB], placed=[(WEB, NODES[0]), (WEB, NODES[0]), (WEB, NODES[1])])

    assert drained(decided(seen)) == [NODES[1].name]


def test_two_nodes_that_could_each_go_but_not_both_do_not_both_go():
    """Each carries five eighths of a node: the third takes either, not both."""
    big = job("big", group(cpu=5000, memory=100, count=3))
    rules = AutoscaleRules(max_draining=3)
    seen = idle(jobs=[big], placed=[(big, NODES[0]), (big, NODES[1])])

    plan = decided(seen, rules)

    assert len(plan.memory.unneeded) == 1
    assert drained(plan) == [NODES[2].name]


def test_moved_work_must_be_allowed_where_it_would_go():
    here = Constraint("${node.class}", Operand.EQUAL, "fast")
    picky = job("picky", group(constraints=(here,)))
    fast = replace(NODES[0], node_class="fast")
    seen = idle([fast, NODES[1]], [pool(minimum=1)], jobs=[picky, WEB], placed=[(picky, fast), (WEB, NODES[1])])

    assert drained(decided(seen)) == [NODES[1].name]


def test_headroom_is_kept():
    roomy = pool(headroom=Resources(cpu=12000, memory=1000))

    assert drained(decided(idle(NODES[:2], [roomy]))) == []
    assert drained(decided(idle(NODES, [roomy]))) == [NODES[0].name]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (job("one", group(count=1)), "one/g is the only one of its group"),
        (job("data", group(csi_volumes=frozenset({"v"}))), "data/g is bound to a volume"),
        (job("disk", group(host_volumes=frozenset({"v"}))), "disk/g is bound to a volume"),
        (job("sticky", group(sticky_disk=True)), "sticky/g keeps its disk"),
        (job("calm", meta={"keeper_do_not_disrupt": "true"}), "calm asks not to be disrupted"),
        (job("calm", meta={"do_not_disrupt": "1"}, kind=JobKind.BATCH), "calm asks not to be disrupted"),
    ],
)
def test_work_that_would_be_hurt_keeps_its_node(spec, why):
    held = [replace(each, host_volumes=frozenset({"v"})) for each in NODES[:2]]
    seen = idle(held, [pool(minimum=1)], jobs=[spec], placed=[(spec, held[0]), (spec, held[1])])

    plan = decided(seen)

    assert drained(plan) == []
    assert why in whys(plan)


def test_work_in_an_active_deployment_is_not_moved():
    seen = idle(NODES[:2], [pool(minimum=1)], jobs=[WEB], placed=[(WEB, NODES[0]), (WEB, NODES[1])])

    assert len(drained(decided(seen))) == 1
    assert drained(decided(replace(seen, deploying=frozenset({WEB.key})))) == []


def test_a_job_that_was_not_read_keeps_its_node():
    seen = idle(NODES[:2], [pool(minimum=1)], jobs=[WEB], placed=[(WEB, NODES[0]), (WEB, NODES[1])])

    assert drained(decided(replace(seen, jobs={}))) == []


def test_a_protected_instance_stays():
    seen = idle(NODES[:1])
    seen = replace(seen, instances={"general": (instance(NODES[0], protected=True),)})

    assert decided(seen).actions == ()


def test_an_instance_that_was_not_listed_is_not_drained():
    assert drained(decided(idle(NODES[:1], listed=False))) == []


def test_two_drains_that_share_a_job_are_staggered():
    rules = AutoscaleRules(max_draining=3)
    other = job("other", group(cpu=100, memory=100, count=3))
    four = [node(number=n) for n in range(4)]
    placed = [(WEB, four[0]), (WEB, four[1]), (other, four[2]), (other, four[3]), (other, four[3])]
    seen = idle(four, [pool(minimum=1)], jobs=[WEB, other], placed=placed)

    plan = decided(seen, rules)

    assert drained(plan) == [four[0].name, four[2].name]
    assert "web is being moved by another drain" in whys(plan)


def test_zones_stay_in_balance():
    zonal = pool(zones=("1", "2"))
    seen = idle(NODES, [zonal])
    zones = {NODES[0].name: "1", NODES[1].name: "2", NODES[2].name: "2"}
    listed = tuple(instance(each, zone=zones[each.name]) for each in NODES)

    assert drained(decided(replace(seen, instances={"general": listed}))) == [NODES[1].name]


def test_spot_leaves_last():
    pools = [pool("general"), pool("spot", priority=Priority.SPOT)]
    web = job("web", group(cpu=100, memory=100, count=2))
    nodes = [node("spot"), node("general")]
    memory = Memory()
    seen = idle(nodes, pools, jobs=[web], placed=[(web, each) for each in nodes], memory=memory)

    assert list(decided(seen).memory.unneeded) == [name_of("general", 0)]


def test_a_pool_that_just_grew_settles_first():
    grew = replace(unneeded(*NODES), grew={pool().name: NOW - RULES.settle_for + timedelta(seconds=1)})

    assert drained(decided(idle(memory=grew))) == []


def test_a_pool_under_pressure_does_not_shrink():
    pressure = Pressure("a", "cpu", pool().name, NOW, NOW + timedelta(hours=1), stepped=NOW)

    assert drained(decided(idle(memory=replace(unneeded(*NODES), pressures=(pressure,))))) == []


def test_a_node_on_which_waiting_work_will_land_is_needed():
    seen = idle(NODES[:1], jobs=[WEB], queued={"web": 1})

    assert decided(seen).actions == ()


def test_a_pool_that_could_serve_work_that_waits_does_not_shrink():
    """All pools are at their maximum: the node is too small for what waits, and yet its pool stays."""
    big = job("big", group(cpu=7000, memory=100))
    small = job("small", group(cpu=2000, memory=100, count=2))
    seen = idle(
        NODES[:2],
        [pool(maximum=2, minimum=1)],
        jobs=[big, small],
        queued={"big": 1},
        placed=[(small, NODES[0]), (small, NODES[1])],
    )

    assert drained(decided(seen)) == []
    assert "general could serve work that waits" in whys(decided(seen))


def test_somebody_who_asks_for_fewer_instances_does_not_wait_for_the_timer():
    asked = Memory(requests=(ScaleRequest("op", pool().name, 1, NOW, NOW + timedelta(hours=1)),))

    assert len(drained(decided(idle(NODES, memory=asked)))) == 1
    assert drained(decided(idle(NODES, memory=Memory()))) == []


@pytest.mark.parametrize("gap", list(Gap))
def test_nothing_shrinks_when_any_read_failed(gap):
    seen = replace(idle([*NODES, left(node(number=5))]), gaps=frozenset({gap}))

    plan = decided(seen)

    assert plan.actions == ()
    assert plan.reason is Reason.BLIND
    assert plan.memory.unneeded == {}


def test_no_nodes_at_all_where_there_were_some_is_not_believed():
    known = Template(TemplateSource.SEEN, NODES[0].resources, "", "default", "dc1", seen=LONG_AGO)
    partly = {each.name: LONG_AGO for each in NODES[1:]}
    seen = replace(idle(NODES), nodes=(), memory=Memory(first_seen=partly, templates={PoolName("general"): known}))

    plan = decided(seen)

    assert plan.actions == ()
    assert plan.reason is Reason.BLIND


def test_machines_that_never_had_a_node_do_not_hide_behind_an_empty_list():
    seen = replace(idle(NODES), nodes=(), memory=Memory(first_seen={each.name: LONG_AGO for each in NODES}))

    assert any(isinstance(each, Delete) for each in decided(seen).actions)


def test_work_on_a_node_that_was_not_listed_betrays_a_partial_read():
    elsewhere = allocation(WEB, node("theirs"))

    assert drained(decided(idle(NODES, jobs=[WEB]))) != []
    assert decided(replace(idle(NODES, jobs=[WEB]), allocations=(elsewhere,))).actions == ()


def test_a_claim_of_another_controller_keeps_everything_away():
    claims = tuple(Claim(each.name, "repair", "reimage", NOW + timedelta(hours=1)) for each in NODES)
    seen = idle([NODES[0], left(NODES[1]), replace(NODES[2], status=NodeStatus.DOWN)], claims=claims)

    assert decided(replace(seen, instances={"general": (instance(NODES[0]), instance(NODES[1]))})).actions == ()


def test_an_own_or_expired_claim_keeps_nobody_away():
    claims = (
        Claim(NODES[0].name, RULES.controller, "surplus", NOW + timedelta(hours=1)),
        Claim(NODES[0].name, "repair", "reimage", NOW),
    )

    assert drained(decided(idle(NODES[:1], claims=claims))) == [NODES[0].name]


def test_batch_work_is_waited_for_without_a_deadline():
    seen = idle(NODES[:2], [pool(minimum=1)], jobs=[CRUNCH], placed=[(CRUNCH, NODES[0]), (CRUNCH, NODES[1])])

    (action,) = decided(seen).actions
    assert (action.deadline, action.meta("autoscale", NOW)[DRAIN_DEADLINE]) == (None, NO_DEADLINE)


def test_a_deadline_is_lifted_when_batch_work_has_landed_on_the_node():
    leaving = left(NODES[0], over=False)
    seen = idle([leaving], jobs=[CRUNCH], placed=[(CRUNCH, leaving)])

    assert decided(seen).actions == (Drain(leaving.id, leaving.name, pool().name, None, Reason.TIDY),)
    lifted = left(NODES[0], over=False, batch=True)
    assert decided(replace(seen, nodes=(lifted,))).actions == ()


def test_an_empty_node_that_left_is_deleted_by_name():
    seen = idle([*NODES[:2], left(NODES[2])], [pool(minimum=2)])

    assert decided(seen).actions == (Delete(pool().name, (NODES[2].name,), (NODES[2].name,), Reason.SURPLUS),)


def test_a_drain_that_is_complete_while_work_lives_deletes_nothing():
    leaving = left(NODES[2])
    seen = idle([*NODES[:2], leaving], [pool(minimum=2)], jobs=[WEB], placed=[(WEB, leaving)])

    assert decided(seen).actions == ()


def test_system_work_keeps_no_node_alive():
    agent = job("agent", kind=JobKind.SYSTEM)
    leaving = left(NODES[2], over=False)
    seen = idle([*NODES[:2], leaving], [pool(minimum=2)], jobs=[agent], placed=[(agent, leaving)])

    assert [type(each) for each in decided(seen).actions] == [Delete]


@pytest.mark.parametrize(("kind", "deletes"), [(JobKind.SERVICE, True), (JobKind.BATCH, False)])
def test_long_past_its_deadline_service_work_is_given_up_and_batch_work_never(kind, deletes):
    stuck = job("stuck", kind=kind)
    leaving = left(NODES[2], started=NOW - RULES.drain_deadline - timedelta(minutes=10))
    seen = idle([*NODES[:2], leaving], [pool(minimum=2)], jobs=[stuck], placed=[(stuck, leaving)])

    assert any(isinstance(each, Delete) for each in decided(seen).actions) == deletes


def test_a_floor_that_rose_takes_back_what_leaves():
    plan = decided(idle([NODES[0], left(NODES[1])], [pool(minimum=2)]))

    assert [type(each) for each in plan.actions] == [Reclaim]


def test_a_node_that_leaves_and_became_protected_is_taken_back():
    leaving = left(NODES[0])
    seen = replace(idle([leaving]), instances={"general": (instance(leaving, protected=True),)})

    assert [type(each) for each in decided(seen).actions] == [Reclaim]


def test_taking_back_that_was_cut_short_is_finished():
    leaving = left(NODES[0])
    half = replace(leaving, last_drain=replace(leaving.last_drain, status=DrainStatus.CANCELED))

    assert [(type(each), each.because) for each in decided(idle([half])).actions] == [(Reclaim, Reason.TIDY)]


def test_what_somebody_else_drained_or_made_ineligible_is_left_alone():
    stranger = LastDrain(DrainStatus.COMPLETE, LONG_AGO, LONG_AGO, {"who": "a person"})
    theirs = replace(NODES[0], eligible=False, last_drain=stranger)
    stopped = replace(NODES[1], eligible=False, last_drain=replace(stranger, status=DrainStatus.CANCELED))
    held = replace(NODES[2], eligible=False)

    assert decided(idle([theirs, stopped, held])).actions == ()


def test_a_node_of_ours_that_came_back_and_was_held_by_a_person_later_is_left_alone():
    """A drain stays the last one after the node is eligible again, so it alone does not tell."""
    back = replace(left(NODES[0]), eligible=True)
    seen = idle([back], memory=Memory())

    remembered = decided(seen).memory
    held = replace(seen, nodes=(replace(back, eligible=False),), memory=remembered)

    assert decided(held).actions == ()


def test_the_node_of_an_instance_that_is_gone_is_forgotten():
    gone = replace(NODES[2], status=NodeStatus.DOWN)
    seen = idle([*NODES[:2], gone], [pool(minimum=2)])
    seen = replace(
        seen,
        instances={"general": tuple(instance(each) for each in NODES[:2])},
        scale_sets={"general": scale_set(pool(), 2)},
    )

    assert decided(seen).actions == (Purge(gone.id, gone.name, Reason.TIDY),)


def test_a_node_that_is_down_while_its_instance_exists_is_for_repair():
    down = replace(NODES[2], status=NodeStatus.DOWN)

    assert decided(idle([*NODES[:2], down], [pool(minimum=2)])).actions == ()


def test_an_instance_that_is_being_deleted_is_not_deleted_again():
    leaving = left(NODES[2])
    seen = idle([*NODES[:2], leaving], [pool(minimum=2)])
    deleting = instance(leaving, state=InstanceState.DELETING)
    seen = replace(seen, instances={"general": (instance(NODES[0]), instance(NODES[1]), deleting)})

    assert decided(seen).actions == ()


def test_nodes_of_no_pool_are_never_touched_but_may_take_work():
    theirs = node("elsewhere", 0, drivers=DRIVERS)
    seen = idle(NODES[:1], jobs=[WEB], placed=[(WEB, NODES[0])])
    seen = replace(seen, nodes=(*seen.nodes, theirs))

    assert drained(decided(seen)) == [NODES[0].name]


def test_a_quiet_tick_lists_no_instances_and_reads_no_idle_jobs():
    quiet = idle([NODES[0]], [pool(minimum=1)], jobs=[WEB], placed=[(WEB, NODES[0])], memory=Memory())

    assert scaling.instances_wanted(quiet, RULES) == ()
    assert demand.jobs_wanted(quiet, RULES) == ()


@pytest.mark.parametrize(
    "seen",
    [
        idle(NODES[:1]),
        idle([left(NODES[0])], memory=Memory()),
        idle([replace(NODES[0], status=NodeStatus.DOWN)], memory=Memory()),
        replace(idle(NODES, memory=Memory()), scale_sets={"general": scale_set(pool(), 4)}),
    ],
    ids=["unneeded for long", "leaving", "down", "capacity that is no node"],
)
def test_instances_are_listed_when_something_may_come_of_it(seen):
    assert scaling.instances_wanted(seen, RULES) == ("general",)


def test_jobs_are_read_that_wait_or_whose_nodes_might_leave():
    seen = idle(NODES, jobs=[WEB, CRUNCH, job("other")], placed=[(CRUNCH, NODES[0])], queued={"web": 1})

    assert [each.key.id for each in demand.jobs_wanted(seen, RULES)] == ["crunch", "web"]
