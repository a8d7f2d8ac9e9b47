"""The scale set adapter against the stand-in of Azure Resource Manager, without a socket and on a fake clock."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from keeper.azure.scale_sets import ScaleSetsArm
from keeper.core.memory import FailureKind
from keeper.core.model import InstanceState, Mode, Pool, PoolName, Provisioning
from keeper.errors import Changed, Forbidden, Gone, Throttled, Unreachable
from keeper.ports import GrowthRefused, OperationStatus
from keeper.settings import AzureSettings
from lab.azure.access import Access
from lab.azure.arm import Arm
from lab.azure.inprocess import InProcessTransport, StaticCredential
from lab.azure.model import words
from lab.azure.model.building import add_pool
from lab.azure.model.cloud import Cloud
from lab.azure.model.failures import Failure
from lab.azure.model.faults import Fault, FaultKind
from lab.azure.model.removal import remove
from lab.azure.tokens import Principal, Tenant
from lab.clock import FakeClock

CLIENT = "0a0a0a0a-0000-4000-8000-000000000001"


class Clock:
    """A lab clock with the keeper's face."""

    def __init__(self, clock):
        self.now = clock


class World:
    """One cloud with a scale set `general`, and the adapter in front of it."""

    def __init__(self, mode):
        self.clock = FakeClock()
        self.cloud = Cloud(self.clock)
        self.arm = Arm(self.cloud)
        self.there = add_pool(self.cloud, "general", mode=words.Mode(mode.value), capacity=2, tags={"team": "a"})
        self.pool = Pool(PoolName("general"), "general", "rg-lab", mode, minimum=0, maximum=20)
        self.adapter = self.adapter_for(self.pool)

    def adapter_for(self, *pools, credential=None):
        settings = AzureSettings(
            subscription=self.cloud.subscription,
            client_id=CLIENT,
            vault="https://v.vault.azure.net",
            blobs="https://a.blob.core.windows.net",
            queues="https://a.queue.core.windows.net",
        )
        transport = InProcessTransport(self.arm.handle, self.clock)
        credential = credential or StaticCredential()
        return ScaleSetsArm(settings, pools, credential=credential, clock=Clock(self.clock), transport=transport)

    @property
    def current(self):
        return self.adapter.scale_sets()[self.pool.name]

    def fault(self, kind, **how):
        self.cloud.faults.inject(Fault(kind, **how), self.clock())


@pytest.fixture(params=Mode)
def world(request):
    return World(request.param)


def test_scale_sets_are_listed_in_one_call_per_resource_group(world):
    spot = replace(world.pool, name=PoolName("spot"), scale_set="SPOT")
    missing = replace(world.pool, name=PoolName("missing"), scale_set="missing")
    add_pool(world.cloud, "spot", capacity=1)

    found = world.adapter_for(world.pool, spot, missing).scale_sets()

    assert len(list(world.arm.journal)) == 1
    assert set(found) == {"general", "spot"}
    general = found["general"]
    assert (general.capacity, general.provisioning, general.sku) == (2, Provisioning.SUCCEEDED, "Standard_D4s_v5")
    assert general.tags == {"team": "a"}
    assert general.etag


def test_instances_are_listed_with_state_zone_and_age(world):
    found = world.adapter.instances(world.pool)

    assert [instance.name for instance in found] == sorted(each.name for each in world.there)
    assert {instance.state for instance in found} == {InstanceState.RUNNING}
    assert sorted(instance.zone for instance in found) == ["1", "2"]
    assert {instance.created for instance in found} == {world.clock()}
    ids = {"0", "1"} if world.pool.mode is Mode.UNIFORM else {instance.name for instance in found}
    assert {instance.id for instance in found} == ids


def test_a_growth_is_asked_for_and_not_waited_for(world):
    operation = world.adapter.grow(world.pool, world.current, 5)

    assert world.adapter.outcome(world.pool, operation).status is OperationStatus.RUNNING
    assert world.current.capacity == 5
    assert InstanceState.CREATING in {instance.state for instance in world.adapter.instances(world.pool)}

    world.clock.advance(timedelta(minutes=10))

    assert world.adapter.outcome(world.pool, operation).status is OperationStatus.SUCCEEDED
    assert [instance.state for instance in world.adapter.instances(world.pool)] == [InstanceState.RUNNING] * 5


