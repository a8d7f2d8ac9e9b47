"""The real clients against the stand-in over https: tokens, long-running operations, ETags, errors."""

import base64
import json
import threading
import time

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from lab.azure.access import Access, Grant
from lab.azure.model.building import add_pool
from lab.azure.model.failures import ArmError, Failure
from lab.azure.model.faults import Fault, FaultKind
from lab.azure.model.words import Happening, Mode
from lab.azure.tokens import Principal


@pytest.fixture(params=[Mode.UNIFORM, Mode.FLEXIBLE])
def pool(request, lab):
    return add_pool(lab.cloud, "general", mode=request.param, capacity=2, tags={"nomad_pool": "general"})


def sizes(capacity):
    return {"sku": {"name": "Standard_D4s_v5", "capacity": capacity}}


def members(compute, pool):
    if pool.mode is Mode.UNIFORM:
        return list(compute.virtual_machine_scale_set_vms.list("rg-lab", "general", expand="instanceView"))
    wanted = f"'virtualMachineScaleSet/id' eq '{pool.key.id}'"
    return list(compute.virtual_machines.list("rg-lab", filter=wanted, expand="instanceView"))


def test_growing_a_pool_ends_with_running_instances_spread_over_the_zones(compute, pool):
    grown = compute.virtual_machine_scale_sets.begin_update("rg-lab", "general", sizes(6)).result()
    assert grown.sku.capacity == 6
    found = members(compute, pool)
    assert sorted(vm.zones[0] for vm in found) == ["1", "1", "2", "2", "3", "3"]
    assert {vm.instance_view.statuses[-1].code for vm in found} == {"PowerState/running"}
    assert {vm.instance_view.vm_health.status.code for vm in found} == {"HealthState/healthy"}


def test_the_answer_to_a_write_shows_the_new_capacity_before_any_machine_is_there(compute, pool):
    poller = compute.virtual_machine_scale_sets.begin_update("rg-lab", "general", sizes(4))
    seen = compute.virtual_machine_scale_sets.get("rg-lab", "general")
    assert (seen.sku.capacity, seen.provisioning_state) == (4, "Updating")
    assert poller.result().provisioning_state == "Succeeded"


def test_deleting_by_name_removes_exactly_those_and_lowers_the_capacity(compute, pool):
    compute.virtual_machine_scale_sets.begin_update("rg-lab", "general", sizes(5)).result()
    before = list(pool)
    victims = [before[1].instance_id, before[4].instance_id]
    compute.virtual_machine_scale_sets.begin_delete_instances("rg-lab", "general", {"instanceIds": victims}).result()
    assert compute.virtual_machine_scale_sets.get("rg-lab", "general").sku.capacity == 3
    assert {vm.name for vm in members(compute, pool)} == {before[0].name, before[2].name, before[3].name}


def test_the_capacity_does_not_notice_that_a_flexible_machine_itself_was_deleted(lab, compute):
    pool = add_pool(lab.cloud, "general", mode=Mode.FLEXIBLE, capacity=2)
    name = next(iter(pool)).name
    compute.virtual_machines.begin_delete("rg-lab", name).result()
    assert (pool.capacity, len(pool.instances)) == (2, 1)
    with pytest.raises(ResourceNotFoundError):
        compute.virtual_machines.get("rg-lab", name)


def test_a_stale_etag_is_refused_and_changes_nothing(compute, pool):
    seen = compute.virtual_machine_scale_sets.get("rg-lab", "general")
    compute.virtual_machine_scale_sets.begin_update("rg-lab", "general", {"tags": {"by": "someone else"}}).result()
    with pytest.raises(ResourceModifiedError, match='Etag provided in if-match header "1" does not match etag "2"'):
        compute.virtual_machine_scale_sets.begin_update(
            "rg-lab", "general", sizes(9), etag=seen.etag, match_condition=MatchConditions.IfNotModified
        )
    assert pool.capacity == 2


def test_a_fresh_etag_is_accepted(compute, pool):
    seen = compute.virtual_machine_scale_sets.get("rg-lab", "general")
    poller = compute.virtual_machine_scale_sets.begin_update(
        "rg-lab", "general", sizes(3), etag=seen.etag, match_condition=MatchConditions.IfNotModified
    )
    assert poller.result().sku.capacity == 3


def test_a_poller_resumes_from_its_continuation_token(lab, compute, credential, pool):
    token = compute.virtual_machine_scale_sets.begin_update("rg-lab", "general", sizes(3)).continuation_token()
    with lab.compute(credential) as later:
        resumed = later.virtual_machine_scale_sets.begin_update("rg-lab", "general", {}, continuation_token=token)
        assert resumed.result().sku.capacity == 3


