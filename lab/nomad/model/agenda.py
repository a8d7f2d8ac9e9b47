"""What is due when: a heap of calls keyed by name, so that a call can be moved or taken off."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


class Agenda:
    """Calls to be made at a time (nanoseconds). Equal times keep the order in which they were entered."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Hashable]] = []
        self._calls: dict[Hashable, tuple[int, Callable[[], None]]] = {}
        self._entered = 0

    def at(self, due: int, key: Hashable, call: Callable[[], None]) -> None:
        """Enter a call, in place of one that has the same key."""
        self._entered += 1
        self._calls[key] = (self._entered, call)
        heapq.heappush(self._heap, (due, self._entered, key))

    def cancel(self, key: Hashable) -> None:
        """Take a call off; nothing happens when there is none."""
        self._calls.pop(key, None)

    def has(self, key: Hashable) -> bool:
        """Answer whether a call of that key is entered."""
        return key in self._calls

    def next_due(self) -> int | None:
        """Answer when the next call is due, None when there is none."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: int) -> tuple[int, Callable[[], None]] | None:
        """Take the first call that is due at `now` and answer it with its time."""
        self._drop_stale()
        if not self._heap or self._heap[0][0] > now:
            return None
        due, _, key = heapq.heappop(self._heap)
        _, call = self._calls.pop(key)
        return due, call

    def _drop_stale(self) -> None:
        while self._heap:
            _, entered, key = self._heap[0]
            current = self._calls.get(key)
            if current is not None and current[0] == entered:
                return
            heapq.heappop(self._heap)
