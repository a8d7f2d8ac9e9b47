"""What is due when: a heap of future steps, run in order of time and, within an instant, in order of scheduling."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


class Timeline:
    """Future steps of the model. Nothing runs until `run_due` is called with a present."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._order = count()

    def at(self, moment: datetime, step: Callable[[datetime], None]) -> None:
        """Have `step` run at `moment`; it is given that moment, not the time it was found due."""
        heapq.heappush(self._heap, (moment, next(self._order), step))

    def next_due(self) -> datetime | None:
        """Return when the next step is due, or None when nothing lies ahead."""
        return self._heap[0][0] if self._heap else None

    def run_due(self, now: datetime) -> int:
        """Run every step due by `now`, those that steps add included; return how many ran."""
        ran = 0
        while self._heap and self._heap[0][0] <= now:
            moment, _, step = heapq.heappop(self._heap)
            step(moment)
            ran += 1
        return ran
