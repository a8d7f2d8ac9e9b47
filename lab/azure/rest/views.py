"""Scale sets and their Uniform instances as JSON, with the keys and types of the recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.azure.model.failures import stamp
from lab.azure.model.words import Mode, Power

if TYPE_CHECKING:
    from datetime import datetime

    from lab.azure.model.resources import Instance, ScaleSet

_POWER_TEXT = {
    Power.STARTING: "VM starting",
    Power.RUNNING: "VM running",
    Power.STOPPING: "VM stopping",
    Power.STOPPED: "VM stopped",
    Power.DEALLOCATING: "VM deallocating",
    Power.DEALLOCATED: "VM deallocated",
}
_INHERITED = ("securityProfile", "licenseType", "diagnosticsProfile", "priority", "evictionPolicy", "billingProfile")
_GUEST_IS_THERE = frozenset({Power.RUNNING, Power.STOPPED, Power.STOPPING})


def scale_set_view(scale_set: ScaleSet) -> dict[str, Any]:
    """Render a scale set."""
    key = scale_set.key
    properties = dict(scale_set.document["properties"])
    if properties.get("virtualMachineProfile"):
        properties["virtualMachineProfile"] = {
            **_without_secrets(properties["virtualMachineProfile"]),
            "timeCreated": stamp(scale_set.created),
        }
    top = {name: value for name, value in scale_set.document.items() if name != "properties"}
    view: dict[str, Any] = {
        "name": key.name,
        "id": key.id,
        "type": "Microsoft.Compute/virtualMachineScaleSets",
        "location": scale_set.location,
        "tags": scale_set.tags,
        "sku": {"name": scale_set.sku, "tier": "Standard", "capacity": scale_set.capacity},
        "etag": scale_set.quoted_etag,
        **top,
        "properties": {
            **properties,
            "provisioningState": scale_set.provisioning.value,
            "uniqueId": scale_set.unique_id,
            "timeCreated": stamp(scale_set.created),
        },
    }
    if scale_set.zones:
        view["zones"] = list(scale_set.zones)
    return view


def _without_secrets(profile: dict[str, Any]) -> dict[str, Any]:
    """Leave out what Azure never gives back: customData and passwords, and userData unless asked for."""
    hidden = {"customData", "adminPassword"}
    os_profile = {name: value for name, value in profile.get("osProfile", {}).items() if name not in hidden}
    return {**{name: value for name, value in profile.items() if name != "userData"}, "osProfile": os_profile}


def scale_set_instance_view(scale_set: ScaleSet) -> dict[str, Any]:
    """Render the instance view of a scale set. For Flexible it has no machines in it: they must be listed as VMs."""
    counts: dict[str, int] = {}
    for instance in scale_set if scale_set.mode is Mode.UNIFORM else ():
        code = f"ProvisioningState/{instance.provisioning.value.lower()}"
        counts[code] = counts.get(code, 0) + 1
    state = scale_set.provisioning.value
    view: dict[str, Any] = {
        "virtualMachine": {"statusesSummary": [{"code": code, "count": n} for code, n in sorted(counts.items())]},
        "statuses": [
            _status(f"ProvisioningState/{state.lower()}", f"Provisioning {state.lower()}", scale_set.status_time)
        ],
    }
    if (scale_set.document["properties"].get("automaticRepairsPolicy") or {}).get("enabled"):
        repairs = "Suspended" if scale_set.repairs_suspended else "Running"
        view["orchestrationServices"] = [{"serviceName": "AutomaticRepairs", "serviceState": repairs}]
    return view


def inherited(profile: dict[str, Any]) -> dict[str, Any]:
    """Return what an instance shows of its template as it stands there."""
    return {name: profile[name] for name in _INHERITED if profile.get(name)}


def uniform_instance_view(scale_set: ScaleSet, instance: Instance, *, expanded: bool = False) -> dict[str, Any]:
    """Render one instance of a Uniform scale set; `expanded` adds its instance view."""
    own_id = f"{scale_set.key.id}/virtualMachines/{instance.instance_id}"
    profile = scale_set.profile
    nics = profile.get("networkProfile", {}).get("networkInterfaceConfigurations", [])
    properties: dict[str, Any] = {
        "latestModelApplied": instance.model_version == scale_set.model_version,
        "modelDefinitionApplied": "VirtualMachineScaleSet",
        "networkProfileConfiguration": {"networkInterfaceConfigurations": nics},
        "provisioningState": instance.provisioning.value,
        "hardwareProfile": {"vmSize": instance.sku},
        "resilientVMDeletionStatus": "Disabled",
        "vmId": instance.vm_id,
        "storageProfile": storage_view(scale_set, instance),
        "osProfile": os_view(scale_set, f"{instance.number:06d}"),
        "networkProfile": {"networkInterfaces": [{"id": f"{own_id}/networkInterfaces/{nic['name']}"} for nic in nics]},
        "timeCreated": stamp(instance.created),
    }
    properties.update(inherited(profile))
    if instance.has_protection_policy:
        properties["protectionPolicy"] = {
            "protectFromScaleIn": instance.protect_from_scale_in,
            "protectFromScaleSetActions": instance.protect_from_actions,
        }
    if expanded:
        properties["instanceView"] = instance_view(scale_set, instance)
    view: dict[str, Any] = {
        "name": instance.name,
        "id": own_id,
        "type": "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
        "location": scale_set.location,
        "tags": {**scale_set.tags, **instance.tags},
        "instanceId": instance.instance_id,
        "sku": {"name": instance.sku, "tier": "Standard"},
        "properties": properties,
        "etag": f'"{instance.etag}"',
    }
    if instance.zone:
        view["zones"] = [instance.zone]
    return view


def instance_view(scale_set: ScaleSet, instance: Instance) -> dict[str, Any]:
    """Render what Azure knows of a machine at this moment: provisioning, power, agent, disks, health."""
    guest: dict[str, Any] = {}
    if instance.power in _GUEST_IS_THERE:
        ready = _status("ProvisioningState/succeeded", "Ready", instance.status_time)
        guest = {
            "computerName": os_view(scale_set, f"{instance.number:06d}")["computerName"],
            "osName": "debian",
            "osVersion": "12",
            "vmAgent": {
                "vmAgentVersion": "2.11.1.4",
                "statuses": [{**ready, "message": "Guest Agent is running"}],
                "extensionHandlers": [],
            },
        }
    view: dict[str, Any] = {
        "placementGroupId": scale_set.placement_group,
        "platformUpdateDomain": instance.number % 5,
        "platformFaultDomain": instance.fault_domain,
        **guest,
        "disks": [
            {
                "name": storage_view(scale_set, instance)["osDisk"].get("name", ""),
                "statuses": [_status("ProvisioningState/succeeded", "Provisioning succeeded", instance.status_time)],
            },
        ],
        "hyperVGeneration": "V1",
        "statuses": _statuses(instance),
    }
    if scale_set.mode is Mode.FLEXIBLE:
        for uniform_only in ("placementGroupId", "platformUpdateDomain"):
            del view[uniform_only]
    if instance.is_running and reports_health(scale_set):
        code = f"HealthState/{instance.health.value}"
        view["vmHealth"] = {
            "status": _status(code, f"The VM is reporting itself as {instance.health.value}", instance.status_time)
        }
    return view


def reports_health(scale_set: ScaleSet) -> bool:
    """Whether the template has a health extension or a load balancer probe."""
    extensions = (scale_set.profile.get("extensionProfile") or {}).get("extensions") or []
    types = {(extension.get("properties") or {}).get("type", "") for extension in extensions}
    return bool(types & {"ApplicationHealthLinux", "ApplicationHealthWindows"}) or bool(
        scale_set.profile.get("networkProfile", {}).get("healthProbe"),
    )


def _statuses(instance: Instance) -> list[dict[str, Any]]:
    state = instance.provisioning.value.lower()
    provisioning = _status(f"ProvisioningState/{state}", f"Provisioning {state}", instance.status_time)
    if instance.error:
        provisioning = {
            **provisioning,
            "code": f"ProvisioningState/failed/{instance.error['code']}",
            "level": "Error",
            "displayStatus": "Provisioning failed",
            "message": instance.error["message"],
        }
    if instance.power is None:
        return [provisioning]
    power = {
        "code": f"PowerState/{instance.power.value}",
        "level": "Info",
        "displayStatus": _POWER_TEXT[instance.power],
    }
    return [provisioning, power]


def storage_view(scale_set: ScaleSet, instance: Instance) -> dict[str, Any]:
    """Render the disks of one machine after its template."""
    template = scale_set.profile.get("storageProfile", {})
    disk_name = f"{scale_set.key.name}_{instance.number}_OsDisk_1_{instance.vm_id.replace('-', '')}"
    disk_id = f"{scale_set.key.group_id}/providers/Microsoft.Compute/disks/{disk_name}"
    os_disk = template.get("osDisk", {})
    storage = {
        "dataDisks": [],
        **template,
        "osDisk": {**os_disk, "name": disk_name, "managedDisk": {**os_disk.get("managedDisk", {}), "id": disk_id}},
    }
    if "publisher" in template.get("imageReference", {}):
        storage["imageReference"] = {**template["imageReference"], "exactVersion": "12.20260101.1"}
    return storage


def os_view(scale_set: ScaleSet, suffix: str) -> dict[str, Any]:
    """Render the guest's settings of one machine after its template."""
    template = _without_secrets(scale_set.profile)["osProfile"]
    prefix = template.get("computerNamePrefix", scale_set.key.name)
    rest = {name: value for name, value in template.items() if name != "computerNamePrefix"}
    return {"computerName": f"{prefix}{suffix}", **rest}


def _status(code: str, display: str, time: datetime | None) -> dict[str, Any]:
    status: dict[str, Any] = {"code": code, "level": "Info", "displayStatus": display}
    if time is not None:
        status["time"] = stamp(time)
    return status
