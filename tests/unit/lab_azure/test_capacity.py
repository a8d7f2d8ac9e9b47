"""What becomes of a scale set's instances: growth, chosen deletes, scale-in, superseded writes, evictions, actions."""

import re

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError

from lab.azure.model.building import add_pool
from lab.azure.model.words import EvictionPolicy, Happening, Mode, Power, Priority
from tests.unit.lab_azure.conftest import make_world


def names(pool):
    return {instance.name for instance in pool}


def happenings(world):
    return [(event.happening, event.name) for event in world.heard]


@pytest.mark.parametrize(("mode", "pattern"), [(Mode.UNIFORM, r"general_\d+"), (Mode.FLEXIBLE, r"general_[0-9a-f]{8}")])
def test_instances_are_named_as_azure_names_them(world, mode, pattern):
    pool = add_pool(world.cloud, "general", mode=mode, capacity=3)
    assert all(re.fullmatch(pattern, name) for name in names(pool))
    assert len({instance.ip for instance in pool}) == 3


def test_an_instance_is_creating_until_it_has_booted_and_only_then_heard_of(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM)
    world.resize("general", 1, polling=False)
    world.wait(60)
    assert [i.provisioning for i in pool] == ["Creating"]
    assert world.heard == []
    world.wait(10)
    assert [i.power for i in pool] == [Power.RUNNING]
    assert happenings(world) == [(Happening.BOOTED, "general_0")]


def test_an_instance_deleted_before_it_booted_is_never_heard_of(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM)
    world.resize("general", 1, polling=False)
    world.wait(20)
    world.delete("general", ["0"], polling=False)
    world.wait(600)
    assert (world.heard, pool.capacity, pool.provisioning) == ([], 0, "Succeeded")


def test_a_downward_patch_lets_the_scale_in_policy_choose_and_that_is_not_the_idle_one(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=4, zones=("1", "2"))
    world.resize("general", 2).result()
    assert names(pool) == {"general_0", "general_1"}
    assert happenings(world)[4:] == [(Happening.DELETED, "general_3"), (Happening.DELETED, "general_2")]


def test_scale_in_empties_the_fullest_zone_first(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=6)
    world.delete("general", ["1", "4"]).result()
    world.resize("general", 2).result()
    assert sorted(i.zone for i in pool) == ["1", "3"]


def test_scale_in_passes_over_protected_instances_but_a_delete_by_name_does_not(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=3, zones=())
    policy = {"location": "westeurope", "properties": {"protectionPolicy": {"protectFromScaleIn": True}}}
    world.compute.virtual_machine_scale_set_vms.begin_update("rg-lab", "general", "2", policy).result()
    world.resize("general", 1).result()
    assert names(pool) == {"general_2"}
    world.delete("general", ["2"]).result()
    assert names(pool) == set()


def test_a_delete_names_its_victims_and_lowers_the_capacity_at_once(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=4)
    world.delete("general", ["1"], polling=False)
    assert pool.capacity == 3
    assert pool.instances["1"].provisioning == "Deleting"
    world.wait(60)
    assert names(pool) == {"general_0", "general_2", "general_3"}


def test_deleting_the_same_instance_twice_counts_once(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=3)
    world.delete("general", ["1"], polling=False)
    world.delete("general", ["1"], polling=False)
    world.wait(60)
    assert (pool.capacity, len(pool.instances)) == (2, 2)
    assert [operation.status for operation in world.cloud.operations.values()] == ["Succeeded", "Succeeded"]


def test_an_unknown_instance_refuses_the_whole_batch(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=2)
    with pytest.raises(HttpResponseError, match="instanceId 7 is not an active") as caught:
        world.delete("general", ["0", "7"])
    assert (caught.value.status_code, caught.value.error.code) == (400, "InvalidParameter")
    assert pool.capacity == 2
    assert all(instance.standing for instance in pool)


def test_a_newer_write_preempts_the_older_one_and_the_machines_of_both_come(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM)
    world.resize("general", 2, polling=False)
    world.resize("general", 3, polling=False)
    older, newer = world.cloud.operations.values()
    assert (older.status, older.error["code"]) == ("Failed", "OperationPreempted")
    world.wait(70)
    assert (newer.status, pool.capacity) == ("Succeeded", 3)
    assert len([i for i in pool if i.is_running]) == 3


def test_a_scale_set_on_its_way_out_takes_no_more_writes(world):
    add_pool(world.cloud, "general", capacity=1)
    world.compute.virtual_machine_scale_sets.begin_delete("rg-lab", "general", polling=False)
    with pytest.raises(ResourceExistsError, match="is being deleted"):
        world.resize("general", 2)
    world.wait(60)
    assert world.cloud.scale_sets == {}
    assert world.heard[-1].happening is Happening.DELETED


