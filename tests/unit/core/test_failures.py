"""Every documented refusal of Azure is told apart, and what a quota leaves is read out of its text."""

import json
from pathlib import Path

import pytest

from keeper.core.failures import classify
from keeper.core.memory import FailureKind
from keeper.core.model import PoolName
from tests.property.builders import NOW

RECORDINGS = Path(__file__).parents[2] / "recordings" / "azure" / "compute"


def body_of(name: str) -> tuple[object, int | None]:
    recording = json.loads((RECORDINGS / f"{name}.json").read_text())
    if "payload" in recording:
        return recording["payload"], None
    response = recording["exchanges"][-1]["response"]
    return response["body"], response["status"]


@pytest.mark.parametrize(
    ("name", "kind", "left"),
    [
        ("error_quota_operation_not_allowed", FailureKind.REGIONAL_QUOTA, 2),
        ("error_quota_operation_not_allowed_old_text", FailureKind.REGIONAL_QUOTA, 0),
        ("error_quota_exceeded_template", FailureKind.REGIONAL_QUOTA, 4),
        ("error_400_quota_exceeded_template", None, None),
        ("error_sku_not_available", FailureKind.SKU_NOT_AVAILABLE, None),
        ("error_allocation_failed", FailureKind.ALLOCATION, None),
        ("error_overconstrained_allocation_request", FailureKind.OVERCONSTRAINED, None),
        ("error_overconstrained_zonal_allocation_request", FailureKind.OVERCONSTRAINED_ZONAL, None),
        ("error_operation_preempted", FailureKind.PREEMPTED, None),
        ("error_429_too_many_requests", FailureKind.THROTTLED, None),
        ("error_429_retryable_error_network", FailureKind.THROTTLED, None),
        ("error_409_operation_not_allowed_spot_only", FailureKind.OTHER, None),
        ("async_operation_failed_vm_agent", FailureKind.NEVER_BOOTED, None),
        ("async_operation_failed_vm_extension", FailureKind.OTHER, None),
    ],
)
def test_each_recorded_refusal_has_its_kind(name, kind, left):
    body, status = body_of(name)

    failure = classify(PoolName("general"), NOW, body, status=status)

    if kind is None:
        assert failure.kind in {FailureKind.SKU_FAMILY_QUOTA, FailureKind.REGIONAL_QUOTA}
        assert failure.cores_left is not None
    else:
        assert (failure.kind, failure.cores_left) == (kind, left)


QUOTA = (
    "Operation could not be completed as it results in exceeding approved {which} Cores quota. Additional details - "
    "Deployment Model: Resource Manager, Location: westeurope, Current Limit: 1000, Current Usage: 986, "
    "Additional Required: 40, (Minimum) New Limit Required: 1026."
)


@pytest.mark.parametrize(
    ("which", "kind"),
    [
        ("standardDSv5Family", FailureKind.SKU_FAMILY_QUOTA),
        ("LowPriorityCores", FailureKind.LOW_PRIORITY_QUOTA),
        ("Total Regional", FailureKind.REGIONAL_QUOTA),
    ],
)
def test_three_quotas_have_three_scopes(which, kind):
    error = {"error": {"code": "OperationNotAllowed", "message": QUOTA.format(which=which)}}

    failure = classify(PoolName("general"), NOW, error, status=409)

    assert (failure.kind, failure.limit, failure.cores_left) == (kind, 1000, 14)


def test_zones_in_the_text_are_told():
    message = "Allocation failed. We do not have sufficient capacity for the requested VM size in zone 2."

    failure = classify(PoolName("general"), NOW, {"code": "ZonalAllocationFailed", "message": message})

    assert (failure.kind, failure.zones) == (FailureKind.ZONAL_ALLOCATION, ("2",))


def test_an_error_without_any_shape_is_still_a_failure():
    assert classify(PoolName("general"), NOW, "boom").kind is FailureKind.OTHER
