"""What the host reads of an app: host.json and the functions that the worker indexed."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from lab.host.model import HostError, RetryPolicy, RetryStrategy, Trigger, read_function, read_host_json, time_span

TIMER = {"type": "timerTrigger", "name": "timer", "direction": "IN", "schedule": "%TICK%"}


def found(*bindings: dict[str, object], retry: dict[str, object] | None = None) -> dict[str, object]:
    return {"name": "tick", "id": "1", "bindings": list(bindings), "retry": retry}


def test_defaults_are_those_that_azure_documents(tmp_path: Path):
    (tmp_path / "host.json").write_text('{"version": "2.0"}')

    options = read_host_json(tmp_path)

    assert (options.route_prefix, options.function_timeout) == ("api", timedelta(minutes=30))
    assert (options.queues.batch_size, options.queues.new_batch_threshold) == (16, 8)
    assert (options.queues.max_dequeue_count, options.queues.max_polling_interval) == (5, timedelta(minutes=1))
    assert options.queues.base64


def test_host_json_changes_them(tmp_path: Path):
    queues = {"batchSize": 1, "visibilityTimeout": "00:00:30", "messageEncoding": "none"}
    document = {"functionTimeout": "-1", "extensions": {"http": {"routePrefix": ""}, "queues": queues}}
    (tmp_path / "host.json").write_text(json.dumps(document))

    options = read_host_json(tmp_path)

    assert (options.route_prefix, options.function_timeout) == ("", None)
    assert (options.queues.batch_size, options.queues.new_batch_threshold) == (1, 0)
    assert options.queues.visibility_timeout == timedelta(seconds=30)
    assert not options.queues.base64


@pytest.mark.parametrize("content", [None, "{not json"])
def test_an_app_without_a_readable_host_json_is_refused(tmp_path: Path, content: str | None):
    if content:
        (tmp_path / "host.json").write_text(content)

    with pytest.raises(HostError, match=r"host\.json"):
        read_host_json(tmp_path)


def test_settings_fill_bindings():
    function = read_function(found(TIMER), {"TICK": "0 * * * * *"})

    assert (function.trigger, function.binding["schedule"]) == (Trigger.TIMER, "0 * * * * *")


def test_a_missing_setting_is_named_with_its_function():
    with pytest.raises(HostError, match=r"function tick.*TICK"):
        read_function(found(TIMER), {})


def test_a_trigger_that_this_host_does_not_drive_is_refused():
    blob = {"type": "blobTrigger", "name": "blob", "direction": "IN"}

    with pytest.raises(HostError, match="blobTrigger"):
        read_function(found(blob), {})


def test_an_output_that_this_host_does_not_write_is_refused():
    table = {"type": "table", "name": "row", "direction": "OUT"}

    with pytest.raises(HostError, match="table"):
        read_function(found({**TIMER, "schedule": "0 * * * * *"}, table), {})


def test_exponential_retries_double_up_to_the_longest_pause():
    raw = {
        "retry_strategy": "exponential_backoff",
        "max_retry_count": 4,
        "minimum_interval": 2.0,
        "maximum_interval": 5.0,
    }
    policy = read_function(found({**TIMER, "schedule": "0 * * * * *"}, retry=raw), {}).retry

    assert policy == RetryPolicy(RetryStrategy.EXPONENTIAL, 4, timedelta(seconds=2), timedelta(seconds=5))
    assert [policy.pause(number).total_seconds() for number in (1, 2, 3)] == [2, 4, 5]


@pytest.mark.parametrize(("text", "seconds"), [("00:01:30", 90), ("1.00:00:00", 86_400), ("02:00", 7_200)])
def test_time_spans_read_as_in_dotnet(text: str, seconds: int):
    assert time_span(text).total_seconds() == seconds
