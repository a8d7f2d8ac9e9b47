"""Event Grid says that something of ours changed, or nothing."""

import json
from pathlib import Path

import pytest

from keeper.core import events
from keeper.core.problems import FieldError
from tests.property.builders import pool

RECORDINGS = Path(__file__).parents[2] / "recordings" / "azure" / "eventgrid"
POOLS = [pool("general")]
OURS = "/subscriptions/s/resourceGroups/RG/providers/Microsoft.Compute/virtualMachineScaleSets/vmss-general"


def recorded(name: str) -> object:
    return json.loads((RECORDINGS / name).read_text())["payload"]


@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("*_*.json")), ids=lambda path: path.stem)
def test_every_recorded_event_is_read_and_is_about_no_pool_of_ours(path):
    payload = json.loads(path.read_text()).get("payload")
    if not path.stem.startswith(("resource", "health")):
        pytest.skip("requests and subscriptions, not events")
    for event in events.parse_events(payload):
        assert event.resource
        assert events.pool_of_event(event, POOLS) is None


def test_a_write_to_a_scale_set_of_ours_is_about_its_pool():
    payload = recorded("resource_write_success_resource_group.json")
    payload[0]["data"] |= {"resourceUri": OURS, "operationName": "Microsoft.Compute/virtualMachineScaleSets/write"}

    (event,) = events.parse_events(payload)

    assert events.pool_of_event(event, POOLS) == "general"
    assert events.cause_of_event(event) == "virtualMachineScaleSets/write"


def test_the_echo_of_our_own_write_is_about_nothing():
    payload = recorded("resource_write_success_resource_group.json")
    payload[0]["data"] |= {"resourceUri": OURS, "claims": {"appid": "ME"}}

    (event,) = events.parse_events(payload)

    assert events.pool_of_event(event, POOLS, own_application="me") is None


def test_a_health_event_of_an_instance_is_about_its_pool_in_either_schema():
    for name in (
        "health_availability_status_changed_eventgrid.json",
        "health_availability_status_changed_cloudevents.json",
    ):
        payload = recorded(name)
        payload["data"]["resourceInfo"]["properties"]["targetResourceId"] = (
            "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vmss-general_7"
        )
        (event,) = events.parse_events(payload)

        assert events.pool_of_event(event, POOLS) == "general"
        assert events.cause_of_event(event) == "health: Available"


def test_what_is_no_event_is_refused_by_the_name_of_its_field():
    with pytest.raises(FieldError, match=r"events\[0\].eventType"):
        events.parse_events([{"hello": "world"}])
