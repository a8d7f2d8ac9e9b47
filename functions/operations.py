"""HTTP API: operations, status, decisions. Everything answered here is a stored record; nothing is looked up in Nomad or Azure."""

# The decorators of azure-functions take untyped keyword arguments.
# pyright: reportUnknownMemberType=false

from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus
from uuid import uuid4

import azure.functions as func

from functions.replies import Role, answered, caller, decoded, door_level, header, reply
from keeper import errors, wiring
from keeper.core import operations
from keeper.core.decisions import parse as decisions_asked
from keeper.core.messages import Kind, Message
from keeper.core.problems import FieldError
from keeper.telemetry import Event, event

bp = func.Blueprint()
LEVEL = door_level()

LONGEST_KEY = 200


@bp.route("operations", methods=["POST"], auth_level=LEVEL)
@answered
def start_operation(req: func.HttpRequest) -> func.HttpResponse:
    """Store the operation and enqueue it: 202 with its address; the same Idempotency-Key and body give the same one."""
    who = caller(req, Role.OPERATOR)
    doors = wiring.doors()
    request = operations.parse_request(decoded(req), doors.settings.pools, doors.settings.snapshots.cluster)
    now = doors.clock.now()
    operation = operations.Operation(_id(req), request, who.name, now, operations.State.NOT_STARTED, now)
    stored = wiring.store_once(operation)
    if stored.request != request:
        raise errors.Refused("Idempotency-Key: expected a new key or the same body, got a key used for another request")
    doors.corridor.send(_message(stored, cancel=False).to_json())
    event(Event.OPERATION_ACCEPTED, operation=stored.id, verb=request.verb, by=who.name)
    address = req.url.split("?", 1)[0].rstrip("/") + "/" + stored.id
    return reply(operations.to_json(stored), HTTPStatus.ACCEPTED, {"Operation-Location": address, "Retry-After": "2"})


@bp.route("operations/{id}", methods=["GET"], auth_level=LEVEL)
@answered
def read_operation(req: func.HttpRequest) -> func.HttpResponse:
    """How an operation stands; `Retry-After` while it has not ended."""
    caller(req, Role.READER)
    operation = wiring.operation(req.route_params["id"])
    return reply(operations.to_json(operation), headers={} if operation.state.ended else {"Retry-After": "2"})


@bp.route("operations/{id}/cancel", methods=["POST"], auth_level=LEVEL)
@answered
def cancel_operation(req: func.HttpRequest) -> func.HttpResponse:
    """Ask for an operation's end; one that has ended is refused with 409."""
    caller(req, Role.OPERATOR)
    operation = wiring.operation(req.route_params["id"])
    if operation.state.ended:
        raise errors.Refused(f"operation {operation.id} has ended: {operation.state}")
    doors = wiring.doors()
    doors.corridor.send(_message(replace(operation, asked=doors.clock.now()), cancel=True).to_json())
    return reply(operations.to_json(operation), HTTPStatus.ACCEPTED, {"Retry-After": "2"})


@bp.route("status", methods=["GET"], auth_level=LEVEL)
@answered
def status(req: func.HttpRequest) -> func.HttpResponse:
    """What autoscale remembers and decided last, the snapshots' age, the last rehearsals, the newest restore."""
    caller(req, Role.READER)
    return reply(wiring.status())


@bp.route("decisions", methods=["GET"], auth_level=LEVEL)
@answered
def decisions(req: func.HttpRequest) -> func.HttpResponse:
    """The newest decision records of a day, of every controller, oldest first; `core.decisions` has the query's fields."""
    caller(req, Role.READER)
    wanted = decisions_asked(req.params, wiring.doors().settings.pools)
    return reply({"decisions": wiring.decisions(wanted)})


def _id(req: func.HttpRequest) -> str:
    """An operation's id: derived from the Idempotency-Key when there is one, so that a retried request finds the first."""
    key = header(req, "Idempotency-Key")
    if key is None:
        return str(uuid4())
    if not 0 < len(key) <= LONGEST_KEY:
        raise FieldError("Idempotency-Key", f"text of 1 to {LONGEST_KEY} characters", key)
    return sha256(key.encode()).hexdigest()[:32]


def _message(operation: operations.Operation, *, cancel: bool) -> Message:
    detail: dict[str, object] = {"id": operation.id, "cancel": cancel}
    verb = operation.request.verb
    return Message(Kind.OPERATION, verb.controller, verb, operation.asked, "http", detail)
