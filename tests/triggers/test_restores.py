"""The doors of restores: what is asked for plainly, what is refused before it is stored, and whose queue message it becomes."""

from dataclasses import replace
from http import HTTPStatus

import azure.functions as func
import pytest

from functions import operations, timers
from keeper import wiring
from keeper.core.messages import Controller
from tests.triggers.doorway import Doorway, answer, request

STEM = "prod/nomad/20260301T120000Z-000000001229"
RESTORE = {"operation": "restore", "snapshot": STEM, "confirm": f"restore prod {STEM}"}


@pytest.fixture(autouse=True)
def prod(doorway: Doorway) -> None:
    settings = doorway.doors.settings
    named = replace(settings, snapshots=replace(settings.snapshots, cluster="prod"))
    doorway.doors = replace(doorway.doors, settings=named)


def start(body: object) -> func.HttpRequest:
    return request("POST", "operations", body)


def test_a_restore_with_its_phrase_is_stored_and_goes_to_its_controller(doorway: Doorway) -> None:
    status, body, _ = answer(operations.start_operation, start(RESTORE | {"force": ["without-undo"]}))

    assert (status, body["snapshot"], body["force"]) == (HTTPStatus.ACCEPTED, STEM, ["without-undo"])
    (message,) = doorway.enqueued()
    assert (message["controller"], message["cause"], message["detail"]["id"]) == ("restore", "restore", body["id"])


def test_a_snapshot_that_is_asked_for_goes_to_its_controller(doorway: Doorway) -> None:
    assert answer(operations.start_operation, start({"operation": "snapshot"}))[0] == HTTPStatus.ACCEPTED
    assert [message["controller"] for message in doorway.enqueued()] == ["snapshot"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"operation": "restore", "snapshot": STEM}, "confirm"),
        (RESTORE | {"confirm": f"restore test {STEM}"}, "confirm"),
        (RESTORE | {"snapshot": "not a snapshot"}, "snapshot"),
        (RESTORE | {"force": ["all"]}, "force"),
        (RESTORE | {"count": 3}, "count"),
    ],
)
def test_what_is_not_meant_is_refused_and_nothing_is_stored(doorway: Doorway, body: object, field: str) -> None:
    status, said, _ = answer(operations.start_operation, start(body))

    assert status == HTTPStatus.BAD_REQUEST
    assert said["error"]["message"].startswith(f"{field}: expected")
    assert (doorway.records.records, doorway.enqueued()) == ({}, [])


@pytest.mark.parametrize(("late", "cause"), [(False, "timer"), (True, "timer past due")])
def test_the_rehearsal_timer_runs_its_controller(
    doorway: Doorway, monkeypatch: pytest.MonkeyPatch, late: bool, cause: str
) -> None:
    ran = []
    monkeypatch.setattr(wiring, "tick", ran.append)
    monkeypatch.setattr(wiring, "now", doorway.clock)

    class Timer:
        past_due = late

    timers.rehearsal.build().get_user_function()(Timer())

    assert [(message.controller, message.cause) for message in ran] == [(Controller.REHEARSAL, cause)]
