"""Every scripted fault strikes whom it is aimed at, as often and as long as told, and nobody else."""

import json
from datetime import timedelta

import pytest
from azure.core.exceptions import HttpResponseError, ServiceResponseTimeoutError

from lab.azure.model.building import add_pool
from lab.azure.model.failures import Failure
from lab.azure.model.faults import Fault, FaultKind
from lab.azure.model.words import Happening, Mode, Priority, Provisioning
from lab.http import Request

BOTH = pytest.mark.parametrize("mode", [Mode.UNIFORM, Mode.FLEXIBLE])
READ = "Microsoft.Compute/virtualMachineScaleSets/read"
WRITE = "Microsoft.Compute/virtualMachineScaleSets/write"
DELETE = "Microsoft.Compute/virtualMachineScaleSets/delete/action"


def running(pool):
    return [instance for instance in pool if instance.is_running]


def admin(world, method, path, body=None):
    sent = b"" if body is None else json.dumps(body).encode()
    return world.arm.handle(Request(method, f"https://arm/lab/{path}", {}, sent))


def failed_code(poller):
    with pytest.raises(HttpResponseError) as caught:
        poller.result()
    return caught.value.error.code


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Failure.ALLOCATION, "AllocationFailed"),
        (Failure.ZONAL_ALLOCATION, "ZonalAllocationFailed"),
        (Failure.OVERCONSTRAINED, "OverconstrainedAllocationRequest"),
        (Failure.OVERCONSTRAINED_ZONAL, "OverconstrainedZonalAllocationRequest"),
        (Failure.OS_PROVISIONING, "OSProvisioningTimedOut"),
        (Failure.VM_AGENT, "VMAgentStatusCommunicationError"),
        (Failure.PREEMPTED, "OperationPreempted"),
    ],
)
@BOTH
def test_late_failures_arrive_in_the_operation(world, mode, failure, code):
    pool = add_pool(world.cloud, "general", mode=mode, capacity=1)
    world.cloud.inject(Fault(FaultKind.FAIL, scale_set="general", failure=failure))
    assert failed_code(world.resize("general", 3)) == code
    assert len(running(pool)) == 1


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (Failure.QUOTA_FAMILY, 409, "OperationNotAllowed"),
        (Failure.QUOTA_REGIONAL, 409, "OperationNotAllowed"),
        (Failure.QUOTA_LOW_PRIORITY, 409, "OperationNotAllowed"),
        (Failure.SKU_NOT_AVAILABLE, 409, "SkuNotAvailable"),
        (Failure.CONFLICT, 409, "Conflict"),
        (Failure.FORBIDDEN, 403, "AuthorizationFailed"),
        (Failure.INTERNAL, 500, "InternalExecutionError"),
        (Failure.UNAVAILABLE, 503, "ServerTimeout"),
    ],
)
def test_early_failures_are_the_answer_and_change_nothing(world, failure, status, code):
    pool = add_pool(world.cloud, "general", capacity=1)
    world.cloud.inject(Fault(FaultKind.FAIL, scale_set="general", action=WRITE, failure=failure))
    with pytest.raises(HttpResponseError) as caught:
        world.resize("general", 3)
    assert (caught.value.status_code, caught.value.error.code) == (status, code)
    assert pool.capacity == 1
    assert world.compute.virtual_machine_scale_sets.get("rg-lab", "general").sku.capacity == 1


def test_a_late_failure_can_come_in_the_wrapper_that_some_operations_show(world):
    add_pool(world.cloud, "general")
    world.cloud.inject(Fault(FaultKind.FAIL, failure=Failure.ALLOCATION, wrapped=True))
    with pytest.raises(HttpResponseError) as caught:
        world.resize("general", 1).result()
    assert caught.value.error.code == "ResourceOperationFailure"
    assert caught.value.error.details[0].code == "AllocationFailed"


def test_failed_uniform_instances_stay_listed_and_count_and_can_be_deleted(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=1)
    world.cloud.inject(Fault(FaultKind.FAIL, scale_set="general", count=2))
    failed_code(world.resize("general", 3))
    assert [i.provisioning for i in pool] == [Provisioning.SUCCEEDED, Provisioning.FAILED, Provisioning.FAILED]
    assert pool.capacity == 3
    world.delete("general", ["1", "2"]).result()
    assert (pool.capacity, len(pool.instances)) == (1, 1)


def test_failed_flexible_instances_are_gone_and_the_capacity_falls_back(world):
    pool = add_pool(world.cloud, "general", mode=Mode.FLEXIBLE, capacity=1)
    world.cloud.inject(Fault(FaultKind.FAIL, scale_set="general", count=2))
    failed_code(world.resize("general", 3))
    assert (pool.capacity, len(pool.instances)) == (1, 1)