def test_growing_changes_nothing_but_the_capacity(world):
    seen = world.current

    world.adapter.grow(world.pool, seen, 3)

    (patch,) = world.arm.journal.matching(method="PATCH")
    assert patch.if_match == seen.etag
    assert json.loads(patch.body) == {"sku": {"name": "Standard_D4s_v5", "capacity": 3}}


def test_a_growth_on_a_scale_set_that_changed_meanwhile_is_refused(world):
    seen = world.current
    world.adapter.grow(world.pool, seen, 3)

    with pytest.raises(Changed):
        world.adapter.grow(world.pool, seen, 9)

    assert world.there.capacity == 3


def test_repeating_a_growth_buys_nothing_twice(world):
    world.adapter.grow(world.pool, world.current, 4)

    world.adapter.grow(world.pool, world.current, 4)
    world.clock.advance(timedelta(minutes=10))

    assert (world.there.capacity, len(world.there.standing())) == (4, 4)


def test_capacity_whose_machines_are_gone_is_made_up_by_what_the_mode_of_the_scale_set_takes(world):
    flexible = world.pool.mode is Mode.FLEXIBLE
    for each in world.there.standing():
        remove(world.cloud, world.there, [each], world.cloud.start(words.OperationKind.DELETE_INSTANCES, world.there))
    world.clock.advance(timedelta(minutes=10))
    assert (world.current.capacity, world.adapter.instances(world.pool)) == (2, ())

    world.adapter.grow(world.pool, world.current, 2)
    world.clock.advance(timedelta(minutes=10))
    assert len(world.adapter.instances(world.pool)) == (0 if flexible else 2)

    world.adapter.grow(world.pool, world.current, 4)
    world.clock.advance(timedelta(minutes=10))
    assert len(world.adapter.instances(world.pool)) == (2 if flexible else 4)


def test_the_free_addresses_of_a_pools_subnet_are_counted_in_one_call(world):
    subnet = world.current.subnet
    world.cloud.network.prefixes[subnet] = "10.1.0.0/28"
    before = len(list(world.arm.journal))

    assert world.adapter.free_addresses([subnet]) == {subnet: 16 - 5 - 2}
    assert len(list(world.arm.journal)) == before + 1
    with pytest.raises(GrowthRefused) as refused:
        world.adapter.grow(world.pool, world.current, 12)
    assert refused.value.failure.kind is FailureKind.SUBNET_FULL


def test_capacity_is_never_lowered(world):
    with pytest.raises(ValueError, match="never lowered"):
        world.adapter.grow(world.pool, world.current, 1)

    assert world.there.capacity == 2


def test_exactly_the_named_instances_are_deleted(world):
    first, second = world.adapter.instances(world.pool)

    world.adapter.delete(world.pool, [first.id])
    world.clock.advance(timedelta(minutes=10))

    assert world.adapter.instances(world.pool) == (second,)
    assert world.current.capacity == 1


def test_deleting_what_is_already_gone_is_no_error_and_still_deletes_the_rest(world):
    first, second = world.adapter.instances(world.pool)
    world.adapter.delete(world.pool, [first.id])
    world.clock.advance(timedelta(minutes=10))

    world.adapter.delete(world.pool, [first.id])
    world.adapter.delete(world.pool, [first.id, second.id])
    world.clock.advance(timedelta(minutes=10))

    assert world.adapter.instances(world.pool) == ()


