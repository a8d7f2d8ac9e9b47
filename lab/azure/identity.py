"""Managed identity, as a function app sees it (`IDENTITY_ENDPOINT`) and as a virtual machine sees it (IMDS).

Set `IDENTITY_ENDPOINT=<url>/msi/token` and `IDENTITY_HEADER=<header>` for the first, or
`AZURE_POD_IDENTITY_AUTHORITY_HOST=<url>` for the second; azure-identity then needs no other change.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from lab.azure.model.notices import approve
from lab.azure.model.words import Mode, Priority
from lab.azure.rest.machine_views import machine_id
from lab.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.azure.arm import Arm
    from lab.azure.model.resources import Instance, ScaleSet
    from lab.azure.tokens import Principal, Tenant
    from lab.http import Request

    type Locate = Callable[[Request], tuple[ScaleSet, Instance] | None]

APP_SERVICE_VERSION = "2019-08-01"
_NO_IDENTITY = {
    "statusCode": 400,
    "message": "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.",
}


def principal_for(query: dict[str, str], principals: Sequence[Principal]) -> Principal | None:
    """Choose the identity that a token request names; without a name, the first."""
    wanted = (query.get("client_id") or query.get("object_id") or query.get("principal_id") or "").lower()
    if not wanted:
        return principals[0] if principals else None
    return next((p for p in principals if wanted in {p.client_id.lower(), p.object_id.lower()}), None)


@dataclass(frozen=True, slots=True)
class AppServiceIdentity:
    """The token endpoint beside a function app; `header` is the secret that the platform puts into `IDENTITY_HEADER`."""

    tenant: Tenant
    principals: Sequence[Principal]
    header: str

    def handle(self, request: Request) -> Response:
        """Answer `GET /msi/token?api-version=2019-08-01&resource=...`."""
        query = request.query
        if request.path.rstrip("/").lower() != "/msi/token" or request.method != "GET":
            return Response.of_json(404, {"statusCode": 404, "message": "Not found"})
        if request.headers.get("x-identity-header") != self.header:
            return Response.of_json(401, {"statusCode": 401, "message": "The X-IDENTITY-HEADER is missing or wrong."})
        if query.get("api-version") != APP_SERVICE_VERSION or not query.get("resource"):
            return Response.of_json(
                400, {"statusCode": 400, "message": "api-version 2019-08-01 and resource are needed."}
            )
        principal = principal_for(query, self.principals)
        if principal is None:
            return Response.of_json(400, _NO_IDENTITY)
        token, expires = self.tenant.issue(principal, query["resource"])
        return Response.of_json(
            200,
            {
                "access_token": token,
                "expires_on": str(int(expires.timestamp())),
                "resource": query["resource"],
                "token_type": "Bearer",
                "client_id": principal.client_id.upper(),
            },
        )


class InstanceMetadata:
    """IMDS of the instances of one cloud. `locate` says which machine asks; None gives it tokens but no metadata."""

    def __init__(self, arm: Arm, tenant: Tenant, principals: Sequence[Principal], locate: Locate) -> None:
        self._arm = arm
        self._tenant = tenant
        self._principals = principals
        self._locate = locate

    def handle(self, request: Request) -> Response:
        """Answer one request; without the header `Metadata: true` IMDS refuses everything."""
        if request.headers.get("metadata", "").lower() != "true":
            return _refused("Required metadata header not specified")
        with self._arm.lock:
            self._arm.cloud.advance()
            answers = {
                "/metadata/identity/oauth2/token": self._token,
                "/metadata/identity/info": self._tenant_info,
                "/metadata/versions": self._versions,
                "/metadata/instance": self._instance,
                "/metadata/scheduledevents": self._scheduled_events,
            }
            answer = answers.get(request.path.rstrip("/").lower())
            return answer(request) if answer else _unknown()

    def _tenant_info(self, _: Request) -> Response:
        return Response.of_json(200, {"tenantId": self._tenant.tenant_id})

    def _versions(self, _: Request) -> Response:
        return Response.of_json(200, {"apiVersions": ["2020-07-01", "2021-02-01", "2021-12-13", "2023-07-01"]})

    def _instance(self, request: Request) -> Response:
        found = self._locate(request)
        return Response.of_json(200, instance_document(*found)) if found else _unknown()

    def _scheduled_events(self, request: Request) -> Response:
        found = self._locate(request)
        if found is None:
            return _unknown()
        if request.method == "POST":
            return self._approve(request, found[1])
        return Response.of_json(200, events_document(found[1]))

    def _approve(self, request: Request, instance: Instance) -> Response:
        """Start the events that the guest names; an event that is over already is no error."""
        try:
            wanted = [str(start["EventId"]) for start in json.loads(request.body)["StartRequests"]]
        except (ValueError, KeyError, TypeError):
            return _refused("StartRequests with an EventId each was expected")
        for event_id in wanted:
            approve(self._arm.cloud, instance, event_id)
        return Response(200)

    def _token(self, request: Request) -> Response:
        query = request.query
        if not query.get("resource"):
            return _refused("Required query variable 'resource' is missing")
        principal = principal_for(query, self._principals)
        if principal is None:
            return Response.of_json(400, {"error": "invalid_request", "error_description": "Identity not found"})
        token, expires = self._tenant.issue(principal, query["resource"])
        now = int(self._arm.cloud.now.timestamp())
        return Response.of_json(
            200,
            {
                "access_token": token,
                "client_id": principal.client_id,
                "expires_in": str(int(expires.timestamp()) - now),
                "expires_on": str(int(expires.timestamp())),
                "ext_expires_in": "86399",
                "not_before": str(now),
                "resource": query["resource"],
                "token_type": "Bearer",
            },
        )


def instance_document(scale_set: ScaleSet, instance: Instance) -> dict[str, Any]:
    """Render the metadata of a machine: every scalar is a string, and there is no customData."""
    tags = {**scale_set.tags, **instance.tags}
    spot = scale_set.priority is Priority.SPOT
    image = scale_set.profile.get("storageProfile", {}).get("imageReference", {})
    owner = (
        machine_id(scale_set, instance)
        if scale_set.mode is Mode.FLEXIBLE
        else f"{scale_set.key.id}/virtualMachines/{instance.instance_id}"
    )
    return {
        "compute": {
            "azEnvironment": "AzurePublicCloud",
            "evictionPolicy": scale_set.eviction_policy.value if spot else "",
            "isHostCompatibilityLayerVm": "true",
            "licenseType": "",
            "location": scale_set.location,
            "name": instance.name,
            "offer": image.get("offer", ""),
            "osProfile": {
                "adminUsername": "operator",
                "computerName": instance.name,
                "disablePasswordAuthentication": "true",
            },
            "osType": "Linux",
            "placementGroupId": scale_set.placement_group,
            "platformFaultDomain": str(instance.fault_domain),
            "platformSubFaultDomain": "",
            "platformUpdateDomain": str(instance.number % 5),
            "publicKeys": [{"keyData": "ssh-ed25519 AAAA lab", "path": "/home/operator/.ssh/authorized_keys"}],
            "publisher": image.get("publisher", ""),
            "sku": image.get("sku", ""),
            "priority": scale_set.priority.value if spot else "",
            "provider": "Microsoft.Compute",
            "resourceGroupName": scale_set.key.group,
            "resourceId": owner,
            "subscriptionId": scale_set.key.subscription,
            "tags": ";".join(f"{name}:{value}" for name, value in sorted(tags.items())),
            "tagsList": [{"name": name, "value": value} for name, value in sorted(tags.items())],
            "userData": scale_set.profile.get("userData", ""),
            "version": "12.20260101.1",
            "virtualMachineScaleSet": {"id": scale_set.key.id},
            "vmId": instance.vm_id,
            "vmScaleSetName": scale_set.key.name,
            "vmSize": instance.sku,
            "zone": instance.zone or "",
        },
        "network": {
            "interface": [
                {
                    "ipv4": {
                        "ipAddress": [{"privateIpAddress": instance.ip, "publicIpAddress": ""}],
                        "subnet": [{"address": f"{instance.ip.rpartition('.')[0]}.0", "prefix": "24"}],
                    },
                    "ipv6": {"ipAddress": []},
                    "macAddress": instance.vm_id.replace("-", "")[:12].upper(),
                },
            ],
        },
    }


def events_document(instance: Instance) -> dict[str, Any]:
    """Render the scheduled events of a machine; an event that has happened is gone from the list."""
    events = [
        {
            "EventId": notice.event_id,
            "EventStatus": "Scheduled",
            "EventType": notice.kind.value,
            "ResourceType": "VirtualMachine",
            "Resources": [instance.name],
            "NotBefore": format_datetime(notice.not_before.astimezone(UTC), usegmt=True),
            "Description": "",
            "EventSource": "Platform",
            "DurationInSeconds": -1,
        }
        for notice in instance.notices
    ]
    return {"DocumentIncarnation": instance.incarnation, "Events": events}


def _unknown() -> Response:
    return Response.of_json(404, {"error": "Not found"})


def _refused(why: str) -> Response:
    return Response.of_json(400, {"error": "bad_request", "error_description": why})
