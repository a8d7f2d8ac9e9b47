"""/v1/nodes and /v1/node/:id. Held to tests/recordings/nomad-1.6.5 (01-nodes.json, 04-drain.json, 05-node-lifecycle.json)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.http.decode import MapOf, Struct
from lab.nomad.http.gotext import parse_bool
from lab.nomad.http.lists import by_id, page, uuid_of, with_prefix
from lab.nomad.model.errors import Refusal
from lab.nomad.model.store import Table
from lab.nomad.model.stubs import node_stub

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.http.call import Answer, Call
    from lab.nomad.model.store import Record

_DRAIN = Struct(
    "NodeUpdateDrainRequest",
    {
        "NodeID": "string",
        "DrainSpec": Struct("DrainSpec", {"Deadline": "time.Duration", "IgnoreSystemJobs": "bool"}),
        "MarkEligible": "bool",
        "Meta": MapOf("string"),
    },
)
_ELIGIBILITY = Struct("structs.NodeUpdateEligibilityRequest", {"NodeID": "string", "Eligibility": "string"})


def nodes(call: Call) -> Answer:
    """List the nodes by ID."""
    call.only("GET")
    resources, names = node_fields(call)
    call.may(call.rights.read("node"))
    records = with_prefix(call, call.store.rows(Table.NODES), "node")
    # What the API calls Drain is made when a node is shown: filters do not know it.
    plain = [{name: value for name, value in node.items() if name != "Drain"} for node in records]
    stubs, token = page(call, plain, by_id, lambda node: node_stub(_drained(node), resources=resources, os=names))
    return call.read(stubs, Table.NODES, next_token=token)


def _drained(node: Record) -> Record:
    return {**node, "Drain": node["DrainStrategy"] is not None}


def node_fields(call: Call) -> tuple[bool, bool]:
    """Answer whether stubs are asked for with `resources` and with `os`."""
    values: list[bool] = []
    for name in ("resources", "os"):
        text = call.request.value(name)
        try:
            values.append(bool(text) and parse_bool(text))
        except ValueError as exc:
            raise Refusal(
                400,
                f'Failed to parse node list fields: Failed to parse value of "{name}" ({text}) as a bool: {exc}',
            ) from exc
    return values[0], values[1]


def node(call: Call) -> Answer:
    """Read a node, or do one of the things that may follow its ID in the path."""
    for suffix, handler in _ACTIONS.items():
        if call.rest.endswith(suffix):
            return handler(call, call.rest.removesuffix(suffix))
    return _read(call, call.rest)


def _known(call: Call, ident: str) -> Record | None:
    uuid_of(ident, "node")
    return call.store.get(Table.NODES, ident.lower())


def _read(call: Call, ident: str) -> Answer:
    call.only("GET")
    call.may(call.rights.read("node"))
    if not ident:
        raise Refusal(500, "missing node ID")
    record = _known(call, ident)
    return call.one(record, "node not found", Table.NODES, body=record and {**record, "SecretID": ""})


def _allocations(call: Call, ident: str) -> Answer:
    call.only("GET")
    rights = call.rights
    call.may(rights.read("node"))
    if not ident:
        raise Refusal(500, "missing node ID")
    allocs = call.store.by(Table.ALLOCS, "node", ident)
    shown = [alloc for alloc in allocs if rights.namespace(alloc["Namespace"], "read-job")]
    index = max((alloc["ModifyIndex"] for alloc in allocs), default=max(1, call.store.table_index(Table.ALLOCS)))
    return call.read(sorted(shown, key=by_id), Table.ALLOCS, index=index)


def _write(call: Call, ident: str, purpose: str) -> None:
    call.may(call.rights.write("node"))
    if not ident:
        raise Refusal(500, f"missing node ID for {purpose}")
    if _known(call, ident) is None:
        raise Refusal(500, "node not found")


def _drain(call: Call, ident: str) -> Answer:
    call.only("PUT", "POST")
    body: dict[str, Any] = call.body(_DRAIN) or {}
    _write(call, ident, "drain update")
    result = call.cluster.drain_node(
        ident,
        body.get("DrainSpec"),
        mark_eligible=bool(body.get("MarkEligible")),
        meta=body.get("Meta"),
        accessor=call.accessor,
    )
    return call.written(result, result["Index"])


def _eligibility(call: Call, ident: str) -> Answer:
    call.only("PUT", "POST")
    body: dict[str, Any] = call.body(_ELIGIBILITY) or {}
    # A NodeID in the body wins over the path, as recorded.
    ident = body.get("NodeID") or ident
    call.may(call.rights.write("node"))
    wanted = body.get("Eligibility") or ""
    if wanted not in {"eligible", "ineligible"}:
        raise Refusal(500, f'invalid scheduling eligibility "{wanted}"')
    _write(call, ident, "setting scheduling eligibility")
    result = call.cluster.set_eligibility(ident, wanted)
    return call.written(result, result["Index"])


def _purge(call: Call, ident: str) -> Answer:
    call.only("PUT", "POST")
    _write(call, ident, "client deregistration")
    result = call.cluster.purge_node(ident)
    return call.written(_node_update(result), result["Index"])


def _evaluate(call: Call, ident: str) -> Answer:
    call.only("PUT", "POST")
    _write(call, ident, "evaluation")
    result = call.cluster.evaluate_node(ident)
    return call.written(_node_update(result) | _server_info(call, ident), result["Index"])


def _node_update(result: dict[str, Any]) -> dict[str, Any]:
    # One answer serves clients' heartbeats too; what only they need is empty here.
    unused = {
        "Features": 0,
        "HeartbeatTTL": 0,
        "LeaderRPCAddr": "",
        "NumNodes": 0,
        "SchedulingEligibility": "",
        "Servers": None,
        "NodeModifyIndex": 0,
    }
    return unused | QUERY_META | result


QUERY_META = {"KnownLeader": False, "LastContact": 0, "NextToken": ""}


def _server_info(call: Call, ident: str) -> dict[str, Any]:
    leader = call.region.servers.leader
    servers = [
        {
            "Datacenter": call.region.datacenter,
            "RPCAdvertiseAddr": member.rpc,
            "RPCMajorVersion": 0,
            "RPCMinorVersion": 0,
        }
        for member in call.region.servers.peers()
    ]
    return {
        "LeaderRPCAddr": leader.rpc if leader else "",
        "NumNodes": call.store.count(Table.NODES),
        "SchedulingEligibility": (_known(call, ident) or {}).get("SchedulingEligibility", ""),
        "Servers": servers,
    }


_ACTIONS: dict[str, Callable[[Call, str], Answer]] = {
    "/evaluate": _evaluate,
    "/allocations": _allocations,
    "/drain": _drain,
    "/eligibility": _eligibility,
    "/purge": _purge,
}
