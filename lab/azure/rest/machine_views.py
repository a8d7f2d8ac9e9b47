"""Flexible members as JSON: a virtual machine of its own, and the thin row that the scale set lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.azure.model.failures import stamp
from lab.azure.rest.views import inherited, instance_view, os_view, storage_view

if TYPE_CHECKING:
    from lab.azure.model.resources import Instance, ScaleSet


def machine_id(scale_set: ScaleSet, instance: Instance) -> str:
    """Return the ARM id of a Flexible member."""
    return f"{scale_set.key.group_id}/providers/Microsoft.Compute/virtualMachines/{instance.name}"


def nic_name(scale_set: ScaleSet, instance: Instance) -> str:
    """Return the name of a Flexible member's network interface."""
    configurations = scale_set.profile.get("networkProfile", {}).get("networkInterfaceConfigurations", [])
    base = configurations[0]["name"] if configurations else "nic"
    return f"{base}-{instance.name.rpartition('_')[2]}"


def machine_view(
    scale_set: ScaleSet, instance: Instance, *, expanded: bool = False, listed: bool = False
) -> dict[str, Any]:
    """Render a Flexible member as a virtual machine. In lists Azure writes the resource group in upper case."""
    group = scale_set.key.group
    nic_id = f"{scale_set.key.group_id}/providers/Microsoft.Network/networkInterfaces/{nic_name(scale_set, instance)}"
    properties: dict[str, Any] = {
        "hardwareProfile": {"vmSize": instance.sku},
        "provisioningState": instance.provisioning.value,
        "vmId": instance.vm_id,
        "virtualMachineScaleSet": {"id": scale_set.key.id},
        "storageProfile": storage_view(scale_set, instance),
        "osProfile": os_view(scale_set, instance.name.rpartition("_")[2][:6].upper()),
        "networkProfile": {
            "networkInterfaces": [{"id": nic_id, "properties": {"primary": True, "deleteOption": "Delete"}}]
        },
        "timeCreated": stamp(instance.created),
    }
    properties.update(inherited(scale_set.profile))
    if instance.has_protection_policy:
        properties["scaleSetVmProtection"] = {"protectFromScaleIn": instance.protect_from_scale_in}
    if expanded:
        properties["platformFaultDomain"] = instance.fault_domain
        properties["instanceView"] = instance_view(scale_set, instance)
    own_id = machine_id(scale_set, instance)
    if listed:
        own_id = _upper_group(own_id, group)
        properties["virtualMachineScaleSet"] = {"id": _upper_group(scale_set.key.id, group)}
    view: dict[str, Any] = {
        "name": instance.name,
        "id": own_id,
        "type": "Microsoft.Compute/virtualMachines",
        "location": scale_set.location,
        "tags": {**scale_set.tags, **instance.tags},
        "properties": properties,
        "etag": f'"{instance.etag}"',
    }
    if instance.zone:
        view["zones"] = [instance.zone]
    return view


def member_view(scale_set: ScaleSet, instance: Instance) -> dict[str, Any]:
    """Render a Flexible member as the scale set's own instance list does: its name is its instance id."""
    view = machine_view(scale_set, instance)
    return {
        **view,
        "id": f"{scale_set.key.id}/virtualMachines/{instance.name}",
        "type": "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
        "instanceId": instance.instance_id,
        "sku": {"name": instance.sku, "tier": "Standard"},
    }


def _upper_group(arm_id: str, group: str) -> str:
    return arm_id.replace(f"/resourceGroups/{group}/", f"/resourceGroups/{group.upper()}/")
