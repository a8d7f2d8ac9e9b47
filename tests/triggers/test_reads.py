"""What may be read: the decisions of every controller, the age of snapshots, rehearsals, restores; over HTTP and at a terminal."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

import pytest
from typer.testing import CliRunner, Result

from functions import operations
from keeper.cli.commands import app
from keeper.controllers.ledger import Ledger
from keeper.core.messages import Controller
from keeper.core.operations import Operation, Request, State, Verb
from keeper.core.restore_requests import Restoring
from keeper.core.restoring import Progress, Step
from keeper.core.snapshots import Product
from lab.http import serve
from tests.triggers.doorway import NOW, Doorway, answer, request
from tests.triggers.front import handle

STEM = "prod/nomad/20260301T110000Z-000000001229"


@pytest.fixture(autouse=True)
def furnished(doorway: Doorway) -> Ledger:
    settings = doorway.doors.settings
    named = replace(settings, snapshots=replace(settings.snapshots, cluster="prod"))
    doorway.doors = replace(doorway.doors, settings=named)
    ledger = Ledger(doorway.records)
    chose = {
        "grow general": [{"action": "grow", "pool": "general"}],
        "grow spot": [{"action": "grow", "pool": "spot"}],
        "rest": [],
    }
    for minute, (sentence, actions) in enumerate(chose.items()):
        at = NOW - timedelta(minutes=10 - minute)
        record = {"at": at.isoformat(), "reason": "demand" if actions else "steady", "cause": "timer"}
        ledger.decide(Controller.AUTOSCALE, record | {"sentence": sentence, "chose": actions}, at)
    for minute, controller in enumerate((Controller.SNAPSHOT, Controller.REHEARSAL, Controller.RESTORE)):
        at = NOW - timedelta(minutes=5 - minute)
        record = {"at": at.isoformat(), "controller": controller, "cause": "test", "sentence": f"did {controller}"}
        ledger.decide(controller, record, at)
    return ledger


@pytest.fixture
def keeper(doorway: Doorway) -> Iterator[Callable[..., Result]]:
    with serve(handle) as front:
        yield lambda *words: CliRunner(env={"COLUMNS": "200"}).invoke(app, ["--url", front.url, "--key", "k", *words])


def told(**params: str) -> list[str]:
    status, body, _ = answer(operations.decisions, request("GET", "decisions", params=params))
    assert status == HTTPStatus.OK
    return [record["sentence"] for record in body["decisions"]]


def test_the_decisions_of_every_controller_are_told_in_their_order() -> None:
    assert told() == ["grow general", "grow spot", "rest", "did snapshot", "did rehearsal", "did restore"]
    assert told(most="2") == ["did rehearsal", "did restore"]


@pytest.mark.parametrize(
    ("params", "sentences"),
    [
        ({"controller": "snapshot"}, ["did snapshot"]),
        ({"controller": "autoscale", "most": "1"}, ["rest"]),
        ({"pool": "spot"}, ["grow spot"]),
        ({"pool": "general", "controller": "snapshot"}, []),
        ({"reason": "demand"}, ["grow general", "grow spot"]),
        ({"cause": "timer", "reason": "steady"}, ["rest"]),
        ({"day": "2026-02-28"}, []),
        ({"code": "the function key"}, None),
    ],
)
def test_a_field_narrows_what_is_told(params: dict[str, str], sentences: list[str] | None) -> None:
    assert told(**params) == (told() if sentences is None else sentences)


def test_a_filter_looks_further_back_than_it_answers(furnished: Ledger) -> None:
    for second in range(60):
        at = NOW + timedelta(seconds=second)
        furnished.decide(Controller.AUTOSCALE, {"at": at.isoformat(), "sentence": "rest", "chose": []}, at)

    assert told(pool="general", most="1") == ["grow general"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"most": "501"}, "most"),
        ({"day": "2026-02-30"}, "day"),
        ({"controller": "nobody"}, "controller"),
        ({"pool": "swimming"}, "pool"),
        ({"pols": "general"}, "pols"),
    ],
)
def test_a_wrong_query_names_its_field_and_what_was_expected(params: dict[str, str], field: str) -> None:
    status, body, _ = answer(operations.decisions, request("GET", "decisions", params=params))

    assert (status, body["error"]["field"]) == (HTTPStatus.BAD_REQUEST, field)
    assert body["error"]["message"].startswith(f"{field}: expected ")


def status() -> dict[str, dict[str, object]]:
    return answer(operations.status, request("GET", "status"))[1]


def snapshots(doorway: Doorway, age: timedelta | None, problem: str = "") -> None:
    taken = None if age is None else (NOW - age).isoformat()
    known = {
        "newest": STEM if age else "",
        "taken": taken,
        "read_back": "",
        "problem": problem,
        "since": NOW.isoformat(),
    }
    body = json.dumps({"products": {Product.NOMAD: known}, "follow_up": None}).encode()
    stored = doorway.records.load("snapshots/status.json")
    doorway.records.save("snapshots/status.json", body, version=None if stored is None else stored.version)


def test_status_tells_the_age_of_the_last_verified_snapshot(doorway: Doorway) -> None:
    snapshots(doorway, timedelta(minutes=50))
    assert (status()["snapshots"]["nomad"]["ageSeconds"], status()["snapshots"]["nomad"]["overdue"]) == (3000, False)

    snapshots(doorway, timedelta(hours=3), "no_leader: nobody leads")
    assert status()["snapshots"]["nomad"]["overdue"]

    snapshots(doorway, None)
    assert (status()["snapshots"]["nomad"]["ageSeconds"], status()["snapshots"]["nomad"]["overdue"]) == (None, True)


def rehearsed(doorway: Doorway, stem: str, *problems: str) -> None:
    body = {"snapshot": stem, "passed": not problems, "problems": problems, "at": NOW.isoformat(), "seconds": {}}
    doorway.records.save(f"snapshots/rehearsals/{stem}.json", json.dumps(body).encode(), version=None)


def restoring(ledger: Ledger, state: State = State.RUNNING, outcome: str = "") -> None:
    asked = Request(Verb.RESTORE, "", restoring=Restoring(STEM))
    progress = Progress(
        snapshot=STEM, step=Step.VERIFIED, doing="taking the pre-restore snapshot", done_bytes=5, total_bytes=10
    )
    ledger.save_operation(Operation("op1", asked, "ann", NOW, state, NOW, outcome, None, progress), None)
    ledger.begin_restore("op1")


def test_status_tells_the_verdict_on_the_newest_rehearsed_snapshot(doorway: Doorway) -> None:
    rehearsed(doorway, "prod/nomad/20260228T110000Z-000000001000", "jobs: 1 found, 2 expected")
    rehearsed(doorway, STEM)

    assert status()["rehearsals"]["nomad"]["snapshot"] == STEM
    assert "consul" not in status()["rehearsals"]


def test_status_tells_how_far_the_running_restore_has_come(furnished: Ledger) -> None:
    assert status()["restore"] is None

    restoring(furnished)

    assert (status()["restore"]["status"], status()["restore"]["progress"]["step"]) == ("Running", "verified")


def test_a_person_reads_all_of_it_at_a_terminal(doorway: Doorway, furnished: Ledger, keeper: Callable) -> None:
    snapshots(doorway, timedelta(hours=3), "no_leader: nobody leads")
    rehearsed(doorway, STEM, "jobs: 1 found, 2 expected")
    restoring(furnished)

    said = keeper("status").output

    assert (
        f"nomad snapshot: {STEM}, 3 h old, overdue; fails since 2026-03-01 12:00:00+00:00: no_leader: nobody leads"
        in said
    )
    assert f"nomad rehearsal: {STEM} failed: jobs: 1 found, 2 expected" in said
    assert f"restore of {STEM} (op1) Running: verified: taking the pre-restore snapshot 50 % of 10 bytes" in said


def test_a_person_narrows_the_decisions_at_a_terminal(keeper: Callable) -> None:
    all_of_them, one = keeper("explain").output, keeper("explain", "--controller", "snapshot").output

    assert [word in all_of_them for word in ("grow spot", "did rehearsal", "did restore")] == [True] * 3
    assert ("did snapshot" in one, "did restore" in one) == (True, False)


def test_what_is_said_over_and_over_takes_one_line_at_a_terminal(furnished: Ledger, keeper: Callable) -> None:
    for second in range(40):
        at = NOW + timedelta(minutes=5, seconds=second)
        record = {"at": at.isoformat(), "controller": "autoscale", "cause": "timer", "reason": "steady"}
        furnished.decide(Controller.AUTOSCALE, {**record, "sentence": "1 ready"}, at)

    lines = keeper("explain", "--most", "2").output.splitlines()

    assert " ".join(lines[-1].split()) == "12:05:39 autoscale timer steady 1 ready (40 times since 12:05:00)"
    assert len(lines) == 3


def test_a_wrong_field_at_a_terminal_is_said_in_one_line(keeper: Callable) -> None:
    failed = keeper("explain", "--pool", "swimming")

    assert failed.exit_code == 2
    assert failed.stderr == "keeper: 400 pool: expected one of general, spot, got 'swimming'\n"
