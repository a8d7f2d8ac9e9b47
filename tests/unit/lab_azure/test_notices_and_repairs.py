"""What guests are told beforehand, and what automatic repairs do to machines that stay unhealthy."""

import json
from datetime import timedelta

import pytest

from lab.azure.identity import InstanceMetadata
from lab.azure.model.building import add_pool
from lab.azure.model.cloud import LAB_TENANT
from lab.azure.model.health import set_health
from lab.azure.model.removal import evict
from lab.azure.model.words import Happening, Health, Mode, Priority
from lab.azure.tokens import Tenant
from lab.http import Request

EVENTS = "http://169.254.169.254/metadata/scheduledevents?api-version=2020-07-01"


@pytest.fixture
def pool(world):
    made = add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=2)
    made.profile["scheduledEventsProfile"] = {
        "terminateNotificationProfile": {"enable": True, "notBeforeTimeout": "PT10M"}
    }
    return made


class Guest:
    """One machine, as a program inside it sees the world."""

    def __init__(self, world, pool, name):
        tenant = Tenant(LAB_TENANT, world.clock)
        instance = pool.instance_named(name)
        self._metadata = InstanceMetadata(world.arm, tenant, [], lambda _: (pool, instance))

    def events(self):
        return self._metadata.handle(Request("GET", EVENTS, {"metadata": "true"})).json()["Events"]

    def approve(self, event_id):
        body = json.dumps({"StartRequests": [{"EventId": event_id}]}).encode()
        return self._metadata.handle(Request("POST", EVENTS, {"metadata": "true"}, body)).status


def test_a_deletion_is_announced_and_waits_for_the_notice_to_run_out(world, pool):
    guest = Guest(world, pool, "0")
    world.delete("general", ["0"], polling=False)
    (event,) = guest.events()
    assert (event["EventType"], event["Resources"]) == ("Terminate", ["general_0"])
    world.wait(599)
    assert len(world.heard) == 2
    world.wait(30)
    assert world.heard[-1].happening is Happening.DELETED
    assert set(pool.instances) == {"1"}


def test_a_guest_that_approves_is_deleted_at_once(world, pool):
    guest = Guest(world, pool, "0")
    world.delete("general", ["0"], polling=False)
    assert guest.approve(guest.events()[0]["EventId"]) == 200
    assert guest.events() == []
    world.wait(30)
    assert set(pool.instances) == {"1"}


def test_a_spot_instance_gets_no_termination_notice(world):
    spot = add_pool(world.cloud, "spot", mode=Mode.UNIFORM, priority=Priority.SPOT, capacity=1)
    spot.profile["scheduledEventsProfile"] = {
        "terminateNotificationProfile": {"enable": True, "notBeforeTimeout": "PT10M"}
    }
    world.delete("spot", ["0"], polling=False)
    world.wait(30)
    assert spot.instances == {}


def test_an_eviction_is_announced_for_thirty_seconds(world):
    spot = add_pool(world.cloud, "spot", mode=Mode.UNIFORM, priority=Priority.SPOT, capacity=1)
    guest = Guest(world, spot, "0")
    evict(world.cloud, spot, spot.instances["0"])
    assert [event["EventType"] for event in guest.events()] == ["Preempt"]
    world.wait(31)
    assert spot.instances == {}


def test_an_approval_that_makes_no_sense_is_refused(world, pool):
    metadata = InstanceMetadata(world.arm, Tenant(LAB_TENANT, world.clock), [], lambda _: (pool, pool.instances["0"]))
    assert metadata.handle(Request("POST", EVENTS, {"metadata": "true"}, b"{}")).status == 400


def test_a_freeze_can_be_announced_over_http(world, pool):
    body = json.dumps({"scale_set": "general", "instance": "0", "kind": "Freeze", "notice": 60}).encode()
    assert world.arm.handle(Request("POST", "https://arm/lab/notices", {}, body)).status == 204
    guest = Guest(world, pool, "0")
    assert [event["EventType"] for event in guest.events()] == ["Freeze"]
    world.wait(61)
    assert guest.events() == []


@pytest.fixture
def repaired(world):
    made = add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=3)
    made.document["properties"]["automaticRepairsPolicy"] = {"enabled": True, "gracePeriod": "PT10M"}
    return made


def sicken(world, pool, name):
    set_health(world.cloud, pool, pool.instances[name], Health.UNHEALTHY)


def test_an_instance_that_stays_unhealthy_is_replaced_after_the_grace_period(world, repaired):
    sicken(world, repaired, "1")
    world.wait(599)
    assert set(repaired.instances) == {"0", "1", "2"}
    world.wait(120)
    assert set(repaired.instances) == {"0", "2", "3"}
    assert (repaired.capacity, repaired.instances["3"].zone) == (3, "2")
    assert [event.happening for event in world.heard[3:]] == [Happening.DELETED, Happening.BOOTED]


def test_an_instance_that_recovers_is_left_alone(world, repaired):
    sicken(world, repaired, "1")
    world.wait(300)
    set_health(world.cloud, repaired, repaired.instances["1"], Health.HEALTHY)
    world.wait(1200)
    assert set(repaired.instances) == {"0", "1", "2"}


def test_suspended_repairs_wait_until_they_are_resumed(world, repaired):
    repaired.repairs_suspended = True
    sicken(world, repaired, "1")
    world.wait(3600)
    assert set(repaired.instances) == {"0", "1", "2"}
    repaired.repairs_suspended = False
    world.wait(180)
    assert set(repaired.instances) == {"0", "2", "3"}


def test_a_small_scale_set_is_repaired_one_instance_at_a_time(world, repaired):
    sicken(world, repaired, "0")
    sicken(world, repaired, "1")
    world.wait(601)
    assert len([i for i in repaired if i.standing and i.health is Health.UNHEALTHY]) == 1
    world.wait(600)
    assert set(repaired.instances) == {"2", "3", "4"}


def test_a_protected_instance_is_not_repaired(world, repaired):
    repaired.instances["1"].protect_from_scale_in = True
    sicken(world, repaired, "1")
    world.wait(3600)
    assert set(repaired.instances) == {"0", "1", "2"}


def test_repair_by_restart_keeps_the_instance(world, repaired):
    repaired.document["properties"]["automaticRepairsPolicy"]["repairAction"] = "Restart"
    sicken(world, repaired, "1")
    world.wait(700)
    assert set(repaired.instances) == {"0", "1", "2"}
    assert repaired.instances["1"].health is Health.HEALTHY
    assert world.heard[-1].at - world.heard[-2].at == timedelta(seconds=30)
