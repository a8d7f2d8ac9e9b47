"""The two Nomad clusters a lab can have: the stand-in, and real processes. The lab sees one and the same thing."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import requests

from keeper.core.wanted_access import KEEPER_RULES, WATCHER_RULES
from lab.nomad.http.tls import TlsFiles
from lab.nomad.keyfiles import read_keys, write_keys
from lab.nomad.processes import NomadProcesses, free_network
from lab.nomad.server import LAB_TOKEN, NomadLab

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.ca import Authority
    from lab.membership import NodeShape


class _Side:
    """What both have: tokens with just the rights they need, and a way to call the API."""

    url: str
    authority: Path
    management_token: str
    keeper_token: str
    watcher_token: str

    def request(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 -- decoded JSON
        """Call the API with the management token; raises for an error status."""
        answer = requests.request(
            method,
            self.url + path,
            json=body,
            headers={"X-Nomad-Token": self.management_token},
            verify=str(self.authority),
            timeout=10,
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _make_tokens(self) -> None:
        self.keeper_token = self._token("keeper", KEEPER_RULES)
        self.watcher_token = self._token("watcher", WATCHER_RULES)

    def _token(self, name: str, rules: str) -> str:
        self.request("PUT", f"/v1/acl/policy/{name}", {"Name": name, "Rules": rules})
        return str(
            self.request("PUT", "/v1/acl/token", {"Name": name, "Type": "client", "Policies": [name]})["SecretID"]
        )


class ModelNomad:
    """Clients of the model: joining registers one, leaving kills it."""

    def __init__(self, lab: NomadLab) -> None:
        self._cluster = lab.cluster
        self._nodes: dict[str, str] = {}

    def join(self, name: str, shape: NodeShape, meta: Mapping[str, str]) -> None:
        """Register a client; one that was here before has its data, and so its id, still."""
        known = {"node_id": self._nodes[name]} if name in self._nodes else {}
        node = self._cluster.register_node(
            **known,
            name=name,
            cpu=shape.cpu,
            memory=shape.memory,
            disk=shape.disk,
            node_class=shape.node_class,
            node_pool=shape.node_pool,
            datacenter=shape.datacenter,
            meta=meta,
        )
        self._nodes[name] = node["ID"]

    def leave(self, name: str) -> None:
        """End a client as a deleted machine does; an unknown name is no error."""
        node = self._nodes.pop(name, None)
        if node is not None:
            self._cluster.stop_client(node, kill=True)


class StandInNomad(_Side, ModelNomad):
    """The stand-in behind its HTTP face."""

    kind = "stand-in"

    def __init__(self, authority: Authority) -> None:
        leaf = authority.issue("nomad", names=["server.global.nomad", "localhost"], addresses=["127.0.0.1"])
        self.authority = authority.certificate
        self.management_token = LAB_TOKEN
        self._tls = TlsFiles(leaf.certificate, leaf.key, authority.certificate)
        self._keys = Path(tempfile.mkdtemp(prefix="keeper-keys-"))
        self.lab = NomadLab(tls=self._tls)
        ModelNomad.__init__(self, self.lab)

    def __enter__(self) -> Self:
        self.lab.start()
        self.url = self.lab.url
        self._make_tokens()
        return self

    def __exit__(self, *_: object) -> None:
        self.lab.stop()
        shutil.rmtree(self._keys, ignore_errors=True)

    def server_urls(self) -> dict[str, str]:
        """Every server's name and HTTP address."""
        return {name: self.lab.urls[name] for name in self.lab.servers}

    def keystores(self) -> dict[str, Path]:
        """Every server's folder of root keys; the model's keys are written there as a real server's are."""
        folder = self._keys / next(iter(self.lab.servers))
        write_keys(self.lab.region.keyring, folder)
        return {folder.name: folder}

    def lose_servers(self) -> None:
        """End every server with all its state; its address refuses connections."""
        self._port = int(self.url.rpartition(":")[2])
        self.lab.stop()
        shutil.rmtree(self._keys)

    def start_servers(self) -> None:
        """Start a server without any state at the same address; it reads the keys that lie in its folder."""
        kept = self._nodes
        self.lab = NomadLab(tls=self._tls, port=self._port, seed=self.lab.seed + 1)
        ModelNomad.__init__(self, self.lab)
        self._nodes = kept
        read_keys(self.lab.region.keyring, self._keys / next(iter(self.lab.servers)))
        self.lab.start()

    def folders(self) -> dict[str, Path]:
        """The folders of root keys that fresh servers will have."""
        return {name: self._keys / name for name in self.lab.servers}


class RealNomad(_Side):
    """Real processes."""

    kind = "real"

    def __init__(self, nomad: Path) -> None:
        self.processes = NomadProcesses(nomad, network=free_network())
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.processes)
        self.url = self.processes.url
        self.authority = self.processes.authority
        self.management_token = self.processes.management_token
        self._make_tokens()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def server_urls(self) -> dict[str, str]:
        """Every server's name and HTTP address."""
        return self.processes.server_urls()

    def keystores(self) -> dict[str, Path]:
        """Every server's folder of root keys."""
        return {name: self.processes.keystore(name) for name in self.server_urls()}

    def folders(self) -> dict[str, Path]:
        """The folders of root keys that fresh servers will have."""
        return self.keystores()

    def lose_servers(self) -> None:
        """End every server with all its state."""
        self.processes.lose_servers()

    def start_servers(self) -> None:
        """Start servers without any state, but with the keys that lie in their folders."""
        self.processes.start_servers()

    def join(self, name: str, shape: NodeShape, meta: Mapping[str, str]) -> None:
        """Start a client process."""
        self.processes.join(
            name,
            cpu=shape.cpu,
            memory=shape.memory,
            node_class=shape.node_class,
            node_pool=shape.node_pool,
            datacenter=shape.datacenter,
            meta=meta,
        )

    def leave(self, name: str) -> None:
        """Kill the client's processes; an unknown name is no error."""
        self.processes.kill(name)
