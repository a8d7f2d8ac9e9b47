"""Timer triggers: schedule, memory of what was due, catch-up, one runner per app.

The rules are those of Azure's TimerListener: what is due next is counted from when the last run began; a run that took
longer than the interval is followed at once by one more, not by all that were missed; a timer found past due when
the host starts runs at once with `IsPastDue`; schedules below one minute are not remembered across restarts
(https://github.com/Azure/azure-webjobs-sdk-extensions/tree/dev/src/WebJobs.Extensions/Extensions/Timers).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lab.host.cron import CronSchedule, Schedule, parse_schedule
from lab.host.dispatch import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.host.dispatch import Dispatcher
    from lab.host.model import Function

REMEMBERED_FROM = timedelta(minutes=1)
LOCK_RETRY_SECONDS = 1.0
NEVER = "0001-01-01T00:00:00"


@dataclass(frozen=True, slots=True)
class TimerStatus:
    """What is remembered of a timer between runs; `last` is None before the first run."""

    last: datetime | None
    next: datetime
    updated: datetime

    def to_json(self) -> dict[str, str]:
        """Return the document as the function sees it and as it is stored."""
        last = self.last.isoformat() if self.last else NEVER
        return {"Last": last, "Next": self.next.isoformat(), "LastUpdated": self.updated.isoformat()}

    @classmethod
    def from_json(cls, document: dict[str, str]) -> TimerStatus:
        """Read what `to_json` wrote."""
        last = None if document["Last"] == NEVER else datetime.fromisoformat(document["Last"])
        return cls(last, datetime.fromisoformat(document["Next"]), datetime.fromisoformat(document["LastUpdated"]))


def status_at_start(schedule: Schedule, remembered: TimerStatus | None, now: datetime) -> tuple[TimerStatus, bool]:
    """Return the status to begin with, and whether the timer is past due. Pure.

    A schedule that was changed while the host was down is counted anew and never past due for what the new
    schedule would have done before.
    """
    if remembered is None:
        return TimerStatus(None, schedule.next_after(now), now), False
    base = remembered.last or remembered.updated
    expected = schedule.next_after(base)
    if remembered.next != expected:
        if now > expected:
            base, expected = now, schedule.next_after(now)
        remembered = TimerStatus(None, expected, base)
    return remembered, now > remembered.next


def status_after_run(schedule: Schedule, status: TimerStatus, began: datetime, *, scheduled: bool) -> TimerStatus:
    """Return the status after a run that began at `began`; a run a little early counts as on time. Pure."""
    if scheduled and status.next > began:
        began = status.next
    return TimerStatus(began, schedule.next_after(began), began)


def is_remembered(schedule: Schedule, now: datetime) -> bool:
    """Tell whether Azure keeps a status for this schedule: its runs are at least a minute apart. Pure."""
    first = schedule.next_after(now)
    return schedule.next_after(first) - first >= REMEMBERED_FROM


def timer_call(function: Function, status: TimerStatus | None, *, past_due: bool) -> Call:
    """Return the call of one run; `status` is what is remembered, None for a timer without memory."""
    is_cron = isinstance(parse_schedule(function.binding["schedule"]), CronSchedule)
    value = {
        "Schedule": {"AdjustForDST": is_cron},
        "ScheduleStatus": status.to_json() if status else None,
        "IsPastDue": past_due,
    }
    return Call({function.binding["name"]: {"json": json.dumps(value)}})


class TimerListener:
    """Runs one timer function on its schedule while this host holds the timer's lock."""

    def __init__(
        self,
        function: Function,
        dispatcher: Dispatcher,
        state: Path,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self.function = function
        self._dispatcher = dispatcher
        self._now = now
        self._schedule = parse_schedule(function.binding["schedule"])
        self._remembers = is_remembered(self._schedule, now()) and function.binding.get("useMonitor", True)
        self._file = state / f"{function.name}.json"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"timer {function.name}", daemon=True)

    def start(self) -> None:
        """Begin to follow the schedule."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further run."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for the run that is going on."""
        self._thread.join()

    def _follow(self) -> None:
        with self._alone():
            if self._stopping.is_set():
                return
            status, past_due = status_at_start(self._schedule, self._recall(), self._now())
            self._remember(status)
            if past_due or self.function.binding.get("runOnStartup", False):
                status = self._run(status, past_due=past_due, scheduled=False)
            while not self._stopping.wait(max(0.0, (status.next - self._now()).total_seconds())):
                status = self._run(status, past_due=False, scheduled=True)

    def _run(self, status: TimerStatus, *, past_due: bool, scheduled: bool) -> TimerStatus:
        began = self._now()
        shown = status if self._remembers else None
        self._dispatcher.run(self.function, timer_call(self.function, shown, past_due=past_due))
        after = status_after_run(self._schedule, status, began, scheduled=scheduled)
        self._remember(after)
        return after

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the timer's lock: of all hosts on the same state, one runs it, and another takes over when it ends."""
        with self._file.with_suffix(".lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if self._stopping.wait(LOCK_RETRY_SECONDS):
                        break
                else:
                    break
            yield

    def _recall(self) -> TimerStatus | None:
        if not self._remembers or not self._file.exists():
            return None
        return TimerStatus.from_json(json.loads(self._file.read_text()))

    def _remember(self, status: TimerStatus) -> None:
        if self._remembers:
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps(status.to_json()))
            fresh.replace(self._file)