def test_a_zone_without_capacity_refuses_only_its_share(world):
    pool = add_pool(world.cloud, "general", mode=Mode.FLEXIBLE)
    world.cloud.inject(Fault(FaultKind.FAIL, zone="2", failure=Failure.ZONAL_ALLOCATION))
    assert failed_code(world.resize("general", 3)) == "ZonalAllocationFailed"
    assert sorted(i.zone for i in running(pool)) == ["1", "3"]


@BOTH
def test_a_partial_success_lets_three_of_five_come(world, mode):
    pool = add_pool(world.cloud, "general", mode=mode)
    world.cloud.inject(Fault(FaultKind.PARTIAL, scale_set="general", come=3, count=1))
    assert failed_code(world.resize("general", 5)) == "AllocationFailed"
    assert len(running(pool)) == 3


def test_an_instance_that_never_boots_stays_creating_and_its_operation_stays_open(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM)
    world.cloud.inject(Fault(FaultKind.STAYS_CREATING, scale_set="general", count=1))
    world.resize("general", 2, polling=False)
    world.wait(600)
    assert sorted(i.provisioning for i in pool) == ["Creating", "Succeeded"]
    (operation,) = world.cloud.operations.values()
    assert operation.status == "InProgress"
    assert [e.happening for e in world.heard] == [Happening.BOOTED]


def test_an_instance_whose_provisioning_fails_runs_but_is_never_heard_of(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM)
    world.cloud.inject(Fault(FaultKind.PROVISIONING_FAILS, count=1))
    assert failed_code(world.resize("general", 1)) == "OSProvisioningTimedOut"
    view = world.compute.virtual_machine_scale_set_vms.get_instance_view("rg-lab", "general", "0")
    assert [s.code for s in view.statuses] == ["ProvisioningState/failed/OSProvisioningTimedOut", "PowerState/running"]
    assert world.heard == []
    assert pool.capacity == 1


def test_an_instance_that_never_joins_boots_like_any_other_and_says_so_to_the_lab_only(world):
    add_pool(world.cloud, "general", mode=Mode.UNIFORM)
    world.cloud.inject(Fault(FaultKind.NEVER_JOINS, scale_set="general", count=1))
    world.resize("general", 2).result()
    assert [event.joins for event in world.heard] == [False, True]
    codes = [
        vm.instance_view.statuses[-1].code
        for vm in world.compute.virtual_machine_scale_set_vms.list("rg-lab", "general", expand="instanceView")
    ]
    assert codes == ["PowerState/running"] * 2


def test_a_slow_boot_takes_that_much_longer(world):
    add_pool(world.cloud, "general")
    world.cloud.inject(Fault(FaultKind.SLOW_BOOT, scale_set="general", delay=timedelta(minutes=5)))
    world.resize("general", 1, polling=False)
    world.wait(300)
    assert world.heard == []
    world.wait(66)
    assert len(world.heard) == 1


def test_a_slow_delete_is_accepted_at_once_and_takes_that_much_longer(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=2)
    world.cloud.inject(Fault(FaultKind.SLOW_OPERATION, action=DELETE, delay=timedelta(minutes=10)))
    world.delete("general", ["0"], polling=False)
    world.wait(600)
    (operation,) = world.cloud.operations.values()
    assert (operation.status, set(pool.instances)) == ("InProgress", {"0", "1"})
    world.wait(30)
    assert (operation.status, set(pool.instances)) == ("Succeeded", {"1"})


def test_a_slow_answer_passes_on_the_clock(world):
    add_pool(world.cloud, "general")
    world.cloud.inject(Fault(FaultKind.SLOW, action=READ, delay=timedelta(seconds=7)))
    before = world.clock()
    world.compute.virtual_machine_scale_sets.get("rg-lab", "general")
    assert world.clock() - before == timedelta(seconds=7)


def test_an_answer_slower_than_the_caller_waits_is_a_timeout(world):
    add_pool(world.cloud, "general")
    world.cloud.inject(Fault(FaultKind.SLOW, action=READ, delay=timedelta(seconds=7)))
    with pytest.raises(ServiceResponseTimeoutError):
        world.compute.virtual_machine_scale_sets.get("rg-lab", "general", read_timeout=2)


def test_a_throttle_answers_429_with_its_retry_after_for_as_long_as_told(world):
    add_pool(world.cloud, "general")
    fault = Fault(FaultKind.THROTTLE, action="*/read", duration=timedelta(minutes=2), delay=timedelta(seconds=90))
    world.cloud.inject(fault)
    with pytest.raises(HttpResponseError) as caught:
        world.compute.virtual_machine_scale_sets.get("rg-lab", "general")
    assert (caught.value.status_code, caught.value.response.headers["Retry-After"]) == (429, "90")
    world.wait(121)
    assert world.compute.virtual_machine_scale_sets.get("rg-lab", "general").name == "general"


