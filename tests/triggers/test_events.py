"""Event Grid: ours are enqueued as a reason to look, others' are acknowledged, echoes of our own writes are ignored."""

from datetime import UTC, datetime
from typing import Any

import azure.functions as func
import pytest

from functions import events
from keeper.core.problems import FieldError
from tests.triggers.doorway import SUBSCRIPTION, Doorway

AT = datetime(2026, 3, 1, 11, 59, tzinfo=UTC)
SCALE_SET = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-lab/providers/Microsoft.Compute/virtualMachineScaleSets/vmss-general"


def written(resource: str = SCALE_SET, caller: str = "somebody", at: datetime | None = AT) -> func.EventGridEvent:
    data = {
        "resourceUri": resource,
        "operationName": "Microsoft.Compute/virtualMachineScaleSets/write",
        "claims": {"appid": caller},
    }
    return func.EventGridEvent(
        id="e1",
        data=data,
        topic="t",
        subject=resource,
        event_type="Microsoft.Resources.ResourceWriteSuccess",
        event_time=at,
        data_version="2",
    )


def health() -> func.CloudEvent:
    properties: dict[str, Any] = {
        "targetResourceId": SCALE_SET + "/virtualMachines/0",
        "availabilityState": "Unavailable",
    }
    return func.CloudEvent(
        id="e2",
        source="s",
        specversion="1.0",
        type="Microsoft.ResourceNotifications.HealthResources.AvailabilityStatusChanged",
        time=AT,
        data={"resourceInfo": {"properties": properties}},
    )


def test_a_write_to_a_scale_set_of_ours_is_a_reason_to_look(doorway: Doorway) -> None:
    events.events(written())

    (message,) = doorway.enqueued()
    assert (message["kind"], message["cause"]) == ("event", "virtualMachineScaleSets/write")
    assert (message["at"], message["detail"]) == (AT.isoformat(), {"pool": "general"})


def test_a_health_event_comes_as_a_cloud_event(doorway: Doorway) -> None:
    events.events(health())

    (message,) = doorway.enqueued()
    assert message["cause"] == "health: Unavailable"


@pytest.mark.parametrize(
    "event",
    [
        written(resource=SCALE_SET.replace("vmss-general", "other")),
        written(caller="00000000-0000-0000-0000-000000000000"),
    ],
    ids=["another scale set", "our own write"],
)
def test_what_is_not_for_us_is_acknowledged_and_enqueues_nothing(doorway: Doorway, event: func.EventGridEvent) -> None:
    events.events(event)

    assert doorway.enqueued() == []


def test_an_event_without_a_time_fails_its_delivery(doorway: Doorway) -> None:
    with pytest.raises(FieldError, match="eventTime"):
        events.events(written(at=None))

    assert doorway.enqueued() == []
