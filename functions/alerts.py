"""Azure Monitor's webhook: the common alert schema becomes one message; the controller keeps it as pressure on a pool."""

from http import HTTPStatus

import azure.functions as func

from functions.replies import answered, decoded, door_level, reply, signed_in
from keeper import wiring
from keeper.core import alerts as schema
from keeper.core.messages import Controller, Kind, Message
from keeper.telemetry import Event, event

# The decorators of azure-functions take untyped keyword arguments.
# pyright: reportUnknownMemberType=false

bp = func.Blueprint()
LEVEL = door_level()


@bp.route("alerts", methods=["POST"], auth_level=LEVEL)
@answered
def alerts(req: func.HttpRequest) -> func.HttpResponse:
    """Take one fired or resolved alert; 202 once it is on the queue."""
    signed_in(req)
    doors = wiring.doors()
    alert = schema.parse_alert(decoded(req), doors.settings.pools)
    kind = Kind.ALERT if alert.presses else Kind.EVENT
    detail = schema.to_detail(alert) if alert.presses else {"pool": alert.pool}
    cause = f"alert {alert.condition.lower()}"
    doors.corridor.send(Message(kind, Controller.AUTOSCALE, cause, doors.clock.now(), "monitor", detail).to_json())
    event(Event.ALERT_ACCEPTED, pool=alert.pool, rule=alert.rule, condition=alert.condition, presses=alert.presses)
    return reply({"accepted": alert.id, "pool": alert.pool, "presses": alert.presses}, HTTPStatus.ACCEPTED)
