"""A Consul server as far as snapshots need one: leader, members, counts, save and restore, behind ACLs and TLS.

Shapes after https://developer.hashicorp.com/consul/api-docs. The archive has the real form around a state of our own; a restore
replaces everything, tokens included, and refuses damaged archives with 500, as Consul does. No Digest header is sent.
"""

from __future__ import annotations

import io
import json
import tarfile
import threading
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from lab.archives import archive_of
from lab.http import Response, Tls, serve

if TYPE_CHECKING:
    from pathlib import Path

    from lab.ca import Authority, Leaf
    from lab.http import Request, Server

MANAGEMENT = "0f0e0d0c-0000-4000-8000-00000000c0de"
DENIED = Response(403, {"Content-Type": "text/plain; charset=utf-8"}, b"Permission denied: token lacks permission")
LEADER = "127.0.0.1:8300"


@dataclass(slots=True)
class ConsulLab:
    """One server's state; a context manager that serves it. `tokens` maps secrets to whether they are management tokens."""

    authority: Authority
    version: str = "1.21.4"
    datacenter: str = "dc1"
    leader: str = LEADER
    index: int = 20
    term: int = 2
    keys: dict[str, str] = field(default_factory=dict)
    auth_methods: list[str] = field(default_factory=list)
    tokens: dict[str, bool] = field(default_factory=lambda: {MANAGEMENT: True})
    spoil: Any = None
    """Called with an archive's bytes before they are sent, by a test."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: Server | None = None

    def __enter__(self) -> Self:
        leaf: Leaf = self.authority.issue("consul", names=[f"server.{self.datacenter}.consul"], addresses=["127.0.0.1"])
        self._server = serve(self.handle, tls=Tls(leaf.certificate, leaf.key))
        return self

    def __exit__(self, *_: object) -> None:
        if self._server:
            self._server.stop()

    @property
    def url(self) -> str:
        """The HTTP address."""
        return self._server.url if self._server else ""

    @property
    def ca(self) -> Path:
        """The CA that callers trust."""
        return self.authority.certificate

    def put(self, key: str, value: str) -> None:
        """Write a key."""
        with self._lock:
            self.keys[key] = value
            self.index += 1

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        with self._lock:
            if request.path == "/v1/status/leader":
                return Response.of_json(200, self.leader)
            if request.path == "/v1/snapshot":
                return self._snapshot(request)
            return self._read(request)

    def _snapshot(self, request: Request) -> Response:
        if not self.tokens.get(request.headers.get("x-consul-token", ""), False):
            return DENIED
        if not self.leader:
            return _plain(500, "No cluster leader")
        if request.method == "PUT":
            return self._restore(request.body)
        archive = archive_of(b"lab.consul state 1\n" + json.dumps(self._state()).encode(), self.index, self.term)
        body = self.spoil(archive) if self.spoil else archive
        return Response(200, {"Content-Type": "application/x-gzip", "X-Consul-Index": str(self.index)}, body)

    def _restore(self, body: bytes) -> Response:
        try:
            with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
                found = tar.extractfile("state.bin")
                state = json.loads(found.read().partition(b"\n")[2]) if found else {}
        except (tarfile.TarError, KeyError, EOFError, ValueError, OSError, zlib.error) as exc:
            return _plain(500, f"failed to restore from snapshot: {exc}")
        self.keys, self.auth_methods, self.tokens = state["keys"], state["auth_methods"], state["tokens"]
        self.index = max(self.index, state["index"]) + 1
        return Response(200)

    def _state(self) -> dict[str, Any]:
        return {"keys": self.keys, "auth_methods": self.auth_methods, "tokens": self.tokens, "index": self.index}

    def _read(self, request: Request) -> Response:
        management = self.tokens.get(request.headers.get("x-consul-token", ""))
        if management is None:
            return DENIED
        if request.path.startswith("/v1/acl/") and not management:
            return DENIED
        if request.path.startswith("/v1/kv/"):
            return self._kv(request)
        tags = {"build": f"{self.version}:0123abcd", "dc": self.datacenter, "port": "8300", "role": "consul"}
        answers: dict[str, Any] = {
            "/v1/agent/members": [{"Name": "consul-0", "Addr": "127.0.0.1", "Port": 8301, "Tags": tags}],
            "/v1/agent/self": {"Config": {"Version": self.version, "Datacenter": self.datacenter}},
            "/v1/catalog/nodes": [{"Node": "consul-0", "Address": "127.0.0.1", "Datacenter": self.datacenter}],
            "/v1/catalog/services": {"consul": []},
            "/v1/acl/tokens": [{"AccessorID": f"{number:036d}"} for number, _ in enumerate(self.tokens)],
            "/v1/acl/policies": [{"Name": "global-management"}],
            "/v1/acl/roles": [],
            "/v1/acl/auth-methods": [{"Name": name} for name in self.auth_methods],
        }
        if request.path not in answers:
            return _plain(404, "Invalid URL path: not a recognized HTTP API endpoint")
        return Response.of_json(200, answers[request.path], {"X-Consul-Index": str(self.index)})

    def _kv(self, request: Request) -> Response:
        prefix = request.path.removeprefix("/v1/kv/")
        found = sorted(key for key in self.keys if key.startswith(prefix))
        if "keys" not in request.query or not found:
            return Response(404, {"X-Consul-Index": str(self.index)})
        return Response.of_json(200, found, {"X-Consul-Index": str(self.index)})


def _plain(status: int, text: str) -> Response:
    return Response(status, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())
