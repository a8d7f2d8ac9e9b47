"""/v1/evaluations and /v1/evaluation/:id. Held to tests/recordings/nomad-1.6.5/02-demand.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.http.endpoints.jobs import allowed_namespaces
from lab.nomad.http.lists import by_creation, by_id, in_order, page, uuid_of, with_prefix
from lab.nomad.model.errors import Refusal
from lab.nomad.model.store import Table
from lab.nomad.model.stubs import alloc_stub, eval_stub

if TYPE_CHECKING:
    from lab.nomad.http.call import Answer, Call
    from lab.nomad.model.store import Record


def evaluations(call: Call) -> Answer:
    """List the evaluations in the order of their creation."""
    call.only("GET", "DELETE")
    if call.request.method == "DELETE":
        return _delete(call)
    records = _listed(call)
    prefix, reverse = call.request.value("prefix"), call.request.value("reverse") == "true"
    token_of = by_id if prefix else by_creation
    evals, token = page(call, records, token_of, reverse=reverse)
    return call.read(evals, Table.EVALS, next_token=token)


def _listed(call: Call) -> list[Record]:
    value = call.request.value
    status, job = value("status"), value("job")
    records = [r for r in _readable(call, job) if status in {"", r["Status"]} and job in {"", r["JobID"]}]
    if value("filter") and (status or job):
        raise Refusal(400, "Filter expression cannot be used with other filter parameters")
    if value("prefix"):
        kept = with_prefix(call, records, "eval")
        return sorted(kept, key=by_id, reverse=value("reverse") == "true")
    return in_order(call, records)


def _readable(call: Call, job: str = "") -> list[Record]:
    namespace = call.namespace
    call.may(call.rights.namespace(namespace, "read-job"))
    allowed = allowed_namespaces(call, "read-job")
    of_job = call.store.by(Table.EVALS, "job", (namespace, job)) if job and namespace != "*" else None
    records = call.store.rows(Table.EVALS) if of_job is None else of_job
    return [r for r in records if namespace in {"*", r["Namespace"]} and allowed(r["Namespace"])]


def count(call: Call) -> Answer:
    """Count the evaluations that a filter lets through; other parameters do not count."""
    call.only("GET")
    evals, _ = page(call, _readable(call), by_creation)
    index = call.store.table_index(Table.EVALS)
    body = {"Count": len(evals), "Index": index, "KnownLeader": True, "LastContact": 0, "NextToken": ""}
    return call.read(body, Table.EVALS)


def _delete(call: Call) -> Answer:
    body: dict[str, Any] = call.body() or {}
    idents, wanted = body.get("EvalIDs") or [], body.get("Filter") or ""
    if wanted and idents:
        raise Refusal(400, "evals cannot be deleted by both ID and filter")
    if not wanted and not idents:
        raise Refusal(400, "evals must be deleted by either ID or filter")
    call.may(call.rights.management)
    raise Refusal(500, "eval broker is enabled; eval broker must be paused to delete evals")


def evaluation(call: Call) -> Answer:
    """Read an evaluation, with related ones if asked, or list its allocations."""
    call.only("GET")
    if call.rest.endswith("/allocations"):
        return _allocations(call, call.rest.removesuffix("/allocations"))
    record = _known(call, call.rest, "failed to lookup eval: eval")
    if record is not None and call.request.value("related") == "true":
        related = [eval_stub(other) for other in _related(call, record)]
        return call.one(record, "", Table.EVALS, body={**record, **({"RelatedEvals": related} if related else {})})
    return call.one(record, "eval not found", Table.EVALS)


def _known(call: Call, ident: str, what: str) -> Record | None:
    rights = call.rights
    call.may(rights.namespace(call.namespace, "read-job"))
    uuid_of(ident, what)
    record = call.store.get(Table.EVALS, ident.lower())
    if record is not None:
        call.may(rights.namespace(record["Namespace"], "read-job"))
    return record


def _related(call: Call, record: Record) -> list[Record]:
    # Next, previous and blocked evaluations, over any number of links.
    found: dict[str, Record] = {}
    open_ends = [record]
    everything = call.store.by(Table.EVALS, "job", (record["Namespace"], record["JobID"]))
    while open_ends:
        current = open_ends.pop()
        for other in everything:
            if other["ID"] not in found and other["ID"] != record["ID"] and _linked(current, other):
                found[other["ID"]] = other
                open_ends.append(other)
    return sorted(found.values(), key=by_creation)


def _linked(one: Record, other: Record) -> bool:
    names = ("NextEval", "PreviousEval", "BlockedEval")
    return any(one.get(name) == other["ID"] or other.get(name) == one["ID"] for name in names)


def _allocations(call: Call, ident: str) -> Answer:
    call.may(call.rights.namespace(call.namespace, "read-job"))
    if len(ident) != 36:
        raise Refusal(500, "index error: UUID must be 36 characters")
    allocs = sorted(call.store.by(Table.ALLOCS, "eval", ident), key=by_id)
    return call.read([alloc_stub(alloc) for alloc in allocs], Table.ALLOCS)
