"""A real Consul server as a process on loopback, TLS and ACLs on, without any mesh.

Needs a `consul` binary (`CONSUL_BIN`, or `consul` on PATH). It is ended by its id, and its files are removed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from lab.ca import Authority
from lab.clock import wall_clock
from lab.consul.server import MANAGEMENT
from lab.lifetime import Lifetime

if TYPE_CHECKING:
    from collections.abc import Callable

START_SECONDS, STOP_SECONDS = 30, 5
PORTS = ("https", "server", "serf_lan")
OFF = ("http", "dns", "grpc", "grpc_tls", "serf_wan")


def binary() -> Path | None:
    """The Consul binary that `CONSUL_BIN` names or PATH holds, or None."""
    named = os.environ.get("CONSUL_BIN") or shutil.which("consul")
    return Path(named).resolve() if named and Path(named).exists() else None


@dataclass(slots=True)
class ConsulProcess(Lifetime):
    """A context manager: one server. `expected`: how many servers it waits for; more than one, and nobody leads."""

    consul: Path
    datacenter: str = "dc1"
    name: str = "consul-0"
    management: str = MANAGEMENT
    expected: int = 1
    acls: bool = True
    port: int = 0
    directory: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="consul-")))
    ports: dict[str, int] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The HTTPS address."""
        return f"https://127.0.0.1:{self.ports['https']}"

    @property
    def ca(self) -> Path:
        """The CA that callers trust."""
        return self.directory / "ca.pem"

    def start(self) -> None:
        """Start on the data that is there, wait until it answers, and leads when it is alone."""
        if not self.ports:
            self._prepare()
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.consul), "agent", "-config-file", str(self.directory / "agent.json")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(self.directory)},
            )
        if self.expected > 1:
            self._until("an answer", lambda: self.get("/v1/status/leader").ok)
        else:
            self._until("its token", lambda: not self.acls or len(self.get("/v1/acl/tokens").json()) > 1)
            self._until("its own node", lambda: self.get("/v1/catalog/nodes").json())

    def crash(self) -> None:
        """End it at once; `start` goes on with what it had on disk."""
        self._stop()

    def lose(self) -> None:
        """End it, with all that it had on disk."""
        self._stop()
        shutil.rmtree(self.directory / "data", ignore_errors=True)

    def close(self) -> None:
        """End it and remove its files."""
        self._stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def get(self, path: str) -> requests.Response:
        """Ask with the management token."""
        with requests.Session() as session:
            session.trust_env = False
            headers = {"X-Consul-Token": self.management}
            return session.get(self.url + path, headers=headers, verify=str(self.ca), timeout=20)

    def _prepare(self) -> None:
        self.ports = _free(PORTS)
        if self.port:
            self.ports["https"] = self.port
        authority = Authority.create(self.directory, wall_clock())
        names = [f"server.{self.datacenter}.consul", "localhost"]
        authority.issue("agent", names=names, addresses=["127.0.0.1"])
        files = {"ca_file": "ca.pem", "cert_file": "agent.pem", "key_file": "agent-key.pem"}
        config = {
            "node_name": self.name,
            "datacenter": self.datacenter,
            "server": True,
            "bootstrap_expect": self.expected,
            "data_dir": str(self.directory / "data"),
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "ports": self.ports | dict.fromkeys(OFF, -1),
            "acl": {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": self.management}}
            if self.acls
            else {},
            "tls": {
                "defaults": {name: str(self.directory / file) for name, file in files.items()}
                | {"verify_outgoing": True},
                "internal_rpc": {"verify_incoming": True, "verify_server_hostname": True},
            },
            "connect": {"enabled": False},
            "performance": {"raft_multiplier": 1},
            "disable_update_check": True,
        }
        (self.directory / "agent.json").write_text(json.dumps(config))

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(STOP_SECONDS)
        self._process = None

    def _until(self, what: str, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if holds():
                    return
            except (requests.RequestException, ValueError):
                pass
            time.sleep(0.1)
        raise TimeoutError(f"no {what} after {START_SECONDS} s:\n{(self.directory / 'log').read_text()[-800:]}")


def _free(names: tuple[str, ...]) -> dict[str, int]:
    with ExitStack() as held:
        taken = {name: held.enter_context(socket.socket()) for name in names}
        for each in taken.values():
            each.bind(("127.0.0.1", 0))
        return {name: each.getsockname()[1] for name, each in taken.items()}
