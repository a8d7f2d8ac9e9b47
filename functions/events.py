"""Event Grid: scale set writes and deletes, resource health, certificates that end, patching that begins.

An event only says "look"; what is not ours is acknowledged.
"""

from datetime import datetime

import azure.functions as func

from keeper import wiring
from keeper.core import events as schema
from keeper.core.messages import Controller, Kind, Message
from keeper.settings import Settings
from keeper.telemetry import Event, event

# The decorators and events of azure-functions are partly untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

bp = func.Blueprint()


@bp.event_grid_trigger(arg_name="given")
def events(given: func.EventGridEvent) -> None:
    """Take one event of either schema. A malformed one fails the delivery, so that Event Grid dead-letters it."""
    doors = wiring.doors()
    (happened,) = schema.parse_events(_as_sent(given))
    message = _reason_to_look(happened, doors.settings)
    if message is None:
        event(Event.EVENT_IGNORED, id=happened.id, type=happened.type, resource=happened.resource)
        return
    doors.corridor.send(message.to_json())
    event(Event.EVENT_ACCEPTED, id=happened.id, controller=message.controller, cause=message.cause, **message.detail)


def _reason_to_look(happened: schema.CloudEvent, settings: Settings) -> Message | None:
    """Who should look, and why; None when it is about nothing of ours."""
    cause, ours = schema.cause_of_event(happened), settings.certificates
    if schema.is_about_vaults(
        happened, (settings.azure.vault, ours.servers_vault, ours.clients_vault, ours.consul_vault)
    ):
        return Message(Kind.EVENT, Controller.CERTIFICATES, cause, happened.at, "eventgrid")
    if schema.announces_maintenance(happened, settings.pools):
        return Message(Kind.EVENT, Controller.SNAPSHOT, cause, happened.at, "eventgrid", {"take": True})
    pool = schema.pool_of_event(happened, settings.pools, settings.azure.client_id)
    if pool is None:
        return None
    return Message(Kind.EVENT, Controller.AUTOSCALE, cause, happened.at, "eventgrid", {"pool": pool})


def _as_sent(given: func.EventGridEvent | func.CloudEvent) -> dict[str, object]:
    """The event as it came over the wire: the worker decodes both schemas for this trigger."""
    if isinstance(given, func.CloudEvent):
        return {
            "id": given.id,
            "type": given.type,
            "time": _text(given.time),
            "subject": given.subject,
            "data": given.get_json(),
        }
    return {
        "id": given.id,
        "eventType": given.event_type,
        "eventTime": _text(given.event_time),
        "subject": given.subject,
        "data": given.get_json(),
    }


def _text(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()
