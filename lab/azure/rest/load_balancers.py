"""Handler for load balancers: what a deployment put there, given back."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from lab.azure.model.failures import resource_not_found
from lab.azure.rest.call import Route
from lab.http import Response

if TYPE_CHECKING:
    from lab.azure.rest.call import Call

_LOAD_BALANCER = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/loadBalancers/{name}"


def _get(call: Call) -> Response:
    subscription, group, name = (call.params[part] for part in ("subscription", "group", "name"))
    found = call.cloud.network.load_balancers.get((subscription.lower(), group.lower(), name.lower()))
    if found is None:
        raise resource_not_found(f"Microsoft.Network/loadBalancers/{name}", group)
    arm_id = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/loadBalancers/{name}"
    guid = str(uuid5(NAMESPACE_URL, arm_id.lower()))
    etag = f'W/"{guid}"'
    view = {
        "name": name,
        "id": arm_id,
        "etag": etag,
        "type": "Microsoft.Network/loadBalancers",
        "location": call.cloud.location,
        "tags": {},
        **found,
    }
    view["properties"] = {"provisioningState": "Succeeded", "resourceGuid": guid, **found.get("properties", {})}
    return Response.of_json(200, view, {"ETag": etag})


ROUTES: tuple[Route, ...] = (Route("GET", _LOAD_BALANCER, "Microsoft.Network/loadBalancers/read", _get),)
