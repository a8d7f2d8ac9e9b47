"""Cron specifications: five fields (or six with seconds, seven with years), names, steps, and when they fire next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_SHORTHAND = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = {
    n: i
    for i, n in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], start=1)
}
_DAYS = {n: i for i, n in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_HORIZON = timedelta(days=366 * 5)


class BadCron(ValueError):  # the sentence is what matters
    """The text is no cron specification; the message says why in a few words."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed specification: the numbers at which each field fires."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def next_after(self, moment: datetime) -> datetime | None:
        """Answer the first time after `moment` at which it fires, None within five years."""
        at = moment.replace(microsecond=0) + timedelta(seconds=1)
        end = moment + _HORIZON
        while at < end:
            if at.month not in self.months or not self._on_day(at):
                at = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0)
            elif at.hour not in self.hours:
                at = (at + timedelta(hours=1)).replace(minute=0, second=0)
            elif at.minute not in self.minutes:
                at = (at + timedelta(minutes=1)).replace(second=0)
            elif at.second not in self.seconds:
                at += timedelta(seconds=1)
            else:
                return at
        return None

    def _on_day(self, at: datetime) -> bool:
        day, weekday = at.day in self.days, at.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return day and weekday
        return day or weekday


def problem_of(text: str) -> str:
    """Answer why a text is no specification, empty when it is one."""
    try:
        parse(text)
    except BadCron as exc:
        return str(exc)
    return ""


@lru_cache(maxsize=1024)
def parse(text: str) -> Cron:
    """Answer the parsed specification; raise `BadCron`."""
    fields = _SHORTHAND.get(text.strip(), text).split()
    if len(fields) < 5:
        raise BadCron("missing field(s)")
    if len(fields) > 7:
        raise BadCron("too many fields")
    seconds = fields.pop(0) if len(fields) >= 6 else "0"
    minute, hour, day, month, weekday = fields[:5]
    weekdays = {n % 7 for n in _numbers(weekday, 0, 7, _DAYS)}
    return Cron(
        frozenset(_numbers(seconds, 0, 59, {})),
        frozenset(_numbers(minute, 0, 59, {})),
        frozenset(_numbers(hour, 0, 23, {})),
        frozenset(_numbers(day, 1, 31, {})),
        frozenset(_numbers(month, 1, 12, _MONTHS)),
        frozenset(weekdays),
        day[0] in "*?",
        weekday[0] in "*?",
    )


def next_launch(specs: list[str], zone: str, moment: datetime) -> datetime | None:
    """Answer the first time after `moment` (UTC) at which one of the specifications fires in a time zone."""
    try:
        local = moment.astimezone(ZoneInfo(zone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError):
        local = moment
    times = [at for spec in specs if (at := parse(spec).next_after(local)) is not None]
    return min(times).astimezone(moment.tzinfo) if times else None


def _numbers(field: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, last = _span(span, low, high, names)
        if step and not (step.isdigit() and int(step) > 0):
            raise BadCron(f"syntax error in field: '{field}'")
        if step and "-" not in span and span not in {"*", "?"}:
            last = high
        found.update(range(first, last + 1, int(step or 1)))
    return found


def _span(span: str, low: int, high: int, names: dict[str, int]) -> tuple[int, int]:
    if span in {"*", "?"}:
        return low, high
    first, _, last = span.partition("-")
    numbers = [names.get(text.lower()[:3], int(text) if text.isdigit() else -1) for text in (first, last or first)]
    if not low <= numbers[0] <= numbers[1] <= high:
        raise BadCron(f"syntax error in field: '{span}'")
    return numbers[0], numbers[1]
