"""A cluster of a real Nomad's processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from keeper.nomad.cluster import NomadHttp
from keeper.settings import NomadSettings
from lab.nomad.processes import BOOTSTRAP_SECRET, NomadProcesses, binary, free_network
from tests.contract.nomad_fit.kinds import KINDS, NODES, Kind

if TYPE_CHECKING:
    from collections.abc import Callable


class RealCluster:
    """A server and clients of a real Nomad on loopback."""

    title = "real"

    def __init__(self) -> None:
        nomad = binary()
        assert nomad is not None
        self._processes = _Processes(nomad, network=free_network(), servers=1)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["X-Nomad-Token"] = BOOTSTRAP_SECRET
        try:
            self._processes.start()
            self._session.verify = str(self._processes.authority)
            self.keeper = NomadHttp(
                NomadSettings(address=self._processes.url),
                token=lambda: BOOTSTRAP_SECRET,
                ca=self._processes.authority.read_text,
            )
            for kind in KINDS:
                for number in range(kind.nodes):
                    self._processes.join_kind(kind, number)
            self.wait("all clients", lambda: sum(node.ready for node in self.keeper.nodes()) == NODES)
        except BaseException:
            self.close()
            raise

    def ask(self, method: str, path: str, body: object = None) -> requests.Response:
        return self._session.request(method, self._processes.url + path, json=body, timeout=30)

    def wait(self, what: str, holds: Callable[[], bool]) -> None:
        self._processes.wait(what, holds)

    def close(self) -> None:
        self._session.close()
        self._processes.close()


class _Processes(NomadProcesses):
    """Clients of a kind."""

    def wait(self, what: str, holds: Callable[[], bool]) -> None:
        self._until(what, holds)

    def join_kind(self, kind: Kind, number: int) -> None:
        self._next += 1
        volumes = []
        for name, read_only in kind.volumes.items():
            place = self.directory / "volumes" / kind.name / name
            place.mkdir(parents=True, exist_ok=True)
            volumes.append({name: [{"path": str(place), "read_only": read_only}]})
        denied = "env_aws,env_gce,env_azure,env_digitalocean" + ("" if kind.bridge else ",bridge")
        block: dict[str, Any] = {
            "enabled": True,
            "servers": [f"{self.network}.1.1:4647"],
            "node_class": kind.node_class,
            "node_pool": kind.node_pool,
            "cpu_total_compute": kind.cpu,
            "memory_total_mb": kind.memory,
            "network_interface": "lo",
            "meta": kind.told(),
            "gc_max_allocs": 1000,
            "reserved": {
                "cpu": kind.reserved_cpu,
                "memory": kind.reserved_memory,
                "disk": 0,
                "reserved_ports": kind.reserved_ports,
            },
            "host_volume": volumes,
            "options": {"fingerprint.denylist": denied},
        }
        if kind.cores:
            block["reservable_cores"] = f"0-{kind.cores - 1}"
        plugins = [{"raw_exec": [{"config": [{"enabled": True}]}]}, {"mock_driver": [{"config": [{}]}]}]
        address = f"{self.network}.2.{self._next}"
        blocks = {"client": block, "plugin": plugins, "datacenter": kind.datacenter}
        self._launch(f"{kind.name}_{number}", address, blocks)
