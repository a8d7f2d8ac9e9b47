"""What happened in a host: invocations with their durations, and log lines. For tests, benchmarks and the demo."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from lab.host.model import Outcome, Trigger

LOOK_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Invocation:
    """One run of a function. `attempt` counts from 0 and grows with each retry of the same cause."""

    id: str
    function: str
    trigger: Trigger
    started: datetime
    duration: timedelta
    outcome: Outcome
    attempt: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that the app or the host wrote; `invocation` is None outside of any."""

    at: datetime
    level: str
    logger: str
    message: str
    invocation: str | None = None

    @property
    def event(self) -> dict[str, Any] | None:
        """The JSON object that the message is, if it is one."""
        if not self.message.startswith("{"):
            return None
        try:
            document = json.loads(self.message)
        except ValueError:
            return None
        return document if isinstance(document, dict) else None


class Journal:
    """Everything that happened, in order, from any thread."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._invocations: list[Invocation] = []
        self._lines: list[LogLine] = []
        self._running = 0
        self._version = 0
        self._changed = threading.Condition()

    def began(self) -> None:
        """Note that an invocation runs, so that `running` counts it."""
        with self._changed:
            self._running += 1
            self._note()

    def ended(self) -> None:
        """Note that a begun invocation, retries included, is over."""
        with self._changed:
            self._running -= 1
            self._note()

    def add(self, invocation: Invocation) -> None:
        """Keep one finished run."""
        with self._changed:
            self._invocations.append(invocation)
            self._note()

    def log(self, level: str, logger: str, message: str, invocation: str | None = None) -> None:
        """Keep one line."""
        with self._changed:
            self._lines.append(LogLine(self._now(), level, logger, message, invocation))
            self._note()

    @property
    def running(self) -> int:
        """How many causes are being worked on now."""
        with self._changed:
            return self._running

    def invocations(self, function: str | None = None) -> list[Invocation]:
        """Return the finished runs, oldest first, of one function or of all."""
        with self._changed:
            return [found for found in self._invocations if function in {None, found.function}]

    def lines(self, invocation: str | None = None) -> list[LogLine]:
        """Return the log lines, oldest first, of one invocation or all."""
        with self._changed:
            return [line for line in self._lines if invocation in {None, line.invocation}]

    def wait_for(self, holds: Callable[[], bool], timeout: timedelta) -> bool:
        """Wait until `holds` is true, looking whenever something is noted and ten times a second; False when time ran out."""
        deadline = time.perf_counter() + timeout.total_seconds()
        while True:
            seen = self._version
            if holds():
                return True
            left = deadline - time.perf_counter()
            if left <= 0:
                return False
            with self._changed:
                if self._version == seen:
                    self._changed.wait(min(left, LOOK_AGAIN_SECONDS))

    def _note(self) -> None:
        self._version += 1
        self._changed.notify_all()
