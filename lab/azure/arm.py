"""ARM as a function: `Arm.handle` turns a request into a response. No sockets, no waiting, one lock.

The order of checks is the front end's: token, api-version, subscription, path, role, resource group; then what a fault
says; then the limits of the resource provider; then the handler.
"""

from __future__ import annotations

import re
import threading
from email.utils import format_datetime
from typing import TYPE_CHECKING

from lab.azure.access import Access
from lab.azure.journal import Entry, Journal
from lab.azure.model.failures import ArmError, Circumstances, failure, throttled
from lab.azure.model.faults import FaultKind
from lab.azure.model.throttle import Throttle
from lab.azure.rest import (
    admin,
    catalogue,
    groups,
    instances,
    load_balancers,
    machines,
    monitor,
    network,
    operations,
    private_dns,
    scale_sets,
)
from lab.azure.rest.call import Call
from lab.http import Response

if TYPE_CHECKING:
    from datetime import timedelta

    from lab.azure.model.cloud import Cloud
    from lab.azure.rest.call import Route
    from lab.http import Request

ROUTES: tuple[Route, ...] = (
    *scale_sets.ROUTES,
    *instances.ROUTES,
    *machines.ROUTES,
    *operations.ROUTES,
    *catalogue.ROUTES,
    *network.ROUTES,
    *load_balancers.ROUTES,
    *private_dns.ROUTES,
    *groups.ROUTES,
    *monitor.ROUTES,
)
_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z]+)?", re.IGNORECASE)
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PARAMETER = re.compile(r"\{(\w+)\}")


