"""/v1/node/pools and /v1/node/pool/:name. Held to tests/recordings/nomad-1.6.5/01-nodes.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.http.decode import MapOf, Struct
from lab.nomad.http.endpoints.jobs import listing
from lab.nomad.http.endpoints.nodes import node_fields
from lab.nomad.http.lists import by_id, page
from lab.nomad.model.errors import Refusal
from lab.nomad.model.store import Table
from lab.nomad.model.stubs import node_stub

if TYPE_CHECKING:
    from lab.nomad.http.call import Answer, Call
    from lab.nomad.model.store import Record

_POOL = Struct(
    "structs.NodePool",
    {
        "Name": "string",
        "Description": "string",
        "Meta": MapOf("string"),
        "SchedulerConfiguration": Struct(
            "NodePoolSchedulerConfiguration",
            {"SchedulerAlgorithm": "string", "MemoryOversubscriptionEnabled": "bool"},
        ),
    },
)


def pools(call: Call) -> Answer:
    """List the node pools that the caller may read, or write one."""
    call.only("GET", "PUT", "POST")
    if call.request.method != "GET":
        return _write(call, "")
    rights, prefix = call.rights, call.request.value("prefix")
    records = [
        pool
        for pool in call.store.rows(Table.NODE_POOLS)
        if pool["Name"].startswith(prefix) and rights.pool(pool["Name"], "read")
    ]
    shown, token = page(call, records, _by_name)
    return call.read(shown, Table.NODE_POOLS, index=max(1, call.store.table_index(Table.NODE_POOLS)), next_token=token)


def _by_name(record: Record) -> str:
    return record["Name"]


def pool(call: Call) -> Answer:
    """Read, write or delete a pool, or list its nodes or jobs."""
    name = call.rest
    if name.endswith("/nodes"):
        return _nodes(call, name.removesuffix("/nodes"))
    if name.endswith("/jobs"):
        return _jobs(call, name.removesuffix("/jobs"))
    call.only("GET", "PUT", "POST", "DELETE")
    if call.request.method == "GET":
        call.may(call.rights.pool(name, "read"))
        return call.one(call.store.get(Table.NODE_POOLS, name), "node pool not found", Table.NODE_POOLS)
    if call.request.method == "DELETE":
        call.may(call.rights.pool(name, "delete"))
        if not name:
            raise Refusal(400, "node pool name is empty")
        return call.written(index=call.cluster.delete_node_pool(name))
    return _write(call, name)


def _write(call: Call, name: str) -> Answer:
    body: dict[str, Any] = call.body(_POOL) or {}
    given = body.get("Name") or ""
    if name and given != name:
        raise Refusal(400, "Node pool name does not match request path")
    call.may(call.rights.pool(given, "write"))
    return call.written(index=call.cluster.upsert_node_pool(body))


def _nodes(call: Call, name: str) -> Answer:
    call.only("GET")
    resources, names = node_fields(call)
    if call.request.value("prefix"):
        raise Refusal(400, "prefix argument not allowed")
    rights = call.rights
    call.may(rights.read("node") and rights.pool(name, "read"))
    records = [node for node in call.store.rows(Table.NODES) if name in {"all", node["NodePool"]}]
    stubs, token = page(call, records, by_id, lambda node: node_stub(node, resources=resources, os=names))
    return call.read(stubs, Table.NODES, next_token=token)


def _jobs(call: Call, name: str) -> Answer:
    call.only("GET")
    if call.request.value("prefix"):
        raise Refusal(400, "prefix argument not allowed")
    call.may(call.rights.pool(name, "read"))
    return listing(call, name)
