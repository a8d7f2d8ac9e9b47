"""The real function app in the lab, from outside: keys, sizes, Event Grid, the command line, poison, and no secret anywhere."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests
from azure.storage.queue import QueueClient

from lab.deployment import ROOT, Deployment
from lab.pools import QUEUE, LabPool
from lab.scenarios.day import QUICKLY, cpu_alert

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("lab")]

PATIENT = {**QUICKLY, "AUTOSCALE_SCHEDULE": "0 0 0 1 1 *"}
"""No timer comes while these tests look."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Deployment]:
    with Deployment([LabPool("general", 1, 4), LabPool("spot", 0, 3, spot=True)], PATIENT, watch=False) as running:
        yield running


def ticks(lab: Deployment) -> int:
    return len(lab.host.invocations("work"))


def settled(lab: Deployment) -> int:
    lab.host.wait_idle(timedelta(seconds=20))
    return ticks(lab)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "status"), ("GET", "decisions"), ("POST", "operations"), ("POST", "alerts"), ("GET", "operations/x")],
)
def test_without_the_right_key_nobody_gets_in(lab: Deployment, method: str, path: str) -> None:
    for key in ("", "wrong"):
        answer = requests.request(method, f"{lab.host.url}/api/{path}", headers={"x-functions-key": key}, timeout=10)
        assert answer.status_code == 401


def test_a_body_that_is_too_large_is_refused_and_enqueues_nothing(lab: Deployment) -> None:
    before = settled(lab)
    answer = requests.post(
        f"{lab.host.url}/api/alerts", data=b"x" * 300_000, headers={"x-functions-key": lab.host.key}, timeout=10
    )

    assert answer.status_code == 413
    assert "262144" in answer.json()["error"]["message"]
    assert settled(lab) == before


def test_an_alert_for_a_resource_that_is_not_ours_enqueues_nothing(lab: Deployment) -> None:
    before = settled(lab)
    answer = lab.api("POST", "alerts", cpu_alert(lab.cloud.subscription, "somebody-elses", "Fired"))

    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "data.essentials.alertTargetIDs")
    assert settled(lab) == before


def scale_set_id(lab: Deployment) -> str:
    group = f"/subscriptions/{lab.cloud.subscription}/resourceGroups/rg-lab"
    return f"{group}/providers/Microsoft.Compute/virtualMachineScaleSets/vmss-general"


def test_event_grid_delivers_both_schemas_and_each_is_one_look(lab: Deployment) -> None:
    url, now = lab.host.event_grid_url("events"), datetime.now(UTC).isoformat()
    data = {"resourceUri": scale_set_id(lab), "operationName": "Microsoft.Compute/virtualMachineScaleSets/write"}
    written = {
        "id": "1",
        "topic": "t",
        "subject": scale_set_id(lab),
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": now,
        "data": data,
        "dataVersion": "2",
        "metadataVersion": "1",
    }
    health = {
        "id": "2",
        "source": "s",
        "specversion": "1.0",
        "type": "Microsoft.ResourceNotifications.HealthResources.AvailabilityStatusChanged",
        "time": now,
        "data": {
            "resourceInfo": {"properties": {"targetResourceId": scale_set_id(lab), "availabilityState": "Unavailable"}}
        },
    }
    before = settled(lab)

    for body, kind in (([written], "application/json"), (health, "application/cloudevents+json")):
        headers = {"aeg-event-type": "Notification", "Content-Type": kind}
        assert requests.post(url, json=body, headers=headers, timeout=10).status_code == 202

    assert lab.host.wait_for(lambda: ticks(lab) == before + 2, timedelta(seconds=20))
    assert all(each.outcome.value == "succeeded" for each in lab.host.invocations("events"))


def cli(lab: Deployment, *words: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KEEPER_URL": lab.host.url, "KEEPER_KEY": key or lab.host.key, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "keeper.cli", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_command_line_plans_scales_pauses_and_explains(lab: Deployment) -> None:
    assert lab.host.wait_for(lambda: lab.membership.changes, timedelta(seconds=20))
    planned = cli(lab, "plan")
    assert planned.returncode == 0, planned.stderr
    assert "Succeeded nothing was changed: dry run" in planned.stdout

    scaled = cli(lab, "op", "scale", "general", "2", "--reason", "launch day", "--wait", "30")
    assert "Succeeded" in scaled.stdout, scaled.stdout + scaled.stderr
    assert lab.cloud.scale_set_named("vmss-general").capacity == 2

    assert "autoscale is paused: audit" in cli(lab, "op", "pause", "--reason", "audit").stdout
    assert "paused: audit" in cli(lab, "status").stdout
    assert cli(lab, "op", "resume").returncode == 0
    assert "grow general 1 → 2" in cli(lab, "explain").stdout


def test_the_command_line_says_what_is_wrong_and_how_to_mend_it(lab: Deployment) -> None:
    refused = cli(lab, "op", "scale", "general", "99")
    assert (refused.returncode, refused.stderr) == (
        2,
        "keeper: 400 count: expected a whole number from 1 to 4, got 99\n",
    )
    assert "pool: expected one of general, spot" in cli(lab, "op", "scale", "other", "1").stderr
    assert cli(lab, "status", key="wrong").returncode == 2
    assert cli(lab, "op", "show", "ghost").returncode == 2


def test_a_message_that_nobody_understands_ends_recorded_and_loud(lab: Deployment) -> None:
    queue = QueueClient.from_connection_string(
        lab.storage.connection_string, QUEUE, connection_verify=str(lab.authority.certificate)
    )
    with queue:
        queue.send_message(base64.b64encode(b"gibberish").decode())

    assert lab.host.wait_for(lambda: lab.host.invocations("bury"), timedelta(seconds=90))
    loud = [line for line in lab.host.logs() if line.event and line.event.get("event") == "message.poisoned"]
    assert [line.event["message"] for line in loud] == ["gibberish"]


def test_no_secret_is_in_a_log_or_in_the_storage_account(lab: Deployment) -> None:
    settled(lab)
    secrets = [lab.nomad.keeper_token, lab.nomad.management_token, lab.host.key]
    written = [line.message.encode() for line in lab.host.logs()]
    written += [path.read_bytes() for path in lab.storage.location.rglob("*") if path.is_file()]

    assert len(written) > 5
    assert [secret for secret in secrets for text in written if secret.encode() in text] == []
