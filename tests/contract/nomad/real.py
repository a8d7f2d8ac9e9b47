"""The subject that is real: processes of a Nomad binary on loopback, as the recording's README describes its cluster.

Every process started here, its executors and its tasks are found again by a marker in their environment and ended by id.
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
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from tests.contract.nomad.subjects import ClientSpec, Observed

if TYPE_CHECKING:
    from collections.abc import Callable

GOSSIP_KEY = "cg8StVXbQJ0gPvMd9o7yrg=="
MARKER = "NOMAD_CONFORMANCE_RUN"


def binary() -> Path | None:
    """The binary that NOMAD_BIN names or PATH holds, None when there is none."""
    named = os.environ.get("NOMAD_BIN") or shutil.which("nomad")
    return Path(named) if named and Path(named).exists() else None


def version(nomad: Path) -> str:
    shown = subprocess.run([nomad, "version"], capture_output=True, text=True, check=True).stdout
    return shown.split()[1].removeprefix("v")


class RealNomad:
    """A cluster of real processes. `close` ends all of them and removes their data."""

    real = True

    def __init__(self, nomad: Path, network: str = "127.0") -> None:
        self.nomad, self.network = nomad, network
        self.title = f"nomad {version(nomad)}"
        self.directory = Path(tempfile.mkdtemp(prefix="nomad-conformance-"))
        self.marker = str(uuid.uuid4())
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Accept-Encoding"] = "identity"

    def clock(self) -> float:
        return time.monotonic()

    @property
    def alive(self) -> str:
        """The address of a server that runs."""
        names = [f"nomad-server-{number}" for number in (1, 2, 0)]
        number = next(int(name[-1]) for name in names if name in self._processes)
        return f"{self.network}.1.{number + 1}:4646"

    def version(self) -> object:
        return None

    def rest(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, act)
        timer.daemon = True
        timer.start()

    def send(  # noqa: PLR0917 - a request has these parts
        self, method: str, path: str, query: dict[str, Any], headers: dict[str, str], body: bytes, agent: str
    ) -> Observed:
        url = f"http://{agent}{path}"
        if path == "/v1/event/stream":
            return self._stream(url, query, headers)
        answer = self._session.request(method, url, params=query, headers=headers, data=body or None, timeout=90)
        return Observed(answer.status_code, dict(answer.headers), answer.content)

    def _stream(self, url: str, query: dict[str, Any], headers: dict[str, str]) -> Observed:
        """Read a stream until nothing comes for two seconds."""
        lines: list[bytes] = []
        with self._session.get(url, params=query, headers=headers, stream=True, timeout=2) as answer:
            with contextlib.suppress(requests.exceptions.RequestException):
                for line in answer.iter_lines() if answer.status_code == 200 else [answer.content]:
                    lines.append(line)  # noqa: PERF402 - each line counts also when the next one never comes
            return Observed(answer.status_code, dict(answer.headers), b"\n".join(lines))

    def start_server(self, number: int) -> None:
        addresses = [f"{self.network}.1.{n}" for n in (1, 2, 3)]
        block = {
            "enabled": True,
            "bootstrap_expect": 3,
            "heartbeat_grace": "2s",
            "min_heartbeat_ttl": "5s",
            "encrypt": GOSSIP_KEY,
            "server_join": {"retry_join": addresses, "retry_interval": "2s"},
        }
        self._launch(f"nomad-server-{number}", addresses[number], {"server": block})
        self._listening(addresses[number])

    def single(self, name: str, address: str) -> None:
        """Start a server that is a cluster of its own, and wait until it leads."""
        self._launch(name, address, {"server": {"enabled": True, "bootstrap_expect": 1}})
        self._listening(address)
        for _ in range(100):
            if self.send("GET", "/v1/status/leader", {}, {}, b"", f"{address}:4646").status == 200:
                self.rest(1.0)
                return
        raise TimeoutError(f"{name} does not lead")

    def stop_single(self, name: str) -> None:
        self._end(name, signal.SIGINT)

    def start_client(self, spec: ClientSpec, *, fresh: bool = False) -> None:
        data = self.directory / spec.name / "data"
        if fresh and data.exists():
            shutil.rmtree(data, ignore_errors=True)
        ident = data / "client" / "client-id"
        if not ident.exists():
            ident.parent.mkdir(parents=True, exist_ok=True)
            ident.write_text(spec.ident)
        block = {
            "enabled": True,
            "servers": [f"{self.network}.1.{n}" for n in (1, 2, 3)],
            "node_class": spec.node_class,
            "node_pool": spec.node_pool,
            "cpu_total_compute": spec.cpu,
            "memory_total_mb": spec.memory,
            "network_interface": "lo",
            "meta": spec.meta,
            "min_dynamic_port": 20000,
            "max_dynamic_port": 20500,
            "reserved": {"reserved_ports": "22"},
            "options": {"fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean"},
        }
        plugins = {"raw_exec": {"config": {"enabled": True}}, "mock_driver": {"config": {}}}
        self._launch(spec.name, spec.address, {"client": block, "plugin": plugins, "datacenter": spec.datacenter})

    def _launch(self, name: str, address: str, block: dict[str, Any]) -> None:
        with contextlib.suppress(OSError), socket.create_connection((address, 4646), timeout=1):
            raise RuntimeError(f"something listens at {address}:4646 already: end what an earlier run has left")
        home = self.directory / name
        (home / "data").mkdir(parents=True, exist_ok=True)
        config = {
            "name": name,
            "data_dir": str(home / "data"),
            "bind_addr": address,
            "advertise": {"http": address, "rpc": address, "serf": address},
            "acl": {"enabled": True},
            "disable_update_check": True,
            "log_level": "INFO",
            "telemetry": {
                "prometheus_metrics": True,
                "disable_hostname": True,
                "publish_allocation_metrics": True,
                "publish_node_metrics": True,
            },
            **block,
        }
        path = home / "nomad.json"
        path.write_text(json.dumps(config))
        with (home / "log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [self.nomad, "agent", f"-config={path}"],
                stdout=log,
                stderr=log,
                env={"PATH": os.defpath, MARKER: self.marker},
                start_new_session=True,
            )

    def _listening(self, address: str) -> None:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection((address, 4646), timeout=1):
                return
            self.rest(0.05)
        raise TimeoutError(f"no agent listens at {address}")

    def kill_server(self, number: int) -> None:
        self._end(f"nomad-server-{number}", signal.SIGKILL)

    def kill_client(self, name: str, *, politely: bool = False) -> None:
        self._end(name, signal.SIGINT if politely else signal.SIGKILL)

    def _end(self, name: str, how: signal.Signals) -> None:
        process = self._processes.pop(name)
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)

    def reset_file(self, content: str) -> None:
        for number in (0, 1, 2):
            path = self.directory / f"nomad-server-{number}" / "data" / "server" / "acl-bootstrap-reset"
            if path.parent.exists():
                path.write_text(content)

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait(20)
        self._processes.clear()
        for _ in range(10):
            left = _family(self.marker, str(self.directory))
            if not left:
                break
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        self._unmount()
        shutil.rmtree(self.directory, ignore_errors=True)
        self._session.close()

    def _unmount(self) -> None:
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(str(self.directory))), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)


def _family(marker: str, directory: str) -> list[int]:
    """The ids of all processes that carry the marker, or (tasks) whose environment names the data directory."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                environment = (entry / "environ").read_bytes()
                if marker.encode() in environment or directory.encode() in environment:
                    found.append(int(entry.name))
    return found
