"""Taking instances away: by name, by scale-in policy, by eviction, or the whole scale set.

Only a delete that names instances chooses its victims. Lowering the capacity leaves the choice to the scale-in policy,
which balances zones first and then takes the newest, whatever runs there.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from lab.azure.model.failures import ArmError, Circumstances, failure, not_an_active_instance
from lab.azure.model.notices import NoticeKind, announce, termination_notice
from lab.azure.model.words import (
    EvictionPolicy,
    Happening,
    Mode,
    OperationKind,
    Power,
    Priority,
    Provisioning,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from lab.azure.model.cloud import Cloud
    from lab.azure.model.faults import Fault
    from lab.azure.model.resources import Instance, Operation, ScaleSet

DELETE = "Microsoft.Compute/virtualMachineScaleSets/delete/action"


def refuse_while_deleting(scale_set: ScaleSet) -> None:
    """Raise a conflict when the scale set is on its way out."""
    if scale_set.provisioning is Provisioning.DELETING:
        raise ArmError(
            409,
            "OperationNotAllowed",
            f"The operation cannot be performed because the virtual machine scale set '{scale_set.key.name}' is being deleted.",
        )


def instances_named(scale_set: ScaleSet, instance_ids: Sequence[str]) -> list[Instance]:
    """Resolve instance ids (or `*`) as batch actions do: one unknown id refuses the whole batch."""
    if "*" in instance_ids:
        return scale_set.standing()
    found = []
    for instance_id in instance_ids:
        instance = scale_set.instances.get(str(instance_id).lower())
        if instance is None:
            raise not_an_active_instance(str(instance_id))
        found.append(instance)
    return found


def delete_instances(cloud: Cloud, scale_set: ScaleSet, instances: Sequence[Instance]) -> Operation:
    """Delete exactly these; the capacity falls by as many as were not already going. Protection does not hinder it."""
    refuse_while_deleting(scale_set)
    going = [instance for instance in instances if instance.standing]
    doom = cloud.faults.strike_operation(cloud.now, scale_set.key.name, DELETE)
    if not doom:
        scale_set.capacity = max(0, scale_set.capacity - len(going))
    scale_set.etag += 1
    return _delete(cloud, scale_set, instances, doom)


def delete_machine(cloud: Cloud, scale_set: ScaleSet, instance: Instance) -> Operation:
    """Delete a virtual machine as such: the capacity of its scale set does not notice, and nobody replaces it."""
    refuse_while_deleting(scale_set)
    return _delete(cloud, scale_set, [instance], cloud.faults.strike_operation(cloud.now, scale_set.key.name, DELETE))


def _delete(cloud: Cloud, scale_set: ScaleSet, instances: Sequence[Instance], doom: Fault | None) -> Operation:
    going = [instance for instance in instances if instance.standing]
    operation = cloud.start(OperationKind.DELETE_INSTANCES, scale_set)
    if doom:
        _fail_later(cloud, operation, doom)
        return operation
    remove(cloud, scale_set, going, operation, cloud.faults.drag(cloud.now, scale_set.key.name, DELETE))
    operation.waiting.update(i.name for i in instances if not i.standing and i not in going)
    _finish_when_empty(cloud, operation)
    return operation


def delete_scale_set(cloud: Cloud, scale_set: ScaleSet) -> Operation:
    """Delete everything: the instances, then the scale set itself."""
    operation = cloud.start(OperationKind.DELETE_SCALE_SET, scale_set)
    scale_set.provisioning = Provisioning.DELETING
    remove(cloud, scale_set, scale_set.standing(), operation)

    def gone(at: datetime) -> None:
        cloud.scale_sets.pop(scale_set.key.folded(), None)
        cloud.finish(operation, at)

    cloud.timeline.at(cloud.now + cloud.pace.delete, gone)
    return operation


def remove(
    cloud: Cloud,
    scale_set: ScaleSet,
    instances: Sequence[Instance],
    operation: Operation,
    drag: timedelta = timedelta(),
) -> None:
    """Shut these guests down and let the machines go, `drag` later than usual; `operation` waits for them.

    The capacity is the caller's affair.
    """
    for instance in instances:
        instance.provisioning = Provisioning.DELETING
        instance.status_time = cloud.now
        operation.waiting.add(instance.name)
        _remove_later(cloud, scale_set, instance, drag)


def victims_of_scale_in(scale_set: ScaleSet, count: int) -> list[Instance]:
    """Choose as the scale-in policy does: the fullest zone first, there the newest; protected instances are passed over."""
    rules = (scale_set.document["properties"].get("scaleInPolicy") or {}).get("rules") or ["Default"]
    oldest_first = rules[0] == "OldestVM"
    candidates = [i for i in scale_set.standing() if not i.protect_from_scale_in]
    chosen: list[Instance] = []
    for _ in range(min(count, len(candidates))):
        left = [i for i in candidates if i not in chosen]
        load: dict[str | None, int] = {}
        for instance in left:
            load[instance.zone] = load.get(instance.zone, 0) + 1
        order = -1 if oldest_first else 1
        chosen.append(max(left, key=lambda i: (load[i.zone], order * i.number)))
    return chosen


def evict(cloud: Cloud, scale_set: ScaleSet, instance: Instance) -> None:
    """Give notice now and take the machine when the notice has run out, as its eviction policy says."""
    if scale_set.priority is not Priority.SPOT:
        raise ArmError(
            409,
            "OperationNotAllowed",
            "Operation 'simulateEviction' is allowed only for Spot Virtual Machines",
        )

    def take(at: datetime) -> None:
        if not instance.is_running:
            return
        instance.status_time = at
        if scale_set.eviction_policy is EvictionPolicy.DELETE:
            instance.provisioning = Provisioning.DELETING
            if scale_set.mode is Mode.UNIFORM:  # of a Flexible one a virtual machine goes, see `delete_machine`
                scale_set.capacity = max(0, scale_set.capacity - 1)
            scale_set.etag += 1
            _let_go(cloud, scale_set, instance, at)
        instance.power = Power.DEALLOCATED
        cloud.tell(Happening.EVICTED, scale_set, instance, at)

    announce(cloud, instance, NoticeKind.PREEMPT, cloud.pace.eviction_notice, take)


def _remove_later(cloud: Cloud, scale_set: ScaleSet, instance: Instance, drag: timedelta) -> None:
    def guest_stops(at: datetime) -> None:
        if instance.power is not None:
            instance.power = Power.STOPPED
            cloud.tell(Happening.DELETED, scale_set, instance, at)

    def proceed(at: datetime) -> None:
        cloud.timeline.at(at + cloud.pace.shut_down, guest_stops)
        gone = at + max(cloud.pace.delete, cloud.pace.shut_down) + drag
        cloud.timeline.at(gone, lambda then: _let_go(cloud, scale_set, instance, then))

    notice = termination_notice(scale_set)
    if notice and instance.power is Power.RUNNING:
        announce(cloud, instance, NoticeKind.TERMINATE, notice, proceed)
    else:
        proceed(cloud.now)


def _let_go(cloud: Cloud, scale_set: ScaleSet, instance: Instance, at: datetime) -> None:
    """Take the machine out of its scale set and out of every operation that waits for it."""
    scale_set.instances.pop(instance.instance_id.lower(), None)
    for waiting in [op for op in cloud.running.values() if instance.name in op.waiting]:
        waiting.waiting.discard(instance.name)
        if waiting is scale_set.updating:
            cloud.settle(scale_set, waiting, at)
        elif waiting.kind is OperationKind.DELETE_INSTANCES and not waiting.waiting:
            cloud.finish(waiting, at)


def _finish_when_empty(cloud: Cloud, operation: Operation) -> None:
    if not operation.waiting:
        cloud.timeline.at(cloud.now + cloud.pace.update, lambda at: cloud.finish(operation, at))


def _fail_later(cloud: Cloud, operation: Operation, doom: Fault) -> None:
    error = failure(doom.failure, Circumstances(location=operation.location)).error
    cloud.timeline.at(
        cloud.now + cloud.pace.update,
        lambda at: cloud.finish(operation, at, error, wrapped=doom.wrapped),
    )
