"""Event Grid: which pool, vault or window an event is about, and why somebody should look. The world decides, never the event.

Events come in the Event Grid schema or as CloudEvents, one or a list of them, in any order and more than once
(recordings/azure, eventgrid). What is not understood is no error: it is about no pool.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from keeper.core.alerts import is_target_of
from keeper.core.messages import parse_time
from keeper.core.model import Pool, PoolName
from keeper.core.problems import FieldError

RESOURCES = "microsoft.resources.resource"
HEALTH = "microsoft.resourcenotifications.healthresources."
VAULT = "microsoft.keyvault."
ENDING = ("nearexpiry", "expired")
"""The last word of an event's type when a certificate, key or secret ends. New versions are echoes of our own writes."""
MAINTENANCE = "microsoft.maintenance.premaintenanceevent"
"""Comes at least 20 minutes before machines are patched and may reboot, and again for every window
(https://learn.microsoft.com/azure/update-manager/pre-post-scripts-overview)."""
VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"

NAMES = ("resourceUri", "Id", "MaintenanceConfigurationId", "maintenanceConfigurationId")
"""Where events say what they are about: of resources, of vaults, of maintenance, which is documented in both spellings."""


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """What matters of an event in either schema."""

    id: str
    type: str
    at: datetime
    resource: str
    """ARM id of what it is about; of vaults' events, the URL of what is in the vault."""
    operation: str
    """What was done, of resource events; else empty."""
    caller: str
    """Application id of who did it, of resource events; else empty."""
    state: str
    """New availability or annotation, of health events; else empty."""


def parse_events(body: object) -> tuple[CloudEvent, ...]:
    """The events of a decoded body; raises `FieldError` for what is no event at all."""
    items = cast("list[object]", body) if isinstance(body, list) else [body]
    return tuple(_event(each, f"events[{n}]") for n, each in enumerate(items))


def pool_of_event(event: CloudEvent, pools: Iterable[Pool], own_application: str = "") -> PoolName | None:
    """The pool whose scale set or instance the event is about; None for others' and for echoes of our own writes."""
    if not event.type.lower().startswith((RESOURCES, HEALTH)):
        return None
    if own_application and event.caller.lower() == own_application.lower():
        return None
    return next((pool.name for pool in pools if is_target_of(event.resource, pool)), None)


def is_about_vaults(event: CloudEvent, vaults: Iterable[str]) -> bool:
    """Whether something in one of these vaults, given by their URLs, ends soon or has ended."""
    kind, what = event.type.lower(), event.resource.lower()
    ours = any(url and what.startswith(f"{url.lower().rstrip('/')}/") for url in vaults)
    return ours and kind.startswith(VAULT) and kind.endswith(ENDING)


def announces_maintenance(event: CloudEvent, pools: Iterable[Pool]) -> bool:
    """Whether machines in a resource group of ours are about to be patched."""
    if event.type.lower() != MAINTENANCE:
        return False
    of = (f"/resourcegroups/{pool.resource_group}/providers/microsoft.maintenance/".lower() for pool in pools)
    return any(each in event.resource.lower() for each in of)


def cause_of_event(event: CloudEvent) -> str:
    """Why to look, in a few words: `virtualMachineScaleSets/write`, `health: Unavailable`, `CertificateNearExpiry`."""
    if event.type.lower().startswith(HEALTH):
        return f"health: {event.state or event.type.rpartition('.')[2]}"
    return event.operation.partition("/")[2] or event.type.rpartition(".")[2]


def _event(given: object, where: str) -> CloudEvent:
    body = _object(given)
    kind = body.get("eventType") or body.get("type")
    if not isinstance(kind, str):
        raise FieldError(f"{where}.eventType", "the type of an event", kind)
    data = _object(body.get("data"))
    health = _object(_object(data.get("resourceInfo")).get("properties"))
    named = (health.get("targetResourceId"), *(data.get(key) for key in NAMES), body.get("subject"))
    return CloudEvent(
        id=str(body.get("id") or ""),
        type=kind,
        at=parse_time(f"{where}.eventTime", body.get("eventTime") or body.get("time")),
        resource=str(next(filter(None, named), "")),
        operation=str(data.get("operationName") or ""),
        caller=str(_object(data.get("claims")).get("appid") or ""),
        state=str(health.get("availabilityState") or health.get("annotationName") or ""),
    )


def _object(given: object) -> Mapping[str, object]:
    return cast("dict[str, object]", given) if isinstance(given, dict) else {}
