"""Handlers for A records of private DNS zones. Their errors have no `error` wrapper, and ETags no quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.azure.model.documents import merged
from lab.azure.model.failures import ArmError
from lab.azure.model.network import RecordSet
from lab.azure.rest.call import Route
from lab.http import Response

if TYPE_CHECKING:
    from lab.azure.model.network import Zone
    from lab.azure.rest.call import Call

_ZONE = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/privateDnsZones/{zone}"
_ACTION = "Microsoft.Network/privateDnsZones/A"


def _zone(call: Call) -> Zone:
    key = tuple(call.params[part].lower() for part in ("subscription", "group", "zone"))
    found = call.cloud.network.zones.get((key[0], key[1], key[2]))
    if found is None:
        raise ArmError(
            404,
            "ParentResourceNotFound",
            "Failed to perform 'write' on resource(s) of type 'privateDnsZones/A', because the parent resource "
            f"'{_zone_id(call)}' could not be found.",
            headers={"x-ms-failure-cause": "gateway"},
        )
    return found


def _zone_id(call: Call) -> str:
    subscription, group, zone = (call.params[part] for part in ("subscription", "group", "zone"))
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/privateDnsZones/{zone}"


def _view(call: Call, zone: Zone, record: RecordSet) -> dict[str, Any]:
    return {
        "id": f"{_zone_id(call)}/A/{record.name}",
        "name": record.name,
        "type": "Microsoft.Network/privateDnsZones/A",
        "etag": record.etag,
        "properties": {
            "fqdn": f"{record.name}.{zone.name}.",
            "ttl": 3600,
            "aRecords": [],
            "isAutoRegistered": False,
            **record.properties,
        },
    }


def _answer(status: int, call: Call, zone: Zone, record: RecordSet) -> Response:
    return Response.of_json(status, _view(call, zone, record), {"ETag": record.etag})


def _get(call: Call) -> Response:
    zone = _zone(call)
    record = zone.records.get(("A", call.params["record"].lower()))
    if record is None:
        raise ArmError(
            404,
            "NotFound",
            f"The resource record '{call.params['record']}' does not exist in resource group '{call.params['group']}' of "
            f"subscription '{call.params['subscription']}'.",
            wrapped=False,
        )
    return _answer(200, call, zone, record)


def _write(call: Call) -> Response:
    zone, body = _zone(call), call.document()
    name = call.params["record"]
    existing = zone.records.get(("A", name.lower()))
    _check(call, name, existing, body.get("etag"))
    properties = body.get("properties") or {}
    if call.request.method == "PATCH" and existing:
        properties = merged(existing.properties, properties)
    record = RecordSet(name, properties, zone.next_etag())
    zone.records["A", name.lower()] = record
    return _answer(200 if existing else 201, call, zone, record)


def _delete(call: Call) -> Response:
    zone, name = _zone(call), call.params["record"]
    existing = zone.records.get(("A", name.lower()))
    if existing is None:
        return Response(204)
    _check(call, name, existing, None)
    del zone.records["A", name.lower()]
    return Response(200)


def _check(call: Call, name: str, existing: RecordSet | None, etag_in_body: str | None) -> None:
    wanted = call.request.headers.get("if-match") or etag_in_body
    if wanted not in {None, "", "*"} and (existing is None or str(wanted).strip('"') != existing.etag):
        raise ArmError(
            412, "PreconditionFailed", f"The Record set {name} has been modified (etag mismatch).", wrapped=False
        )
    if call.request.headers.get("if-none-match") == "*" and existing:
        raise ArmError(
            412,
            "PreconditionFailed",
            f"The Record set {name} exists already and hence cannot be created again.",
            wrapped=False,
        )


def _list(call: Call) -> Response:
    zone = _zone(call)
    return call.page(list(zone.records.values()), lambda record: _view(call, zone, record))


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{_ZONE}/A/{{record}}", f"{_ACTION}/read", _get),
    Route("PUT", f"{_ZONE}/A/{{record}}", f"{_ACTION}/write", _write),
    Route("PATCH", f"{_ZONE}/A/{{record}}", f"{_ACTION}/write", _write),
    Route("DELETE", f"{_ZONE}/A/{{record}}", f"{_ACTION}/delete", _delete),
    Route("GET", f"{_ZONE}/A", f"{_ACTION}/read", _list),
    Route("GET", f"{_ZONE}/ALL", "Microsoft.Network/privateDnsZones/ALL/read", _list),
)
