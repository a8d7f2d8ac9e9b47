"""When to speak: the first sighting at once, then at most one nudge per interval, and never silence about the last one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from keepernode.watch.events import Cause, Sighting


@dataclass(frozen=True, slots=True)
class Nudge:
    """What one message tells: the newest sighting, when it was seen, and what it stands for besides."""

    sighting: Sighting
    at: datetime
    counts: Counter[Cause]

    @property
    def sightings(self) -> int:
        """How many sightings it stands for."""
        return sum(self.counts.values())

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Their causes, each once, in a fixed order."""
        return tuple(sorted(self.counts))


@dataclass(slots=True)
class Pace:
    """A leaky bucket of size one that keeps the newest sighting. Times are of one clock that only grows, in seconds."""

    interval: float
    _waiting: Nudge | None = None
    _since: float = 0.0
    _not_before: float = field(default=float("-inf"))

    def saw(self, sighting: Sighting, at: datetime, ticks: float) -> None:
        """Note a sighting; it replaces the one that waits, and stands for it too."""
        counts = Counter({sighting.cause: 1})
        if self._waiting is not None:
            counts += self._waiting.counts
        self._since = ticks
        self._waiting = Nudge(sighting, at, counts)

    def due_in(self, ticks: float) -> float | None:
        """Return the seconds until something should be told: 0 for now, None when there is nothing to tell."""
        return None if self._waiting is None else max(0.0, self._not_before - ticks)

    def waiting(self) -> Nudge | None:
        """Return what would be told now."""
        return self._waiting

    def told(self, nudge: Nudge, ticks: float) -> None:
        """Start the interval. What was seen while `nudge` was on its way still waits."""
        self._not_before = ticks + self.interval
        if self._waiting is nudge:
            self._waiting = None
        elif self._waiting is not None:
            self._waiting = replace(self._waiting, counts=self._waiting.counts - nudge.counts)

    def hold(self, seconds: float, ticks: float) -> None:
        """Keep what waits, and do not try again for `seconds`."""
        self._not_before = ticks + seconds

    def drop_older_than(self, seconds: float, ticks: float) -> bool:
        """Forget what waits when it has not been renewed for `seconds`; tell whether it was forgotten."""
        if self._waiting is None or ticks - self._since < seconds:
            return False
        self._waiting = None
        return True


@dataclass(slots=True)
class Backoff:
    """Pauses that double from half a second up to a limit, until something works again."""

    limit: float
    _next: float = 0.5

    def next_pause(self) -> float:
        """Return how long to wait after this failure."""
        pause, self._next = self._next, min(self._next * 2, self.limit)
        return min(pause, self.limit)

    def worked(self) -> None:
        """Start over: the next failure waits half a second again."""
        self._next = min(0.5, self.limit)
