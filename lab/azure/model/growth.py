"""Writing to a scale set's model: more instances, fewer, or other settings.

The order of checks is Azure's: preconditions and quota are answered at once, allocation is tried after the write was
accepted, and its failures arrive in the status of the operation. A newer write supersedes one that is still running:
the older operation ends in OperationPreempted and the newer one waits for the instances of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lab.azure.model.documents import merged
from lab.azure.model.failures import ArmError, Circumstances, Failure, failure, in_terminal_wrapper, invalid_parameter
from lab.azure.model.faults import FaultKind
from lab.azure.model.network import private_address
from lab.azure.model.quota import check_quota, usage_of
from lab.azure.model.removal import refuse_while_deleting, remove, victims_of_scale_in
from lab.azure.model.resources import Instance
from lab.azure.model.skus import sku_named
from lab.azure.model.subnets import free_addresses, subnet_of
from lab.azure.model.words import Happening, Health, Mode, OperationKind, Power, Provisioning

if TYPE_CHECKING:
    from datetime import datetime

    from lab.azure.model.cloud import Cloud
    from lab.azure.model.faults import Fault
    from lab.azure.model.resources import Operation, ScaleSet

WRITE = "Microsoft.Compute/virtualMachineScaleSets/write"
FLEXIBLE_LIMIT = 1000
_REFUSING = frozenset({FaultKind.FAIL})
_SHAPING = frozenset({FaultKind.STAYS_CREATING, FaultKind.PROVISIONING_FAILS})


@dataclass(slots=True)
class _Refusals:
    """Instances of one growth that were not allocated, and why; the first reason becomes the operation's error."""

    names: list[str]
    error: ArmError | None = None
    wrapped: bool = False


def update_scale_set(cloud: Cloud, scale_set: ScaleSet, body: dict[str, Any]) -> Operation:
    """Apply a PUT or PATCH body and return the operation; raises what Azure answers at once, changing nothing."""
    refuse_while_deleting(scale_set)
    sku = body.get("sku") or {}
    capacity = _checked_capacity(sku.get("capacity", scale_set.capacity), scale_set)
    new = capacity - _counted(scale_set)
    wanted_sku = str(sku.get("name") or scale_set.sku)
    _refuse_unsellable(cloud, scale_set, wanted_sku, new)
    _apply(scale_set, body, wanted_sku)
    doom = cloud.faults.strike_operation(cloud.now, scale_set.key.name, WRITE)
    operation = _supersede(cloud, scale_set)
    scale_set.etag += 1
    if doom and doom.failure is Failure.PREEMPTED:
        _finish_later(cloud, scale_set, operation, doom)
        return operation
    scale_set.capacity = capacity
    if new > 0:
        _grow(cloud, scale_set, new, operation, doom)
    elif new < 0:
        remove(cloud, scale_set, victims_of_scale_in(scale_set, -new), operation)
    _finish_later(cloud, scale_set, operation, doom if new <= 0 else None)
    return operation


def create_instances_now(cloud: Cloud, scale_set: ScaleSet, count: int) -> None:
    """Put instances that are already running into a scale set, as if they had been there all along."""
    for zone in _zones_for(scale_set, count):
        instance = _new_instance(cloud, scale_set, zone)
        instance.provisioning, instance.power = Provisioning.SUCCEEDED, Power.RUNNING
        cloud.tell(Happening.BOOTED, scale_set, instance, cloud.now)


def replace_instance(cloud: Cloud, scale_set: ScaleSet, instance: Instance) -> None:
    """Delete an instance and bring up another in its zone, with a new name and address; the capacity stays."""
    remove(cloud, scale_set, [instance], cloud.start(OperationKind.DELETE_INSTANCES, scale_set))
    _boot_later(cloud, scale_set, _new_instance(cloud, scale_set, instance.zone))


def _counted(scale_set: ScaleSet) -> int:
    """What a new capacity is compared with: Uniform scale sets keep to a goal, Flexible ones only add or take the difference.

    The latter was seen in production (https://github.com/dataplat/dbatools/pull/10540): with a capacity of 9 and 6
    machines left, a new capacity of 10 brings one machine.
    """
    return len(scale_set.standing()) if scale_set.mode is Mode.UNIFORM else scale_set.capacity


