"""The keeper's real certificates controller over the lab's vaults: what a lab needs before machines can join.

    room = VaultRoom(tenant, wall_clock)
    room.tick()              # from empty vaults to everything that machines wait for
    room.value(Audience.SERVERS, "nomad-agent-tls")

The vaults answer the real SDKs without a socket; a lab may serve the same vaults over https beside it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken, AccessTokenInfo

from keeper.azure.authority import VaultAuthorities
from keeper.azure.vaults import AudienceVault
from keeper.certificate_ports import Certificates
from keeper.consul.access import ConsulAccess
from keeper.consul.connection import ConsulServers
from keeper.controllers import certificates
from keeper.core.certificates import Audience
from keeper.core.messages import Controller, Kind, Message
from keeper.core.rules import AutoscaleRules
from keeper.nomad.access import NomadAccess
from keeper.nomad.session import NomadSession
from keeper.ports import World
from keeper.settings import AzureSettings, DoorSettings, NomadSettings, Settings, SnapshotSettings
from keeper.settings_certificates import CertificateSettings
from lab.azure.access import Grant
from lab.azure.inprocess import InProcessTransport
from lab.azure.tokens import Principal
from lab.clock import FakeClock
from lab.keyvault.key_store import make_key
from lab.keyvault.vault import Vault
from lab.storage.memory import MemoryCorridor, MemoryLeases, MemoryRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from keeper.certificate_ports import AccessControl
    from keeper.controllers.certificates import Outcome
    from lab.azure.tokens import Tenant
    from lab.http import Request, Response

NOBODY = "00000000-0000-0000-0000-000000000000"
KEEPER = Principal("aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-0000000000f1", "keeper")
CA_KEY = "nomad-ca"
VAULTS = "Microsoft.KeyVault/vaults"
SECRETS = (f"{VAULTS}/secrets/getSecret/action", f"{VAULTS}/secrets/setSecret/action")
AUTHORITY = (*SECRETS, f"{VAULTS}/keys/read", f"{VAULTS}/keys/sign/action", f"{VAULTS}/keys/rotate/action")
PUBLISHER = (*SECRETS, f"{VAULTS}/certificates/read", f"{VAULTS}/certificates/create/action")
"""What the template's roles allow the keeper, as far as this controller goes (`bicep/modules/security/keeperRoles.bicep`)."""

BASE = Settings(
    nomad=NomadSettings(address="https://nomad.lab:4646"),
    azure=AzureSettings(
        subscription=NOBODY,
        client_id=KEEPER.client_id,
        vault="https://kv-keeper.vault.azure.net",
        blobs="https://b.lab",
        queues="https://q.lab",
    ),
    doors=DoorSettings(),
    autoscale=AutoscaleRules(),
    snapshots=SnapshotSettings(consul_address="https://consul.lab:8501"),
    certificates=CertificateSettings(
        servers_vault="https://kv-servers.vault.azure.net",
        clients_vault="https://kv-clients.vault.azure.net",
    ),
)


NOBODY_SERVED = replace(BASE, certificates=CertificateSettings())
"""No machine has a vault yet: see `with_vault`."""
URLS = {Audience.SERVERS: "servers_vault", Audience.CLIENTS: "clients_vault", Audience.CONSUL: "consul_vault"}


def with_vault(settings: Settings, audience: Audience, url: str) -> Settings:
    """Settings that name that audience's vault, too."""
    named: dict[str, Any] = {URLS[audience]: url}
    return replace(settings, certificates=replace(settings.certificates, **named))


@dataclass(slots=True)
class TenantCredential:
    """A credential of the keeper, whose tokens the vaults check like any other's."""

    tenant: Tenant
    principal: Principal = KEEPER

    def get_token(self, *scopes: str, **_options: object) -> AccessToken:
        """Issue a token for one scope."""
        token, ends = self.tenant.issue(self.principal, scopes[0].removesuffix("/.default"))
        return AccessToken(token, int(ends.timestamp()))

    def get_token_info(self, *scopes: str, **_options: object) -> AccessTokenInfo:
        """Issue a token for one scope."""
        token = self.get_token(*scopes)
        return AccessTokenInfo(token.token, token.expires_on)


@dataclass(frozen=True, slots=True)
class Reading:
    """A clock of the lab as the keeper's."""

    clock: Callable[[], datetime]

    def now(self) -> datetime:
        """Read it."""
        return self.clock()