def test_no_call_ever_names_all_instances(world):
    world.adapter.delete(world.pool, [])
    with pytest.raises(ValueError, match="by name only"):
        world.adapter.delete(world.pool, ["*"])

    assert not world.arm.journal.matching(method="POST")


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure.QUOTA_FAMILY, FailureKind.SKU_FAMILY_QUOTA),
        (Failure.QUOTA_REGIONAL, FailureKind.REGIONAL_QUOTA),
        (Failure.QUOTA_LOW_PRIORITY, FailureKind.LOW_PRIORITY_QUOTA),
        (Failure.SKU_NOT_AVAILABLE, FailureKind.SKU_NOT_AVAILABLE),
        (Failure.SUBNET_FULL, FailureKind.SUBNET_FULL),
    ],
)
def test_a_growth_refused_at_once_says_why(world, failure, kind):
    seen = world.current
    world.fault(FaultKind.FAIL, action="*/write", failure=failure)

    with pytest.raises(GrowthRefused) as refused:
        world.adapter.grow(world.pool, seen, 5)

    assert (refused.value.failure.kind, refused.value.failure.pool) == (kind, "general")
    assert refused.value.failure.at == world.clock()


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure.ALLOCATION, FailureKind.ALLOCATION),
        (Failure.ZONAL_ALLOCATION, FailureKind.ZONAL_ALLOCATION),
        (Failure.OVERCONSTRAINED, FailureKind.OVERCONSTRAINED),
        (Failure.OVERCONSTRAINED_ZONAL, FailureKind.OVERCONSTRAINED_ZONAL),
        (Failure.PREEMPTED, FailureKind.PREEMPTED),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_growth_that_fails_later_says_why(world, failure, kind, wrapped):
    seen = world.current
    world.fault(FaultKind.FAIL, action="*/write", failure=failure, wrapped=wrapped)
    operation = world.adapter.grow(world.pool, seen, 5)
    world.clock.advance(timedelta(minutes=10))

    result = world.adapter.outcome(world.pool, operation)

    assert (result.status, result.failure.kind) == (OperationStatus.FAILED, kind)


def test_a_throttled_call_is_not_waited_out(world):
    seen = world.current
    world.fault(FaultKind.THROTTLE, delay=timedelta(minutes=20), count=3)
    began = world.clock()

    for call in (
        world.adapter.scale_sets,
        lambda: world.adapter.grow(world.pool, seen, 5),
        lambda: world.adapter.delete(world.pool, ["0"]),
    ):
        with pytest.raises(Throttled) as throttled:
            call()
        assert throttled.value.retry_after == timedelta(minutes=20)

    assert world.clock() == began
    assert world.there.capacity == 2


@pytest.mark.parametrize(
    ("failure", "error"),
    [(Failure.FORBIDDEN, Forbidden), (Failure.INTERNAL, Unreachable), (Failure.UNAVAILABLE, Unreachable)],
)
def test_refusals_that_are_no_reason_not_to_grow_are_told_apart(world, failure, error):
    seen = world.current
    world.fault(FaultKind.FAIL, failure=failure, count=2)

    with pytest.raises(error):
        world.adapter.scale_sets()
    with pytest.raises(error):
        world.adapter.grow(world.pool, seen, 5)


def test_a_missing_right_is_named(world):
    tenant = Tenant("0c0c0c0c-0000-4000-8000-000000000001", world.clock)
    keeper = Principal(CLIENT, "0b0b0b0b-0000-4000-8000-000000000001")
    token, _ = tenant.issue(keeper, "https://management.azure.com")
    world.arm.access = Access(tenant, grants={})

    with pytest.raises(Forbidden, match=r"'Microsoft\.Compute/virtualMachineScaleSets/read'"):
        world.adapter_for(world.pool, credential=StaticCredential(token)).scale_sets()


def test_an_answer_that_takes_too_long_is_no_answer(world):
    world.fault(FaultKind.SLOW, delay=timedelta(minutes=5))
    began = world.clock()

    with pytest.raises(Unreachable):
        world.adapter.scale_sets()

    assert world.clock() - began < timedelta(minutes=1)


def test_a_scale_set_that_is_gone_is_said_to_be_gone(world):
    gone = replace(world.pool, scale_set="gone")

    with pytest.raises(Gone):
        world.adapter.grow(gone, world.current, 5)


def test_an_operation_that_azure_has_forgotten_counts_as_succeeded(world):
    operation = world.adapter.grow(world.pool, world.current, 3)
    forgotten = operation.replace("/operations/", "/operations/00000000-")

    assert world.adapter.outcome(world.pool, forgotten).status is OperationStatus.SUCCEEDED


def test_the_token_is_sent_to_nobody_but_azure(world):
    result = world.adapter.outcome(world.pool, "https://elsewhere.example/subscriptions/s/operations/1")

    assert result.status is OperationStatus.SUCCEEDED  # as good as forgotten: the next look shows what became of it
    assert not list(world.arm.journal)
