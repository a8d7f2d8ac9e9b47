"""What goes on by itself beside the requests: the lines of an event stream, and the clock of the model."""

from __future__ import annotations

import json
import threading
from time import monotonic  # noqa: TID251 - heartbeats of a stream are the machine's time, not the model's
from typing import TYPE_CHECKING

from lab.nomad.model.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from lab.nomad.events import Subscription
    from lab.nomad.http.router import Router

HEARTBEAT = 30.0
"""Seconds between the empty objects of a quiet event stream."""


class Feed:
    """The lines of one event stream: an empty object at once, then a line per batch, an empty object when it is quiet."""

    def __init__(self, router: Router, wanted: Subscription, stopped: Callable[[], bool]) -> None:
        self._region, self._wanted, self._stopped = router.region, wanted, stopped
        self._position = self._region.events.start(wanted.index)

    def lines(self, gone: Callable[[], bool]) -> Iterator[bytes]:
        """Yield lines until the caller is gone, the server stops or the caller's rights end."""
        yield b"{}\n"
        beat = monotonic() + HEARTBEAT
        while not self._stopped() and not gone():
            lines = self._next(min(1.0, max(0.01, beat - monotonic())))
            if not self._may():
                return
            yield from lines
            if monotonic() >= beat:
                yield b"{}\n"
                beat = monotonic() + HEARTBEAT

    def _may(self) -> bool:
        try:
            return self._wanted.allowed()
        except Refusal:
            return False

    def _next(self, seconds: float) -> list[bytes]:
        events, changed = self._region.events, self._region.store.changed
        with changed:
            changed.wait_for(lambda: self._stopped() or events.total > self._position, seconds)
            batches, self._position = events.since(self._position)
        made = (self._wanted.wanted(batch) for batch in batches)
        return [json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in made if line is not None]


class Ticker:
    """Moves a model along with the wall clock: wakes for what is due next, and when something changed."""

    def __init__(
        self, advance: Callable[[], None], next_due: Callable[[], datetime | None], now: Callable[[], datetime]
    ) -> None:
        self._advance, self._next_due, self._now = advance, next_due, now
        self._wake = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="nomad ticker", daemon=True)

    def start(self) -> None:
        """Begin to tick."""
        self._thread.start()

    def wake(self) -> None:
        """Look again at what is due: something may have been put on the agenda."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stop:
            self._wake.clear()
            self._advance()
            due = self._next_due()
            pause = 0.25 if due is None else (due - self._now()).total_seconds()
            self._wake.wait(min(0.25, max(0.0, pause)))

    def stop(self) -> None:
        """End the thread."""
        self._stop = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
