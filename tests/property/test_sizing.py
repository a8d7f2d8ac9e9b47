"""The keeper's packing against an exact solver, and against what is physically possible."""

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from keeper.core import scaling
from keeper.core.model import Resources
from keeper.core.plan import Grow
from tests.property.builders import NODE, RULES, group, job, pool, view

CASES = 400
"""Fixed cases for the share that equals the exact solver; the properties below draw their own."""

Item = tuple[int, int, int]


def planned(items: list[Item]) -> int:
    """How many instances the keeper buys for these items: cpu, memory, disk."""
    jobs = [job(f"job-{n:02}", group("g", cpu, memory, disk=disk)) for n, (cpu, memory, disk) in enumerate(items)]
    seen = view([pool(maximum=100)], jobs=jobs, queued={each.key.id: 1 for each in jobs})
    (grow,) = scaling.plan_autoscale(seen, RULES).actions
    assert isinstance(grow, Grow)
    return grow.target


def exact(items: list[Item]) -> int:
    """The fewest bins, by the smallest partition of the set of items: over subsets, bins used and room left in the last."""
    whole = (NODE.cpu, NODE.memory, NODE.disk)

    @cache
    def fits(chosen: int) -> bool:
        return all(sum(items[n][d] for n in range(len(items)) if chosen >> n & 1) <= whole[d] for d in range(3))

    @cache
    def fewest(left: int) -> int:
        if not left:
            return 0
        first = left & -left
        rest, best, part = left ^ first, len(items), left ^ first
        while True:
            if fits(part | first):
                best = min(best, 1 + fewest(rest ^ part))
            if not part:
                return best
            part = (part - 1) & rest

    return fewest((1 << len(items)) - 1)


def case(seed: int) -> list[Item]:
    """Items like those of real jobs: a few sizes, some large, some lopsided. The same seed gives the same case."""
    state = seed * 2654435761 % 2**32

    def draw(low: int, high: int) -> int:
        nonlocal state
        state = (state * 1664525 + 1013904223) % 2**32
        return low + (state >> 8) % (high - low + 1)

    count = draw(4, 11)
    return [(draw(4, 60) * 100, draw(4, 60) * 200, draw(1, 40) * 500) for _ in range(count)]


def test_small_cases_take_as_many_nodes_as_an_exact_solver_in_95_of_100():
    equal = sum(planned(case(seed)) == exact(case(seed)) for seed in range(CASES))

    assert equal / CASES >= 0.95, f"{equal} of {CASES}"


items = st.lists(
    st.tuples(st.integers(100, 8000), st.integers(100, 16000), st.integers(10, 50000)), min_size=1, max_size=8
)


@given(items=items)
def test_no_fewer_nodes_are_bought_than_the_work_needs_nor_more_than_one_each(items):
    bought = planned(items)

    assert exact(items) <= bought <= len(items)


@given(items=items)
def test_what_is_bought_is_enough(items):
    """After the purchase has joined, nothing waits that would be bought for."""
    count = planned(items)
    jobs = [job(f"job-{n:02}", group("g", cpu, memory, disk=disk)) for n, (cpu, memory, disk) in enumerate(items)]
    seen = view([pool(maximum=100, minimum=count)], jobs=jobs, queued={each.key.id: 1 for each in jobs})

    (grow,) = scaling.plan_autoscale(seen, RULES).actions

    assert grow.target == count


def test_the_room_of_a_node_is_what_the_cases_assume():
    assert Resources(8000, 4, 16000, 50000) == NODE