@BOTH
def test_a_stale_list_shows_what_was_there_when_it_went_stale(world, mode):
    pool = add_pool(world.cloud, "general", mode=mode, capacity=2)
    world.cloud.inject(Fault(FaultKind.STALE_LISTS, scale_set="general" if mode is Mode.UNIFORM else None, count=1))
    world.delete("general", [next(iter(pool)).instance_id]).result()

    def listed():
        if mode is Mode.UNIFORM:
            return len(list(world.compute.virtual_machine_scale_set_vms.list("rg-lab", "general")))
        return len(list(world.compute.virtual_machines.list("rg-lab")))

    assert [listed(), listed()] == [2, 1]


@BOTH
def test_a_delete_that_fails_late_deletes_nothing_and_keeps_the_capacity(world, mode):
    pool = add_pool(world.cloud, "general", mode=mode, capacity=2)
    world.cloud.inject(Fault(FaultKind.FAIL, action=DELETE, failure=Failure.PREEMPTED, count=1))
    victim = next(iter(pool)).instance_id
    assert failed_code(world.delete("general", [victim])) == "OperationPreempted"
    assert (pool.capacity, len(running(pool))) == (2, 2)
    world.delete("general", [victim]).result()
    assert (pool.capacity, len(running(pool))) == (1, 1)


def test_a_fault_aimed_at_one_scale_set_leaves_the_other_alone(world):
    add_pool(world.cloud, "general")
    add_pool(world.cloud, "spot")
    world.cloud.inject(Fault(FaultKind.FAIL, scale_set="general"))
    assert world.resize("spot", 1).result().sku.capacity == 1
    assert failed_code(world.resize("general", 1)) == "AllocationFailed"


def test_faults_can_be_put_in_force_listed_and_lifted_over_http(world):
    add_pool(world.cloud, "general")
    fault = {"kind": "fail", "scale_set": "general", "failure": "sku-not-available", "action": WRITE, "duration": 600}
    number = admin(world, "POST", "faults", fault).json()["number"]
    with pytest.raises(HttpResponseError, match="SkuNotAvailable"):
        world.resize("general", 1)
    assert admin(world, "GET", "faults").json()["faults"] == [
        {"number": number, "kind": "fail", "scale_set": "general", "failure": "sku-not-available", "struck": 1}
    ]
    assert admin(world, "DELETE", "faults", {"number": number}).status == 204
    assert world.resize("general", 1).result().sku.capacity == 1


@pytest.mark.parametrize(
    "body", [{"kind": "no-such-fault"}, {}, {"kind": "slow", "colour": "blue"}, {"kind": "fail", "failure": "rain"}]
)
def test_a_fault_that_makes_no_sense_is_refused_with_a_reason(world, body):
    answer = admin(world, "POST", "faults", body)
    assert answer.status == 400
    assert answer.json()["error"]


def test_the_journal_counts_what_was_asked_and_with_which_precondition(world):
    add_pool(world.cloud, "general")
    world.resize("general", 1).result()
    (write,) = world.arm.journal.matching(WRITE)
    assert (write.method, write.status, write.if_match) == ("PATCH", 200, None)
    assert json.loads(write.body)["sku"]["capacity"] == 1
    rows = admin(world, "GET", "journal").json()["requests"]
    assert rows[0]["action"] == WRITE
    admin(world, "DELETE", "journal")
    assert len(world.arm.journal) == 0


def test_evictions_health_metrics_and_quotas_can_be_scripted_over_http(world):
    pool = add_pool(world.cloud, "spot", mode=Mode.UNIFORM, priority=Priority.SPOT, capacity=2)
    assert admin(world, "POST", "evictions", {"scale_set": "spot", "instance": "0"}).status == 204
    assert admin(world, "PUT", "health", {"scale_set": "spot", "instance": "1", "health": "unhealthy"}).status == 204
    assert admin(world, "PUT", "quotas", {"low_priority": 4, "families": {"standardDSv5Family": 9}}).status == 204
    assert admin(world, "PUT", "metrics", {"resource": "spot", "metric": "Percentage CPU", "value": 91}).status == 204
    world.wait(31)
    assert [i.name for i in pool] == ["spot_1"]
    view = world.compute.virtual_machine_scale_set_vms.get_instance_view("rg-lab", "spot", "1")
    assert view.vm_health.status.code == "HealthState/unhealthy"
    assert world.cloud.quotas.low_priority == 4
    assert admin(world, "GET", "nothing-here").status == 404
