"""What the keeper says while it works: one JSON object per line, in the message itself.

The Functions worker drops logging's `extra` (azure-functions-python-worker#1327), so everything is in the text. Info: a state
changed. Warning: fell back. Error: a goal was missed. `docs/events.md` lists every event; a test compares it with the code.
"""

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

_log = logging.getLogger("keeper")
_log.setLevel(logging.INFO)  # the root of a worker is at WARNING until the host says otherwise


class Event(Enum):
    """Every event: its dotted name in the past tense, its level, and what it means."""

    TICK_PLANNED = ("tick.planned", logging.INFO, "A controller looked and decided; the decision record in short.")
    TICK_DONE = ("tick.done", logging.INFO, "A tick ended; how long it took.")
    TICK_STOPPED = (
        "tick.stopped",
        logging.WARNING,
        "A tick ended early on a transient error; what was done stays done.",
    )
    TICK_SATISFIED = ("tick.satisfied", logging.INFO, "A message was older than the last look and cost nothing.")
    TICK_TURN_LOST = (
        "tick.turn_lost",
        logging.INFO,
        "Another tick holds the lease; the queue or the timer comes back.",
    )
    READ_FAILED = ("read.failed", logging.WARNING, "Something could not be read; nothing that depends on it shrinks.")
    ACTION_DONE = ("action.done", logging.INFO, "One action was carried out.")
    ACTION_REFUSED = ("action.refused", logging.WARNING, "Azure said no to a growth; the pool is set aside.")
    ALERT_ACCEPTED = ("alert.accepted", logging.INFO, "An alert was validated and put on the queue.")
    EVENT_ACCEPTED = ("event.accepted", logging.INFO, "An Event Grid event was validated and put on the queue.")
    EVENT_IGNORED = ("event.ignored", logging.INFO, "An Event Grid event is not about any of the keeper's resources.")
    OPERATION_ACCEPTED = ("operation.accepted", logging.INFO, "An operation was stored and put on the queue.")
    OPERATION_ENDED = ("operation.ended", logging.INFO, "An operation reached its end; how.")
    REQUEST_REFUSED = ("request.refused", logging.WARNING, "A door refused a request; which field and why.")
    MESSAGE_POISONED = ("message.poisoned", logging.ERROR, "A message could not be handled and was recorded.")

    def __init__(self, label: str, level: int, meaning: str) -> None:
        self.label = label
        self.level = level
        self.meaning = meaning


def event(what: Event, /, **facts: object) -> None:
    """Say that something happened. Ids are always named `node`, `instance`, `pool`, `operation`."""
    _log.log(what.level, "%s", json.dumps({"event": what.label, **facts}, default=_plain, separators=(",", ":")))


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(key): each for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- any mapping will do
        case frozenset() | set() | tuple():
            return sorted(str(each) for each in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- the same
        case _:
            return str(value)
