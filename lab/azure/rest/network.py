"""Handlers for network interfaces, of Uniform instances under their scale set, of Flexible members on their own; and for subnets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from lab.azure.model.failures import instance_not_found, resource_not_found
from lab.azure.model.subnets import subnet_of
from lab.azure.model.words import Mode
from lab.azure.rest.call import Route
from lab.azure.rest.instances import INSTANCE, instance_of
from lab.azure.rest.machine_views import machine_id, nic_name
from lab.azure.rest.scale_sets import SCALE_SET
from lab.http import Response

if TYPE_CHECKING:
    from lab.azure.model.resources import Instance, ScaleSet
    from lab.azure.rest.call import Call

_ACTION = "Microsoft.Compute/virtualMachineScaleSets/networkInterfaces/read"
_INSTANCE_ACTION = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/read"
_NICS = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/networkInterfaces"
_SUBNET = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/{vnet}/subnets/{subnet}"
_DNS_SUFFIX = "lab0lab0lab0lab0lab0lab0la.ax.internal.cloudapp.net"


def _uniform_nic(scale_set: ScaleSet, instance: Instance, configuration: dict[str, Any]) -> dict[str, Any]:
    machine = f"{scale_set.key.id}/virtualMachines/{instance.instance_id}"
    nic_id = f"{machine}/networkInterfaces/{configuration['name']}"
    return {**_nic(scale_set, instance, configuration, nic_id, machine), "name": configuration["name"], "id": nic_id}


def _flexible_nic(scale_set: ScaleSet, instance: Instance, configuration: dict[str, Any]) -> dict[str, Any]:
    name = nic_name(scale_set, instance)
    nic_id = f"{scale_set.key.group_id}/providers/Microsoft.Network/networkInterfaces/{name}"
    view = _nic(scale_set, instance, configuration, nic_id, machine_id(scale_set, instance))
    for ip_configuration in view["properties"]["ipConfigurations"]:
        ip_configuration["type"] = "Microsoft.Network/networkInterfaces/ipConfigurations"
    return {**view, "name": name, "id": nic_id, "type": "Microsoft.Network/networkInterfaces"}


def _nic(
    scale_set: ScaleSet, instance: Instance, configuration: dict[str, Any], nic_id: str, machine: str
) -> dict[str, Any]:
    template = configuration.get("properties", {})
    guid = uuid5(NAMESPACE_URL, nic_id)
    etag = f'W/"{guid}"'
    properties: dict[str, Any] = {
        "provisioningState": "Succeeded",
        "resourceGuid": str(guid),
        "ipConfigurations": [
            _ip_configuration(instance, c, nic_id, etag) for c in template.get("ipConfigurations", [])
        ],
        "dnsSettings": {"dnsServers": [], "appliedDnsServers": [], "internalDomainNameSuffix": _DNS_SUFFIX},
        "macAddress": "-".join(f"{guid.int >> shift & 0xFF:02X}" for shift in range(40, -8, -8)),
        "enableAcceleratedNetworking": bool(template.get("enableAcceleratedNetworking", False)),
        "vnetEncryptionSupported": False,
        "enableIPForwarding": bool(template.get("enableIPForwarding", False)),
        "disableTcpStateTracking": bool(template.get("disableTcpStateTracking", False)),
        "primary": True,
        "virtualMachine": {"id": machine},
        "hostedWorkloads": [],
        "tapConfigurations": [],
        "nicType": "Standard",
        "enableFpga": False,
        "allowPort25Out": True,
        "auxiliaryMode": "None",
        "auxiliarySku": "None",
    }
    if "networkSecurityGroup" in template:
        properties["networkSecurityGroup"] = template["networkSecurityGroup"]
    return {"etag": etag, "properties": properties, "location": scale_set.location, "kind": "Regular"}


def _ip_configuration(instance: Instance, configuration: dict[str, Any], nic_id: str, etag: str) -> dict[str, Any]:
    return {
        "name": configuration["name"],
        "id": f"{nic_id}/ipConfigurations/{configuration['name']}",
        "etag": etag,
        "properties": {
            "provisioningState": "Succeeded",
            "privateIPAddress": instance.ip,
            "privateIPAllocationMethod": "Dynamic",
            **configuration.get("properties", {}),
            "primary": True,
        },
    }


def _configurations(scale_set: ScaleSet) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = scale_set.profile.get("networkProfile", {}).get("networkInterfaceConfigurations", [])
    return found


def _list_scale_set(call: Call) -> Response:
    scale_set = call.scale_set()
    nics = (
        [(i, c) for i in scale_set if i.allocated for c in _configurations(scale_set)]
        if scale_set.mode is Mode.UNIFORM
        else []
    )
    return call.page(nics, lambda pair: _uniform_nic(scale_set, *pair))


def _list_instance(call: Call) -> Response:
    scale_set = call.scale_set()
    instance = instance_of(call, scale_set)
    return call.page(_configurations(scale_set), lambda c: _uniform_nic(scale_set, instance, c))


def _get_instance_nic(call: Call) -> Response:
    scale_set = call.scale_set()
    instance = instance_of(call, scale_set)
    for configuration in _configurations(scale_set):
        if configuration["name"].lower() == call.params["nic"].lower():
            view = _uniform_nic(scale_set, instance, configuration)
            return Response.of_json(200, view, {"ETag": view["etag"]})
    raise instance_not_found()


def _flexible_nics(call: Call) -> list[dict[str, Any]]:
    return [
        _flexible_nic(scale_set, instance, configuration)
        for scale_set in call.cloud.in_group(call.params["subscription"], call.params["group"])
        if scale_set.mode is Mode.FLEXIBLE
        for instance in scale_set
        for configuration in _configurations(scale_set)[:1]
    ]


def _list_group(call: Call) -> Response:
    return call.page(_flexible_nics(call), lambda view: view)


def _get(call: Call) -> Response:
    for view in _flexible_nics(call):
        if view["name"].lower() == call.params["nic"].lower():
            return Response.of_json(200, view, {"ETag": view["etag"]})
    raise resource_not_found(f"Microsoft.Network/networkInterfaces/{call.params['nic']}", call.params["group"])


def _get_subnet(call: Call) -> Response:
    """A subnet lists the address of every interface in it, which is how one counts those that are free."""
    arm_id = _SUBNET.format_map(call.params)
    users = [s for s in call.cloud.scale_sets.values() if (subnet_of(s) or "").lower() == arm_id.lower()]
    if not users:
        raise resource_not_found(f"Microsoft.Network/virtualNetworks/{call.params['vnet']}", call.params["group"])
    nics = [
        _flexible_nic(s, i, c) if s.mode is Mode.FLEXIBLE else _uniform_nic(s, i, c)
        for s in users
        for i in s
        for c in _configurations(s)[:1]
    ]
    properties = {
        "provisioningState": "Succeeded",
        "addressPrefix": call.cloud.network.prefix(arm_id),
        "ipConfigurations": [{"id": nic["properties"]["ipConfigurations"][0]["id"]} for nic in nics],
        "delegations": [],
        "privateEndpointNetworkPolicies": "Disabled",
        "privateLinkServiceNetworkPolicies": "Enabled",
    }
    kind = "Microsoft.Network/virtualNetworks/subnets"
    return Response.of_json(200, {"name": call.params["subnet"], "id": arm_id, "properties": properties, "type": kind})


ROUTES: tuple[Route, ...] = (
    Route("GET", _SUBNET, "Microsoft.Network/virtualNetworks/subnets/read", _get_subnet),
    Route("GET", f"{SCALE_SET}/networkInterfaces", _ACTION, _list_scale_set),
    Route("GET", f"{INSTANCE}/networkInterfaces", _INSTANCE_ACTION, _list_instance),
    Route("GET", f"{INSTANCE}/networkInterfaces/{{nic}}", _INSTANCE_ACTION, _get_instance_nic),
    Route("GET", _NICS, "Microsoft.Network/networkInterfaces/read", _list_group),
    Route("GET", f"{_NICS}/{{nic}}", "Microsoft.Network/networkInterfaces/read", _get),
)
