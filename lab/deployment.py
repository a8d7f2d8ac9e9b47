"""The whole lab: a storage account, Azure, a Nomad cluster, the watcher and the real function app, on loopback.

    with Deployment(pools, settings) as lab:
        ...  # lab.host, lab.cloud, lab.nomad, lab.api(...)

What differs from production is endpoints and a CA bundle; shipped code has no switch for it. With a Nomad binary (`NOMAD_BIN`,
or `nomad` on PATH) the servers and every instance are real Nomad processes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from lab.azure.access import Access
from lab.azure.arm import Arm
from lab.azure.model.cloud import LAB_TENANT, Cloud
from lab.azure.model.pace import FixedBoot, Pace
from lab.azure.server import start as start_azure
from lab.azure.tokens import Principal, Tenant
from lab.ca import Authority
from lab.clock import wall_clock
from lab.host.host import FunctionsHost
from lab.keyvault.server import start as start_vault
from lab.lifetime import Lifetime
from lab.membership import FollowingMembership
from lab.nomad.processes import binary
from lab.nomad.sides import RealNomad, StandInNomad
from lab.pools import CA_SECRET, CONTAINER, QUEUE, TOKEN_SECRET, LabPool, make_pools, settings_of
from lab.storage.azurite import Azurite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.azure.server import AzureServer

ROOT = Path(__file__).resolve().parent.parent
KEEPER = Principal("aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-0000000000f1", "keeper")
SERVERS = Principal("aaaaaaaa-0000-4000-8000-000000000002", "aaaaaaaa-0000-4000-8000-0000000000f2", "servers")
QUICK = Pace(
    boot=FixedBoot(timedelta(seconds=2)),
    allocate=timedelta(milliseconds=300),
    update=timedelta(milliseconds=300),
    shut_down=timedelta(milliseconds=200),
    delete=timedelta(seconds=1),
    retry_after=timedelta(seconds=1),
)
"""A cloud in which a machine is up after two seconds."""


class Deployment(Lifetime):
    """Everything together; a context manager that ends all of it, also when starting fails half way."""

    def __init__(
        self,
        pools: Sequence[LabPool],
        settings: Mapping[str, str] | None = None,
        *,
        pace: Pace = QUICK,
        watch: bool = True,
        real: bool = True,
        port: int = 0,
    ) -> None:
        self.pools = list(pools)
        self.directory = Path(tempfile.mkdtemp(prefix="keeper-lab-"))
        self.cloud = Cloud(wall_clock, pace=pace)
        self._extra = dict(settings or {})
        self._watch, self._real = watch, real
        self._port = port
        self._stack = ExitStack()
        self._watchers: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start every part, each with what it needs of those before; returns when all answer."""
        self.authority = Authority.create(self.directory / "tls", wall_clock())
        leaf = self.authority.issue("lab", names=["localhost", "lab.vault.localhost"], addresses=["127.0.0.1"])
        self.tenant = Tenant(LAB_TENANT, wall_clock)
        self.arm = Arm(self.cloud, access=Access(self.tenant))
        self.azure: AzureServer = self._stack.enter_context(start_azure(self.arm, leaf, self.tenant, [KEEPER, SERVERS]))
        self.storage = self._stack.enter_context(Azurite(leaf, trust=self.authority.certificate))
        self._make_storage()
        self.nomad = self._stack.enter_context(self._nomad())
        self.vault = self._stack.enter_context(start_vault(self.tenant, leaf, wall_clock))
        self.vault.set_secret(TOKEN_SECRET, self.nomad.keeper_token)
        self.vault.set_secret(CA_SECRET, self.nomad.authority.read_text())
        self.membership = FollowingMembership(self.nomad, {pool.scale_set: pool.shape for pool in self.pools})
        self._stack.callback(self.membership.stop)
        self.cloud.subscribe(self.membership.observe)
        make_pools(self.cloud, self.pools)
        self.host = self._stack.enter_context(FunctionsHost(ROOT, self.settings(), port=self._port))
        if self._watch:
            self._start_watchers()

    def close(self) -> None:
        """End every part, last started first, and remove every file."""
        self._stack.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _nomad(self) -> RealNomad | StandInNomad:
        real = binary() if self._real else None
        return RealNomad(real) if real else StandInNomad(self.authority)

    def _make_storage(self) -> None:
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 -- only a running lab needs it
        from azure.storage.queue import QueueServiceClient  # noqa: PLC0415 -- the same

        trust = str(self.authority.certificate)
        with BlobServiceClient.from_connection_string(self.storage.connection_string, connection_verify=trust) as blobs:
            blobs.create_container(CONTAINER)
        queues = QueueServiceClient.from_connection_string(self.storage.connection_string, connection_verify=trust)
        with queues:
            for name in (QUEUE, f"{QUEUE}-poison"):
                queues.create_queue(name)

    def settings(self) -> dict[str, str]:
        """The app settings, as the infrastructure's outputs would make them."""
        own = {
            **self.storage.app_settings("KEEPER_STORAGE"),
            **self.storage.app_settings("AzureWebJobsStorage"),
            **self.azure.identity_environment,
            "AZURE_CLIENT_ID": KEEPER.client_id,
            "ARM_ENDPOINT": self.azure.url,
            "KEY_VAULT_URL": self.vault.url,
            "NOMAD_ADDRESS": self.nomad.url,
            "REQUESTS_CA_BUNDLE": str(self._trust()),
            "SSL_CERT_FILE": str(self._trust()),
        }
        return {**settings_of(self.pools, self.cloud.subscription), **own, **self._extra}

    def _trust(self) -> Path:
        """One CA bundle for all of the lab's endpoints."""
        bundle = self.directory / "trust.pem"
        bundle.write_text(self.authority.certificate.read_text() + self.nomad.authority.read_text())
        return bundle

    def _start_watchers(self) -> None:
        token = self.directory / "watcher-token"
        token.touch(mode=0o600)
        token.write_text(self.nomad.watcher_token)
        for name, url in self.nomad.server_urls().items():
            config = self.directory / f"watch-{name}.json"
            config.write_text(
                json.dumps(
                    {
                        "nomad_address": url,
                        "nomad_ca_file": str(self.nomad.authority),
                        "nomad_token_file": str(token),
                        "queue_url": f"{self.storage.queue_url}/{QUEUE}",
                        "queue_ca_file": str(self.authority.certificate),
                        "identity_client_id": SERVERS.client_id,
                        "node_name": name,
                        "interval_seconds": 0.5,
                    }
                )
            )
            program = ROOT / "cloud-init" / "node" / "keeper_node.py"
            watcher = subprocess.Popen(
                [sys.executable, str(program), "watch", "--config", str(config)],
                env={"PATH": "/usr/bin:/bin", **self.azure.identity_environment},
                stdin=subprocess.DEVNULL,
                stdout=(self.directory / f"watch-{name}.log").open("wb"),
                stderr=subprocess.STDOUT,
            )
            self._watchers.append(watcher)
            self._stack.callback(_end, watcher)

    def api(self, method: str, path: str, body: object = None, **headers: str) -> requests.Response:
        """Call the keeper's HTTP API with the host's function key."""
        return requests.request(
            method,
            f"{self.host.url}/api/{path}",
            json=body,
            headers={"x-functions-key": self.host.key, **headers},
            timeout=30,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