def _checked_capacity(capacity: object, scale_set: ScaleSet) -> int:
    if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 0:
        raise invalid_parameter("sku.capacity", "The value of parameter sku.capacity is invalid.")
    if scale_set.mode is Mode.FLEXIBLE and capacity > FLEXIBLE_LIMIT:
        raise invalid_parameter("sku.capacity", "The value of parameter sku.capacity is invalid.")
    return capacity


def _refuse_unsellable(cloud: Cloud, scale_set: ScaleSet, sku_name: str, new: int) -> None:
    if sku_named(sku_name) is None:
        raise invalid_parameter("vmSize", f"The value {sku_name} provided for the VM size is not valid.")
    if new <= 0:
        return
    restricted = cloud.restricted_skus.get(sku_name.lower())
    if restricted is not None and (not restricted or set(scale_set.zones) <= restricted):
        raise failure(Failure.SKU_NOT_AVAILABLE, Circumstances(sku=sku_name, location=scale_set.location))
    check_quota(cloud.quotas, usage_of(cloud.scale_sets.values()), scale_set, new)
    subnet = subnet_of(scale_set)
    if subnet and free_addresses(cloud.network, cloud.scale_sets.values(), subnet) < new:
        about = Circumstances(required=new, subnet=subnet.rpartition("/")[2], prefix=cloud.network.prefix(subnet))
        raise failure(Failure.SUBNET_FULL, about)


def _apply(scale_set: ScaleSet, body: dict[str, Any], sku: str) -> None:
    """Merge what the caller sent; instances made before a change of the template no longer have the latest model."""
    template = (body.get("properties") or {}).get("virtualMachineProfile")
    if template or sku.lower() != scale_set.sku.lower():
        scale_set.model_version += 1
    scale_set.sku = sku
    if "tags" in body:
        scale_set.tags = dict(body["tags"] or {})
    kept = {
        name: body[name]
        for name in body
        if name not in {"sku", "tags", "location", "zones", "etag", "id", "name", "type"}
    }
    scale_set.document = merged(scale_set.document, kept)


def _supersede(cloud: Cloud, scale_set: ScaleSet) -> Operation:
    older = scale_set.updating
    operation = cloud.start(OperationKind.UPDATE, scale_set, older.waiting if older else ())
    if older:
        cloud.finish(older, cloud.now, failure(Failure.PREEMPTED, Circumstances()).error)
    scale_set.updating = operation
    scale_set.provisioning = Provisioning.UPDATING
    scale_set.status_time = cloud.now
    return operation


def _finish_later(cloud: Cloud, scale_set: ScaleSet, operation: Operation, doom: Fault | None) -> None:
    """Release the operation's hold on itself after the least time that a model write takes."""
    operation.waiting.add("")

    def release(at: datetime) -> None:
        operation.waiting.discard("")
        if doom and operation.error is None:
            error = failure(doom.failure, Circumstances(location=scale_set.location)).error
            operation.error = in_terminal_wrapper(error) if doom.wrapped else error
        cloud.settle(scale_set, operation, at)

    drag = cloud.faults.drag(cloud.now, scale_set.key.name, WRITE)
    cloud.timeline.at(cloud.now + cloud.pace.update + drag, release)


def _grow(cloud: Cloud, scale_set: ScaleSet, count: int, operation: Operation, doom: Fault | None) -> None:
    partial = cloud.faults.strike_growth(cloud.now, scale_set.key.name)
    refused = _Refusals([])
    for position, zone in enumerate(_zones_for(scale_set, count)):
        fault = doom or (partial if partial and position >= partial.come else None)
        fault = fault or cloud.faults.strike_instance(cloud.now, scale_set.key.name, zone, _REFUSING)
        instance = _new_instance(cloud, scale_set, zone)
        operation.waiting.add(instance.name)
        if fault:
            _refuse(scale_set, instance, fault, refused)
        else:
            _boot_later(cloud, scale_set, instance)
    if refused.error:
        _fail_refused_later(cloud, scale_set, refused)


def _zones_for(scale_set: ScaleSet, count: int) -> list[str | None]:
    """Spread new instances so that each goes to the zone with the fewest, ties in the order of the zones."""
    if not scale_set.zones:
        return [None] * count
    load = dict.fromkeys(scale_set.zones, 0)
    for instance in scale_set.standing():
        if instance.zone in load:
            load[instance.zone] += 1
    chosen: list[str | None] = []
    for _ in range(count):
        zone = min(load, key=load.__getitem__)
        load[zone] += 1
        chosen.append(zone)
    return chosen


