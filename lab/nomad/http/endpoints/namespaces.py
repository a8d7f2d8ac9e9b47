"""/v1/namespaces and /v1/namespace/:name, as the Community Edition has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lab.nomad.acl.book import digest
from lab.nomad.http.decode import ListOf, MapOf, Struct
from lab.nomad.http.gotext import quote
from lab.nomad.model.errors import Refusal, multierror
from lab.nomad.model.store import Table

if TYPE_CHECKING:
    from lab.nomad.http.call import Answer, Call
    from lab.nomad.model.store import Record

_NAMESPACE = Struct(
    "structs.Namespace",
    {
        "Name": "string",
        "Description": "string",
        "Quota": "string",
        "Meta": MapOf("string"),
        "Capabilities": Struct(
            "NamespaceCapabilities",
            {"EnabledTaskDrivers": ListOf("string"), "DisabledTaskDrivers": ListOf("string")},
        ),
        "NodePoolConfiguration": "any",
    },
)


def namespaces(call: Call) -> Answer:
    """List the namespaces in which the caller may do anything at all."""
    call.only("GET")
    rights, prefix = call.rights, call.request.value("prefix")
    records = [
        record
        for record in call.store.rows(Table.NAMESPACES)
        if record["Name"].startswith(prefix) and rights.any_in_namespace(record["Name"])
    ]
    return call.read([_shown(record) for record in records], Table.NAMESPACES)  # this list has no pages and no filter


def _shown(record: Record) -> dict[str, Any]:
    return {"Hash": digest(record["Name"], record["Description"]), **record}


def create(call: Call) -> Answer:
    """Write the namespace that the body names."""
    call.only("PUT", "POST")
    return _write(call, "")


def namespace(call: Call) -> Answer:
    """Read, write or delete a namespace."""
    name = call.rest
    if not name:
        raise Refusal(400, "Missing Namespace Name")
    call.only("GET", "PUT", "POST", "DELETE")
    if call.request.method == "GET":
        call.may(call.rights.any_in_namespace(name))
        known = call.store.get(Table.NAMESPACES, name)
        return call.one(known, "Namespace not found", Table.NAMESPACES, body=known and _shown(known))
    if call.request.method == "DELETE":
        return _delete(call, name)
    return _write(call, name)


def _write(call: Call, name: str) -> Answer:
    body: dict[str, Any] = call.body(_NAMESPACE) or {}
    given, description = body.get("Name") or "", body.get("Description") or ""
    if name and given != name:
        raise Refusal(400, "Namespace name does not match request path")
    call.may(call.rights.management)
    problems: list[str] = []
    if not re.fullmatch(r"[a-zA-Z0-9-]{1,128}", given):
        problems.append(f"invalid name {quote(given)}. Must match regex ^[a-zA-Z0-9-]{{1,128}}$")
    if len(description) > 256:
        problems.append("description longer than 256")
    if body.get("NodePoolConfiguration"):
        problems.append("invalid node pool configuration: Node Pools Governance is unlicensed.")
    if problems:
        raise Refusal(500, f"Invalid namespace {quote(given)}: {multierror(problems)}")
    record = {
        "Name": given,
        "Description": description,
        "Quota": body.get("Quota") or "",
        "Meta": body.get("Meta"),
        "Capabilities": _capabilities(body.get("Capabilities")),
        "NodePoolConfiguration": None,
        "Hash": digest(given, description, *(f"{k}{v}" for k, v in sorted((body.get("Meta") or {}).items()))),
    }
    call.store.put(Table.NAMESPACES, given, record)
    return call.written()


def _capabilities(given: Record | None) -> Record | None:
    return given and {name: given.get(name) for name in ("DisabledTaskDrivers", "EnabledTaskDrivers")}


def _delete(call: Call, name: str) -> Answer:
    call.may(call.rights.management)
    if name == "default":
        raise Refusal(500, "can not delete default namespace")
    live = [j for j in call.store.rows(Table.JOBS) if j["Namespace"] == name and j["Status"] != "dead"]
    if live:
        text = f'namespace "{name}" has non-terminal jobs in regions: [{call.region.name}]'
        raise Refusal(500, multierror([text]))
    call.store.delete(Table.NAMESPACES, name)  # one that is not there is no error
    return call.written()
