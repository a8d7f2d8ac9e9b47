"""Operations: what may be asked, and how each ends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keeper.core import operations
from keeper.core.memory import Memory
from keeper.core.model import Mode, Pool, PoolName
from keeper.core.operations import Operation, Request, State, Verb
from keeper.core.problems import FieldError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GENERAL = PoolName("general")
POOLS = (Pool(GENERAL, "vmss-general", "rg", Mode.FLEXIBLE, minimum=1, maximum=5),)


def scale(count: int = 3, name: str = "op1") -> Operation:
    request = Request(Verb.SCALE, "launch day", pool=GENERAL, count=count)
    return Operation(name, request, "ann", NOW, State.NOT_STARTED, NOW)


def test_a_scale_request_is_read_whole() -> None:
    body = {"operation": "scale", "pool": "general", "count": 3, "reason": "launch day", "dry_run": True}

    assert operations.parse_request(body, POOLS) == Request(Verb.SCALE, "launch day", True, GENERAL, 3)


@pytest.mark.parametrize(
    ("body", "field", "expected"),
    [
        ([], "body", "a JSON object"),
        ({}, "operation", "one of scale, pause, resume"),
        ({"operation": "explode"}, "operation", "one of scale, pause, resume"),
        ({"operation": "scale"}, "pool", "one of general"),
        ({"operation": "scale", "pool": "other", "count": 3}, "pool", "one of general"),
        ({"operation": "scale", "pool": ["general"], "count": 3}, "pool", "one of general"),
        ({"operation": "scale", "pool": "general"}, "count", "a whole number from 1 to 5"),
        ({"operation": "scale", "pool": "general", "count": 6}, "count", "a whole number from 1 to 5"),
        ({"operation": "scale", "pool": "general", "count": True}, "count", "a whole number from 1 to 5"),
        ({"operation": "pause", "pool": "general"}, "pool", "nothing for pause"),
        ({"operation": "pause", "reason": "x" * 501}, "reason", "text of at most 500 characters"),
        ({"operation": "pause", "dry_run": "yes"}, "dry_run", "true or false"),
        ({"operation": "pause", "faster": True}, "faster", "one of the fields"),
        ({"operation": "pause", "accept": []}, "accept", "nothing for pause"),
        (
            {"operation": "snapshot", "accept": "index_behind,size_absurd"},
            "accept",
            "a list of index_behind, size_absurd",
        ),
        ({"operation": "snapshot", "accept": ["sum_wrong"]}, "accept", "a list of index_behind, size_absurd"),
        ({"operation": "snapshot", "accept": [["index_behind"]]}, "accept", "a list of index_behind, size_absurd"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(body: object, field: str, expected: str) -> None:
    with pytest.raises(FieldError) as caught:
        operations.parse_request(body, POOLS)

    assert caught.value.field == field
    assert caught.value.expected.startswith(expected)


def test_pause_and_resume_end_at_once_and_may_be_repeated() -> None:
    pause = Operation("op", Request(Verb.PAUSE, "audit"), "ann", NOW, State.NOT_STARTED, NOW)
    resume = replace(pause, request=Request(Verb.RESUME, ""))

    paused, ended = operations.begin(Memory(), pause, NOW, HOUR)
    assert (paused.paused, ended.state) == ("audit", State.SUCCEEDED)
    assert operations.begin(paused, ended, NOW, HOUR) == (paused, ended)

    resumed, _ = operations.begin(paused, resume, NOW, HOUR)
    assert resumed.paused is None


def test_a_scale_operation_runs_until_its_request_is_forgotten() -> None:
    memory, running = operations.begin(Memory(), scale(), NOW, HOUR)
    assert running.state is State.RUNNING
    assert operations.begin(memory, running, NOW, HOUR)[0] == memory

    reached = operations.settled(memory.requests, Memory(), NOW + HOUR / 2)
    assert reached == {"op1": (State.SUCCEEDED, "general has 3 instances")}
    expired = operations.settled(memory.requests, Memory(), NOW + HOUR)
    assert expired["op1"][0] is State.FAILED


def test_a_newer_request_for_the_same_pool_replaces_the_older_one() -> None:
    memory, _ = operations.begin(Memory(), scale(), NOW, HOUR)
    newer, _ = operations.begin(memory, scale(4, "op2"), NOW, HOUR)

    assert [request.operation for request in newer.requests] == ["op2"]
    assert operations.settled(memory.requests, newer, NOW)["op1"][0] is State.CANCELED


def test_a_cancelled_operation_is_forgotten_and_cannot_begin_again() -> None:
    memory, running = operations.begin(Memory(), scale(), NOW, HOUR)
    after, cancelled = operations.cancel(memory, running, NOW)

    assert (after.requests, cancelled.state) == ((), State.CANCELED)
    assert operations.begin(after, cancelled, NOW, HOUR) == (after, cancelled)


def test_an_operation_survives_its_record() -> None:
    operation = replace(scale(), plan={"reason": "steady"})

    assert operations.from_json(operations.to_json(operation)) == operation


def test_what_is_accepted_of_a_snapshot_survives_its_record_and_makes_another_request() -> None:
    plain, accepting = (
        operations.parse_request({"operation": "snapshot", **more}, POOLS)
        for more in ({}, {"accept": ["index_behind"]})
    )
    stored = Operation("op1", accepting, "ann", NOW, State.NOT_STARTED, NOW)

    assert accepting.accept == {"index_behind"}
    assert operations.from_json(operations.to_json(stored)) == stored
    assert plain.fingerprint() != accepting.fingerprint()


def test_a_damaged_record_is_refused_by_name() -> None:
    with pytest.raises(FieldError, match="operation record"):
        operations.from_json({"id": "op1"})
