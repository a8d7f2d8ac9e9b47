"""Scheduled events: what IMDS announces to a guest before something is done to its machine.

A deletion is announced when the scale set's `terminateNotificationProfile` is on, which Azure offers for regular
instances only; an eviction always is. The thing happens when the notice has run out or when the guest approves, whichever
comes first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from lab.azure.model.words import Priority

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from lab.azure.model.cloud import Cloud
    from lab.azure.model.resources import Instance, ScaleSet

_DURATION = re.compile(r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?")


class NoticeKind(StrEnum):
    """The event types of IMDS."""

    PREEMPT = "Preempt"
    TERMINATE = "Terminate"
    FREEZE = "Freeze"
    REBOOT = "Reboot"
    REDEPLOY = "Redeploy"


@dataclass(slots=True)
class Notice:
    """One announced event; `happens` runs once, at `not_before` or on approval."""

    event_id: str
    kind: NoticeKind
    not_before: datetime
    happens: Callable[[datetime], None]
    over: bool = False


def announce(
    cloud: Cloud,
    instance: Instance,
    kind: NoticeKind,
    wait: timedelta,
    happens: Callable[[datetime], None],
) -> None:
    """Announce an event to a guest and have it happen after `wait`, unless the guest approves before."""
    notice = Notice(cloud.new_uuid().upper(), kind, cloud.now + wait, happens)
    instance.notices.append(notice)
    instance.incarnation += 1
    cloud.timeline.at(notice.not_before, lambda at: _happen(instance, notice, at))


def approve(cloud: Cloud, instance: Instance, event_id: str) -> bool:
    """Let an announced event happen now; False when there is no such event."""
    for notice in instance.notices:
        if notice.event_id == event_id.upper():
            _happen(instance, notice, cloud.now)
            return True
    return False


def termination_notice(scale_set: ScaleSet) -> timedelta:
    """Return how long before its deletion a guest is told; zero when it is not."""
    profile = (scale_set.profile.get("scheduledEventsProfile") or {}).get("terminateNotificationProfile") or {}
    if not profile.get("enable") or scale_set.priority is Priority.SPOT:
        return timedelta()
    return duration(str(profile.get("notBeforeTimeout", "PT5M"))) or timedelta(minutes=5)


def duration(text: str) -> timedelta | None:
    """Parse an ISO 8601 duration of days, hours, minutes and seconds; None when it is none."""
    matched = _DURATION.fullmatch(text)
    if matched is None or not any(matched.groupdict().values()):
        return None
    return timedelta(**{unit: int(value) for unit, value in matched.groupdict().items() if value})


def _happen(instance: Instance, notice: Notice, at: datetime) -> None:
    if notice.over:
        return
    notice.over = True
    instance.notices.remove(notice)
    instance.incarnation += 1
    notice.happens(at)
