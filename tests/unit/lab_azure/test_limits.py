"""Quotas, sizes that are not sold, and request limits."""

import json

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.mgmt.compute import ComputeManagementClient

from lab.azure.inprocess import InProcessTransport, StaticCredential
from lab.azure.model.building import add_pool
from lab.azure.model.quota import Quotas
from lab.azure.model.words import Mode, Priority
from lab.http import Request
from tests.unit.lab_azure.conftest import make_world


@pytest.mark.parametrize(
    ("quotas", "priority", "text"),
    [
        (Quotas(families={"standardDSv5Family": 10}), Priority.REGULAR, "approved standardDSv5Family Cores quota"),
        (Quotas(regional=10), Priority.REGULAR, "approved Total Regional Cores quota"),
        (Quotas(low_priority=10), Priority.SPOT, "approved LowPriorityCores quota"),
    ],
)
def test_each_quota_refuses_with_its_own_text_and_the_numbers(quotas, priority, text):
    world = make_world(quotas=quotas)
    with world.compute:
        pool = add_pool(world.cloud, "pool", priority=priority, capacity=1)
        with pytest.raises(ResourceExistsError) as caught:
            world.resize("pool", 3)
    assert text in caught.value.error.message
    assert "Current Limit: 10, Current Usage: 4, Additional Required: 8, (Minimum) New Limit Required: 12." in (
        caught.value.error.message
    )
    assert (pool.capacity, len(pool.instances)) == (1, 1)


def test_what_fits_the_quota_is_granted(world):
    world.cloud.quotas.regional = 8
    add_pool(world.cloud, "pool", capacity=1)
    assert world.resize("pool", 2).result().sku.capacity == 2


def test_spot_cores_do_not_count_against_the_family(world):
    world.cloud.quotas.families["standardDSv5Family"] = 4
    add_pool(world.cloud, "spot", priority=Priority.SPOT, capacity=5)
    add_pool(world.cloud, "general")
    assert world.resize("general", 1).result().sku.capacity == 1


def test_the_usages_show_what_the_quota_check_counts(world):
    add_pool(world.cloud, "general", capacity=2)
    add_pool(world.cloud, "spot", priority=Priority.SPOT, capacity=3)
    found = {u.name.value: (u.current_value, u.limit) for u in world.compute.usage.list("westeurope")}
    assert found["cores"] == (8, 1000)
    assert found["lowPriorityCores"] == (12, 1000)
    assert found["standardDSv5Family"] == (8, 1000)


@pytest.mark.parametrize("zones", [frozenset(), frozenset({"1", "2", "3"})])
def test_a_size_that_is_not_sold_here_is_refused_and_listed_as_restricted(world, zones):
    world.cloud.restricted_skus["standard_d4s_v5"] = zones
    add_pool(world.cloud, "general")
    with pytest.raises(ResourceExistsError) as caught:
        world.resize("general", 1)
    assert caught.value.error.code == "SkuNotAvailable"
    listed = world.compute.resource_skus.list(filter="location eq 'westeurope'")
    (sku,) = [s for s in listed if s.name == "Standard_D4s_v5"]
    assert sku.restrictions[0].reason_code == "NotAvailableForSubscription"


def test_the_sizes_say_what_a_planner_needs(world):
    (sku,) = [s for s in world.compute.resource_skus.list() if s.name == "Standard_F4s_v2"]
    capabilities = {c.name: c.value for c in sku.capabilities}
    assert (capabilities["vCPUs"], capabilities["MemoryGB"], capabilities["MaxResourceVolumeMB"]) == ("4", "8", "32768")


def test_writes_to_one_scale_set_are_limited_to_a_burst_of_twelve_and_four_a_minute(world):
    add_pool(world.cloud, "general", mode=Mode.UNIFORM)
    sets = world.compute.virtual_machine_scale_sets

    def write():
        sets.begin_update("rg-lab", "general", {"tags": {}}, polling=False)

    for _ in range(12):
        write()
    with pytest.raises(HttpResponseError) as caught:
        write()
    assert caught.value.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "15"
    body = json.loads(caught.value.response.text())
    assert (body["code"], body["details"][0]["code"]) == ("OperationNotAllowed", "TooManyRequests")
    assert body["details"][0]["target"] == "VMScaleSetActionsResource"
    world.wait(60)
    for _ in range(4):
        write()
    with pytest.raises(HttpResponseError):
        write()


def test_one_scale_sets_limit_does_not_bind_another(world):
    add_pool(world.cloud, "a")
    add_pool(world.cloud, "b")
    for _ in range(36):
        world.compute.virtual_machine_scale_sets.get("rg-lab", "a")
    with pytest.raises(HttpResponseError):
        world.compute.virtual_machine_scale_sets.get("rg-lab", "a")
    assert world.compute.virtual_machine_scale_sets.get("rg-lab", "b").name == "b"


def test_what_is_left_of_each_limit_is_told_and_falls(world):
    pool = add_pool(world.cloud, "general")
    url = f"https://management.azure.com{pool.key.id}?api-version=2024-07-01"

    def left():
        header = world.arm.handle(Request("GET", url)).headers["x-ms-ratelimit-remaining-resource"]
        return dict(part.split(";") for part in header.split(","))

    assert left() == {
        "Microsoft.Compute/GetVMScaleSetSubscriptionMaximum": "2399",
        "Microsoft.Compute/GetVMScaleSetResource": "35",
    }
    assert left()["Microsoft.Compute/GetVMScaleSetResource"] == "34"


def test_the_sdk_waits_out_a_throttle_by_itself_and_the_clock_shows_it(world):
    add_pool(world.cloud, "general")
    transport = InProcessTransport(world.arm.handle, world.clock)
    with ComputeManagementClient(StaticCredential(), world.cloud.subscription, transport=transport) as patient:
        started = world.clock()
        for _ in range(37):
            patient.virtual_machine_scale_sets.get("rg-lab", "general")
    assert (world.clock() - started).total_seconds() == 5
