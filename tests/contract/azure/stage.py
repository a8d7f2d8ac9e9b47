"""Builds the cloud in which a recording's requests make sense.

What is deployed is what the recording's owner must have asked for: everything that Azure adds by itself is stripped
from the recorded resources first, so that the stand-in has to add it again.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lab.azure.arm import Arm
from lab.azure.model.building import add_group, add_pool, put_scale_set
from lab.azure.model.cloud import Cloud
from lab.azure.model.documents import with_scale_set_defaults
from lab.azure.model.growth import update_scale_set
from lab.azure.model.network import RecordSet
from lab.azure.model.resources import ScaleSet, ScaleSetKey
from lab.azure.model.skus import sku_named
from lab.azure.model.words import Mode, Power
from lab.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

_AZURE_ADDS = {"id", "name", "type", "etag", "provisioningState", "uniqueId", "timeCreated", "resourceGuid"}
_AZURE_DEFAULTS = {
    "overprovision",
    "doNotRunExtensionsOnOverprovisionedVMs",
    "platformFaultDomainCount",
    "constrainedMaximumCapacity",
    "singlePlacementGroup",
}
_GUEST_DEFAULTS = {"secrets", "allowExtensionOperations", "requireGuestProvisionSignal"}
_PROVIDER = r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.Compute"
_SCALE_SET = re.compile(_PROVIDER + r"/virtualMachineScaleSets/([^/?']+)", re.IGNORECASE)
_MACHINE = re.compile(_PROVIDER + r"/virtualMachines/([^/?]+)", re.IGNORECASE)
_ZONE = re.compile(r"/privateDnsZones/([^/]+)/A/([^/?]+)", re.IGNORECASE)
_BALANCER = re.compile(r"/loadBalancers/([^/?]+)", re.IGNORECASE)
_SCOPE = re.compile(r"/subscriptions/([^/]+)(?:/resourceGroups/([^/]+))?", re.IGNORECASE)
_INSTANCE = re.compile(r"/virtualMachines/(\d+)", re.IGNORECASE)


@dataclass
class Stage:
    """A cloud, its clock, and the scale set that the recording is about."""

    clock: FakeClock
    cloud: Cloud
    arm: Arm
    scale_set: ScaleSet | None = None


def build_stage(exchanges: list[dict[str, Any]]) -> Stage:
    """Deploy what the exchanges are about."""
    url = unquote(exchanges[0]["request"]["url"] or "")
    scope = _SCOPE.search(url)
    clock = FakeClock()
    cloud = Cloud(clock, subscription=scope[1] if scope else "subscription", location=_location(exchanges))
    stage = Stage(clock, cloud, Arm(cloud))
    for body in _recorded_scale_sets(exchanges):
        _deploy(stage, body)
    if scope and scope[2]:
        add_group(cloud, scope[2])
        _deploy_network(stage, url, scope[1], scope[2], exchanges)
    if stage.scale_set is None:
        _deploy_around_members(stage, url, exchanges)
    if stage.scale_set is not None:
        _fill(stage, stage.scale_set, exchanges)
    return stage


def settle(stage: Stage) -> None:
    """Let time pass until nothing more falls due, and buckets are full again."""
    while (due := stage.cloud.next_due()) is not None:
        stage.clock.move_to(due)
        stage.arm.advance()
    stage.clock.advance(timedelta(minutes=10))


def set_power(stage: Stage, power: Power) -> None:
    """Put every instance of the stage into a power state."""
    for instance in stage.scale_set or ():
        instance.power = power


def _location(exchanges: list[dict[str, Any]]) -> str:
    text = json.dumps(exchanges)
    found = re.search(r'"location": "([a-z0-9]+)"', text) or re.search(r"/locations/([a-z0-9]+)/", text)
    return found[1] if found else "westus"


def _bodies(exchanges: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for exchange in exchanges:
        body = exchange["response"].get("body")
        if isinstance(body, dict):
            yield body
            yield from (item for item in body.get("value", ()) if isinstance(item, dict))


def _documents(exchanges: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    return (body for body in _bodies(exchanges) if body.get("type", "").lower() == kind.lower())


def _recorded_scale_sets(exchanges: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every scale set of a recorded list, or the first state of the one that is written and read."""
    found = list(_documents(exchanges, "Microsoft.Compute/virtualMachineScaleSets"))
    listed = "value" in (exchanges[0]["response"].get("body") or {})
    return found if listed else found[:1]


def _deploy(stage: Stage, recorded: dict[str, Any]) -> None:
    matched = _SCALE_SET.search(recorded["id"])
    assert matched
    key = ScaleSetKey(*matched.groups())
    add_group(stage.cloud, key.group)
    body = owned(recorded)
    if sku_named(body["sku"]["name"]) is None:  # the lab sells few sizes; a recorded list may hold any
        body["sku"] = {**body["sku"], "name": "Standard_DS1_v2"}
    stage.scale_set, _, _ = put_scale_set(stage.cloud, key, {**body, "sku": {**body["sku"], "capacity": 0}})
    stage.scale_set.capacity = body["sku"].get("capacity", 2)


