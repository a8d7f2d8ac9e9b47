"""NCRONTAB schedules: when a timer fires next.

Six fields (second minute hour day month day-of-week) or five (second 0). As in NCrontab, which Azure uses, day of month
*and* day of week must both match, where cron takes either
(https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from lab.host.model import HostError, time_span

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
FIELDS = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, ("", *MONTHS)),
    ("day of week", 0, 6, WEEKDAYS),
)
LEAP_CYCLE = timedelta(days=366 * 8 + 366 * 28)
"""29 February may stay away for eight years, and on a given weekday for up to forty in all."""


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """A parsed NCRONTAB expression: the values each field allows, ascending."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def next_after(self, moment: datetime) -> datetime:
        """Return the first occurrence strictly after `moment`, in UTC; HostError when there is none."""
        start = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        day, earliest = start.date(), start.time()
        while day - start.date() < LEAP_CYCLE:
            weekday = day.isoweekday() % 7
            if (
                day.month in self.months
                and day.day in self.days
                and weekday in self.weekdays
                and (found := self._first_from(earliest))
            ):
                return datetime.combine(day, found, UTC)
            day, earliest = day + timedelta(days=1), time()
        raise HostError("the schedule never occurs")

    def _first_from(self, earliest: time) -> time | None:
        for hour in self.hours:
            for minute in self.minutes if hour >= earliest.hour else ():
                if (hour, minute) >= (earliest.hour, earliest.minute):
                    for second in self.seconds:
                        if (found := time(hour, minute, second)) >= earliest:
                            return found
        return None


@dataclass(frozen=True, slots=True)
class IntervalSchedule:
    """A TimeSpan schedule: a fixed time after the last run. In Azure only dedicated plans allow it."""

    every: timedelta

    def next_after(self, moment: datetime) -> datetime:
        """Return `moment` and one interval."""
        return moment + self.every


type Schedule = CronSchedule | IntervalSchedule


def parse_schedule(text: str) -> Schedule:
    """Parse an NCRONTAB expression or a TimeSpan; HostError names the field that is wrong."""
    parts = text.split()
    if len(parts) == 1:
        return IntervalSchedule(time_span(text))
    if len(parts) not in {5, 6}:
        raise HostError(f"schedule {text!r} has {len(parts)} fields, not six (or five, without seconds)")
    fields = [_parse_field(part, *field) for part, field in zip(["0"] * (6 - len(parts)) + parts, FIELDS, strict=True)]
    seconds, minutes, hours = (tuple(sorted(values)) for values in fields[:3])
    return CronSchedule(seconds, minutes, hours, *(frozenset(values) for values in fields[3:]))


def _parse_field(text: str, name: str, low: int, high: int, words: tuple[str, ...]) -> set[int]:
    values: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            start, end = low, high
        else:
            start = _number(first, name, words)
            end = _number(last, name, words) if dash else (high if step else start)
        every = _number(step, name, ()) if step else 1
        if not (low <= start <= end <= high and every > 0):
            raise HostError(f"{name} {item!r} is not within {low}-{high}")
        values.update(range(start, end + 1, every))
    return values


def _number(text: str, name: str, words: tuple[str, ...]) -> int:
    if text.isdecimal():
        return int(text)
    if text[:3].upper() in words and text:
        return words.index(text[:3].upper())
    raise HostError(f"{name} {text!r} is no number")
