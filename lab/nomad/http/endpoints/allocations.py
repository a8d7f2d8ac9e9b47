"""/v1/allocations and /v1/allocation/:id. Held to tests/recordings/nomad-1.6.5/02-demand.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.http.endpoints.jobs import allowed_namespaces
from lab.nomad.http.gotext import parse_bool
from lab.nomad.http.lists import by_creation, by_id, in_order, page, uuid_of, with_prefix
from lab.nomad.model.errors import Refusal
from lab.nomad.model.store import Table
from lab.nomad.model.stubs import alloc_stub

if TYPE_CHECKING:
    from lab.nomad.http.call import Answer, Call


def allocations(call: Call) -> Answer:
    """List the allocations in the order of their creation."""
    call.only("GET")
    resources, states = call.boolean("resources"), call.boolean("task_states")
    namespace = call.namespace
    call.may(call.rights.namespace(namespace, "read-job"))
    allowed = allowed_namespaces(call, "read-job")
    records = [
        alloc
        for alloc in call.store.rows(Table.ALLOCS)
        if namespace in {"*", alloc["Namespace"]} and allowed(alloc["Namespace"])
    ]
    reverse = call.request.value("reverse") == "true"
    if call.request.value("prefix"):
        records = sorted(with_prefix(call, records, "alloc"), key=by_id, reverse=reverse)
        token_of = by_id
    else:
        records, token_of = in_order(call, records), by_creation
    stubs, token = page(
        call,
        records,
        token_of,
        lambda alloc: alloc_stub(alloc, resources=bool(resources), task_states=states is not False),
        reverse=reverse,
    )
    return call.read(stubs, Table.ALLOCS, next_token=token)


def allocation(call: Call) -> Answer:
    """Read an allocation, stop it, or list its services."""
    parts = call.rest.split("/")
    if len(parts) > 2 or (len(parts) == 2 and parts[1] not in {"stop", "services", "checks"}):
        raise Refusal(404, "resource not found")
    ident = parts[0]
    if len(parts) == 1:
        return _read(call, ident)
    if parts[1] == "stop":
        return _stop(call, ident)
    call.only("GET")
    call.may(call.rights.namespace(call.namespace, "read-job"))
    uuid_of(ident, "alloc")
    known = call.store.get(Table.ALLOCS, ident.lower())
    if known is None:
        raise Refusal(404, "allocation not found" if parts[1] == "services" else f"Unknown allocation {ident!r}")
    return call.read([] if parts[1] == "services" else {}, Table.ALLOCS)


def _read(call: Call, ident: str) -> Answer:
    call.only("GET")
    rights = call.rights
    uuid_of(ident, "alloc")
    record = call.store.get(Table.ALLOCS, ident.lower())
    if record is not None and not rights.namespace(record["Namespace"], "read-job"):
        raise Refusal(404, f'Unknown allocation "{ident}"')
    return call.one(record, "alloc not found", Table.ALLOCS)


def _stop(call: Call, ident: str) -> Answer:
    call.only("PUT", "POST")
    text = call.request.value("no_shutdown_delay")
    try:
        hurry = bool(text) and parse_bool(text)
    except ValueError as exc:
        raise Refusal(500, f"no_shutdown_delay value is not a boolean: {exc}") from exc
    if not ident:
        raise Refusal(500, "missing allocation ID")
    rights = call.rights
    uuid_of(ident, "alloc")
    record = call.store.get(Table.ALLOCS, ident.lower())
    if record is None:
        raise Refusal(404, "allocation not found")
    call.may(rights.namespace(record["Namespace"], "alloc-lifecycle"))
    result = call.cluster.stop_allocation(record["ID"], no_shutdown_delay=hurry)
    return call.written(result, result["Index"])
