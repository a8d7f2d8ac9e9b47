"""A throw-away Consul server.

It makes the management token of its own configuration whenever it begins to lead, and a restore makes it begin anew: so the token
opens the restored state, too (`acl.tokens.initial_management`,
https://developer.hashicorp.com/consul/docs/agent/config/config-files#acl_tokens_initial_management).

A Consul that leads tidies up: each minute it drops from the catalog every node that is not among its members, with the node's
services and sessions, and keys that hang on a session. Here that would be all of them, so what is there is looked at before it does;
its own node in the catalog tells that it has begun, and then the archive is restored once more.
"""

from __future__ import annotations

import json
import urllib.error
import uuid
from typing import TYPE_CHECKING, Any

from throwaway import NotRestored, ThrowAwayServer, words

if TYPE_CHECKING:
    from pathlib import Path

OWN_NODE = "keeper-restore-drill"
TRIES = 3


class ConsulServer(ThrowAwayServer):
    """See `ThrowAwayServer`."""

    product, url, header, snapshot = "Consul", "http://127.0.0.1:8500", "X-Consul-Token", "/v1/snapshot"
    counted = {  # noqa: RUF012 - annotated in the base class
        "nodes": "/v1/catalog/nodes",
        "services": "/v1/catalog/services",
        "sessions": "/v1/session/list",
        "keys": "/v1/kv/?keys",
        "acl_tokens": "/v1/acl/tokens",
        "acl_policies": "/v1/acl/policies",
        "acl_roles": "/v1/acl/roles",
        "auth_methods": "/v1/acl/auth-methods",
    }

    def __init__(self, binary: str, directory: Path, datacenter: str) -> None:
        token = str(uuid.uuid4())
        off = dict.fromkeys(("https", "dns", "grpc", "grpc_tls", "serf_wan"), -1)
        config = {
            "node_name": OWN_NODE,
            "datacenter": datacenter,
            "data_dir": str(directory / "data"),
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "ports": {"http": 8500, **off},
            "server": True,
            "bootstrap_expect": 1,
            "acl": {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": token}},
            "connect": {"enabled": False},
            "peering": {"enabled": False},
            "performance": {"raft_multiplier": 1},
            "disable_update_check": True,
        }
        file = directory / "agent.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(config), encoding="utf-8")
        super().__init__([binary, "agent", "-config-file", str(file)], directory)
        self.token = token
        self._archive: Path | None = None

    def take_over(self) -> bool:
        """See the base class."""
        return self.attempt("/v1/acl/token/self") is not None

    def restore(self, archive: Path) -> None:
        """See the base class."""
        self._archive = archive
        super().restore(archive)

    def found(self) -> dict[str, Any]:
        """See the base class."""
        for _ in range(TRIES):
            seen = self._look()
            if not any(node["Node"] == OWN_NODE for node in self.ask("GET", "/v1/catalog/nodes")):
                return seen
            if self._archive is not None:
                super().restore(self._archive)
        raise NotRestored(f"the throw-away Consul tidied up before all was seen, {TRIES} times")

    def _look(self) -> dict[str, Any]:
        counts = self.counts()
        items, trouble = self._canary()
        return {
            "counts": counts,
            "leader": self.ask("GET", "/v1/status/leader"),
            "server_version": self.ask("GET", "/v1/agent/self")["Config"]["Version"],
            "canary_job": None,
            "canary": items,
            "trouble": trouble,
        }

    def _canary(self) -> tuple[dict[str, str] | None, str]:
        try:
            return self.ask("GET", "/v1/kv/keeper/canary?raw"), ""
        except urllib.error.HTTPError as exc:
            return None, f"{exc.code} {words(exc)}".strip()
        except ValueError:
            return None, "it is no JSON"
