"""The two clocks of the lab: the wall's, and one that a test or a simulator moves by hand.

Every model in the lab takes `now: Callable[[], datetime]`; these are the things to hand in.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

LAB_EPOCH = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
"""A Monday morning: where simulated days begin unless they say otherwise."""


def wall_clock() -> datetime:
    """Return the real time, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the lab's one reading of the wall clock; models take it as an argument


class FakeClock:
    """A clock that moves only when told to; call it to read it."""

    def __init__(self, start: datetime = LAB_EPOCH) -> None:
        self._now = start

    def __call__(self) -> datetime:
        """Return the present of this clock."""
        return self._now

    def advance(self, by: timedelta | float) -> datetime:
        """Move forward by a duration (or seconds) and return the new present; never backwards."""
        step = by if isinstance(by, timedelta) else timedelta(seconds=by)
        if step < timedelta():
            raise ValueError("a clock does not run backwards")
        self._now += step
        return self._now

    def move_to(self, moment: datetime) -> datetime:
        """Move forward to `moment`; a moment already past changes nothing."""
        self._now = max(self._now, moment)
        return self._now