def _pattern(template: str) -> re.Pattern[str]:
    """Turn a path template into a pattern: ARM compares fixed parts without case and ignores a trailing slash."""
    parts = _PARAMETER.split(template)
    source = "".join(f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
    if template.startswith("{resource}"):
        source = source.replace("(?P<resource>[^/]+)", "(?P<resource>/subscriptions/(?P<subscription>[^/]+)/.+)", 1)
    return re.compile(f"{source}/?", re.IGNORECASE)


_COMPILED = [(route, _pattern(route.template)) for route in ROUTES]


class Arm:
    """The management endpoint of one cloud. Thread-safe; every request first brings the model up to the present."""

    def __init__(self, cloud: Cloud, *, access: Access | None = None, throttle: Throttle | None = None) -> None:
        self.cloud = cloud
        self.access = access or Access()
        self.throttle = throttle or Throttle()
        self.journal = Journal()
        self.lock = threading.RLock()

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        with self.lock:
            self.cloud.advance()
            if request.path.lower().startswith("/lab/"):
                return admin.handle(self, request)
            route, response = self._answer(request)
            self.journal.add(
                Entry(
                    at=self.cloud.now,
                    method=request.method,
                    path=request.path,
                    status=response.status,
                    action=route.action if route else "",
                    if_match=request.headers.get("if-match"),
                    body=request.body,
                ),
            )
            return self._with_common_headers(response)

    def advance(self) -> timedelta | None:
        """Bring the model up to the present; return how long until it next has something to do."""
        with self.lock:
            self.cloud.advance()
            due = self.cloud.next_due()
            return None if due is None else due - self.cloud.now

    def _answer(self, request: Request) -> tuple[Route | None, Response]:
        route, params, headers = None, {}, {}
        try:
            route, params = _match(request)
            self.access.check(request.headers.get("authorization", ""), route.action, request.path)
            query = request.query
            self._check_front_end(params, query)
            delay = self._strike(params, route)
            resource = "/".join(params.values())
            headers = self.throttle.take(route.policies, params.get("subscription", ""), resource, self.cloud.now)
            stale = self._strikes(FaultKind.STALE_LISTS, params, route)
            response = route.handler(Call(self.cloud, request, params, query, stale))
        except ArmError as error:
            refused = error.response()
            return route, Response(refused.status, {**headers, **refused.headers}, refused.body)
        return route, Response(response.status, {**response.headers, **headers}, response.body, delay)

    def _check_front_end(self, params: dict[str, str], query: dict[str, str]) -> None:
        if not query.get("api-version"):
            raise ArmError(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
                headers={"x-ms-failure-cause": "gateway"},
            )
        if not _API_VERSION.fullmatch(query["api-version"]):
            raise ArmError(
                400,
                "InvalidApiVersionParameter",
                f"The api-version '{query['api-version']}' is invalid. It is a date, as in '2024-07-01'.",
                headers={"x-ms-failure-cause": "gateway"},
            )
        subscription = params.get("subscription", self.cloud.subscription)
        if subscription.lower() != self.cloud.subscription.lower():
            if not _GUID.fullmatch(subscription):
                raise ArmError(
                    400,
                    "InvalidSubscriptionId",
                    f"The provided subscription identifier '{subscription}' is malformed or invalid.",
                    headers={"x-ms-failure-cause": "gateway"},
                )
            raise _not_there("SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
        group = params.get("group")
        if group is not None and group.lower() not in self.cloud.groups:
            raise _not_there("ResourceGroupNotFound", f"Resource group '{group}' could not be found.")

    def _strike(self, params: dict[str, str], route: Route) -> timedelta:
        """Let the faults have their say: raise their error, or return how slow the answer shall be."""
        now, scale_set = self.cloud.now, self._scale_set_of(params)
        if fault := self.cloud.faults.strike_request(FaultKind.THROTTLE, now, scale_set, route.action):
            policy = route.policies[0].name if route.policies else "RequestsPerHour"
            raise throttled(policy, allowed=0, measured=1, window=(now, now + fault.delay))
        if fault := self.cloud.faults.strike_request(FaultKind.FAIL, now, scale_set, route.action):
            raise failure(fault.failure, self._circumstances(scale_set))
        slow = self.cloud.faults.strike_request(FaultKind.SLOW, now, scale_set, route.action)
        return slow.delay if slow else Response(200).delay

    def _strikes(self, kind: FaultKind, params: dict[str, str], route: Route) -> bool:
        is_list = route.method == "GET" and route.template.endswith("/virtualMachines")
        name = self._scale_set_of(params)
        return is_list and self.cloud.faults.strike_request(kind, self.cloud.now, name, route.action) is not None

    def _scale_set_of(self, params: dict[str, str]) -> str | None:
        """Return the scale set that a call is about, also when it names one of its virtual machines."""
        if "scale_set" in params:
            return params["scale_set"]
        machine = params.get("machine", "").lower()
        owners = (s.key.name for s in self.cloud.scale_sets.values() if machine and machine in s.instances)
        return next(owners, None)

    def _circumstances(self, name: str | None) -> Circumstances:
        for scale_set in self.cloud.scale_sets.values():
            if name and scale_set.key.name.lower() == name.lower():
                return Circumstances(sku=scale_set.sku, location=scale_set.location, limit=10, usage=8, required=4)
        return Circumstances(location=self.cloud.location, limit=10, usage=8, required=4)

    def _with_common_headers(self, response: Response) -> Response:
        identifier = self.cloud.new_uuid()
        headers = {
            "Cache-Control": "no-cache",
            "Pragma": "no-cache",
            "Expires": "-1",
            "Date": format_datetime(self.cloud.now, usegmt=True),
            "x-ms-request-id": identifier,
            "x-ms-correlation-request-id": identifier,
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
            "X-Content-Type-Options": "nosniff",
            **response.headers,
        }
        return Response(response.status, headers, response.body, response.delay)


def _match(request: Request) -> tuple[Route, dict[str, str]]:
    path, methods = request.path, set[str]()
    for route, pattern in _COMPILED:
        matched = pattern.fullmatch(path)
        if matched is None:
            continue
        if route.method == request.method:
            return route, matched.groupdict()
        methods.add(route.method)
    if methods:
        raise ArmError(
            405,
            "MethodNotAllowed",
            f"The method {request.method} is not allowed here.",
            headers={"Allow": ", ".join(sorted(methods))},
        )
    raise _not_there("InvalidResourceType", f"The resource type could not be found for the path '{path}'.")


def _not_there(code: str, message: str) -> ArmError:
    return ArmError(404, code, message, headers={"x-ms-failure-cause": "gateway"})
