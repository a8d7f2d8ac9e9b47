"""Handlers for what a region sells and how much of it is used: SKUs and usages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lab.azure.model import throttle
from lab.azure.model.quota import usage_of
from lab.azure.model.skus import SKUS
from lab.azure.rest.call import Route
from lab.http import Response

if TYPE_CHECKING:
    from lab.azure.model.skus import Sku
    from lab.azure.rest.call import Call

_LOCATION_FILTER = re.compile(r"location eq '(?P<location>[^']+)'", re.IGNORECASE)
_ZONES = ("1", "2", "3")
_ZONE_DETAIL = {"Name": list(_ZONES), "capabilities": [{"name": "UltraSSDAvailable", "value": "True"}], "name": None}


def _skus(call: Call) -> Response:
    location = call.cloud.location
    matched = _LOCATION_FILTER.search(call.query.get("$filter", ""))
    if matched and matched["location"].lower() != location:
        return Response.of_json(200, {"value": []})
    return call.page(SKUS, lambda sku: _sku_view(sku, location, call.cloud.restricted_skus.get(sku.name.lower())))


def _sku_view(sku: Sku, location: str, restricted: frozenset[str] | None) -> dict[str, Any]:
    capabilities = {
        "MaxResourceVolumeMB": sku.temporary_disk_mb,
        "OSVhdSizeMB": 1047552,
        "vCPUs": sku.vcpus,
        "MemoryPreservingMaintenanceSupported": True,
        "HyperVGenerations": "V1,V2",
        "MemoryGB": f"{sku.memory_gb:g}",
        "MaxDataDiskCount": sku.max_data_disks,
        "CpuArchitectureType": "x64",
        "LowPriorityCapable": not sku.name.startswith("Standard_B"),
        "PremiumIO": True,
        "VMDeploymentTypes": "IaaS",
        "vCPUsAvailable": sku.vcpus,
        "vCPUsPerCore": 2,
        "EphemeralOSDiskSupported": sku.temporary_disk_mb > 0,
        "EncryptionAtHostSupported": True,
        "AcceleratedNetworkingEnabled": not sku.name.startswith("Standard_B"),
        "MaxNetworkInterfaces": 2,
    }
    return {
        "resourceType": "virtualMachines",
        "name": sku.name,
        "tier": "Standard",
        "size": sku.name.removeprefix("Standard_"),
        "family": sku.family,
        "kind": None,
        "capacity": None,
        "locations": [location],
        "locationInfo": [{"location": location, "zones": list(_ZONES), "zoneDetails": [_ZONE_DETAIL]}],
        "apiVersions": None,
        "costs": None,
        "capabilities": [{"name": name, "value": str(value)} for name, value in capabilities.items()],
        "restrictions": _restrictions(location, restricted),
    }


def _restrictions(location: str, restricted: frozenset[str] | None) -> list[dict[str, Any]]:
    """Render a restriction: an empty set of zones means the whole region."""
    if restricted is None:
        return []
    kind = "Zone" if restricted else "Location"
    info: dict[str, Any] = {"locations": [location], **({"zones": sorted(restricted)} if restricted else {})}
    return [{"type": kind, "values": [location], "restrictionInfo": info, "reasonCode": "NotAvailableForSubscription"}]


def _usages(call: Call) -> Response:
    cloud = call.cloud
    if call.params["location"].lower() != cloud.location:
        return Response.of_json(200, {"value": []})
    usage = usage_of(cloud.scale_sets.values())
    families = {sku.family: sku.family_title for sku in SKUS}
    rows = [
        ("cores", "Total Regional vCPUs", cloud.quotas.regional, usage.regional),
        ("virtualMachines", "Virtual Machines", 25000, usage.machines),
        ("virtualMachineScaleSets", "Virtual Machine Scale Sets", 2500, len(cloud.scale_sets)),
        ("lowPriorityCores", "Total Regional Spot vCPUs", cloud.quotas.low_priority, usage.low_priority),
        *((name, title, cloud.quotas.family(name), usage.families.get(name, 0)) for name, title in families.items()),
    ]
    return call.page(rows, lambda row: _usage_view(*row))


def _usage_view(name: str, title: str, limit: int, current: int) -> dict[str, Any]:
    return {"limit": limit, "unit": "Count", "currentValue": current, "name": {"value": name, "localizedValue": title}}


ROUTES: tuple[Route, ...] = (
    Route(
        "GET", "/subscriptions/{subscription}/providers/Microsoft.Compute/skus", "Microsoft.Compute/skus/read", _skus
    ),
    Route(
        "GET",
        "/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location}/usages",
        "Microsoft.Compute/locations/usages/read",
        _usages,
        throttle.GET_USAGE,
    ),
)