def _new_instance(cloud: Cloud, scale_set: ScaleSet, zone: str | None) -> Instance:
    number = scale_set.next_number
    scale_set.next_number += 1
    if scale_set.mode is Mode.FLEXIBLE:
        name = f"{scale_set.key.name}_{cloud.chance.getrandbits(32):08x}"
        instance_id = name
    else:
        instance_id = str(number)
        name = f"{scale_set.key.name}_{number}"
    instance = Instance(
        instance_id=instance_id,
        name=name,
        number=number,
        sku=scale_set.sku,
        zone=zone,
        ip=private_address(scale_set.network_number, number),
        vm_id=cloud.new_uuid(),
        created=cloud.now,
        status_time=cloud.now,
        model_version=scale_set.model_version,
        fault_domain=0 if zone else number % 5,
        tags={},
    )
    scale_set.instances[instance_id.lower()] = instance
    return instance


def _refuse(scale_set: ScaleSet, instance: Instance, fault: Fault, refused: _Refusals) -> None:
    error = failure(
        fault.failure, Circumstances(sku=scale_set.sku, location=scale_set.location, instance=instance.instance_id)
    )
    instance.allocated = False
    instance.error = error.error
    refused.names.append(instance.instance_id.lower())
    if refused.error is None:
        refused.error, refused.wrapped = error, fault.wrapped


def _fail_refused_later(cloud: Cloud, scale_set: ScaleSet, refused: _Refusals) -> None:
    """Let the refusal become known: Uniform keeps failed instances, Flexible loses them and its capacity falls back."""

    def fail(at: datetime) -> None:
        operation = scale_set.updating
        for name in refused.names:
            instance = scale_set.instances.get(name)
            if instance is None or instance.provisioning is not Provisioning.CREATING:
                continue
            instance.provisioning, instance.status_time, instance.health = Provisioning.FAILED, at, Health.UNKNOWN
            if scale_set.mode is Mode.FLEXIBLE:
                del scale_set.instances[name]
                scale_set.capacity = max(0, scale_set.capacity - 1)
            _release(cloud, scale_set, operation, instance, at, wrapped=refused.wrapped)

    cloud.timeline.at(cloud.now + cloud.pace.allocate, fail)


def _release(
    cloud: Cloud,
    scale_set: ScaleSet,
    operation: Operation | None,
    instance: Instance,
    at: datetime,
    *,
    wrapped: bool = False,
) -> None:
    if operation is None:
        return
    operation.waiting.discard(instance.name)
    if instance.error and operation.error is None:
        operation.error = in_terminal_wrapper(instance.error) if wrapped else instance.error
    cloud.settle(scale_set, operation, at)


def _boot_later(cloud: Cloud, scale_set: ScaleSet, instance: Instance) -> None:
    now, name = cloud.now, scale_set.key.name
    shape = cloud.faults.strike_instance(now, name, instance.zone, _SHAPING)
    slow = cloud.faults.strike_instance(now, name, instance.zone, frozenset({FaultKind.SLOW_BOOT}))
    instance.joins = cloud.faults.strike_instance(now, name, instance.zone, frozenset({FaultKind.NEVER_JOINS})) is None
    wait = cloud.pace.allocate + cloud.pace.boot.draw(cloud.chance) + (slow.delay if slow else timedelta())
    if shape and shape.kind is FaultKind.STAYS_CREATING:
        wait = cloud.pace.give_up

    def up(at: datetime) -> None:
        if instance.provisioning is not Provisioning.CREATING:
            return
        instance.power, instance.status_time = Power.RUNNING, at
        if shape:
            instance.provisioning, instance.health = Provisioning.FAILED, Health.UNKNOWN
            about = Circumstances(instance=instance.name, location=scale_set.location)
            instance.error = failure(Failure.OS_PROVISIONING, about).error
        else:
            instance.provisioning = Provisioning.SUCCEEDED
            cloud.tell(Happening.BOOTED, scale_set, instance, at)
        _release(cloud, scale_set, scale_set.updating, instance, at)

    cloud.timeline.at(now + wait, up)
