"""A throw-away Nomad server: its root keys lie in place before it starts.

Restored ACLs are opened by a reset file, which only who holds the disk can write
(https://developer.hashicorp.com/nomad/docs/secure/acl/bootstrap#resetting-acl-bootstrap).
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
from typing import TYPE_CHECKING, Any

from throwaway import ThrowAwayServer, words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEYS_SECONDS = 20


class NomadServer(ThrowAwayServer):
    """See `ThrowAwayServer`."""

    product, url, header, snapshot = "Nomad", "http://127.0.0.1:4646", "X-Nomad-Token", "/v1/operator/snapshot"
    counted = {  # noqa: RUF012 - annotated in the base class
        "jobs": "/v1/jobs?namespace=*",
        "nodes": "/v1/nodes",
        "namespaces": "/v1/namespaces",
        "node_pools": "/v1/node/pools",
        "variables": "/v1/vars?namespace=*",
        "acl_tokens": "/v1/acl/tokens",
        "acl_policies": "/v1/acl/policies",
        "acl_roles": "/v1/acl/roles",
    }

    def __init__(self, binary: str, directory: Path, region: str, keystore: Mapping[str, str]) -> None:
        self._data = directory / "data"
        keys = self._data / "server" / "keystore"
        keys.mkdir(parents=True, mode=0o700)
        for name, text in keystore.items():
            (keys / name).write_text(text, encoding="utf-8")
        address = {"http": "127.0.0.1", "rpc": "127.0.0.1", "serf": "127.0.0.1"}
        config = {
            "name": "drill",
            "region": region,
            "data_dir": str(self._data),
            "bind_addr": "127.0.0.1",
            "advertise": address,
            "server": {"enabled": True, "bootstrap_expect": 1},
            "acl": {"enabled": True},
            "disable_update_check": True,
            "disable_anonymous_signature": True,
        }
        file = directory / "agent.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        super().__init__([binary, "agent", "-config", str(file)], directory)

    def take_over(self) -> bool:
        """See the base class; after a restore by the reset file, whose index the refusal tells."""
        try:
            self.token = self.ask("PUT", "/v1/acl/bootstrap", b"{}")["SecretID"]
        except urllib.error.HTTPError as exc:
            index = re.search(r"reset index: (\d+)", words(exc))
            if index is not None:
                (self._data / "server" / "acl-bootstrap-reset").write_text(index[1], encoding="utf-8")
            return False
        return True

    def found(self) -> dict[str, Any]:
        """See the base class. A variable's key is waited for, not for ever."""
        counts = self.counts()
        job = self.attempt("/v1/job/keeper-canary?namespace=default")
        items, trouble = self._canary()
        return {
            "counts": counts,
            "leader": self.ask("GET", "/v1/status/leader"),
            "server_version": self.ask("GET", "/v1/agent/self")["config"]["Version"]["Version"],
            "canary_job": None if job is None else str((job.get("Meta") or {}).get("refreshed", "")),
            "canary": items,
            "trouble": trouble,
        }

    def _canary(self) -> tuple[dict[str, str] | None, str]:
        deadline = time.monotonic() + KEYS_SECONDS
        while True:
            try:
                return self.ask("GET", "/v1/var/keeper/canary?namespace=default")["Items"], ""
            except urllib.error.HTTPError as exc:  # noqa: PERF203 - one try every half second
                trouble = f"{exc.code} {words(exc)}"
                if "no such key" in trouble or time.monotonic() > deadline:
                    return None, trouble
                time.sleep(0.5)
