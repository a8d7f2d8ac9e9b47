"""/v1/operator: Raft, autopilot, root keyring, scheduler configuration. Held to tests/recordings/nomad-1.6.5/08-agent.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.http.call import Answer
from lab.nomad.http.decode import Struct, duration
from lab.nomad.http.gotext import parse_uint, quote, rfc3339
from lab.nomad.http.message import TEXT_TYPE
from lab.nomad.keyrings import ROOT_KEYS
from lab.nomad.model.errors import Refusal
from lab.nomad.model.store import Table
from lab.nomad.model.times import go_duration
from lab.nomad.operators import AUTOPILOT, autopilot_default

if TYPE_CHECKING:
    from lab.nomad.http.call import Call
    from lab.nomad.model.store import Record
    from lab.nomad.servers import Server

_AUTOPILOT = Struct(
    "struct { LastContactThreshold string; ServerStabilizationTime string; *api.Alias }",
    {
        "CleanupDeadServers": "bool",
        "LastContactThreshold": "any",
        "MaxTrailingLogs": "uint64",
        "MinQuorum": "uint64",
        "ServerStabilizationTime": "any",
        "EnableRedundancyZones": "bool",
        "DisableUpgradeMigration": "bool",
        "EnableCustomUpgrades": "bool",
    },
)
_SCHEDULER = Struct(
    "SchedulerConfiguration",
    {
        "SchedulerAlgorithm": "string",
        "MemoryOversubscriptionEnabled": "bool",
        "RejectJobRegistration": "bool",
        "PauseEvalBroker": "bool",
        "PreemptionConfig": Struct(
            "PreemptionConfig",
            {
                "SystemSchedulerEnabled": "bool",
                "SysBatchSchedulerEnabled": "bool",
                "BatchSchedulerEnabled": "bool",
                "ServiceSchedulerEnabled": "bool",
            },
        ),
    },
)


def raft(call: Call) -> Answer:
    """Answer the Raft configuration, or take a peer out of it."""
    if call.rest.startswith("configuration"):
        return _raft_configuration(call)
    if call.rest.startswith("peer"):
        return _remove_peer(call)
    raise Refusal(404, "Invalid method")


def _raft_configuration(call: Call) -> Answer:
    if call.request.method != "GET":
        return Answer(status=405)
    call.may(call.rights.management)
    leader = call.region.servers.leader
    servers = [
        {
            "ID": member.ident,
            "Node": f"{member.name}.{call.region.name}",
            "Address": member.rpc,
            "Leader": member is leader,
            "Voter": member.voter,
            "RaftProtocol": "3",
        }
        for member in call.region.servers.peers()
    ]
    return Answer({"Servers": servers, "Index": 0})


def _remove_peer(call: Call) -> Answer:
    if call.request.method != "DELETE":
        raise Refusal(404, "Invalid method")
    by_id, by_address = "id" in call.request.query, "address" in call.request.query
    if not by_id and not by_address:
        raise Refusal(400, "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove")
    if by_id and by_address:
        raise Refusal(400, "Must specify only one of ?id or ?address")
    call.may(call.rights.management)
    kind, wanted = ("id", call.request.value("id")) if by_id else ("address", call.request.value("address"))
    for member in call.region.servers.peers():
        if wanted == (member.ident if by_id else member.rpc):
            call.region.servers.remove(member)
            return Answer()
    raise Refusal(500, f"{kind} {quote(wanted)} was not found in the Raft configuration")


def _autopilot(call: Call) -> Record:
    record = call.store.get(AUTOPILOT, "config")
    if record is None:
        raise Refusal(500, "autopilot config not initialized yet")
    return record


def autopilot(call: Call) -> Answer:
    """Read or write the autopilot configuration; a `cas` that is not the index answers false."""
    if call.request.method == "GET":
        call.may(call.rights.read("operator"))
        record = _autopilot(call)
        texts = {name: go_duration(record[name]) for name in ("LastContactThreshold", "ServerStabilizationTime")}
        return Answer({**record, **texts})
    if call.request.method != "PUT":
        raise Refusal(404, "Invalid method")
    given = _given(call, _AUTOPILOT, "Error parsing autopilot config")
    for name in ("LastContactThreshold", "ServerStabilizationTime"):
        try:
            given[name] = duration(given.get(name))
        except ValueError as exc:
            raise Refusal(400, f"Error parsing autopilot config: {exc}") from exc
    cas = _cas(call)
    call.may(call.rights.write("operator"))
    if cas is not None and cas != _autopilot(call)["ModifyIndex"]:
        call.store.touch(AUTOPILOT)
        return Answer(body=False)
    empty = {name: type(value)() for name, value in autopilot_default().items()}
    call.store.put(AUTOPILOT, "config", empty | {name: value for name, value in given.items() if value is not None})
    return Answer(body=True)


def _given(call: Call, kind: Struct, complaint: str) -> dict[str, Any]:
    try:
        return call.body(kind) or {}
    except Refusal as refusal:
        raise Refusal(400, f"{complaint}: {refusal.text}") from refusal


def _cas(call: Call) -> int | None:
    if "cas" not in call.request.query:
        return None
    try:
        return parse_uint(call.request.value("cas"))
    except ValueError as exc:
        raise Refusal(400, f"Error parsing cas value: {exc}") from exc


def health(call: Call) -> Answer:
    """Answer what autopilot thinks of each server: 429 with the same body when one is not healthy."""
    if call.request.method != "GET":
        raise Refusal(404, "Invalid method")
    call.region.servers.check()
    call.may(call.rights.read("operator"))
    servers = call.region.servers
    listed = [m for m in servers.members if m.peer or m.name in servers.removed]
    shown = [_server_health(call, member) for member in listed]
    healthy = all(entry["Healthy"] for entry in shown)
    voters = sum(entry["Healthy"] and entry["Voter"] for entry in shown)
    tolerance = max(0, voters - (sum(entry["Voter"] for entry in shown) // 2 + 1))
    body = {"Healthy": healthy, "FailureTolerance": tolerance, "Servers": shown}
    return Answer(body, 200 if healthy else 429, content_type="" if healthy else TEXT_TYPE)


def _server_health(call: Call, member: Server) -> dict[str, Any]:
    servers = call.region.servers
    leads = member is servers.leader
    return {
        "ID": member.ident,
        "Name": f"{member.name}.{call.region.name}",
        "Address": member.rpc,
        "SerfStatus": member.serf.value,
        "Version": "1.6.5",
        "Leader": leads,
        "LastContact": "0s" if leads or not member.alive else "11.166219ms",
        "LastTerm": servers.term if member.alive else 0,
        "LastIndex": call.store.index if member.alive else 0,
        "Healthy": member.alive,
        "Voter": member.voter,
        "StableSince": rfc3339((member.stable_since or call.region.now()).replace(microsecond=0)),
    }


def scheduler(call: Call) -> Answer:
    """Read or write the scheduler configuration; a `cas` that is not the index is 200 with Updated false."""
    call.only("GET", "PUT", "POST")
    if call.request.method == "GET":
        call.may(call.rights.read("operator"))
        record = call.store.get(Table.SCHEDULER_CONFIG, "scheduler_config")
        index = call.store.table_index(Table.SCHEDULER_CONFIG)
        meta = {"Index": index, "KnownLeader": True, "LastContact": 0, "NextToken": ""}
        return call.read({"SchedulerConfig": record, **meta}, Table.SCHEDULER_CONFIG)
    given = _given(call, _SCHEDULER, "Error parsing scheduler config")
    algorithm = given.get("SchedulerAlgorithm") or ""
    if algorithm not in {"", "binpack", "spread"}:
        raise Refusal(400, f"invalid scheduler algorithm: {algorithm}")
    cas = _cas(call)
    call.may(call.rights.write("operator"))
    result = call.cluster.set_scheduler_config(given, cas=cas)
    return call.written(result, result["Index"])


def keyring(call: Call) -> Answer:
    """List, rotate or delete root keys."""
    method = call.request.method
    if call.rest.startswith("keys"):
        call.only("GET")
        _ = call.rights  # any token will do, also none, but no bad one
        return call.read(call.store.rows(ROOT_KEYS), ROOT_KEYS)
    if call.rest.startswith("key"):
        call.only("DELETE")
        call.may(call.rights.management)
        index = call.region.keyring.delete(call.rest.removeprefix("key/"))
        return call.written({"Index": index}, index)
    if call.rest.startswith("rotate") and method in {"PUT", "POST"}:
        call.may(call.rights.management)
        record = call.region.keyring.rotate(full="full" in call.request.query)
        # The key is answered as it was asked for, before the state gave it its indexes.
        key = {**record, "CreateIndex": 0, "ModifyIndex": 0}
        return call.written({"Key": key, "Index": call.store.index})
    raise Refusal(405, "Invalid method")
