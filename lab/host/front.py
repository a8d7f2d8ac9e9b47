"""The HTTP face of the host: functions with their routes and keys, the admin API and the Event Grid webhook."""

from __future__ import annotations

import base64
import json
import threading
from typing import TYPE_CHECKING, Any

from lab.host import eventgrid
from lab.host.dispatch import Call
from lab.host.keys import AuthLevel
from lab.host.model import DEFAULT_BODY_LIMIT, Function, Result, Trigger
from lab.host.routes import compile_route, find_route
from lab.http import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.host.keys import EasyAuth, Keys

ADMIN = "/admin/"
EVENT_GRID = "/runtime/webhooks/eventgrid"
BODY_LIMIT = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"


class Front:
    """Turns HTTP requests into invocations, and their results into responses."""

    def __init__(
        self,
        functions: Mapping[str, Function],
        *,
        prefix: str,
        keys: Keys,
        easy_auth: EasyAuth,
        settings: Mapping[str, str],
        run: Callable[[Function, Call], Result],
        trigger: Callable[[Function, str], Result],
        status: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._functions = functions
        self._routes = [compile_route(found, prefix) for found in functions.values() if found.trigger is Trigger.HTTP]
        self._listeners = {name: found for name, found in functions.items() if found.trigger is Trigger.EVENT_GRID}
        self._keys = keys
        self._easy_auth = easy_auth
        self._limit = int(settings.get(BODY_LIMIT, DEFAULT_BODY_LIMIT))
        self._run = run
        self._trigger = trigger
        self._status = status

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        path = request.path
        if len(request.body) > self._limit:
            return Response(413)
        if "transfer-encoding" in request.headers:
            return Response(411)  # lab.http reads bodies of stated length only; better refused than lost
        if path.lower().startswith(ADMIN):
            return self._administer(request, path[len(ADMIN) :])
        if path.lower().rstrip("/") == EVENT_GRID:
            if not self._keys.opens_event_grid(request):
                return Response(401)
            return eventgrid.receive(request, self._listeners, self._run)
        return self._call_function(request)

    def _call_function(self, request: Request) -> Response:
        headers = self._easy_auth.admit(request.headers)
        if headers is None:
            return Response(401)
        found = find_route(self._routes, request.method, request.path)
        if found is None:
            return Response(404)
        route, parameters = found
        level = AuthLevel(str(route.function.binding.get("authLevel") or AuthLevel.FUNCTION).lower())
        if not self._keys.opens(request, level, route.function.name):
            return Response(401)
        return _response(
            route.function, self._run(route.function, http_call(route.function, request, headers, parameters))
        )

    def _administer(self, request: Request, path: str) -> Response:
        if not self._keys.opens(request, AuthLevel.ADMIN):
            return Response(401)
        match request.method, path.strip("/").split("/"):
            case "GET", ["host", "status"]:
                return Response.of_json(200, self._status())
            case "POST", ["functions", name] if name in self._functions:
                text = (json.loads(request.body or b"{}") or {}).get("input") or ""
                # Accepted, not awaited: Azure answers 202 without a body as well.
                threading.Thread(target=self._trigger, args=(self._functions[name], text), daemon=True).start()
                return Response(202)
            case _:
                return Response(404)


def http_call(function: Function, request: Request, headers: Mapping[str, str], parameters: Mapping[str, str]) -> Call:
    """Return the call of an HTTP request: the body as bytes, header names in lower case, as the real host sends them."""
    value = {
        "method": request.method,
        "url": request.url,
        "headers": dict(headers),
        "query": request.query,
        "params": dict(parameters),
        "body": {"bytes": base64.b64encode(request.body).decode()},
    }
    return Call({function.binding["name"]: {"http": value}}, traceparent=headers.get("traceparent", ""))


def _response(function: Function, result: Result) -> Response:
    if not result.ok:
        return Response(500)  # without a body, as in Azure: the reason is in the log only
    output = next((name for name, binding in function.outputs.items() if binding["type"] == "http"), "$return")
    value = result.returned if output == "$return" else result.outputs.get(output)
    if value is None:
        return Response(204)
    ((kind, content),) = value.items()
    if kind != "http":
        return Response(200, {"Content-Type": "text/plain; charset=utf-8"}, str(content).encode())
    if content["cookies"]:
        raise NotImplementedError("lab.http carries one value per header, so this front sets no cookies")
    return Response(int(content["status"]), content["headers"], base64.b64decode(content["body"]["bytes"]))
