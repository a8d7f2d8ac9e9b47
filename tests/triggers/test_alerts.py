"""The alert webhook: what presses on a pool is enqueued, everything else is refused by name and leaves nothing."""

import json
from http import HTTPStatus
from pathlib import Path

import pytest

from functions import alerts
from lab.scenarios.day import cpu_alert
from tests.triggers.doorway import SUBSCRIPTION, Doorway, answer, principal, request

RECORDED = sorted((Path(__file__).parents[1] / "recordings/azure/monitor").glob("alert_test_*.json"))


def alert(condition: str = "Fired", **essentials: object) -> dict[str, object]:
    body = cpu_alert(SUBSCRIPTION, "vmss-general", condition)
    body["data"]["essentials"] |= essentials
    return body


def test_a_fired_alert_is_enqueued_with_its_pool(doorway: Doorway) -> None:
    status, body, _ = answer(alerts.alerts, request("POST", "alerts", alert()))

    assert (status, body["pool"]) == (HTTPStatus.ACCEPTED, "general")
    (message,) = doorway.enqueued()
    assert (message["kind"], message["cause"], message["detail"]["pool"]) == ("alert", "alert fired", "general")


def test_where_entra_id_locks_the_doors_an_unsigned_alert_is_refused(doorway: Doorway) -> None:
    doorway.require_roles()

    assert answer(alerts.alerts, request("POST", "alerts", alert()))[0] == HTTPStatus.FORBIDDEN
    assert doorway.enqueued() == []
    signed = request("POST", "alerts", alert(), headers=principal())
    assert answer(alerts.alerts, signed)[0] == HTTPStatus.ACCEPTED


def test_an_alert_may_name_its_pool(doorway: Doorway) -> None:
    body = alert(alertTargetIDs=None)
    body["data"]["customProperties"] = {"pool": "spot"}

    assert answer(alerts.alerts, request("POST", "alerts", body))[1]["pool"] == "spot"


@pytest.mark.parametrize(
    ("body", "field", "status"),
    [
        (b"not json", "body", HTTPStatus.BAD_REQUEST),
        ([], "body", HTTPStatus.BAD_REQUEST),
        ({"schemaId": "AzureMonitorMetricAlert"}, "schemaId", HTTPStatus.BAD_REQUEST),
        ({"schemaId": "azureMonitorCommonAlertSchema"}, "data", HTTPStatus.BAD_REQUEST),
        (alert(monitorCondition="Maybe"), "data.essentials.monitorCondition", HTTPStatus.BAD_REQUEST),
        (alert(firedDateTime="yesterday"), "data.essentials.firedDateTime", HTTPStatus.BAD_REQUEST),
        (alert(alertId=None), "data.essentials.alertId", HTTPStatus.BAD_REQUEST),
        (
            alert(alertTargetIDs=["/subscriptions/x/other"]),
            "data.essentials.alertTargetIDs",
            HTTPStatus.UNPROCESSABLE_ENTITY,
        ),
    ],
)
def test_a_wrong_alert_names_the_field_and_leaves_nothing(
    doorway: Doorway, body: object, field: str, status: HTTPStatus
) -> None:
    answered, said, _ = answer(alerts.alerts, request("POST", "alerts", body))

    assert (answered, said["error"]["field"]) == (status, field)
    assert doorway.enqueued() == []


def test_an_alert_that_more_machines_would_not_mend_is_only_a_reason_to_look(doorway: Doorway) -> None:
    body = alert()
    body["data"]["alertContext"]["condition"]["allOf"][0]["operator"] = "LessThan"

    assert answer(alerts.alerts, request("POST", "alerts", body))[0] == HTTPStatus.ACCEPTED
    (message,) = doorway.enqueued()
    assert (message["kind"], message["detail"]) == ("event", {"pool": "general"})


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.stem)
def test_every_recorded_alert_gets_a_clear_answer(doorway: Doorway, recorded: Path) -> None:
    payload = json.loads(recorded.read_text())["payload"]

    status, body, _ = answer(alerts.alerts, request("POST", "alerts", payload))

    assert status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}, "none of them is about our scale sets"
    assert body["error"]["field"]
    assert doorway.enqueued() == []
