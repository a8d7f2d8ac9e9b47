"""/v1/agent: what an agent says of itself and of its peers. Held to tests/recordings/nomad-1.6.5/08-agent.json."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.nomad.http.call import Answer
from lab.nomad.http.decode import Struct
from lab.nomad.http.gotext import parse_bool
from lab.nomad.http.message import TEXT_TYPE
from lab.nomad.model.errors import Refusal
from lab.nomad.model.store import Table
from lab.nomad.servers import NoLeader, ServerFace

if TYPE_CHECKING:
    from lab.nomad.http.call import Call
    from lab.nomad.servers import ClientFace, Server

_KEY = Struct("KeyringRequest", {"Key": "string"})
_VERSIONS = {"ProtocolMin": 1, "ProtocolMax": 5, "ProtocolCur": 2, "DelegateMin": 2, "DelegateMax": 5, "DelegateCur": 4}


@cache
def _template() -> str:
    return (Path(__file__).parent / "agent.json").read_text(encoding="utf-8")


def _member(call: Call, server: Server) -> dict[str, Any]:
    tags = {
        "role": "nomad",
        "region": call.region.name,
        "dc": call.region.datacenter,
        "build": "1.6.5",
        "vsn": "1",
        "raft_vsn": "3",
        "rpc_addr": server.address,
        "port": str(server.rpc_port),
        "id": server.ident,
        "revision": "",
        "expect": str(call.region.servers.expected),
    }
    if call.region.servers.expected == 1:
        tags["bootstrap"] = "1"
    name = f"{server.name}.{call.region.name}"
    return {
        "Name": name,
        "Addr": server.address,
        "Port": server.serf_port,
        "Status": server.serf.value,
        "Tags": tags,
        **_VERSIONS,
    }


def members(call: Call) -> Answer:
    """List what gossip knows of; asked at a client, a server answers."""
    call.only("GET")
    call.may(call.rights.read("node"))
    servers = call.region.servers
    asked = call.face.server if isinstance(call.face, ServerFace) else servers.leader or servers.members[0]
    shown = [_member(call, server) for server in servers.members]
    names = {
        "ServerName": asked.name,
        "ServerRegion": call.region.name,
        "ServerDC": call.region.datacenter,
    }
    return Answer({**names, "Members": shown})


def self_(call: Call) -> Answer:
    """Describe this agent: its configuration, its member entry and its statistics."""
    call.only("GET")
    call.may(call.rights.read("agent"))
    template = json.loads(_template())
    config = template["config"]
    if isinstance(call.face, ServerFace):
        return Answer(_server_self(call, call.face.server, config, template["stats"]))
    return Answer(_client_self(call, call.face, config, template))


def _server_self(call: Call, server: Server, config: dict[str, Any], stats: dict[str, Any]) -> dict[str, Any]:
    _addresses(config, server.address, server.http_port, server.rpc_port, server.serf_port)
    config["NodeName"], config["Datacenter"], config["Region"] = server.name, call.region.datacenter, call.region.name
    config["Server"]["BootstrapExpect"] = call.region.servers.expected
    config["ACL"]["Enabled"] = call.region.acl.enabled
    leader = call.region.servers.leader
    stats["nomad"] |= {
        "server": "true",
        "leader": "true" if server is leader else "false",
        "leader_addr": leader.rpc if leader else "",
        "bootstrap": "false",
        "known_regions": "1",
    }
    stats["raft"] |= {
        "state": "Leader" if server is leader else "Follower",
        "applied_index": str(call.store.index),
        "commit_index": str(call.store.index),
        "last_log_index": str(call.store.index),
        "fsm_pending": "0",
    }
    return {"config": config, "member": _member(call, server), "stats": stats}


def _addresses(config: dict[str, Any], address: str, http: int, rpc: int, serf: int) -> None:
    ports = {"HTTP": http, "RPC": rpc, "Serf": serf}
    config["Addresses"] = dict.fromkeys(ports, address)
    config["AdvertiseAddrs"] = {name: f"{address}:{port}" for name, port in ports.items()}
    config["Ports"], config["BindAddr"] = ports, address


def _client_self(call: Call, face: ClientFace, config: dict[str, Any], template: dict[str, Any]) -> dict[str, Any]:
    node = call.store.get(Table.NODES, face.node_id()) or {}
    _addresses(config, face.address, 4646, 4647, 4648)
    config["NodeName"], config["Server"]["Enabled"] = face.node_name, False
    config["Client"] = template["client"] | {
        "Enabled": True,
        "NodeClass": node.get("NodeClass", ""),
        "NodePool": node.get("NodePool", "default"),
        "Meta": node.get("Meta") or {},
        "Servers": [server.address for server in call.region.servers.members],
    }
    nothing = dict.fromkeys(_VERSIONS, 0)
    allocs = call.store.by(Table.ALLOCS, "node", face.node_id())
    client = {
        "node_id": face.node_id(),
        "known_servers": ",".join(server.rpc for server in call.region.servers.members),
        "num_allocations": str(len(allocs)),
        "last_heartbeat": "316.639µs",
        "heartbeat_ttl": "5.070550514s",
    }
    member = {"Name": "", "Addr": None, "Port": 0, "Status": "none", "Tags": None, **nothing}
    return {"config": config, "member": member, "stats": {"client": client, "runtime": template["stats"]["runtime"]}}


def health(call: Call) -> Answer:
    """Tell whether the agent is well: a server that knows a leader, a client that knows servers. Needs no token."""
    call.only("GET")
    wanted = call.request.query.get("type")
    body: dict[str, Any] = {}
    for kind in ("client", "server"):
        if wanted is not None and kind in wanted:
            body[kind] = {"ok": False, "message": f"{kind} not enabled"}
    mine = "server" if isinstance(call.face, ServerFace) else "client"
    if wanted is None or mine in wanted:
        body[mine] = _server_health(call) if mine == "server" else {"ok": True, "message": "ok"}
    if all(entry["ok"] for entry in body.values()):
        return Answer(body)
    answer = Answer(body, 500, content_type=TEXT_TYPE)
    answer.needs_leader = body.get("server", {}).get("message") == "No cluster leader"
    return answer


def _server_health(call: Call) -> dict[str, Any]:
    try:
        call.region.servers.check()
    except (NoLeader, Refusal) as refusal:
        return {"ok": False, "message": refusal.text}
    return {"ok": True, "message": "ok"}


def servers(call: Call) -> Answer:
    """List the servers that a client knows; a server has no such list."""
    call.only("GET", "PUT", "POST")
    if isinstance(call.face, ServerFace):
        raise Refusal(501, "Invalid method")
    if call.request.method == "GET":
        call.may(call.rights.read("agent"))
        return Answer([server.rpc for server in call.region.servers.members])
    call.may(call.rights.write("agent"))
    if not call.request.value("address"):
        raise Refusal(400, "missing server address")
    return Answer()


def _server_only(call: Call, *methods: str) -> None:
    call.only(*methods)
    if not isinstance(call.face, ServerFace):
        raise Refusal(501, "Invalid method")


def join(call: Call) -> Answer:
    """Try to join other servers: here all addresses but those of known servers refuse the connection."""
    _server_only(call, "PUT", "POST")
    addresses = call.request.query.get("address")
    if not addresses:
        raise Refusal(400, "missing address to join")
    known = {server.address for server in call.region.servers.members}
    strange = [address for address in addresses if address.split(":")[0] not in known]
    joined, count = len(addresses) - len(strange), len(strange)
    if not strange:
        return Answer({"num_joined": joined, "error": ""})
    lines = [f"* Failed to join {address}: dial tcp {address}: connect: connection refused" for address in strange]
    text = f"{count} error{'s' if count > 1 else ''} occurred:\n\t" + "\n\t".join(lines) + "\n\n"
    return Answer({"num_joined": joined, "error": text})


def force_leave(call: Call) -> Answer:
    """Take a failed server out of the gossip list; a name that is unknown is no error."""
    _server_only(call, "PUT", "POST")
    call.may(call.rights.write("agent"))
    name, prune = call.request.value("node"), call.request.value("prune")
    if not name:
        raise Refusal(400, "missing node to force leave")
    try:
        _ = bool(prune) and parse_bool(prune)
    except ValueError as exc:
        raise Refusal(400, "invalid prune value") from exc
    call.region.servers.force_leave(name)
    return Answer()


def gossip(call: Call) -> Answer:
    """List or change the gossip keys."""
    if not isinstance(call.face, ServerFace):
        raise Refusal(501, "Invalid method")
    operation = call.rest
    call.may(call.rights.write("agent"))
    ring, alive = call.region.gossip, sum(server.alive for server in call.region.servers.members)
    if operation == "list":
        call.only("GET")
        return Answer({"Messages": {}, "Keys": dict.fromkeys(ring.keys, alive), "NumNodes": alive})
    if operation not in {"install", "use", "remove"}:
        raise Refusal(404, "resource not found")
    call.only("PUT", "POST", "DELETE")
    key = (call.body(_KEY) or {}).get("Key") or ""
    ring.change(operation, key, alive)
    return Answer({"Messages": {}, "Keys": {}, "NumNodes": alive})


def host(call: Call) -> Answer:
    """Describe the host: nothing true can be said of a stand-in's, but the shape is there."""
    call.only("GET")
    call.may(call.rights.read("agent"))
    names = ("OS", "Network", "ResolvConf", "Hosts", "Environment", "Disk")
    return Answer(dict.fromkeys(names, ""))
