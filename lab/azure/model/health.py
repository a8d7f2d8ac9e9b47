"""What the health extension reports, and what automatic repairs make of it.

An instance that stays unhealthy for the grace period is replaced, reimaged or restarted, at most one in twenty of the
scale set at a time, unless the service is suspended or the instance is protected from scale-in.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from lab.azure.model.actions import act
from lab.azure.model.growth import replace_instance
from lab.azure.model.notices import duration
from lab.azure.model.words import Health, OperationKind, Provisioning

if TYPE_CHECKING:
    from datetime import datetime

    from lab.azure.model.cloud import Cloud
    from lab.azure.model.resources import Instance, ScaleSet

SHARE_AT_ONCE = 20
LOOKS_AGAIN_AFTER = timedelta(minutes=1)
_ACTIONS = {"Reimage": OperationKind.REIMAGE, "Restart": OperationKind.RESTART}


def set_health(cloud: Cloud, scale_set: ScaleSet, instance: Instance, health: Health) -> None:
    """Have an instance report a health; the grace period of repairs begins when it turns unhealthy."""
    turned = health is Health.UNHEALTHY and instance.health is not Health.UNHEALTHY
    instance.health = health
    instance.status_time = cloud.now
    if turned:
        cloud.timeline.at(cloud.now + _grace(scale_set), lambda at: _look(cloud, scale_set, instance, at))


def _look(cloud: Cloud, scale_set: ScaleSet, instance: Instance, at: datetime) -> None:
    if instance.health is not Health.UNHEALTHY or not instance.standing:
        return
    if not _may_repair(scale_set, instance):
        cloud.timeline.at(at + LOOKS_AGAIN_AFTER, lambda later: _look(cloud, scale_set, instance, later))
        return
    action = _policy(scale_set).get("repairAction", "Replace")
    if action in _ACTIONS:
        act(cloud, scale_set, _ACTIONS[action], [instance])
    else:
        replace_instance(cloud, scale_set, instance)


def _may_repair(scale_set: ScaleSet, instance: Instance) -> bool:
    busy = [i for i in scale_set if i.provisioning is not Provisioning.SUCCEEDED]
    free = len(busy) < max(1, len(scale_set.instances) // SHARE_AT_ONCE)
    enabled = bool(_policy(scale_set).get("enabled")) and not scale_set.repairs_suspended
    return enabled and free and not instance.protect_from_scale_in


def _policy(scale_set: ScaleSet) -> dict[str, object]:
    return scale_set.document["properties"].get("automaticRepairsPolicy") or {}


def _grace(scale_set: ScaleSet) -> timedelta:
    return duration(str(_policy(scale_set).get("gracePeriod", "PT10M"))) or timedelta(minutes=10)
