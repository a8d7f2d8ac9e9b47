"""What travels through the corridor: why somebody thinks that a controller should look again.

The wire form is one JSON object: `{"kind", "controller", "cause", "at", "source", "detail"}`, all texts but `detail`, an
object. Doors and the watcher on the Nomad leader write it, the queue worker reads it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import cast

from keeper.core.problems import FieldError


class Kind(StrEnum):
    """Where a message comes from, and so what it may carry."""

    NUDGE = "nudge"
    """The watcher saw something on the event stream."""
    ALERT = "alert"
    """Azure Monitor; `detail` is the alert, which is kept as pressure."""
    EVENT = "event"
    """Event Grid: a scale set, an instance or a secret changed."""
    OPERATION = "operation"
    """Somebody asked over HTTP; `detail.id` names the stored operation."""
    TIMER = "timer"
    """The timer; never queued."""

    @property
    def only_looks(self) -> bool:
        """Whether such a message says nothing but "look again", so that a later look has satisfied it."""
        return self in {Kind.NUDGE, Kind.EVENT}


class Controller(StrEnum):
    """The keeper's own tasks."""

    AUTOSCALE = "autoscale"
    SNAPSHOT = "snapshot"
    RESTORE = "restore"
    """Carries out restores that a person asked for."""
    REHEARSAL = "rehearsal"
    """Keeps the canaries, rehearses restores and reads old snapshots anew."""
    CERTIFICATES = "certificates"
    """Makes, renews and distributes certificates, shared keys and tokens."""


@dataclass(frozen=True, slots=True)
class Message:
    """One cause to look again."""

    kind: Kind
    controller: Controller
    cause: str
    at: datetime
    source: str
    detail: Mapping[str, object] = field(default_factory=dict[str, object])

    def to_json(self) -> str:
        """The wire form."""
        return json.dumps(
            {
                "kind": self.kind,
                "controller": self.controller,
                "cause": self.cause,
                "at": self.at.astimezone(UTC).isoformat(),
                "source": self.source,
                "detail": self.detail,
            },
            separators=(",", ":"),
        )

    def satisfied_by(self, observed: datetime | None) -> bool:
        """Whether a complete look at the world since then has already done what this asks for."""
        return self.kind.only_looks and observed is not None and self.at < observed


def parse_message(text: str) -> Message:
    """The message of the wire form; raises `FieldError` naming the field that is wrong. Unknown keys are ignored."""
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        raise FieldError("message", "one JSON object", text) from None
    if not isinstance(parsed, dict):
        raise FieldError("message", "one JSON object", parsed)
    given = cast("dict[str, object]", parsed)
    detail = given.get("detail", {})
    if not isinstance(detail, dict):
        raise FieldError("detail", "an object", detail)
    return Message(
        kind=_one_of(Kind, "kind", given.get("kind")),
        controller=_one_of(Controller, "controller", given.get("controller")),
        cause=_text("cause", given.get("cause")),
        at=parse_time("at", given.get("at")),
        source=_text("source", given.get("source")),
        detail=cast("dict[str, object]", detail),
    )


def parse_time(name: str, value: object) -> datetime:
    """An aware UTC time from RFC 3339 text; raises `FieldError`. Up to seven digits of a second occur in Azure's."""
    try:
        when = datetime.fromisoformat(_text(name, value))
        if when.tzinfo is not None:
            return when.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter where the offset leads out of the years 1 to 9999
        pass
    raise FieldError(name, "an RFC 3339 time with an offset", value)


def _one_of[E: StrEnum](words: type[E], name: str, value: object) -> E:
    try:
        return words(value)
    except ValueError:
        raise FieldError(name, "one of " + ", ".join(words), value) from None


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise FieldError(name, "text", value)
    return value