def test_a_quota_error_is_answered_at_once_with_the_numbers_in_it(lab, compute, pool):
    lab.cloud.quotas.families["standardDSv5Family"] = 12
    with pytest.raises(ResourceExistsError) as caught:
        compute.virtual_machine_scale_sets.begin_update("rg-lab", "general", sizes(5))
    assert caught.value.error.code == "OperationNotAllowed"
    assert "Current Limit: 12, Current Usage: 8, Additional Required: 12, (Minimum) New Limit Required: 20." in (
        caught.value.error.message
    )
    assert pool.capacity == 2


def test_an_allocation_failure_arrives_in_the_operation_not_in_the_answer(lab, compute, pool):
    lab.cloud.inject(Fault(FaultKind.FAIL, scale_set="general", zone="3", failure=Failure.ZONAL_ALLOCATION))
    poller = compute.virtual_machine_scale_sets.begin_update("rg-lab", "general", sizes(5))
    with pytest.raises(HttpResponseError) as caught:
        poller.result()
    assert caught.value.error.code == "ZonalAllocationFailed"
    assert sorted(vm.zone for vm in pool if vm.is_running) == ["1", "1", "2", "2"] or pool.mode is Mode.UNIFORM
    assert not any(vm.is_running for vm in pool if vm.zone == "3")


def test_an_unknown_scale_set_and_an_unknown_group_are_told_apart(compute, pool):
    with pytest.raises(ResourceNotFoundError) as no_scale_set:
        compute.virtual_machine_scale_sets.get("rg-lab", "absent")
    with pytest.raises(ResourceNotFoundError) as no_group:
        compute.virtual_machine_scale_sets.get("absent", "general")
    assert no_scale_set.value.error.code == "ResourceNotFound"
    assert no_group.value.error.code == "ResourceGroupNotFound"


def test_a_token_for_another_audience_is_refused(lab, credential, pool):
    with (
        lab.compute(credential, credential_scopes=["https://vault.azure.net/.default"]) as wrong,
        pytest.raises(ClientAuthenticationError) as caught,
    ):
        wrong.virtual_machine_scale_sets.get("rg-lab", "general")
    assert caught.value.error.code == "InvalidAuthenticationTokenAudience"


@pytest.mark.parametrize(
    "audience",
    [
        "https://management.azure.com",
        "https://management.azure.com/",
        "https://management.core.windows.net",
        "https://management.core.windows.net/",
    ],
)
def test_every_spelling_of_the_management_audience_is_accepted(lab, pool, audience):
    lab.arm.access.check(f"Bearer {lab.tenant.issue(Principal('a', 'b'), audience)[0]}", "x/read", "/")


def test_a_tampered_token_is_refused(lab, credential, pool):
    token = credential.get_token("https://management.azure.com/.default").token
    head, claims, signature = token.split(".")
    changed = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed["oid"] = "someone-else"
    forged = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
    with pytest.raises(ArmError, match="InvalidAuthenticationToken"):
        lab.arm.access.check(f"Bearer {head}.{forged}.{signature}", "x/read", "/")


def test_a_role_that_does_not_cover_the_action_is_refused_with_action_and_scope(lab, compute, pool):
    reader = Grant(("*/read",), pool.key.group_id)
    lab.arm.access = Access(lab.tenant, {"0b0b0b0b-0000-4000-8000-000000000001": (reader,)})
    assert compute.virtual_machine_scale_sets.get("rg-lab", "general").name == "general"
    with pytest.raises(HttpResponseError, match=r"Microsoft\.Compute/virtualMachineScaleSets/write") as caught:
        compute.virtual_machine_scale_sets.begin_update("rg-lab", "general", sizes(3))
    assert (caught.value.status_code, caught.value.error.code) == (403, "AuthorizationFailed")


def test_observers_hear_of_boots_and_deletes_although_nobody_asks(lab, compute, pool):
    heard = []
    lab.cloud.subscribe(heard.append)
    compute.virtual_machine_scale_sets.begin_update("rg-lab", "general", sizes(3), polling=False)
    deadline = time.perf_counter() + 5
    while not heard and time.perf_counter() < deadline:
        time_passes()
    (event,) = heard
    assert event.happening is Happening.BOOTED
    assert (event.scale_set, event.sku, event.zone) == ("general", "Standard_D4s_v5", "3")
    assert event.tags["nomad_pool"] == "general"
    assert event.ip.startswith("10.")


def time_passes():
    threading.Event().wait(0.02)
