"""What the Azure adapters make of recorded and quoted answers of the real Azure."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from keeper.azure.instances import subnet_of
from keeper.azure.metrics import MonitorUtilisation
from keeper.azure.network import Subnets
from keeper.azure.scale_sets import ScaleSetsArm
from keeper.core.memory import FailureKind
from keeper.core.model import InstanceState, Mode, Pool, PoolName, Provisioning, ScaleSet
from keeper.errors import Changed, Gone, Permanent, Throttled, Transient
from keeper.ports import GrowthRefused, OperationStatus
from keeper.settings import AzureSettings
from lab.azure.inprocess import InProcessTransport, StaticCredential
from lab.clock import FakeClock
from lab.http import Response

RECORDINGS = Path(__file__).parents[2] / "recordings" / "azure"
SETTINGS = AzureSettings(
    subscription="00000000-0000-0000-0000-000000000000",
    client_id="0a0a0a0a-0000-4000-8000-000000000001",
    vault="https://v.vault.azure.net",
    blobs="https://a.blob.core.windows.net",
    queues="https://a.queue.core.windows.net",
)
SUBNET = f"/subscriptions/{SETTINGS.subscription}/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/vnet/subnets/clients"
OPERATION = "https://management.azure.com/subscriptions/s/providers/Microsoft.Compute/locations/l/operations/1"


def recording(name):
    return json.loads((RECORDINGS / f"{name}.json").read_text())


def answers(name):
    """The recorded answers; a quoted error, which has no status, comes as the 409 that such errors are seen with."""
    found = recording(name)
    if "exchanges" in found:
        return [each["response"] for each in found["exchanges"]]
    return [{"status": found.get("status", 409), "headers": found.get("headers", {}), "body": found["payload"]}]


class Azure:
    """Gives recorded answers one after another and keeps the requests."""

    def __init__(self, *given):
        self.given = list(given)
        self.asked = []
        self.clock = FakeClock()
        self.clock.now = self.clock

    def __call__(self, request):
        self.asked.append(request)
        given = self.given.pop(0)
        headers = {
            name: ", ".join(value) if isinstance(value, list) else value for name, value in given["headers"].items()
        }
        headers = {name: value for name, value in headers.items() if name.lower() not in UNFIT}
        return Response.of_json(given["status"], given.get("body"), headers)

    def adapter(self, kind, *more, **named):
        transport = InProcessTransport(self, self.clock)
        return kind(SETTINGS, *more, credential=StaticCredential(), transport=transport, **named)

    def scale_sets(self, *pools):
        return self.adapter(ScaleSetsArm, pools, clock=self.clock)


UNFIT = {"content-length", "transfer-encoding", "content-encoding", "connection"}


def pool_of(recorded, mode=Mode.UNIFORM):
    """The pool that a recorded request was about."""
    parts = urlsplit(recorded["exchanges"][0]["request"]["url"]).path.split("/")
    group = parts[[part.lower() for part in parts].index("resourcegroups") + 1]
    names = {part.lower(): value for part, value in zip(parts, [*parts[1:], ""], strict=True)}
    name = names.get("virtualmachinescalesets", "vmss000002")
    return Pool(PoolName("p"), name, group, mode, minimum=0, maximum=9)


def scale_set(capacity=1):
    return ScaleSet(PoolName("p"), "/id", capacity, Provisioning.SUCCEEDED, "Standard_B1s", '"7"')


def test_the_list_of_scale_sets_gives_capacity_and_etag():
    name = "compute/vmss_list_by_resource_group"
    (body,) = answers(name)[0]["body"]["value"]
    pool = Pool(PoolName("p"), body["name"].upper(), pool_of(recording(name)).resource_group, Mode.UNIFORM, 0, 9)

    found = Azure(answers(name)[0]).scale_sets(pool).scale_sets()[pool.name]

    assert (found.capacity, found.sku, found.etag, found.id) == (5, "Standard_DS1_v2", '"2"', body["id"])


@pytest.mark.parametrize("name", ["vmss_vms_list", "vmss_vms_list_many"])
def test_uniform_instances_are_named_by_azures_name_and_deleted_by_number(name):
    azure = Azure(*answers(f"compute/{name}"))
    pool = pool_of(recording(f"compute/{name}"))

    found = azure.scale_sets(pool).instances(pool)

    assert parse_qs(urlsplit(azure.asked[0].url).query)["$expand"] == ["instanceView"]
    assert found
    assert all(each.name == f"{pool.scale_set}_{each.id}" for each in found)
    assert all(each.created and each.created.tzinfo for each in found)


def test_flexible_machines_are_found_by_their_scale_set_and_deleted_by_name():
    recorded = recording("compute/vm_list_filter_by_vmss")
    pool = pool_of(recorded, Mode.FLEXIBLE)
    azure = Azure(recorded["exchanges"][0]["response"])

    found = azure.scale_sets(pool).instances(pool)

    wanted = parse_qs(urlsplit(recorded["exchanges"][0]["request"]["url"]).query)["$filter"]
    assert parse_qs(urlsplit(azure.asked[0].url).query)["$filter"] == wanted
    assert found
    assert all(each.id == each.name for each in found)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("vm_get_instance_view_running", InstanceState.RUNNING),
        ("vm_get_instance_view_deallocated", InstanceState.STOPPED),
        ("vm_get_instance_view_spot", InstanceState.RUNNING),
        ("vm_get_instance_view_flexible_member", InstanceState.RUNNING),
    ],
)
def test_the_power_of_a_machine_tells_its_state(name, state):
    (machine,) = answers(f"compute/{name}")
    pool = Pool(PoolName("p"), "vmss", "rg", Mode.FLEXIBLE, 0, 9)
    listed = {**machine, "body": {"value": [machine["body"]]}}

    (found,) = Azure(listed).scale_sets(pool).instances(pool)

    assert found.state is state


@pytest.mark.parametrize(
    ("name", "protected"),
    [("vmss_vm_protection_policy_put_lro", True), ("vmss_vm_protection_policy_put_both", False)],
)
def test_a_protected_instance_is_known(name, protected):
    machine = answers(f"compute/{name}")[-1]["body"]
    pool = Pool(PoolName("p"), "vmss", "rg", Mode.UNIFORM, 0, 9)
    azure = Azure({"status": 200, "headers": {}, "body": {"value": [machine]}})

    assert azure.scale_sets(pool).instances(pool)[0].protected is protected


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("async_operation_in_progress", OperationStatus.RUNNING),
        ("async_operation_succeeded", OperationStatus.SUCCEEDED),
        ("async_operation_failed_vm_agent", OperationStatus.FAILED),
        ("async_operation_failed_vm_extension", OperationStatus.FAILED),
    ],
)
def test_the_status_in_the_body_tells_how_an_operation_stands(name, status):
    pool = Pool(PoolName("p"), "vmss", "rg", Mode.UNIFORM, 0, 9)

    result = Azure(answers(f"compute/{name}")[-1]).scale_sets(pool).outcome(pool, OPERATION)

    assert result.status is status
    assert (result.failure is not None) == (status is OperationStatus.FAILED)


def test_an_operation_is_asked_for_at_the_very_address_that_azure_gave():
    pool = Pool(PoolName("p"), "vmss", "rg", Mode.UNIFORM, 0, 9)
    given = answers("compute/vmss_delete_instances_lro")[0]["headers"]["azure-asyncoperation"]
    azure = Azure(answers("compute/async_operation_in_progress")[0])

    azure.scale_sets(pool).outcome(pool, given)

    assert len(given) > 3000
    assert azure.asked[0].url == given


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error_quota_operation_not_allowed", FailureKind.REGIONAL_QUOTA),
        ("error_quota_exceeded_template", FailureKind.REGIONAL_QUOTA),
        ("error_sku_not_available", FailureKind.SKU_NOT_AVAILABLE),
        ("error_allocation_failed", FailureKind.ALLOCATION),
        ("error_overconstrained_allocation_request", FailureKind.OVERCONSTRAINED),
        ("error_overconstrained_zonal_allocation_request", FailureKind.OVERCONSTRAINED_ZONAL),
        ("error_operation_preempted", FailureKind.PREEMPTED),
    ],
)
def test_quoted_refusals_of_a_growth_are_told_apart(name, kind):
    pool = Pool(PoolName("p"), "vmss", "rg", Mode.UNIFORM, 0, 9)

    with pytest.raises(GrowthRefused) as refused:
        Azure(answers(f"compute/{name}")[0]).scale_sets(pool).grow(pool, scale_set(), 3)

    assert refused.value.failure.kind is kind
    assert refused.value.failure.message


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("compute/error_404_resource_not_found", Gone),
        ("compute/error_429_too_many_requests", Throttled),
        ("compute/error_429_retryable_error_network", Throttled),
        ("compute/error_400_bad_request", Permanent),
        ("compute/error_409_not_supported", Changed),
        ("network/error_412_if_match", Changed),
    ],
)
def test_recorded_errors_say_what_the_caller_should_do(name, error):
    pool = Pool(PoolName("p"), "vmss", "rg", Mode.UNIFORM, 0, 9)
    refused = next(each for each in answers(name) if each["status"] >= 400)
    azure = Azure(refused)

    with pytest.raises(error) as raised:
        azure.scale_sets(pool).scale_sets()

    assert len(azure.asked) == 1
    assert str(refused["status"]) in str(raised.value)


def test_the_patience_that_azure_asks_for_is_passed_on():
    pool = Pool(PoolName("p"), "vmss", "rg", Mode.UNIFORM, 0, 9)

    with pytest.raises(Throttled, match="TooManyRequests") as raised:
        Azure(answers("compute/error_429_too_many_requests")[0]).scale_sets(pool).scale_sets()

    assert raised.value.retry_after == timedelta(minutes=20)
    assert isinstance(raised.value, Transient)


def test_the_average_cpu_is_that_of_the_minutes_that_have_a_value():
    recorded = answers("monitor/metrics_list_vm_percentage_cpu")[0]
    points = recorded["body"]["value"][0]["timeseries"][0]["data"]
    assert not any("average" in point for point in points)  # as recorded: an idle machine's minutes have no value
    points[3]["average"], points[9]["average"] = 20.0, 61.0
    azure = Azure(recorded)
    until = datetime(2026, 1, 5, 8, 0, 30, tzinfo=UTC)

    average = azure.adapter(MonitorUtilisation).average_cpu(scale_set(), timedelta(minutes=10), until)

    query = parse_qs(urlsplit(azure.asked[0].url).query)
    assert query["timespan"] == ["2026-01-05T07:50:30Z/2026-01-05T08:00:30Z"]
    assert (query["metricnames"], query["aggregation"]) == (["Percentage CPU"], ["Average"])
    assert average == pytest.approx(40.5)


def test_no_points_are_no_average_of_zero():
    empty = answers("monitor/metrics_list_vm_percentage_cpu")[0]
    empty["body"]["value"][0]["timeseries"] = []

    average = (
        Azure(empty)
        .adapter(MonitorUtilisation)
        .average_cpu(scale_set(), timedelta(minutes=5), datetime(2026, 1, 5, tzinfo=UTC))
    )

    assert average is None


def test_an_address_is_free_unless_azure_keeps_it_or_an_interface_has_it():
    interfaces = [{"id": f"/nic-{number}/ipConfigurations/c"} for number in range(3)]
    for given in ({"addressPrefix": "10.0.0.0/24"}, {"addressPrefixes": ["fd00::/64", "10.0.0.0/24"]}):
        azure = Azure({"status": 200, "headers": {}, "body": {"properties": given | {"ipConfigurations": interfaces}}})

        assert azure.adapter(Subnets).free(SUBNET) == 251 - 3
        assert urlsplit(azure.asked[0].url).path == SUBNET


def test_where_the_template_names_no_subnet_none_is_known():
    assert subnet_of({}) == subnet_of({"networkProfile": {"networkInterfaceConfigurations": [{}]}}) == ""
