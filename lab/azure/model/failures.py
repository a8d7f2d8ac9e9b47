"""Everything that Azure is documented or recorded to refuse, with the texts it uses.

The wording comes from the recordings (`compute/error_*.json`, `network/error_*.json`) and from errors quoted in public
threads; callers parse these texts, so they are data, not prose to improve.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from lab.http import Response


class ArmError(Exception):
    """An answer other than success: HTTP status, code, message, and the shape of the wrapper around them."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        details: list[dict[str, Any]] | None = None,
        wrapped: bool = True,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.error: dict[str, Any] = {"code": code, "message": message}
        if target is not None:
            self.error["target"] = target
        if details is not None:
            self.error["details"] = details
        self.wrapped = wrapped
        self.headers = headers or {}

    def response(self) -> Response:
        """Render as Azure does: most services wrap in `error`, private DNS and 429 do not."""
        body = {"error": self.error} if self.wrapped else self.error
        return Response.of_json(self.status, body, self.headers)


class Failure(StrEnum):
    """The failures that a fault can script; which are found out late is in `LATE`."""

    QUOTA_FAMILY = "quota-family"
    QUOTA_REGIONAL = "quota-regional"
    QUOTA_LOW_PRIORITY = "quota-low-priority"
    SKU_NOT_AVAILABLE = "sku-not-available"
    SUBNET_FULL = "subnet-full"
    ALLOCATION = "allocation"
    ZONAL_ALLOCATION = "zonal-allocation"
    OVERCONSTRAINED = "overconstrained"
    OVERCONSTRAINED_ZONAL = "overconstrained-zonal"
    PREEMPTED = "preempted"
    CONFLICT = "conflict"
    FORBIDDEN = "forbidden"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    OS_PROVISIONING = "os-provisioning"
    VM_AGENT = "vm-agent"


LATE = frozenset(
    {
        Failure.ALLOCATION,
        Failure.ZONAL_ALLOCATION,
        Failure.OVERCONSTRAINED,
        Failure.OVERCONSTRAINED_ZONAL,
        Failure.PREEMPTED,
        Failure.OS_PROVISIONING,
        Failure.VM_AGENT,
    },
)
"""Failures that arrive in the status of an accepted operation, never as the answer to the request."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the texts of a failure speak of."""

    sku: str = "Standard_D4s_v5"
    location: str = "westeurope"
    instance: str | None = None
    family: str = "standardDSv5Family"
    limit: int = 0
    usage: int = 0
    required: int = 0
    subnet: str = "snet-clients"
    prefix: str = "10.1.0.0/28"


def failure(kind: Failure, about: Circumstances) -> ArmError:
    """Make the error that Azure gives for this failure."""
    if kind in _QUOTAS:
        return _quota(_QUOTAS[kind] or f"{about.family} Cores", about)
    status, code, text = _TEXTS[kind]
    return ArmError(status, code, text.format(about=about), target=about.instance if kind in LATE else None)


def _quota(name: str, about: Circumstances) -> ArmError:
    return ArmError(
        409,
        "OperationNotAllowed",
        f"Operation could not be completed as it results in exceeding approved {name} quota. Additional details - "
        f"Deployment Model: Resource Manager, Location: {about.location}, Current Limit: {about.limit}, "
        f"Current Usage: {about.usage}, Additional Required: {about.required}, "
        f"(Minimum) New Limit Required: {about.usage + about.required}.",
    )


_QUOTAS = {
    Failure.QUOTA_FAMILY: None,
    Failure.QUOTA_REGIONAL: "Total Regional Cores",
    Failure.QUOTA_LOW_PRIORITY: "LowPriorityCores",
}

_TOO_RESTRICTIVE = (
    "Allocation failed. VM(s) with the following constraints cannot be allocated, because the condition is too "
    "restrictive. Please remove some constraints and try again. Constraints applied are:\n"
)

