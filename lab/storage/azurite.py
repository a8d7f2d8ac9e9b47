"""Azurite as one process: started on free ports, stopped, killed and started again on the same data.

It answers the real `azure-storage-*` clients. With a certificate it speaks https and accepts managed identity tokens:
`--oauth basic` checks issuer, audience and expiry of a token but no signature
(https://github.com/Azure/Azurite#bearer-token). `--skipApiVersionCheck` is needed because the SDKs send newer API
versions than Azurite lists. What Azurite lacks stays unproven here: immutability, versioning, soft delete.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from lab.lifetime import Lifetime
from lab.storage.install import HERE, install_azurite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.ca import Leaf

ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The development account's published key: https://learn.microsoft.com/azure/storage/common/storage-use-azurite."""
SERVICES = ("Blob", "Queue", "Table")
LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at \w+://[\d.]+:(\d+)")
START_SECONDS = 30
STOP_SECONDS = 10


class Azurite(Lifetime):
    """A storage account with blob, queue and table; a context manager that starts it, stops it and removes its data.

    `leaf` makes it speak https with that certificate and accept bearer tokens (`trust` is the CA bundle that callers
    need). `location` keeps the data in a given folder, which then stays after `stop`; without it, the data lies in a
    temporary folder that `close` removes. Ports are free ones, chosen at the first start and kept for later ones.
    """

    def __init__(self, leaf: Leaf | None = None, *, trust: Path | None = None, location: Path | None = None) -> None:
        self.trust = trust
        self._leaf = leaf
        self._kept = location is not None
        self.location = location or Path(tempfile.mkdtemp(prefix="azurite-"))
        self._ports: dict[str, int] = dict.fromkeys(SERVICES, 0)
        self._process: subprocess.Popen[str] | None = None
        self._output: list[str] = []
        self._listening = threading.Event()

    def start(self) -> None:
        """Start and return when all three services listen; RuntimeError with Azurite's output when they do not."""
        if self._process:
            raise RuntimeError("this Azurite already runs")
        self._listening.clear()
        self._output.clear()
        self._process = subprocess.Popen(
            self._command(),
            stdin=subprocess.PIPE,  # held open for as long as this process lives: see exit_with_parent.cjs
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._follower = threading.Thread(target=self._follow, args=(self._process,), daemon=True)
        self._follower.start()
        self._listening.wait(START_SECONDS)
        if not all(self._ports.values()) or self._process.poll() is not None:
            self.kill()
            raise RuntimeError("Azurite did not start:\n" + "\n".join(self._output))

    def stop(self) -> None:
        """Let Azurite write its data and end; the data stays for another `start`. Safe to call twice."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._forget()

    def kill(self) -> None:
        """End Azurite at once. Unlike Azure it then forgets what was written in its last five seconds."""
        if self._process:
            self._process.kill()
        self._forget()

    def close(self) -> None:
        """Stop, and remove the data unless its folder was given."""
        self.stop()
        if not self._kept:
            shutil.rmtree(self.location, ignore_errors=True)

    @property
    def pid(self) -> int | None:
        """The process id while Azurite runs."""
        return self._process.pid if self._process else None

    @property
    def blob_url(self) -> str:
        """The blob endpoint of the account, as `BlobServiceClient(account_url=...)` takes it."""
        return self._url("Blob")

    @property
    def queue_url(self) -> str:
        """The queue endpoint of the account."""
        return self._url("Queue")

    @property
    def table_url(self) -> str:
        """The table endpoint of the account."""
        return self._url("Table")

    @property
    def connection_string(self) -> str:
        """The account with its shared key, for `from_connection_string`."""
        endpoints = f"BlobEndpoint={self.blob_url};QueueEndpoint={self.queue_url};TableEndpoint={self.table_url}"
        scheme = "https" if self._leaf else "http"
        return f"DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};{endpoints}"

    def app_settings(self, connection: str = "AzureWebJobsStorage") -> Mapping[str, str]:
        """Return the app settings of an identity-based connection, as a function app in Azure has them.

        They need a certificate (`leaf`), for the SDKs send tokens over https only.
        """
        services = {"blob": self.blob_url, "queue": self.queue_url, "table": self.table_url}
        uris = {f"{connection}__{service}ServiceUri": url for service, url in services.items()}
        trust = {"REQUESTS_CA_BUNDLE": str(self.trust), "SSL_CERT_FILE": str(self.trust)} if self.trust else {}
        return {f"{connection}__credential": "managedidentity", **uris, **trust}

    def _url(self, service: str) -> str:
        return f"{'https' if self._leaf else 'http'}://127.0.0.1:{self._ports[service]}/{ACCOUNT}"

    def _command(self) -> list[str]:
        installed = install_azurite()
        command = [str(installed.node), "--require", str(HERE / "exit_with_parent.cjs"), str(installed.script)]
        command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", str(self.location)]
        for service, port in self._ports.items():
            command += [f"--{service.lower()}Host", "127.0.0.1", f"--{service.lower()}Port", str(port)]
        if self._leaf:
            command += ["--oauth", "basic", "--cert", str(self._leaf.certificate), "--key", str(self._leaf.key)]
        return command

    def _follow(self, process: subprocess.Popen[str]) -> None:
        """Read what Azurite prints: the ports it was given, and the reason when it ends."""
        found: set[str] = set()
        for line in process.stdout or ():
            self._output.append(line.rstrip())
            if match := LISTENING.match(line):
                self._ports[match[1]] = int(match[2])
                found.add(match[1])
                if found == set(SERVICES):
                    self._listening.set()
        self._listening.set()

    def _forget(self) -> None:
        if self._process:
            self._process.wait()
            self._follower.join()  # it reads what is closed here
            for stream in (self._process.stdin, self._process.stdout):
                if stream:
                    stream.close()
        self._process = None
