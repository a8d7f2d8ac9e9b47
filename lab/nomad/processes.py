"""A real Nomad cluster as processes on loopback: servers and clients, TLS and ACLs on, each with an address of its own.

Needs a `nomad` binary (`NOMAD_BIN`, or `nomad` on PATH). Loopback addresses are taken from one /16 per cluster, so that two
clusters may run side by side. Every process is ended by its id, tasks of a killed client included.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from lab.ca import Authority
from lab.lifetime import Lifetime

if TYPE_CHECKING:
    from collections.abc import Mapping

START_SECONDS = 30
STOP_SECONDS = 5
BOOTSTRAP_SECRET = "6f1d0a3e-97c4-4d1b-8a52-3c0b7f6e9d21"


def binary() -> Path | None:
    """The Nomad binary that `NOMAD_BIN` names or PATH holds, or None."""
    named = os.environ.get("NOMAD_BIN") or shutil.which("nomad")
    return Path(named).resolve() if named and Path(named).exists() else None


def free_network() -> str:
    """A /16 of loopback in which nobody serves Nomad's ports on the first server's address."""
    for second in range(42, 96):
        with contextlib.suppress(OSError), socket.socket() as tried:
            tried.bind((f"127.{second}.1.1", 4647))
            return f"127.{second}"
    raise OSError("no loopback network is free for a Nomad cluster")


@dataclass(slots=True)
class Agent:
    """One Nomad process and where it lies."""

    name: str
    address: str
    directory: Path
    process: subprocess.Popen[bytes]

    def family(self) -> list[int]:
        """The ids of this process and of all that it started, tasks included."""
        return [self.process.pid, *_descendants(self.process.pid)]


@dataclass(slots=True)
class NomadProcesses(Lifetime):
    """A context manager: three servers with a leader and a management token; clients join and leave one by one."""

    nomad: Path
    management_token: str = BOOTSTRAP_SECRET
    network: str = "127.42"
    servers: int = 3
    heartbeat: timedelta = timedelta(seconds=2)
    """`heartbeat_grace`; the smallest TTL is 5 s, so that a lost client is noticed within seconds."""
    directory: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="nomad-")))
    agents: dict[str, Agent] = field(default_factory=dict)
    _next: int = 0

    @property
    def authority(self) -> Path:
        """The CA bundle that clients trust."""
        return self.directory / "ca.pem"

    @property
    def url(self) -> str:
        """The first server's HTTP address."""
        return f"https://{self.network}.1.1:4646"

    def server_urls(self) -> dict[str, str]:
        """Every server's name and HTTP address."""
        return {f"nomad-server-{i}": f"https://{self.network}.1.{i + 1}:4646" for i in range(self.servers)}

    def start(self) -> None:
        """Start the servers, wait for a leader and bootstrap ACLs with `BOOTSTRAP_SECRET`."""
        self._certify([f"{self.network}.1.{i + 1}" for i in range(self.servers)])
        self.start_servers()

    def start_servers(self) -> None:
        """Start servers without any state, on the addresses and with the certificates of the former ones."""
        addresses = [f"{self.network}.1.{i + 1}" for i in range(self.servers)]
        for i, address in enumerate(addresses):
            block = {
                "enabled": True,
                "bootstrap_expect": self.servers,
                "heartbeat_grace": f"{self.heartbeat.total_seconds():g}s",
                "min_heartbeat_ttl": "5s",
                "server_join": {"retry_join": addresses, "retry_interval": "1s"},
            }
            self._launch(f"nomad-server-{i}", address, {"server": block})
        self._until("a leader", lambda: bool(self._call("GET", "/v1/status/leader").json()))
        self._until(
            "ACLs",
            lambda: self._call("PUT", "/v1/acl/bootstrap", {"BootstrapSecret": BOOTSTRAP_SECRET}, token="").ok,
        )
        self._until("the token where it is asked for", lambda: self._call("GET", "/v1/agent/members").ok)

    def join(
        self,
        name: str,
        *,
        cpu: int,
        memory: int,
        node_class: str = "",
        node_pool: str = "default",
        datacenter: str = "dc1",
        meta: Mapping[str, str] | None = None,
    ) -> Agent:
        """Start a client of that name and size; it registers by itself a moment later."""
        self._next += 1
        block: dict[str, Any] = {
            "enabled": True,
            "servers": [f"{self.network}.1.{i + 1}:4647" for i in range(self.servers)],
            "node_pool": node_pool,
            "cpu_total_compute": cpu,
            "memory_total_mb": memory,
            "network_interface": "lo",
            "meta": dict(meta or {}),
            "gc_max_allocs": 1000,
        }
        if node_class:
            block["node_class"] = node_class
        plugins = [{"raw_exec": [{"config": [{"enabled": True}]}]}]
        address = f"{self.network}.{2 + self._next // 250}.{1 + self._next % 250}"
        return self._launch(name, address, {"client": block, "plugin": plugins, "datacenter": datacenter})

    def lose_servers(self) -> None:
        """End every server at once, with all that it had on disk."""
        for name in self.server_urls():
            self.kill(name)

    def keystore(self, server: str) -> Path:
        """Where a server keeps its root keys; another server's machine has another folder."""
        return self.directory / server / "data" / "server" / "keystore"

    def restart(self, name: str) -> None:
        """Restart one agent on its data, as systemd does; its tasks go on meanwhile."""
        agent = self.agents[name]
        _signal(agent.process.pid, signal.SIGKILL)
        agent.process.wait(STOP_SECONDS)
        agent.process = self._run(agent.directory)

    def kill(self, name: str) -> None:
        """End a client and all its tasks at once, as a deleted machine does; an unknown name is no error."""
        agent = self.agents.pop(name, None)
        if agent is None:
            return
        family = agent.family()
        for pid in family:
            _signal(pid, signal.SIGKILL)
        agent.process.wait(STOP_SECONDS)
        shutil.rmtree(agent.directory, ignore_errors=True)

    def close(self) -> None:
        """End every process and remove every file."""
        for name in list(self.agents):
            self.kill(name)
        shutil.rmtree(self.directory, ignore_errors=True)

    def request(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 -- decoded JSON
        """Call the API with the management token; raises for an error status."""
        answer = self._call(method, path, body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _certify(self, addresses: list[str]) -> None:
        authority = Authority.create(self.directory, datetime.now(UTC))
        names = ["server.global.nomad", "client.global.nomad", "localhost"]
        authority.issue("agent", names=names, addresses=[*addresses, "127.0.0.1"])

    def _launch(self, name: str, address: str, blocks: Mapping[str, Any]) -> Agent:
        directory = self.directory / name
        directory.mkdir(parents=True, exist_ok=True)
        config = {
            "name": name,
            "region": "global",
            "data_dir": str(directory / "data"),
            "bind_addr": address,
            "advertise": {"http": address, "rpc": address, "serf": address},
            "acl": {"enabled": True},
            "leave_on_interrupt": False,
            "disable_update_check": True,
            "tls": {
                "http": True,
                "rpc": True,
                "ca_file": str(self.directory / "ca.pem"),
                "cert_file": str(self.directory / "agent.pem"),
                "key_file": str(self.directory / "agent-key.pem"),
                "verify_server_hostname": True,
                "verify_https_client": False,
            },
            **blocks,
        }
        (directory / "agent.json").write_text(json.dumps(config))
        process = self._run(directory)
        self.agents[name] = Agent(name, address, directory, process)
        return self.agents[name]

    def _run(self, directory: Path) -> subprocess.Popen[bytes]:
        with (directory / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self.nomad), "agent", "-config", str(directory / "agent.json")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "AZURE_ENV_URL": "http://127.0.0.1:9/"},
            )

    def _call(self, method: str, path: str, body: object = None, token: str = BOOTSTRAP_SECRET) -> requests.Response:
        headers = {"X-Nomad-Token": token} if token else {}
        return requests.request(
            method, self.url + path, json=body, headers=headers, verify=str(self.authority), timeout=10
        )

    def _until(self, what: str, holds: Any) -> None:  # noqa: ANN401 -- any condition
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if holds():
                    return
            except requests.RequestException:
                pass
            time.sleep(0.2)
        logs = "\n".join((a.directory / "log").read_text(errors="replace")[-800:] for a in self.agents.values())
        raise TimeoutError(f"no {what} after {START_SECONDS} s:\n{logs}")


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _signal(pid: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # gone already
        os.kill(pid, what)
