"""The Event Grid webhook, with recorded events."""

import json
from pathlib import Path

import pytest
import requests

RECORDED = Path(__file__).parents[2] / "recordings/azure/eventgrid"
EVENT_GRID_EVENTS = (
    "resource_write_success_resource_group",
    "resource_delete_success_resource_group",
    "keyvault_secret_new_version_created_eventgrid",
)
CLOUD_EVENTS = ("health_availability_status_changed_cloudevents", "storage_blob_created_cloudevents")


def recorded(name):
    return json.loads((RECORDED / f"{name}.json").read_text())


def as_list(payload):
    return payload if isinstance(payload, list) else [payload]


def deliver(url, body, kind="Notification"):
    headers = {"aeg-event-type": kind, "Content-Type": "application/json; charset=utf-8"}
    return requests.post(url, data=json.dumps(body), headers=headers, timeout=10)


def test_the_validation_handshake_is_answered_as_recorded(host):
    exchange = recorded("subscription_validation_handshake")["exchanges"][0]
    running = host()

    answer = deliver(running.event_grid_url("grid"), exchange["request"]["body"], "SubscriptionValidation")

    assert answer.status_code == exchange["response"]["status"]
    assert answer.json() == exchange["response"]["body"]
    assert running.invocations("grid") == []


def test_the_cloud_events_handshake_allows_the_origin_that_asks(host):
    running = host()

    answer = requests.options(
        running.event_grid_url("cloud"), headers={"WebHook-Request-Origin": "eventgrid.azure.net"}, timeout=10
    )

    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"


@pytest.mark.parametrize("name", EVENT_GRID_EVENTS)
def test_recorded_events_reach_the_function(host, events, name):
    sent = as_list(recorded(name)["payload"])
    running = host()

    answer = deliver(running.event_grid_url("grid"), sent)

    assert answer.status_code == 202
    seen = events(running, "delivered")
    assert {event["id"] for event in seen} == {event["id"] for event in sent}
    assert [event["data"] for event in seen] == [event["data"] for event in sent]


@pytest.mark.parametrize("name", CLOUD_EVENTS)
def test_recorded_cloud_events_reach_the_function_alone_or_in_a_list(host, events, name):
    sent = as_list(recorded(name)["payload"])[0]
    running = host()

    assert deliver(running.event_grid_url("cloud"), sent).status_code == 202
    assert deliver(running.event_grid_url("cloud"), [sent]).status_code == 202

    assert [event["type"] for event in events(running, "delivered")] == [sent["type"]] * 2


def test_one_failed_event_fails_the_whole_delivery_so_that_it_comes_again(host):
    (event,) = as_list(recorded("resource_write_success_resource_group")["payload"])
    running = host()

    answer = deliver(running.event_grid_url("grid"), [event, {**event, "id": "2", "subject": "fail"}])

    assert answer.status_code == 500
    assert sorted(run.outcome.value for run in running.invocations("grid")) == ["failed", "succeeded"]


def test_a_function_without_an_event_grid_trigger_is_not_found(host):
    running = host()

    assert deliver(running.event_grid_url("nowhere"), []).status_code == 404
    assert deliver(running.event_grid_url("work"), []).status_code == 404


def test_the_webhook_opens_to_its_system_key_only(host):
    running = host()
    url = running.event_grid_url("grid")

    assert deliver(url.replace(running.keys.event_grid, running.key), []).status_code == 401
    assert deliver(url.replace(running.keys.event_grid, running.keys.master), []).status_code == 202


def test_malformed_and_unknown_deliveries_run_nothing(host):
    running = host()
    url = running.event_grid_url("grid")

    assert deliver(url, [], "Surprise").status_code == 400
    assert deliver(url, [], "Unsubscribe").status_code == 202
    broken = requests.post(url, data="[{", headers={"aeg-event-type": "Notification"}, timeout=10)
    assert broken.status_code == 500
    assert running.invocations("grid") == []
