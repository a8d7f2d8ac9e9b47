"""What can be done to instances that stay: restart, reimage, stop, start, protect, upgrade, run a script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.azure.model.failures import Circumstances, Failure, failure, invalid_parameter
from lab.azure.model.removal import refuse_while_deleting
from lab.azure.model.words import Happening, Health, OperationKind, Power, Provisioning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from lab.azure.model.cloud import Cloud
    from lab.azure.model.pace import Pace
    from lab.azure.model.resources import Instance, Operation, ScaleSet


@dataclass(frozen=True, slots=True)
class _Course:
    """How an action runs: the guest's fate at its start, the power state meanwhile and after, how long it takes."""

    takes: Callable[[Pace], timedelta]
    at_start: Happening | None
    meanwhile: Power
    after: Power
    renews_model: bool = False


_COURSES: dict[OperationKind, _Course] = {
    OperationKind.RESTART: _Course(lambda p: p.restart, Happening.STOPPED, Power.STARTING, Power.RUNNING),
    OperationKind.REDEPLOY: _Course(lambda p: p.reimage, Happening.STOPPED, Power.STARTING, Power.RUNNING),
    OperationKind.REIMAGE: _Course(
        lambda p: p.reimage, Happening.REIMAGED, Power.STARTING, Power.RUNNING, renews_model=True
    ),
    OperationKind.REIMAGE_ALL: _Course(
        lambda p: p.reimage, Happening.REIMAGED, Power.STARTING, Power.RUNNING, renews_model=True
    ),
    OperationKind.START: _Course(lambda p: p.start, None, Power.STARTING, Power.RUNNING),
    OperationKind.POWER_OFF: _Course(lambda p: p.shut_down, Happening.STOPPED, Power.STOPPING, Power.STOPPED),
    OperationKind.DEALLOCATE: _Course(lambda p: p.deallocate, Happening.STOPPED, Power.DEALLOCATING, Power.DEALLOCATED),
    OperationKind.MANUAL_UPGRADE: _Course(
        lambda p: p.restart, Happening.STOPPED, Power.STARTING, Power.RUNNING, renews_model=True
    ),
}


def act(cloud: Cloud, scale_set: ScaleSet, kind: OperationKind, instances: Sequence[Instance]) -> Operation:
    """Do an action to these instances and return its operation.

    Instances protected from actions are passed over; when all of them are still being created or were never allocated,
    the request is a conflict.
    """
    refuse_while_deleting(scale_set)
    ready = [i for i in instances if i.standing and i.allocated and i.provisioning is not Provisioning.CREATING]
    if instances and not ready:
        raise failure(Failure.CONFLICT, Circumstances(location=scale_set.location))
    course = _COURSES[kind]
    action = f"Microsoft.Compute/virtualMachineScaleSets/{kind}/action"
    doom = cloud.faults.strike_operation(cloud.now, scale_set.key.name, action)
    operation = cloud.start(kind, scale_set)
    takes = course.takes(cloud.pace) + cloud.faults.drag(cloud.now, scale_set.key.name, action)
    if doom:
        error = failure(
            doom.failure, Circumstances(location=scale_set.location, instance=instances[0].name if instances else "")
        )
        cloud.timeline.at(cloud.now + takes, lambda at: cloud.finish(operation, at, error.error, wrapped=doom.wrapped))
        return operation
    touched = [i for i in ready if not i.protect_from_actions]
    for instance in touched:
        _begin(cloud, scale_set, instance, course)

    def end(at: datetime) -> None:
        for instance in touched:
            _end(cloud, scale_set, instance, course, at)
        cloud.finish(operation, at)

    cloud.timeline.at(cloud.now + takes, end)
    return operation


def _begin(cloud: Cloud, scale_set: ScaleSet, instance: Instance, course: _Course) -> None:
    was_running = instance.is_running
    instance.provisioning, instance.power, instance.status_time = Provisioning.UPDATING, course.meanwhile, cloud.now
    if course.at_start and (was_running or course.at_start is Happening.REIMAGED):
        cloud.tell(course.at_start, scale_set, instance, cloud.now)


def _end(cloud: Cloud, scale_set: ScaleSet, instance: Instance, course: _Course, at: datetime) -> None:
    if not instance.standing:
        return
    was_running = instance.power is Power.RUNNING
    instance.provisioning, instance.power, instance.status_time = Provisioning.SUCCEEDED, course.after, at
    if course.renews_model:
        instance.model_version = scale_set.model_version
    if course.after is Power.RUNNING and not was_running:
        instance.health = Health.HEALTHY
        cloud.tell(Happening.BOOTED, scale_set, instance, at)


def update_instance(cloud: Cloud, scale_set: ScaleSet, instance: Instance, body: dict[str, Any]) -> Operation:
    """Apply a PUT of one Uniform instance or a PATCH of a Flexible one: tags, and the protection policy."""
    refuse_while_deleting(scale_set)
    policy = (body.get("properties") or {}).get("protectionPolicy")
    if policy is not None:
        instance.has_protection_policy = True
        instance.protect_from_scale_in = bool(policy.get("protectFromScaleIn", False))
        instance.protect_from_actions = bool(policy.get("protectFromScaleSetActions", False))
    if "tags" in body:
        instance.tags = dict(body["tags"] or {})
    instance.etag += 1
    before = instance.provisioning
    instance.provisioning = Provisioning.UPDATING
    operation = cloud.start(OperationKind.UPDATE_INSTANCE, scale_set)

    def end(at: datetime) -> None:
        if instance.provisioning is Provisioning.UPDATING:
            instance.provisioning = before
        cloud.finish(operation, at)

    cloud.timeline.at(cloud.now + cloud.pace.update, end)
    return operation


def set_orchestration_service(cloud: Cloud, scale_set: ScaleSet, body: dict[str, Any]) -> Operation:
    """Suspend or resume automatic repairs."""
    refuse_while_deleting(scale_set)
    if body.get("serviceName") != "AutomaticRepairs":
        raise invalid_parameter("serviceName", "The value of parameter serviceName is invalid.")
    if body.get("action") not in {"Suspend", "Resume"}:
        raise invalid_parameter("action", "The value of parameter action is invalid.")
    scale_set.repairs_suspended = body["action"] == "Suspend"
    operation = cloud.start(OperationKind.ORCHESTRATION_SERVICE, scale_set)
    cloud.timeline.at(cloud.now + cloud.pace.update, lambda at: cloud.finish(operation, at))
    return operation


def run_command(cloud: Cloud, scale_set: ScaleSet, instance: Instance, body: dict[str, Any]) -> Operation:
    """Run a script inside an instance; its output is what `cloud.commands` answers for it, empty by default."""
    script = "\n".join(body.get("script") or [])
    operation = cloud.start(OperationKind.RUN_COMMAND, scale_set)

    def end(at: datetime) -> None:
        stdout = cloud.commands(instance.name, script)
        operation.output = {
            "value": [
                {
                    "code": "ProvisioningState/succeeded",
                    "level": "Info",
                    "displayStatus": "Provisioning succeeded",
                    "message": f"Enable succeeded: \n[stdout]\n{stdout}\n[stderr]\n",
                },
            ],
        }
        cloud.finish(operation, at)

    cloud.timeline.at(cloud.now + cloud.pace.run_command, end)
    return operation