def spot(world, policy):
    return add_pool(world.cloud, "spot", priority=Priority.SPOT, eviction_policy=policy, mode=Mode.UNIFORM, capacity=2)


def test_an_evicted_instance_under_the_delete_policy_leaves_and_lowers_the_capacity(world):
    pool = spot(world, EvictionPolicy.DELETE)
    world.compute.virtual_machine_scale_set_vms.simulate_eviction("rg-lab", "spot", "0")
    world.wait(29)
    assert names(pool) == {"spot_0", "spot_1"}
    world.wait(2)
    assert (names(pool), pool.capacity) == ({"spot_1"}, 1)
    assert happenings(world)[-1] == (Happening.EVICTED, "spot_0")


def test_an_evicted_instance_under_the_deallocate_policy_keeps_counting_as_capacity(world):
    pool = spot(world, EvictionPolicy.DEALLOCATE)
    world.compute.virtual_machine_scale_set_vms.simulate_eviction("rg-lab", "spot", "0")
    world.wait(31)
    assert (pool.capacity, pool.instances["0"].power) == (2, Power.DEALLOCATED)


def test_a_regular_instance_cannot_be_evicted(world):
    add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=1)
    with pytest.raises(ResourceExistsError, match="allowed only for Spot"):
        world.compute.virtual_machine_scale_set_vms.simulate_eviction("rg-lab", "general", "0")


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("begin_restart", [Happening.STOPPED, Happening.BOOTED]),
        ("begin_reimage", [Happening.REIMAGED, Happening.BOOTED]),
        ("begin_power_off", [Happening.STOPPED]),
        ("begin_deallocate", [Happening.STOPPED]),
    ],
)
def test_an_action_is_felt_by_the_guest_and_keeps_name_and_address(world, action, expected):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=2)
    before = pool.instances["1"].ip
    getattr(world.compute.virtual_machine_scale_set_vms, action)("rg-lab", "general", "1").result()
    felt = world.heard[2:]
    assert [event.happening for event in felt] == expected
    assert {(event.name, event.ip) for event in felt} == {("general_1", before)}


def test_a_stopped_instance_comes_back_when_started(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=1)
    vms = world.compute.virtual_machine_scale_set_vms
    vms.begin_deallocate("rg-lab", "general", "0").result()
    vms.begin_start("rg-lab", "general", "0").result()
    assert pool.instances["0"].is_running
    assert world.heard[-1].happening is Happening.BOOTED


def test_a_changed_template_is_not_in_old_instances_until_they_are_reimaged(world):
    add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=1)
    vms, sets = world.compute.virtual_machine_scale_set_vms, world.compute.virtual_machine_scale_sets
    image = {"storageProfile": {"imageReference": {"version": "12.20270101.1"}}}
    sets.begin_update("rg-lab", "general", {"properties": {"virtualMachineProfile": image}}).result()
    assert vms.get("rg-lab", "general", "0").latest_model_applied is False
    vms.begin_reimage("rg-lab", "general", "0").result()
    assert vms.get("rg-lab", "general", "0").latest_model_applied is True


def test_automatic_repairs_can_be_suspended_and_resumed(world):
    pool = add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=1)
    pool.document["properties"]["automaticRepairsPolicy"] = {"enabled": True, "gracePeriod": "PT30M"}
    sets = world.compute.virtual_machine_scale_sets

    def state():
        return sets.get_instance_view("rg-lab", "general").orchestration_services[0].service_state

    assert state() == "Running"
    for action, expected in (("Suspend", "Suspended"), ("Resume", "Running")):
        order = {"serviceName": "AutomaticRepairs", "action": action}
        sets.begin_set_orchestration_service_state("rg-lab", "general", order).result()
        assert state() == expected


def test_a_script_run_in_an_instance_returns_what_it_printed(world):
    add_pool(world.cloud, "general", mode=Mode.UNIFORM, capacity=1)
    world.cloud.commands = lambda name, script: f"{name}: {script}"
    order = {"commandId": "RunShellScript", "script": ["nomad node status"]}
    result = world.compute.virtual_machine_scale_set_vms.begin_run_command("rg-lab", "general", "0", order).result()
    assert "general_0: nomad node status" in result.value[0].message


def test_the_same_seed_gives_the_same_day():
    def day():
        world = make_world(seed=7)
        with world.compute:
            add_pool(world.cloud, "general", capacity=2)
            world.resize("general", 5).result()
            return [(e.happening, e.name, e.zone, e.at) for e in world.heard]

    assert day() == day()