_TEXTS: dict[Failure, tuple[int, str, str]] = {
    Failure.SKU_NOT_AVAILABLE: (
        409,
        "SkuNotAvailable",
        (
            "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {about.sku}' is "
            "currently not available in location '{about.location}'. Please try another size or deploy to a different "
            "location or different zone. See https://aka.ms/azureskunotavailable for details."
        ),
    ),
    Failure.SUBNET_FULL: (
        400,
        "SubnetIsFull",
        (
            "Subnet {about.subnet} with address prefix {about.prefix} does not have enough capacity for {about.required} "
            "IP addresses."
        ),
    ),
    Failure.ALLOCATION: (
        409,
        "AllocationFailed",
        (
            "Allocation failed. We do not have sufficient capacity for the requested VM size in this region. Read more "
            "about improving likelihood of allocation success at http://aka.ms/allocation-guidance"
        ),
    ),
    Failure.ZONAL_ALLOCATION: (
        409,
        "ZonalAllocationFailed",
        (
            "Allocation failed. We do not have sufficient capacity for the requested VM size in this zone. Read more about "
            "improving likelihood of allocation success at http://aka.ms/allocation-guidance"
        ),
    ),
    Failure.OVERCONSTRAINED: (
        409,
        "OverconstrainedAllocationRequest",
        _TOO_RESTRICTIVE + " - Networking Constraints (such as Accelerated Networking or IPv6)\n - VM Size\n",
    ),
    Failure.OVERCONSTRAINED_ZONAL: (
        409,
        "OverconstrainedZonalAllocationRequest",
        _TOO_RESTRICTIVE + "  - Availability Zone\n  - Differencing (Ephemeral) Disks\n"
        "  - Networking Constraints (such as Accelerated Networking or IPv6)\n  - VM Size\n",
    ),
    Failure.PREEMPTED: (
        409,
        "OperationPreempted",
        "Operation execution has been preempted by a more recent operation.",
    ),
    Failure.CONFLICT: (
        409,
        "Conflict",
        (
            "The request failed due to conflict with a concurrent request. To resolve it, please refer to "
            "https://aka.ms/activitylog to get more details on the conflicting requests."
        ),
    ),
    Failure.FORBIDDEN: (403, "AuthorizationFailed", "The client does not have authorization to perform this action."),
    Failure.INTERNAL: (500, "InternalExecutionError", "An internal execution error occurred. Please retry later."),
    Failure.UNAVAILABLE: (
        503,
        "ServerTimeout",
        "The request timed out. Diagnostic information: timestamp and subscription. Please retry.",
    ),
    Failure.OS_PROVISIONING: (
        409,
        "OSProvisioningTimedOut",
        (
            "OS Provisioning for VM '{about.instance}' did not finish in the allotted time. The VM may still finish "
            "provisioning successfully. Please check provisioning state later."
        ),
    ),
    Failure.VM_AGENT: (
        409,
        "VMAgentStatusCommunicationError",
        (
            "VM '{about.instance}' has not reported status for VM agent or extensions. Verify that the OS is up and healthy, "
            "the VM has a running VM agent, and that it can establish outbound connections to Azure storage. Please refer to "
            "https://aka.ms/vmextensionlinuxtroubleshoot for additional VM agent troubleshooting information."
        ),
    ),
}


def in_terminal_wrapper(error: dict[str, Any]) -> dict[str, Any]:
    """Wrap an error as activity logs and some operations do (`error_overconstrained_zonal_allocation_request.json`)."""
    return {
        "code": "ResourceOperationFailure",
        "message": "The resource operation completed with terminal provisioning state 'Failed'.",
        "details": [error],
    }


def resource_not_found(kind: str, group: str) -> ArmError:
    """Make the front end's 404: `kind` is type and name, as in `Microsoft.Compute/virtualMachines/vm1`."""
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{kind}' under resource group '{group}' was not found. For more details please go to "
        "https://aka.ms/ARMResourceNotFoundFix",
        headers={"x-ms-failure-cause": "gateway"},
    )


def instance_not_found() -> ArmError:
    """Make Compute's own 404 for an instance that is not (or no longer) there."""
    return ArmError(404, "NotFound", "The entity was not found in this Azure location.")


def not_an_active_instance(instance_id: str) -> ArmError:
    """Make the 400 for a batch that names an instance that does not exist."""
    return ArmError(
        400,
        "InvalidParameter",
        f"The provided instanceId {instance_id} is not an active Virtual Machine Scale Set VM instanceId.",
        target="instanceIds",
    )


def etag_mismatch(given: str, current: str) -> ArmError:
    """Make Compute's 412."""
    return ArmError(
        412,
        "PreconditionFailed",
        f"Etag provided in if-match header {given} does not match etag {current} of resource.",
    )


def invalid_parameter(name: str, problem: str) -> ArmError:
    """Make a 400 that names the parameter."""
    return ArmError(400, "InvalidParameter", problem, target=name)


def throttled(policy: str, *, allowed: int, measured: int, window: tuple[datetime, datetime]) -> ArmError:
    """Make the documented 429, which has no wrapper and carries its detail as a JSON string."""
    detail = {
        "operationGroup": policy,
        "startTime": stamp(window[0]),
        "endTime": stamp(window[1]),
        "allowedRequestCount": allowed,
        "measuredRequestCount": measured,
    }
    wait = max(1, -(-(window[1] - window[0]) // timedelta(seconds=1)))
    return ArmError(
        429,
        "OperationNotAllowed",
        "The server rejected the request because too many requests have been received for this subscription.",
        details=[{"code": "TooManyRequests", "target": policy, "message": json.dumps(detail, separators=(",", ":"))}],
        wrapped=False,
        headers={"Retry-After": str(wait), "x-ms-ratelimit-remaining-resource": f"Microsoft.Compute/{policy};0"},
    )


def stamp(moment: datetime) -> str:
    """Print a time as Compute does: seven digits of fraction and a numeric offset."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0+00:00"
