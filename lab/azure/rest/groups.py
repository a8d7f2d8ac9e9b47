"""Handlers for what every ARM client looks at first: the subscription and its resource groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.azure.model.cloud import LAB_TENANT
from lab.azure.rest.call import Route
from lab.http import Response

if TYPE_CHECKING:
    from lab.azure.model.cloud import Cloud
    from lab.azure.rest.call import Call

SUBSCRIPTION = "/subscriptions/{subscription}"
GROUP = f"{SUBSCRIPTION}/resourceGroups/{{group}}"
_READ_GROUP = "Microsoft.Resources/subscriptions/resourceGroups/read"
_READ = "Microsoft.Resources/subscriptions/read"


def _subscription(cloud: Cloud) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{cloud.subscription}",
        "authorizationSource": "RoleBased",
        "subscriptionId": cloud.subscription,
        "tenantId": LAB_TENANT,
        "displayName": "lab",
        "state": "Enabled",
    }


def _group(cloud: Cloud, name: str) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{cloud.subscription}/resourceGroups/{name}",
        "name": name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": cloud.location,
        "tags": {},
        "properties": {"provisioningState": "Succeeded"},
    }


def _list_subscriptions(call: Call) -> Response:
    return call.page([call.cloud], _subscription)


def _get_subscription(call: Call) -> Response:
    return Response.of_json(200, _subscription(call.cloud))


def _list_groups(call: Call) -> Response:
    return call.page(sorted(call.cloud.groups.values()), lambda name: _group(call.cloud, name))


def _get_group(call: Call) -> Response:
    return Response.of_json(200, _group(call.cloud, call.cloud.groups[call.params["group"].lower()]))


def _check_group(_call: Call) -> Response:
    return Response(204)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/subscriptions", _READ, _list_subscriptions),
    Route("GET", SUBSCRIPTION, _READ, _get_subscription),
    Route("GET", f"{SUBSCRIPTION}/resourceGroups", _READ_GROUP, _list_groups),
    Route("GET", GROUP, _READ_GROUP, _get_group),
    Route("HEAD", GROUP, _READ_GROUP, _check_group),
)
