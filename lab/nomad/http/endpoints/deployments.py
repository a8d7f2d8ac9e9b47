"""/v1/deployments and /v1/deployment/:id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.http.decode import ListOf, Struct
from lab.nomad.http.endpoints.jobs import allowed_namespaces
from lab.nomad.http.lists import by_creation, by_id, in_order, page, uuid_of, with_prefix
from lab.nomad.model.errors import Refusal
from lab.nomad.model.store import Table
from lab.nomad.model.stubs import alloc_stub

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.http.call import Answer, Call
    from lab.nomad.model.store import Record


def deployments(call: Call) -> Answer:
    """List the deployments in the order of their creation."""
    call.only("GET")
    namespace = call.namespace
    call.may(call.rights.namespace(namespace, "read-job"))
    allowed = allowed_namespaces(call, "read-job")
    records = [
        record
        for record in call.store.rows(Table.DEPLOYMENTS)
        if namespace in {"*", record["Namespace"]} and allowed(record["Namespace"])
    ]
    reverse, token_of = call.request.value("reverse") == "true", by_creation
    if call.request.value("prefix"):
        records, token_of = sorted(with_prefix(call, records, "deployment"), key=by_id, reverse=reverse), by_id
    else:
        records = in_order(call, records)
    shown, token = page(call, records, token_of, reverse=reverse)
    return call.read(shown, Table.DEPLOYMENTS, next_token=token)


def deployment(call: Call) -> Answer:
    """Read a deployment, or do one of the things whose name stands before its ID in the path."""
    for prefix, handler in _ACTIONS.items():
        if call.rest.startswith(prefix):
            return handler(call, call.rest.removeprefix(prefix))
    call.only("GET")
    if not call.rest:
        raise Refusal(500, "missing deployment ID")
    return call.one(_known(call, call.rest, "read-job"), "deployment not found", Table.DEPLOYMENTS)


def _known(call: Call, ident: str, capability: str) -> Record | None:
    rights = call.rights
    call.may(rights.namespace(call.namespace, capability))
    uuid_of(ident, "deployment")
    record = call.store.get(Table.DEPLOYMENTS, ident.lower())
    if record is not None and not rights.namespace(record["Namespace"], capability):
        return None
    return record


def _allocations(call: Call, ident: str) -> Answer:
    call.only("GET")
    record = _known(call, ident, "read-job")
    if record is None:
        return call.read([], Table.ALLOCS)
    owned = call.store.by(Table.ALLOCS, "job", (record["Namespace"], record["JobID"]))
    allocs = sorted((alloc for alloc in owned if alloc.get("DeploymentID") == record["ID"]), key=by_id)
    return call.read([alloc_stub(alloc) for alloc in allocs], Table.ALLOCS)


_PAUSE = Struct("structs.DeploymentPauseRequest", {"DeploymentID": "string", "Pause": "bool"})
_PROMOTE = Struct(
    "structs.DeploymentPromoteRequest", {"DeploymentID": "string", "All": "bool", "Groups": ListOf("string")}
)
_HEALTH = Struct(
    "structs.DeploymentAllocHealthRequest",
    {
        "DeploymentID": "string",
        "HealthyAllocationIDs": ListOf("string"),
        "UnhealthyAllocationIDs": ListOf("string"),
    },
)
_UNBLOCK = Struct("structs.DeploymentUnblockRequest", {"DeploymentID": "string"})


def _target(call: Call, ident: str, kind: Struct | None) -> dict[str, Any]:
    call.only("PUT", "POST")
    body: dict[str, Any] = {}
    if kind is not None:
        body = call.body(kind) or {}
        if not body.get("DeploymentID"):
            raise Refusal(400, "DeploymentID must be specified")
        if body["DeploymentID"] != ident:
            raise Refusal(400, "Deployment ID does not match")
    rights = call.rights
    uuid_of(ident, "deployment")
    record = call.store.get(Table.DEPLOYMENTS, ident.lower())
    if record is None:
        raise Refusal(500, "deployment not found")
    call.may(rights.namespace(record["Namespace"], "submit-job"))
    return body


def _fail(call: Call, ident: str) -> Answer:
    _target(call, ident, None)
    result = call.cluster.fail_deployment(ident)
    return call.written(result, result["Index"])


def _pause(call: Call, ident: str) -> Answer:
    body = _target(call, ident, _PAUSE)
    result = call.cluster.pause_deployment(ident, pause=bool(body.get("Pause")))
    return call.written(result, result["Index"])


def _promote(call: Call, ident: str) -> Answer:
    body = _target(call, ident, _PROMOTE)
    groups = None if body.get("All") else body.get("Groups") or []
    result = call.cluster.promote_deployment(ident, groups=groups)
    return call.written(result, result["Index"])


def _unblock(call: Call, ident: str) -> Answer:
    _target(call, ident, _UNBLOCK)
    raise Refusal(500, "can't unblock a deployment that is not blocked")


def _health(call: Call, ident: str) -> Answer:
    body = _target(call, ident, _HEALTH)
    result = call.cluster.set_health(
        ident, well=body.get("HealthyAllocationIDs") or [], unwell=body.get("UnhealthyAllocationIDs") or []
    )
    return call.written(result, result["Index"])


_ACTIONS: dict[str, Callable[[Call, str], Answer]] = {
    "allocations/": _allocations,
    "fail/": _fail,
    "pause/": _pause,
    "promote/": _promote,
    "allocation-health/": _health,
    "unblock/": _unblock,
}
