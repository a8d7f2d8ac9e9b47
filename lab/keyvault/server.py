"""The vault on the network, over https with a certificate of the lab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from lab.http import Server, Tls, serve
from lab.keyvault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from lab.azure.tokens import Tenant
    from lab.ca import Leaf


@dataclass(frozen=True, slots=True)
class VaultServer:
    """A running vault; a context manager that stops it. `url` is the vault's URL."""

    vault: Vault
    url: str
    _server: Server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening; safe to call twice."""
        self._server.stop()

    def set_secret(self, name: str, value: str) -> None:
        """Put a secret, as a deployment does."""
        self.vault.set_secret(name, value)


def start(
    tenant: Tenant, leaf: Leaf, now: Callable[[], datetime], *, address: str = "127.0.0.1", port: int = 0
) -> VaultServer:
    """Start a vault on a free port of one address, which the leaf must name."""
    vault = Vault(tenant, now)
    server = serve(vault.handle, address=address, port=port, tls=Tls(leaf.certificate, leaf.key))
    return VaultServer(vault, server.url, server)
