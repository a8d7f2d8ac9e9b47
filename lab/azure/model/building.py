"""Making scale sets: by PUT as a deployment does, or from Python as a scenario does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.azure.model.documents import pool_profile, with_scale_set_defaults
from lab.azure.model.failures import ArmError, invalid_parameter
from lab.azure.model.growth import create_instances_now, update_scale_set
from lab.azure.model.resources import ScaleSet, ScaleSetKey
from lab.azure.model.words import EvictionPolicy, Mode, Priority

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.azure.model.cloud import Cloud
    from lab.azure.model.resources import Operation

_MANAGED = frozenset({"id", "name", "type", "etag", "location", "sku", "tags", "zones"})


def add_pool(
    cloud: Cloud,
    name: str,
    *,
    group: str = "rg-lab",
    mode: Mode = Mode.FLEXIBLE,
    sku: str = "Standard_D4s_v5",
    capacity: int = 0,
    zones: Sequence[str] = ("1", "2", "3"),
    priority: Priority = Priority.REGULAR,
    eviction_policy: EvictionPolicy = EvictionPolicy.DELETE,
    tags: Mapping[str, str] | None = None,
    health_probe: bool = True,
) -> ScaleSet:
    """Create a scale set of Linux instances whose `capacity` instances are already up; observers hear BOOTED at once.

    The resource group is created when it is not there. The instances carry the application health extension unless
    `health_probe` is off; without it Azure reports no health.
    """
    key = ScaleSetKey(cloud.subscription, group, name)
    add_group(cloud, group)
    spot = priority is Priority.SPOT
    profile = pool_profile(name, key.group_id, mode, spot=spot, eviction_policy=eviction_policy.value)
    if health_probe:
        profile["extensionProfile"] = {"extensions": [_HEALTH_EXTENSION]}
    body = {
        "location": cloud.location,
        "sku": {"name": sku, "tier": "Standard", "capacity": capacity},
        "tags": dict(tags or {}),
        "zones": list(zones),
        "properties": {"orchestrationMode": mode.value, "virtualMachineProfile": profile},
    }
    scale_set = _new_scale_set(cloud, key, body)
    scale_set.capacity = capacity
    create_instances_now(cloud, scale_set, capacity)
    return scale_set


def add_group(cloud: Cloud, name: str) -> None:
    """Create a resource group; one that exists stays as it is."""
    cloud.groups.setdefault(name.lower(), name)


def put_scale_set(cloud: Cloud, key: ScaleSetKey, body: dict[str, Any]) -> tuple[ScaleSet, Operation, bool]:
    """Create or replace a scale set; return it, the operation, and whether it is new. Refused creations leave nothing."""
    existing = cloud.scale_sets.get(key.folded())
    if existing is not None:
        return existing, update_scale_set(cloud, existing, body), False
    if not body.get("location"):
        raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
    scale_set = _new_scale_set(cloud, key, body)
    try:
        operation = update_scale_set(cloud, scale_set, {"sku": body.get("sku") or {}})
    except ArmError:
        del cloud.scale_sets[key.folded()]
        raise
    scale_set.etag = 1
    return scale_set, operation, True


def _new_scale_set(cloud: Cloud, key: ScaleSetKey, body: dict[str, Any]) -> ScaleSet:
    properties = body.get("properties") or {}
    mode = _mode(properties.get("orchestrationMode", "Uniform"))
    kept = {name: value for name, value in body.items() if name not in _MANAGED}
    scale_set = ScaleSet(
        key=key,
        location=str(body["location"]).lower().replace(" ", ""),
        mode=mode,
        sku=str((body.get("sku") or {}).get("name", "")),
        capacity=0,
        zones=tuple(str(zone) for zone in body.get("zones") or ()),
        tags=dict(body.get("tags") or {}),
        document=with_scale_set_defaults({**kept, "properties": properties}, mode),
        unique_id=cloud.new_uuid(),
        placement_group=cloud.new_uuid(),
        created=cloud.now,
        status_time=cloud.now,
        network_number=cloud.next_network(),
    )
    cloud.scale_sets[key.folded()] = scale_set
    return scale_set


def _mode(value: str) -> Mode:
    try:
        return Mode(value)
    except ValueError as exc:
        raise invalid_parameter("orchestrationMode", "The value of parameter orchestrationMode is invalid.") from exc


_HEALTH_EXTENSION: dict[str, Any] = {
    "name": "ApplicationHealthLinux",
    "properties": {
        "autoUpgradeMinorVersion": True,
        "publisher": "Microsoft.ManagedServices",
        "type": "ApplicationHealthLinux",
        "typeHandlerVersion": "1.0",
        "settings": {"port": 4646, "protocol": "https", "requestPath": "/v1/agent/health?type=client"},
    },
}
