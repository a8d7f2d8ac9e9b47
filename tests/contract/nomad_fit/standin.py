"""The same cluster as the stand-in plays it, in this process and on a clock of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import requests

from keeper.nomad.cluster import NomadHttp
from keeper.settings import NomadSettings
from lab.clock import FakeClock
from lab.nomad.http.inprocess import InProcess
from lab.nomad.model.nodes import computed_class, node_record
from lab.nomad.server import NomadLab
from tests.contract.nomad_fit.kinds import KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable


class StandIn:
    """The stand-in with the same clients, in this process."""

    title = "stand-in"

    def __init__(self) -> None:
        self._clock = FakeClock()
        self._lab = NomadLab(clock=self._clock)
        transport = InProcess(self._lab.router())
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["X-Nomad-Token"] = self._lab.management_token
        self._session.mount("https://nomad.lab:4646", transport)
        self.keeper = NomadHttp(
            NomadSettings(address="https://nomad.lab:4646"),
            token=lambda: self._lab.management_token,
            ca=lambda: "",
            transport=transport,
        )
        for number, kind in enumerate(KINDS):
            for one in range(kind.nodes):
                self._lab.cluster.register_node(self._node(kind, one, f"127.77.{number + 1}.{one + 1}"))

    def _node(self, kind: Kind, number: int, address: str) -> dict[str, Any]:
        node = node_record(
            node_id=f"00000000-0000-4000-8000-0000{address.split('.')[2]:0>4}{number:0>4}",
            name=f"{kind.name}_{number}",
            now=int(self._clock().timestamp() * 1e9),
            datacenter=kind.datacenter,
            node_class=kind.node_class,
            node_pool=kind.node_pool,
            cpu=kind.cpu,
            cores=kind.cores,
            memory=kind.memory,
            address=address,
            meta=kind.told(),
            host_volumes=dict.fromkeys(kind.volumes, "/srv"),
            reserved={"cpu": kind.reserved_cpu, "memory": kind.reserved_memory},
            reserved_ports=kind.reserved_ports,
        )
        for name, read_only in kind.volumes.items():
            node["HostVolumes"][name]["ReadOnly"] = read_only
        if not kind.bridge:
            for key in ("Networks", "NodeNetworks"):
                node["NodeResources"][key] = [each for each in node["NodeResources"][key] if each["Mode"] != "bridge"]
        node["NodeResources"]["Cpu"]["TotalCpuCores"] = 2
        node["ComputedClass"] = computed_class(node)
        return node

    def ask(self, method: str, path: str, body: object = None) -> requests.Response:
        return self._session.request(method, "https://nomad.lab:4646" + path, json=body)

    def wait(self, what: str, holds: Callable[[], bool]) -> None:
        for _ in range(200):
            if holds():
                return
            self._clock.advance(timedelta(seconds=1))
            self._lab.advance()
        raise TimeoutError(what)

    def close(self) -> None:
        self._session.close()
        self._lab.stop()
