"""Azure's JSON of scale sets and their machines into the keeper's words.

The SDK's models are mappings of the JSON they were made from, so they are read as such: `instanceView` and `timeCreated`
are where the REST reference has them (https://learn.microsoft.com/rest/api/compute).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NotRequired, TypedDict

from keeper.core.model import Instance, InstanceName, InstanceState, Pool, PoolName, Provisioning, ScaleSet


class Sku(TypedDict):
    """`capacity` is what was asked for."""

    name: NotRequired[str | None]
    capacity: NotRequired[int | None]


class Reference(TypedDict):
    """Another resource."""

    id: NotRequired[str | None]


class AddressProperties(TypedDict):
    """Where an address comes from."""

    subnet: NotRequired[Reference | None]


class Address(TypedDict):
    """An address that each instance gets."""

    properties: NotRequired[AddressProperties | None]


class InterfaceProperties(TypedDict):
    """Exactly one interface is primary; a sole one need not say so."""

    primary: NotRequired[bool | None]
    ipConfigurations: NotRequired[list[Address] | None]


class Interface(TypedDict):
    """A network interface that each instance gets."""

    properties: NotRequired[InterfaceProperties | None]


class NetworkProfile(TypedDict):
    """The network side of the template."""

    networkInterfaceConfigurations: NotRequired[list[Interface] | None]


class MachineProfile(TypedDict):
    """The template of the instances."""

    networkProfile: NotRequired[NetworkProfile | None]


class ScaleSetProperties(TypedDict):
    """`provisioningState` is that of the last operation on the scale set."""

    provisioningState: NotRequired[str | None]
    virtualMachineProfile: NotRequired[MachineProfile | None]


class ScaleSetBody(TypedDict):
    """One element of the list of scale sets."""

    id: str
    name: str
    sku: NotRequired[Sku | None]
    etag: NotRequired[str | None]
    tags: NotRequired[dict[str, str] | None]
    properties: NotRequired[ScaleSetProperties | None]


class Status(TypedDict):
    """Such as `PowerState/running`."""

    code: NotRequired[str | None]


class InstanceView(TypedDict):
    """What the machine is seen to do now."""

    statuses: NotRequired[list[Status] | None]


class ProtectionPolicy(TypedDict):
    """Of instances of Uniform scale sets."""

    protectFromScaleIn: NotRequired[bool | None]
    protectFromScaleSetActions: NotRequired[bool | None]


class MachineProperties(TypedDict):
    """The part that Uniform instances and virtual machines have in common."""

    provisioningState: NotRequired[str | None]
    timeCreated: NotRequired[str | None]
    instanceView: NotRequired[InstanceView | None]
    protectionPolicy: NotRequired[ProtectionPolicy | None]


class MachineBody(TypedDict):
    """One element of the list of instances; `instanceId` for Uniform scale sets only."""

    name: str
    instanceId: NotRequired[str | None]
    zones: NotRequired[list[str] | None]
    properties: NotRequired[MachineProperties | None]


PROVISIONING = {state.value.lower(): state for state in Provisioning}
STATES = {
    "creating": InstanceState.CREATING,
    "deleting": InstanceState.DELETING,
    "failed": InstanceState.FAILED,
}
"""Provisioning states that say all; in the others the machine's power decides."""

POWER = {
    "starting": InstanceState.CREATING,
    "stopping": InstanceState.STOPPED,
    "stopped": InstanceState.STOPPED,
    "deallocating": InstanceState.STOPPED,
    "deallocated": InstanceState.STOPPED,
}


def to_scale_set(pool: PoolName, body: ScaleSetBody) -> ScaleSet:
    """Translate a scale set."""
    sku = body.get("sku") or Sku()
    properties = body.get("properties") or ScaleSetProperties()
    state = (properties.get("provisioningState") or "").lower()
    return ScaleSet(
        pool=pool,
        id=body["id"],
        capacity=sku.get("capacity") or 0,
        provisioning=PROVISIONING.get(state, Provisioning.OTHER),
        sku=sku.get("name") or "",
        etag=body.get("etag") or None,
        tags=dict(body.get("tags") or {}),
        subnet=subnet_of(properties.get("virtualMachineProfile") or MachineProfile()),
    )


def subnet_of(profile: MachineProfile) -> str:
    """The subnet of the primary interface's first address, in lower case; empty when the template does not tell."""
    network = profile.get("networkProfile") or NetworkProfile()
    interfaces = [each.get("properties") or {} for each in network.get("networkInterfaceConfigurations") or ()]
    primary = next((each for each in interfaces if each.get("primary")), next(iter(interfaces), InterfaceProperties()))
    address = next(iter(primary.get("ipConfigurations") or ()), Address())
    reference = (address.get("properties") or AddressProperties()).get("subnet") or Reference()
    return (reference.get("id") or "").lower()


def by_pool(pools: Iterable[Pool], listed: Mapping[tuple[str, str], ScaleSetBody]) -> dict[PoolName, ScaleSet]:
    """Give each pool its scale set out of those listed by resource group and name, both in lower case."""
    found = ((pool.name, listed.get((pool.resource_group.lower(), pool.scale_set.lower()))) for pool in pools)
    return {name: to_scale_set(name, body) for name, body in found if body is not None}


def to_instance(pool: PoolName, body: MachineBody) -> Instance:
    """Translate an instance of a Uniform scale set, or a virtual machine of a Flexible one."""
    properties = body.get("properties") or MachineProperties()
    policy = properties.get("protectionPolicy") or ProtectionPolicy()
    created = properties.get("timeCreated")
    return Instance(
        name=InstanceName(body["name"]),
        id=body.get("instanceId") or body["name"],
        pool=pool,
        state=state_of(properties),
        zone=next(iter(body.get("zones") or ()), ""),
        created=datetime.fromisoformat(created) if created else None,
        protected=bool(policy.get("protectFromScaleIn") or policy.get("protectFromScaleSetActions")),
    )


def state_of(properties: MachineProperties) -> InstanceState:
    """What became of the machine. One whose power is not told counts as running: nothing is concluded from silence."""
    told = STATES.get((properties.get("provisioningState") or "").lower())
    if told:
        return told
    view = properties.get("instanceView") or InstanceView()
    codes = ((status.get("code") or "").lower() for status in view.get("statuses") or ())
    power = next((code.partition("/")[2] for code in codes if code.startswith("powerstate/")), "")
    return POWER.get(power, InstanceState.RUNNING)
