"""The stand-in on the network: ARM over https, the identity endpoints over http, and a thread that lets time pass."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from lab.azure.identity import AppServiceIdentity, InstanceMetadata
from lab.http import Server, Tls, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.azure.arm import Arm
    from lab.azure.model.resources import Instance, ScaleSet
    from lab.azure.tokens import Principal, Tenant
    from lab.ca import Leaf
    from lab.http import Request

LONGEST_NAP = timedelta(milliseconds=100)


class Ticker:
    """Calls `arm.advance` whenever something falls due, so that instances boot although nobody asks."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="azure-ticker", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        nap = 0.0
        while not self._stop.wait(nap):
            due = self._arm.advance()
            wait = LONGEST_NAP if due is None else min(max(due, timedelta(milliseconds=1)), LONGEST_NAP)
            nap = wait.total_seconds()

    def stop(self) -> None:
        """Stop ticking and wait for the thread."""
        self._stop.set()
        self._thread.join(timeout=5)


@dataclass(frozen=True, slots=True)
class AzureServer:
    """A running stand-in; a context manager that stops it.

    `url` is ARM's base URL (https); `identity_environment` is what a function app must find in its environment;
    `metadata_url` is IMDS over http, where a machine is told apart by the address it calls from or, on plain loopback,
    by the header `X-Lab-Instance: <scale set>/<instance id>`.
    """

    arm: Arm
    url: str
    metadata_url: str
    identity_environment: dict[str, str]
    _servers: tuple[Server, ...]
    _ticker: Ticker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop everything; safe to call twice."""
        self._ticker.stop()
        for server in self._servers:
            server.stop()


def start(
    arm: Arm,
    leaf: Leaf,
    tenant: Tenant,
    principals: Sequence[Principal],
    *,
    address: str = "127.0.0.1",
    port: int = 0,
    identity_header: str = "lab-identity-header",
) -> AzureServer:
    """Start ARM, the App Service identity endpoint and IMDS on free ports of one address."""
    identity = AppServiceIdentity(tenant, principals, identity_header)
    metadata = InstanceMetadata(arm, tenant, principals, lambda request: locate(arm, request))
    arm_server = serve(arm.handle, address=address, port=port, tls=Tls(leaf.certificate, leaf.key))
    identity_server = serve(identity.handle, address=address)
    metadata_server = serve(metadata.handle, address=address)
    return AzureServer(
        arm=arm,
        url=arm_server.url,
        metadata_url=metadata_server.url,
        identity_environment={
            "IDENTITY_ENDPOINT": f"{identity_server.url}/msi/token",
            "IDENTITY_HEADER": identity_header,
        },
        _servers=(arm_server, identity_server, metadata_server),
        _ticker=Ticker(arm),
    )


def locate(arm: Arm, request: Request) -> tuple[ScaleSet, Instance] | None:
    """Find the machine that a metadata request comes from: by header, else by address."""
    scale_set_name, _, instance_name = request.headers.get("x-lab-instance", "").partition("/")
    for scale_set in arm.cloud.scale_sets.values():
        if instance_name and scale_set.key.name.lower() == scale_set_name.lower():
            instance = scale_set.instance_named(instance_name)
            return (scale_set, instance) if instance else None
        for instance in scale_set:
            if not instance_name and instance.ip == request.peer:
                return scale_set, instance
    return None
