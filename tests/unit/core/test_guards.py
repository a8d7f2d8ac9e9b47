"""Each guard catches the plan that it is there for, whoever made it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from keeper.core import guards
from keeper.core.memory import Memory
from keeper.core.model import JobKind, NodeStatus
from keeper.core.plan import Delete, Drain, Grow, Plan, Purge, Reason, Reclaim
from keeper.core.rules import AutoscaleRules
from keeper.core.view import Claim, Gap
from tests.property.builders import NOW, RULES, allocation, group, instance, job, left, node, pool, scale_set, view

POOL = pool(minimum=1, maximum=4)
NODES = [node(number=n) for n in range(3)]
LEAVING = left(node(number=3))
CRUNCH, WEB, ONE = job("crunch", kind=JobKind.BATCH), job("web"), job("one", group(count=1))
SEEN = view([POOL], [*NODES, LEAVING], jobs=[CRUNCH, WEB, ONE])


def drain(which=NODES[0], deadline=timedelta(hours=1)) -> Drain:
    return Drain(which.id, which.name, POOL.name, deadline, Reason.SURPLUS)


def delete(which) -> Delete:
    return Delete(POOL.name, (which.name,), (which.name,), Reason.SURPLUS)


def carrying(*placed) -> tuple:
    return tuple(allocation(spec, on, n) for n, (spec, on) in enumerate(placed))


BAD = [
    ("paused-does-nothing", replace(SEEN, memory=Memory(paused="why")), drain()),
    ("within-bounds", SEEN, Grow(POOL.name, 4, 5, None, Reason.DEMAND)),
    ("within-bounds", replace(SEEN, pools=(replace(POOL, minimum=3),)), drain()),
    ("within-bounds", replace(SEEN, pools=(replace(POOL, minimum=4),)), delete(LEAVING)),
    ("never-lower", SEEN, Grow(POOL.name, 4, 3, None, Reason.DEMAND)),
    ("never-lower", SEEN, Grow(POOL.name, 2, 4, None, Reason.DEMAND)),
    ("whole-view-to-shrink", replace(SEEN, gaps=frozenset({Gap.DEPLOYMENTS})), drain()),
    ("whole-view-to-shrink", replace(SEEN, gaps=frozenset({Gap.INSTANCES})), delete(LEAVING)),
    ("empty-before-delete", replace(SEEN, allocations=carrying((WEB, LEAVING))), delete(LEAVING)),
    ("batch-waits", replace(SEEN, allocations=carrying((CRUNCH, NODES[0]))), drain()),
    (
        "batch-waits",
        replace(SEEN, nodes=(*NODES, left(node(number=3), over=False)), allocations=carrying((CRUNCH, LEAVING))),
        Grow(POOL.name, 4, 4, None, Reason.DEMAND),
    ),
    ("protected-stays", replace(SEEN, instances={POOL.name: (instance(NODES[0], protected=True),)}), drain()),
    ("protected-stays", replace(SEEN, allocations=carrying((ONE, NODES[0]))), drain()),
    ("ours-only", SEEN, Reclaim(NODES[0].id, NODES[0].name, POOL.name, Reason.RECLAIM)),
    ("ours-only", SEEN, delete(NODES[0])),
    ("ours-only", SEEN, Purge(NODES[0].id, NODES[0].name, Reason.TIDY)),
    (
        "ours-only",
        replace(SEEN, nodes=(replace(NODES[0], status=NodeStatus.DOWN), *NODES[1:])),
        Purge(NODES[0].id, NODES[0].name, Reason.TIDY),
    ),
    ("one-claim", replace(SEEN, claims=(Claim(NODES[0].name, "repair", "r", NOW + timedelta(hours=1)),)), drain()),
    ("drain-budget", SEEN, drain()),
    ("overall-limits", replace(SEEN, pools=(replace(POOL, maximum=99),)), Grow(POOL.name, 4, 60, None, Reason.DEMAND)),
    (
        "addresses-left",
        replace(
            SEEN,
            pools=(replace(POOL, maximum=9),),
            scale_sets={POOL.name: scale_set(POOL, 4, subnet="/s")},
            free_addresses={"/s": 2},
        ),
        Grow(POOL.name, 4, 7, None, Reason.DEMAND),
    ),
    (
        "work-fits-elsewhere",
        replace(SEEN, nodes=(NODES[0],), allocations=carrying((WEB, NODES[0]))),
        drain(),
    ),
]
LIMITS = AutoscaleRules(max_instances=50)


@pytest.mark.parametrize(("guard", "seen", "action"), BAD, ids=[f"{n}-{bad[0]}" for n, bad in enumerate(BAD)])
def test_each_guard_catches_its_plan(guard, seen, action):
    bad = Plan((action,), Reason.SURPLUS, "", seen.memory)

    assert guard in {each.guard for each in guards.check(bad, seen, LIMITS)}


def test_two_drains_of_one_job_and_two_changes_of_one_instance_are_caught():
    seen = replace(SEEN, allocations=carrying((WEB, NODES[0]), (WEB, NODES[1])))
    plan = Plan((drain(), drain(NODES[1]), drain()), Reason.SURPLUS, "", seen.memory)

    broken = {each.guard for each in guards.check(plan, seen, AutoscaleRules(max_draining=9))}

    assert {"drain-budget", "one-claim"} <= broken


def test_every_guard_is_shown_to_catch_something():
    assert {bad[0] for bad in BAD} == guards.GUARDS.keys()


def test_a_plan_that_does_nothing_breaks_nothing():
    assert guards.check(Plan((), Reason.STEADY, "", Memory()), SEEN, RULES) == []
