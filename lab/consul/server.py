"""A Consul server as far as snapshots need one: leader, members, keys, sessions, tokens, save and restore, behind ACLs and TLS.

Held to `tests/recordings/consul-1.19` by `tests/contract/consul`, which runs against a real server, too, where there is one. A restore
replaces everything, tokens included; its archives restore into a real server.
"""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from lab.consul.acl import Caller, DeniedError
from lab.consul.answers import ACL_LISTS, LISTS, NO_PATH, UNLISTED, left_out_mark, of_json, plain
from lab.consul.archive import pack, unpack
from lab.consul.state import Record, State, Table
from lab.http import Response, Tls, serve
from lab.unpacking import DamagedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.ca import Authority, Leaf
    from lab.http import Request, Server

MANAGEMENT = "0f0e0d0c-0000-4000-8000-00000000c0de"
TERM = 2


class NoLeaderError(Exception):
    """500: nobody leads."""


@dataclass(slots=True)
class ConsulLab:
    """One server; a context manager that serves it, over TLS when it has an authority."""

    authority: Authority | None = None
    version: str = "1.19.2"
    datacenter: str = "dc1"
    name: str = "consul-0"
    address: str = "127.0.0.1"
    port: int = 0
    management: str = MANAGEMENT
    leader: str = "127.0.0.1:8300"
    state: State = field(default_factory=State)
    spoil: Callable[[bytes], bytes] | None = None
    """Changes an archive's bytes before they are sent, for a test."""
    cut: int | None = None
    """After how many bytes of an archive the server breaks off."""
    acls: bool = True
    """Without, everybody may do everything."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: Server | None = None

    def __post_init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.state.begin_to_lead(self.management)
        self.state.register(self.name, self.datacenter, self.address, self.version)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.crash()

    def start(self) -> None:
        """Serve what there is; at the same address again after `lose`."""
        tls = None
        if self.authority:
            names = [f"server.{self.datacenter}.consul", "localhost"]
            leaf: Leaf = self.authority.issue("consul", names=names, addresses=[self.address])
            tls = Tls(leaf.certificate, leaf.key)
        self._server = serve(self.handle, address=self.address, port=self.port, tls=tls)
        self.port = self._server.port

    def crash(self) -> None:
        """End the server at once; its address refuses connections until `start`, which goes on with what it had."""
        if self._server:
            self._server.stop()

    def lose(self) -> None:
        """End the server, with all that it had."""
        self.crash()
        self.state = State()
        self._begin()

    @property
    def url(self) -> str:
        """The HTTP address."""
        return self._server.url if self._server else ""

    @property
    def ca(self) -> Path:
        """The CA that callers trust."""
        if self.authority is None:
            raise ValueError("this server speaks no TLS")
        return self.authority.certificate

    def tidy(self) -> None:
        """Have the leader tidy up now, as it does each minute."""
        with self._lock:
            self.state.tidy(self.name, self.datacenter, self.address, self.version)

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if not self.acls and request.path.startswith("/v1/acl/"):
            return plain(401, "ACL support disabled")
        with self._lock:
            try:
                return self._answer(request)
            except DeniedError as exc:
                return plain(403, str(exc))
            except NoLeaderError:
                return plain(500, "No cluster leader")

    def _answer(self, request: Request) -> Response:
        path = request.path
        if path == "/v1/status/leader":
            return of_json(self.leader)
        if path == "/v1/status/peers":
            return of_json([self.leader] if self.leader else [])
        if path == "/v1/snapshot":
            return self._snapshot(request)
        if path in {"/v1/agent/members", "/v1/agent/self"}:
            return self._agent(path, self._caller(request))
        if not path.startswith(("/v1/catalog/", "/v1/session/", "/v1/acl/", "/v1/kv/")):
            return plain(404, NO_PATH)
        if not self.leader:
            raise NoLeaderError
        caller = self._caller(request)
        return self._read(request, caller) if request.method == "GET" else self._write(request, caller)

    def _caller(self, request: Request) -> Caller:
        return Caller.of(self.state, request.headers.get("x-consul-token", "") if self.acls else self.management)

    # Snapshots ------------------------------------------------------------------------------------------------------

    def _snapshot(self, request: Request) -> Response:
        if request.method not in {"GET", "PUT"}:
            refused = f"method {request.method} not allowed".encode()
            return Response(405, {"Allow": "OPTIONS,GET,PUT", "Content-Type": "text/plain; charset=utf-8"}, refused)
        if request.query.get("dc", self.datacenter) != self.datacenter:
            return plain(500, "No path to datacenter")
        if not self.leader:
            raise NoLeaderError
        self._caller(request).require("acl", "write")
        if request.method == "PUT":
            return self._restore(request.body)
        archive = pack(self.state, TERM)
        body = self.spoil(archive) if self.spoil else archive
        headers = {"Content-Type": "application/x-gzip", "X-Consul-Index": str(self.state.index)}
        if self.cut is not None:  # more was promised than comes: the connection breaks
            headers |= {"Content-Length": str(len(body)), "Connection": "close"}
            body = body[: self.cut]
        return Response(200, headers | {"X-Consul-Knownleader": "true"}, body)

    def _restore(self, body: bytes) -> Response:
        try:
            restored = unpack(body)
        except DamagedError as exc:
            return plain(500, str(exc))
        restored.index = max(self.state.index, restored.index) + 1
        self.state = restored
        self.state.begin_to_lead(self.management)
        return Response(200)

    # Reads ----------------------------------------------------------------------------------------------------------

    def _agent(self, path: str, caller: Caller) -> Response:
        if path == "/v1/agent/self":
            caller.require("agent", "read", self.name)
            config = {"Datacenter": self.datacenter, "NodeName": self.name, "Server": True, "Version": self.version}
            return of_json({"Config": config})
        tags = {"build": f"{self.version}:", "dc": self.datacenter, "port": "8300", "role": "consul"}
        members = [{"Name": self.name, "Addr": self.address, "Port": 8301, "Tags": tags, "Status": 1}]
        seen = [member for member in members if caller.may("node", "read", self.name)]
        return of_json(seen, left_out_mark(caller, len(seen) < len(members)))

    def _read(self, request: Request, caller: Caller) -> Response:
        path = request.path
        if path in LISTS:
            table, kind, named = LISTS[path]
            rows = self.state.rows(table)
            seen = [row for row in rows if caller.may(kind, "read", row[named])]
            return self._listed(seen, table, caller, filtered=len(seen) < len(rows))
        if path == "/v1/catalog/services":
            return self._services(caller)
        if path == "/v1/acl/token/self":
            return of_json(caller.token, self._marks(Table.TOKENS))
        if path in ACL_LISTS:
            caller.require("acl", "read")
            rows = [{k: v for k, v in row.items() if k not in UNLISTED} for row in self.state.rows(ACL_LISTS[path])]
            if path == "/v1/acl/tokens" and not caller.may("acl", "write"):
                rows = [{**row, "SecretID": "<hidden>"} for row in rows]
            return self._listed(rows, ACL_LISTS[path], caller)
        if path.startswith("/v1/kv/"):
            return self._key(request, caller)
        return plain(404, NO_PATH)

    def _services(self, caller: Caller) -> Response:
        rows = self.state.rows(Table.SERVICES)
        seen = [row for row in rows if caller.may("service", "read", row["Service"])]
        named: dict[str, list[str]] = {row["Service"]: list(row.get("Tags") or ()) for row in seen}
        return self._listed(named, Table.SERVICES, caller, filtered=len(seen) < len(rows))

    def _key(self, request: Request, caller: Caller) -> Response:
        name = request.path.removeprefix("/v1/kv/")
        if "keys" in request.query:
            keys = [key for key in sorted(self.state.tables[Table.KEYS]) if key.startswith(name)]
            seen = [key for key in keys if caller.may("key", "list", key)]
            if name and not keys:
                return Response(404, self._marks(Table.KEYS))
            return self._listed(seen, Table.KEYS, caller, filtered=len(seen) < len(keys))
        caller.require("key", "read", name)
        found = self.state.tables[Table.KEYS].get(name)
        if found is None:
            return Response(404, self._marks(Table.KEYS))
        if "raw" in request.query:
            raw = {"Content-Type": "text/plain"}
            return Response(200, raw | self._marks(Table.KEYS), base64.b64decode(found["Value"] or ""))
        return self._listed([found], Table.KEYS, caller)

    def _listed(self, rows: object, table: Table, caller: Caller, *, filtered: bool = False) -> Response:
        return of_json(rows, self._marks(table) | left_out_mark(caller, filtered))

    def _marks(self, table: Table) -> dict[str, str]:
        index = str(self.state.changed.get(table, 1))
        return {"X-Consul-Index": index, "X-Consul-Knownleader": "true", "X-Consul-Lastcontact": "0"}

    # Writes ---------------------------------------------------------------------------------------------------------

    def _write(self, request: Request, caller: Caller) -> Response:
        path = request.path
        if request.method == "DELETE":
            return self._remove(path, caller)
        if path.startswith("/v1/kv/"):
            name = path.removeprefix("/v1/kv/")
            caller.require("key", "write", name)
            value = base64.b64encode(request.body).decode()
            self.state.put(Table.KEYS, name, {"LockIndex": 0, "Key": name, "Flags": 0, "Value": value})
            return of_json(True)
        given = json.loads(request.body or b"{}")
        if path == "/v1/session/create":
            return self._session(given, caller)
        if path == "/v1/acl/bootstrap":
            return plain(403, "Permission denied: ACL bootstrap no longer allowed (reset index: 6)")
        caller.require("acl", "write")
        makers: dict[str, Callable[[Record], Record]] = {
            "/v1/acl/policy": self.state.put_policy,
            "/v1/acl/token": self.state.put_token,
            "/v1/acl/auth-method": self._method,
        }
        return of_json(makers[path](given)) if path in makers else plain(404, NO_PATH)

    def _remove(self, path: str, caller: Caller) -> Response:
        kind, _, key = path.removeprefix("/v1/").rpartition("/")
        if kind != "acl/token":
            return plain(404, NO_PATH)
        caller.require("acl", "write")
        self.state.remove(Table.TOKENS, [key])
        return of_json(True)

    def _session(self, given: Record, caller: Caller) -> Response:
        node = given.get("Node", self.name)
        caller.require("session", "write", node)
        ident = str(uuid4())
        record: Record = {"ID": ident, "Name": given.get("Name", ""), "Node": node, "LockDelay": 15_000_000_000}
        checks = {"NodeChecks": given.get("NodeChecks", []), "ServiceChecks": None}
        behaviour = {"Behavior": given.get("Behavior", "release"), "TTL": given.get("TTL", "")}
        self.state.put(Table.SESSIONS, ident, {**record, **behaviour, **checks})
        return of_json({"ID": ident})

    def _method(self, given: Record) -> Record:
        record = {"Name": given["Name"], "Type": given["Type"], "Config": given.get("Config", {})}
        return self.state.put(Table.METHODS, given["Name"], record)
