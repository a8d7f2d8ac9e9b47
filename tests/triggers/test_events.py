"""Event Grid: ours are enqueued as a reason to look, others' are acknowledged, echoes of our own writes are ignored."""

from dataclasses import replace
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


def ending(
    kind: str = "CertificateNearExpiry", vault: str = "https://kv-servers.vault.azure.net"
) -> func.EventGridEvent:
    return func.EventGridEvent(
        id="e3",
        data={"Id": f"{vault}/certificates/nomad-agent-tls/0123", "VaultName": "kv-servers"},
        topic="t",
        subject="nomad-agent-tls",
        event_type=f"Microsoft.KeyVault.{kind}",
        event_time=AT,
        data_version="1",
    )


def test_a_certificate_of_ours_that_ends_soon_is_a_reason_to_look(doorway: Doorway) -> None:
    settings = doorway.doors.settings
    ours = replace(settings.certificates, servers_vault="https://kv-servers.vault.azure.net/")
    doorway.doors = replace(doorway.doors, settings=replace(settings, certificates=ours))

    events.events(ending())
    events.events(ending(kind="SecretNewVersionCreated"))
    events.events(ending(vault="https://kv-servers.vault.azure.net.example"))

    (message,) = doorway.enqueued()
    assert (message["controller"], message["cause"]) == ("certificates", "CertificateNearExpiry")


def patching(kind: str = "PreMaintenanceEvent", group: str = "RG-lab") -> func.CloudEvent:
    """As documented (https://learn.microsoft.com/azure/event-grid/event-schema-maintenance-configuration)."""
    window = (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}"
        "/providers/Microsoft.Maintenance/maintenanceConfigurations/mc-nomad-1"
    )
    run = f"{window}/providers/microsoft.maintenance/applyupdates/20260301123000"
    return func.CloudEvent(
        id=run,
        source=window,
        specversion="1.0",
        subject="mc-nomad-1",
        type=f"Microsoft.Maintenance.{kind}",
        time=AT,
        data={
            "CorrelationId": run,
            "MaintenanceConfigurationId": window,
            "StartDateTime": "2026-03-01T12:30:00Z",
            "EndDateTime": "2026-03-01T15:30:00Z",
            "CancellationCutOffDateTime": "2026-03-01T12:29:00Z",
            "ResourceSubscriptionIds": [SUBSCRIPTION],
        },
    )


def test_before_servers_are_patched_their_state_is_saved(doorway: Doorway) -> None:
    events.events(patching())

    (message,) = doorway.enqueued()
    assert (message["controller"], message["cause"]) == ("snapshot", "PreMaintenanceEvent")
    assert (message["at"], message["detail"]) == (AT.isoformat(), {"take": True})


@pytest.mark.parametrize(
    "event",
    [
        ending(),
        patching(kind="PostMaintenanceEvent"),
        patching(group="rg-lab-of-others"),
        written(resource=SCALE_SET.replace("vmss-general", "other")),
        written(caller="00000000-0000-0000-0000-000000000000"),
    ],
    ids=["another vault", "patching is over", "another group is patched", "another scale set", "our own write"],
)
def test_what_is_not_for_us_is_acknowledged_and_enqueues_nothing(doorway: Doorway, event: func.EventGridEvent) -> None:
    events.events(event)

    assert doorway.enqueued() == []


def test_an_event_without_a_time_fails_its_delivery(doorway: Doorway) -> None:
    with pytest.raises(FieldError, match="eventTime"):
        events.events(written(at=None))

    assert doorway.enqueued() == []
