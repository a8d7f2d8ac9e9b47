"""Handlers for the status and the result of long-running operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.azure.model import throttle
from lab.azure.model.failures import instance_not_found, stamp
from lab.azure.rest.call import Route
from lab.http import Response

if TYPE_CHECKING:
    from lab.azure.model.resources import Operation
    from lab.azure.rest.call import Call

OPERATION = "/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location}/operations/{operation}"


def _get(call: Call) -> Response:
    operation = call.cloud.operations.get(call.params["operation"].lower())
    if operation is None:
        raise instance_not_found()
    if call.query.get("monitor") == "true":
        return _result(call, operation)
    return Response.of_json(200, _status(operation), _pause(call, operation))


def _result(call: Call, operation: Operation) -> Response:
    """Answer the `location` link: 202 while running, then 200 with the result, which most actions do not have."""
    if operation.running:
        return Response(202, {"Location": call.request.url, **_pause(call, operation)})
    if operation.output is not None:
        return Response.of_json(200, operation.output)
    return Response(200)


def _status(operation: Operation) -> dict[str, Any]:
    """Render the status; HTTP stays 200 when the operation failed."""
    status: dict[str, Any] = {"startTime": stamp(operation.started)}
    if operation.ended is not None:
        status["endTime"] = stamp(operation.ended)
    status["status"] = operation.status.value
    if operation.output is not None and not operation.running:
        status["properties"] = {"output": operation.output}
    if operation.error is not None and not operation.running:
        status["error"] = operation.error
    status["name"] = operation.name
    return status


def _pause(call: Call, operation: Operation) -> dict[str, str]:
    pause = call.cloud.pace.retry_after
    return {"Retry-After": str(round(pause.total_seconds()))} if operation.running and pause else {}


ROUTES: tuple[Route, ...] = (
    Route("GET", OPERATION, "Microsoft.Compute/locations/operations/read", _get, throttle.GET_OPERATION),
)
