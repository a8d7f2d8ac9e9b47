"""The Event Grid webhook of the Functions host, `/runtime/webhooks/eventgrid?functionName=…&code=…`.

Its answers follow the host's extension: 404 for a function that has no Event Grid trigger, the validation handshake in
both schemas, one invocation per event, 500 when any of them failed and 202 otherwise
(https://github.com/Azure/azure-sdk-for-net/tree/main/sdk/eventgrid/Microsoft.Azure.WebJobs.Extensions.EventGrid).
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from lab.host.dispatch import Call
from lab.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.host.model import Function, Result
    from lab.http import Request

    type Run = Callable[[Function, Call], Result]


def event_call(function: Function, event: Mapping[str, Any]) -> Call:
    """Return the call of one event; the schema is read from the event by the SDK."""
    return Call({function.binding["name"]: {"json": json.dumps(event)}}, traceparent=str(event.get("traceparent", "")))


def receive(request: Request, functions: Mapping[str, Function], run: Run) -> Response:
    """Answer one delivery, running its events side by side."""
    name = request.query.get("functionName", "")
    if name not in functions:
        return Response(404, body=f"cannot find function: '{name}'".encode())
    if request.method == "OPTIONS":  # https://github.com/cloudevents/spec/blob/v1.0/http-webhook.md#4-abuse-protection
        return Response(200, {"Webhook-Allowed-Origin": request.headers.get("webhook-request-origin", "")})
    match request.headers.get("aeg-event-type", "").lower():
        case "subscriptionvalidation":
            code = json.loads(request.body)[0]["data"]["validationCode"]
            return Response.of_json(200, {"validationResponse": code})
        case "notification":
            return _deliver(json.loads(request.body), functions[name], run)
        case "unsubscribe":
            return Response(202)
        case _:
            return Response(400)


def _deliver(document: Any, function: Function, run: Run) -> Response:  # noqa: ANN401 - JSON as it came
    events = document if isinstance(document, list) else [document]
    if not events:
        return Response(202)
    with ThreadPoolExecutor(len(events)) as pool:
        results = list(pool.map(lambda event: run(function, event_call(function, event)), events))
    failed = [result for result in results if not result.ok]
    return Response(500, body=failed[0].error.encode()) if failed else Response(202)
