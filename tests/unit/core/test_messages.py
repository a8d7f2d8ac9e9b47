"""What travels through the corridor."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from keeper.core.messages import Controller, Kind, Message, parse_message, parse_time
from keeper.core.problems import FieldError

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NUDGE = Message(Kind.NUDGE, Controller.AUTOSCALE, "evaluation-blocked", AT, "watcher/nomad-0", {"evaluation": "e1"})


def test_a_message_survives_the_wire() -> None:
    assert parse_message(NUDGE.to_json()) == NUDGE


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "gossip"}, "kind"),
        ({"controller": None}, "controller"),
        ({"cause": ""}, "cause"),
        ({"at": "yesterday"}, "at"),
        ({"at": "2026-03-01T12:00:00"}, "at"),
        ({"source": 3}, "source"),
        ({"detail": []}, "detail"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], field: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_message(json.dumps(json.loads(NUDGE.to_json()) | change))

    assert caught.value.field == field


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"nudge"'])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match="message"):
        parse_message(text)


def test_unknown_keys_are_ignored() -> None:
    assert parse_message(json.dumps(json.loads(NUDGE.to_json()) | {"later": 1})) == NUDGE


def test_azures_seven_digits_of_a_second_are_read() -> None:
    assert parse_time("at", "2026-03-01T12:00:00.1234567Z") == AT + timedelta(microseconds=123456)


def test_a_look_satisfies_older_nudges_but_never_alerts_or_operations() -> None:
    later = AT + timedelta(seconds=1)
    alert = Message(Kind.ALERT, Controller.AUTOSCALE, "fired", AT, "monitor")

    assert NUDGE.satisfied_by(later)
    assert not NUDGE.satisfied_by(AT)
    assert not NUDGE.satisfied_by(None)
    assert not alert.satisfied_by(later)