@dataclass
class VaultRoom:
    """The vaults of one cluster with the keeper's rights in them, and the controller over them. `vaults` may be a lab's own."""

    tenant: Tenant
    clock: Callable[[], datetime]
    settings: Settings = BASE
    vaults: dict[Audience, Vault] = field(default_factory=dict)
    access: Sequence[AccessControl] = ()
    """Servers whose access control is set up, too: see `access_of_nomad` and `access_of_consul`."""

    def __post_init__(self) -> None:
        self.records = MemoryRecords()
        self.leases = MemoryLeases(self.clock)
        self.corridor = MemoryCorridor(self.clock)
        self.prepare()

    def prepare(self) -> None:
        """Make what the template makes: each vault that is named and not there, the CA key, and the keeper's rights."""
        for audience, url in self.urls().items():
            vault = self.vaults.setdefault(audience, Vault(self.tenant, self.clock, name=_host(url), grants={}))
            allowed = AUTHORITY if audience is Audience.KEEPER else PUBLISHER
            if vault.grants is not None:
                vault.grants = {**vault.grants, KEEPER.object_id: (Grant(allowed),)}
        keys = self.vaults[Audience.KEEPER].keys.shelf
        if not keys.has(CA_KEY):
            wanted = {"kty": "EC", "crv": "P-384", "key_ops": ["sign", "verify"]}
            keys.add(CA_KEY, make_key(wanted), wanted)

    def urls(self) -> dict[Audience, str]:
        """Each audience's vault, as the settings name it."""
        ours = self.settings.certificates
        named = {
            Audience.KEEPER: self.settings.azure.vault,
            Audience.SERVERS: ours.servers_vault,
            Audience.CLIENTS: ours.clients_vault,
            Audience.CONSUL: ours.consul_vault,
        }
        return {audience: url for audience, url in named.items() if url}

    def world(self) -> World:
        """What the controller works with."""
        credential, transport = TenantCredential(self.tenant), InProcessTransport(self._answer, FakeClock())
        vaults = {
            audience: AudienceVault(url, credential=credential, transport=transport)
            for audience, url in self.urls().items()
        }
        authorities = VaultAuthorities(self.settings.azure.vault, CA_KEY, credential=credential, transport=transport)
        nothing: Any = None
        return World(
            nomad=nothing,
            scale_sets=nothing,
            utilisation=nothing,
            records=self.records,
            leases=self.leases,
            corridor=self.corridor,
            clock=Reading(self.clock),
            settings=self.settings,
            certificates=Certificates(
                vaults=vaults, authorities=authorities, fresh=lambda: os.urandom(32), access=self.access
            ),
        )

    def tick(self, kind: Kind = Kind.TIMER) -> Outcome:
        """Run the controller once."""
        return certificates.run(self.world(), Message(kind, Controller.CERTIFICATES, "lab", self.clock(), "lab"))

    def value(self, audience: Audience, name: str) -> str:
        """Return a secret's newest value, as a machine of that audience reads it."""
        return self.vaults[audience].secrets.shelf.get(name).content.value

    def _answer(self, request: Request) -> Response:
        host = _host(request.url)
        audience = next(audience for audience, url in self.urls().items() if _host(url) == host)
        return self.vaults[audience].handle(request)


def access_of_nomad(room: VaultRoom) -> NomadAccess:
    """Return Nomad's access control as the keeper reaches it: token and CAs from its vault."""
    nomad = room.settings.nomad
    token, ca = _held(room, room.settings.restores.token_secret), _held(room, nomad.ca_secret)
    return NomadAccess(NomadSession(nomad, token=str, ca=ca), lambda: NomadSession(nomad, token=token, ca=ca))


def access_of_consul(room: VaultRoom) -> ConsulAccess:
    """Return Consul's access control in the same way."""
    ours, token = room.settings.snapshots, room.settings.restores.consul_token_secret
    anybody, manager = (
        ConsulServers(ours, token=each, ca=_held(room, ours.consul_ca_secret), secret=token)
        for each in (str, _held(room, token))
    )
    return ConsulAccess(anybody, manager)


def _held(room: VaultRoom, name: str) -> Callable[[], str]:
    return lambda: room.value(Audience.KEEPER, name)


def _host(url: str) -> str:
    return str(urlsplit(url).hostname)
