"""Whatever is asked of the model, in whatever order and with whatever faults, its books balance in the end."""

from contextlib import suppress
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.azure.model.actions import act
from lab.azure.model.building import add_pool
from lab.azure.model.cloud import Cloud
from lab.azure.model.failures import ArmError, Failure
from lab.azure.model.faults import Fault, FaultKind
from lab.azure.model.growth import update_scale_set
from lab.azure.model.health import set_health
from lab.azure.model.pace import LognormalBoot, Pace
from lab.azure.model.quota import Quotas, usage_of
from lab.azure.model.removal import delete_instances, evict
from lab.azure.model.words import EvictionPolicy, Happening, Health, Mode, OperationKind, Priority
from lab.clock import FakeClock

ACTIONS = [
    OperationKind.RESTART,
    OperationKind.REIMAGE,
    OperationKind.DEALLOCATE,
    OperationKind.START,
    OperationKind.POWER_OFF,
]
FAULTS = [kind for kind in FaultKind if kind not in {FaultKind.SLOW, FaultKind.THROTTLE, FaultKind.STALE_LISTS}]

steps = st.one_of(
    st.tuples(st.just("resize"), st.integers(0, 12)),
    st.tuples(st.just("delete"), st.lists(st.integers(0, 20), min_size=1, max_size=4)),
    st.tuples(st.just("evict"), st.integers(0, 20)),
    st.tuples(st.just("act"), st.tuples(st.sampled_from(ACTIONS), st.integers(0, 20))),
    st.tuples(st.just("sicken"), st.integers(0, 20)),
    st.tuples(st.just("wait"), st.floats(0, 400)),
    st.tuples(
        st.just("fault"),
        st.builds(
            Fault,
            kind=st.sampled_from(FAULTS),
            zone=st.sampled_from([None, "1", "2"]),
            count=st.integers(1, 3),
            failure=st.sampled_from(Failure),
            come=st.integers(0, 3),
        ),
    ),
)


class Day:
    """A pool to which things are done."""

    def __init__(self, mode, priority, policy, seed):
        self.clock = FakeClock()
        pace = Pace(boot=LognormalBoot(timedelta(seconds=60)))
        self.cloud = Cloud(self.clock, seed=seed, pace=pace, quotas=Quotas(regional=36, low_priority=36))
        self.heard = []
        self.cloud.subscribe(self.heard.append)
        self.pool = add_pool(self.cloud, "pool", mode=mode, priority=priority, eviction_policy=policy, capacity=2)
        self.pool.document["properties"]["automaticRepairsPolicy"] = {"enabled": True, "gracePeriod": "PT10M"}

    def pick(self, number):
        instances = list(self.pool)
        return instances[number % len(instances)] if instances else None

    def do(self, step, argument):
        with suppress(ArmError):  # refused: the books must balance all the same
            getattr(self, step)(argument)

    def resize(self, capacity):
        update_scale_set(self.cloud, self.pool, {"sku": {"capacity": capacity}})

    def delete(self, numbers):
        chosen = {i.name: i for i in (self.pick(n) for n in numbers) if i}
        delete_instances(self.cloud, self.pool, list(chosen.values()))

    def evict(self, number):
        if instance := self.pick(number):
            evict(self.cloud, self.pool, instance)

    def act(self, what):
        kind, number = what
        if instance := self.pick(number):
            act(self.cloud, self.pool, kind, [instance])

    def sicken(self, number):
        if instance := self.pick(number):
            set_health(self.cloud, self.pool, instance, Health.UNHEALTHY)

    def wait(self, seconds):
        self.clock.advance(seconds)
        self.cloud.advance()

    def fault(self, fault):
        self.cloud.inject(fault)

    def settle(self):
        """Let hours pass, but not forever: a sick machine that no repair may touch is looked at every minute."""
        until = self.clock() + timedelta(hours=6)
        while (due := self.cloud.next_due()) is not None and due <= until:
            self.clock.move_to(due)
            self.cloud.advance()


@settings(max_examples=150, deadline=None)
@given(
    mode=st.sampled_from(Mode),
    priority=st.sampled_from(Priority),
    policy=st.sampled_from(EvictionPolicy),
    seed=st.integers(0, 9),
    day=st.lists(steps, max_size=15),
)
def test_the_books_balance_at_the_end_of_any_day(mode, priority, policy, seed, day):
    world = Day(mode, priority, policy, seed)
    for step, argument in day:
        world.do(step, argument)
    world.settle()
    pool = world.pool
    lost = pool.capacity - len(pool.standing())  # a Flexible scale set does not notice that machines were evicted
    assert lost == 0 or (lost > 0 and (mode, policy) == (Mode.FLEXIBLE, EvictionPolicy.DELETE))
    assert len(pool.standing()) == len(pool.instances)
    assert [operation for operation in world.cloud.operations.values() if operation.running] == []
    assert pool.updating is None
    assert len({instance.ip for instance in pool}) == len(pool.instances)
    usage = usage_of(world.cloud.scale_sets.values())
    assert usage.regional + usage.low_priority == 4 * len([i for i in pool if i.allocated]) <= 36
    assert_lives_make_sense(world)


def assert_lives_make_sense(world):
    """A guest boots first and ends once; what runs at the end has been heard to boot last."""
    lives = {}
    for event in world.heard:
        lives.setdefault(event.name, []).append(event.happening)
    running = {instance.name for instance in world.pool if instance.is_running}
    for name, life in lives.items():
        assert Happening.DELETED not in life[:-1]
        assert life[0] is Happening.BOOTED
        assert life[-1] is not Happening.BOOTED or name in running
    for instance in world.pool:
        if instance.is_running and instance.error is None:
            assert lives[instance.name][-1] is Happening.BOOTED