def owned(document: dict[str, Any]) -> dict[str, Any]:
    """Keep of a recorded resource what its owner must have sent."""
    properties = {k: v for k, v in document["properties"].items() if k not in _AZURE_ADDS | _AZURE_DEFAULTS}
    profile = {k: v for k, v in properties.get("virtualMachineProfile", {}).items() if k not in _AZURE_ADDS}
    if "osProfile" in profile:
        profile["osProfile"] = {k: v for k, v in profile["osProfile"].items() if k not in _GUEST_DEFAULTS}
    if profile:
        properties["virtualMachineProfile"] = profile
    return {**{k: v for k, v in document.items() if k not in _AZURE_ADDS}, "properties": properties}


def _deploy_around_members(stage: Stage, url: str, exchanges: list[dict[str, Any]]) -> None:
    """Deploy the scale set that recorded instances must belong to, with the template that they must come from."""
    members = [
        *_documents(exchanges, "Microsoft.Compute/virtualMachineScaleSets/virtualMachines"),
        *_documents(exchanges, "Microsoft.Compute/virtualMachines"),
    ]
    scale_set, machine = _SCALE_SET.search(url), _MACHINE.search(url)
    if scale_set is None and machine is None and not members:
        return
    place = scale_set or machine or _MACHINE.search(members[0]["id"])
    assert place
    mode = Mode.UNIFORM if scale_set and "$filter" not in url else Mode.FLEXIBLE
    name = scale_set[3] if scale_set else "vmss1"
    group = scale_set[2] if scale_set else place[2]
    stage.scale_set = add_pool(stage.cloud, name, group=group, mode=mode, zones=(), sku="Standard_DS1_v2")
    if members:
        stage.scale_set.tags = members[0].get("tags", {})
        stage.scale_set.profile.update(_template_of(members[0]["properties"]))
        stage.scale_set.document = with_scale_set_defaults(stage.scale_set.document, mode)
    for nic in (body for body in _bodies(exchanges) if "macAddress" in body.get("properties", {})):
        stage.scale_set.profile["networkProfile"] = {"networkInterfaceConfigurations": [_nic_template(nic)]}
    if machine and not scale_set:
        update_scale_set(stage.cloud, stage.scale_set, {"sku": {"capacity": 1}})
        (instance,) = stage.scale_set
        stage.scale_set.instances = {machine[3].lower(): instance}
        instance.name = instance.instance_id = machine[3]


def _template_of(member: dict[str, Any]) -> dict[str, Any]:
    """Return the template that a recorded member must have been made from."""
    os_profile = {k: v for k, v in member["osProfile"].items() if k not in _GUEST_DEFAULTS | {"computerName"}}
    storage = {**member["storageProfile"], "osDisk": {**member["storageProfile"]["osDisk"]}}
    storage["osDisk"].pop("name", None)
    storage.pop("dataDisks", None)
    inherited = ("securityProfile", "licenseType", "priority", "evictionPolicy", "billingProfile", "diagnosticsProfile")
    template = {
        "osProfile": {**os_profile, "computerNamePrefix": "vm"},
        "storageProfile": storage,
        **{name: member[name] for name in inherited if name in member},
    }
    if "networkProfileConfiguration" in member:
        template["networkProfile"] = member["networkProfileConfiguration"]
    return template


def _nic_template(nic: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration that a recorded network interface must have been made from."""
    given = ("subnet", "privateIPAddressVersion", "loadBalancerBackendAddressPools")
    configurations = [
        {"name": c["name"], "properties": {k: c["properties"][k] for k in given if k in c["properties"]}}
        for c in nic["properties"]["ipConfigurations"]
    ]
    group = {k: nic["properties"][k] for k in ("networkSecurityGroup",) if k in nic["properties"]}
    return {"name": nic["name"], "properties": {"ipConfigurations": configurations, **group}}


def _fill(stage: Stage, scale_set: ScaleSet, exchanges: list[dict[str, Any]]) -> None:
    """Have as many instances running as the recording speaks of; the recorded capacity stays what it was."""
    text = unquote(json.dumps(exchanges))
    numbers = [int(n) for n in (*_INSTANCE.findall(text), *re.findall(r'"(\d)"', text))]
    capacity = scale_set.capacity
    wanted = (
        max([1, *(n + 1 for n in numbers), capacity])
        if scale_set.mode is Mode.UNIFORM
        else max(1, len(scale_set.instances))
    )
    if exchanges[0]["response"].get("body") != {"value": []}:
        update_scale_set(stage.cloud, scale_set, {"sku": {"capacity": wanted}})
    settle(stage)
    scale_set.capacity = capacity
    scale_set.etag = max(1, scale_set.etag)


def _deploy_network(stage: Stage, url: str, subscription: str, group: str, exchanges: list[dict[str, Any]]) -> None:
    if zone := _ZONE.search(url):
        made = stage.cloud.network.add_zone(subscription, group, zone[1])
        sent = exchanges[0]["request"].get("body") or {}
        if sent.get("etag") or exchanges[0]["request"]["method"] in {"DELETE", "GET", "PATCH"}:
            made.records["A", zone[2].lower()] = RecordSet(zone[2], {"ttl": 3600}, sent.get("etag", "recorded"))
    if balancer := _BALANCER.search(url):
        recorded = next(_documents(exchanges, "Microsoft.Network/loadBalancers"), None)
        if recorded:
            key = (subscription.lower(), group.lower(), balancer[1].lower())
            stage.cloud.network.load_balancers[key] = owned(recorded)
