"""The composition root: the only module that names concrete adapters. Everything is made once per process, when first used."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from keeper import settings as _settings
from keeper.azure.authority import VaultAuthorities
from keeper.azure.corridor import StorageCorridor
from keeper.azure.data_keys import VaultDataKeys
from keeper.azure.identity import managed_identity
from keeper.azure.keystores import DRILLS, BlobKeystores, Left
from keeper.azure.leases import BlobLeases
from keeper.azure.metrics import MonitorUtilisation
from keeper.azure.records import BlobRecords
from keeper.azure.scale_sets import ScaleSetsArm
from keeper.azure.secrets import VaultSecrets
from keeper.azure.snapshots import BlobSnapshots
from keeper.azure.storage import Container
from keeper.azure.vaults import AudienceVault
from keeper.certificate_ports import AccessControl, Certificates
from keeper.clock import Clock, SystemClock
from keeper.consul.access import ConsulAccess
from keeper.consul.connection import ConsulServers
from keeper.consul.restoring import ConsulCanaries, ConsulRestore
from keeper.consul.snapshots import ConsulSnapshots
from keeper.controllers import answers, inbox
from keeper.core import keystores
from keeper.core.certificates import Audience
from keeper.core.decisions import Wanted
from keeper.core.messages import Message
from keeper.core.operations import Operation
from keeper.nomad.access import NomadAccess
from keeper.nomad.cluster import NomadHttp
from keeper.nomad.restoring import NomadCanaries, NomadDrills, NomadRestore, root_keys
from keeper.nomad.session import Former, NomadSession
from keeper.nomad.snapshots import NomadSnapshots
from keeper.ports import Corridor, Records, World
from keeper.restore_ports import Canaries, Restores, RestoreTarget
from keeper.settings import Settings
from keeper.snapshot_ports import Snapshots, SnapshotSource

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential


@dataclass(frozen=True, slots=True)
class Doors:
    """All that a door may touch: it stores, enqueues and answers from what is stored."""

    records: Records
    corridor: Corridor
    clock: Clock
    settings: Settings


@cache
def settings() -> Settings:
    """The settings of this process; raises `SettingsError` with every problem."""
    return _settings.from_environment()


@cache
def doors() -> Doors:
    """What the doors need; loads neither Nomad's client nor Azure's management SDKs."""
    return Doors(
        BlobRecords(_container()),
        StorageCorridor(settings().azure, credential=_credential()),
        SystemClock(),
        settings(),
    )


@cache
def world() -> World:
    """What the controllers need."""
    azure, ours = settings().azure, doors()
    secrets = VaultSecrets(azure, credential=_credential())
    nomad = settings().nomad
    return World(
        nomad=NomadHttp(
            nomad,
            token=_secret(secrets, nomad.token_secret),
            ca=_secret(secrets, nomad.ca_secret),
            former=_former(secrets, nomad.token_secret),
        ),
        scale_sets=ScaleSetsArm(azure, settings().pools, credential=_credential(), clock=ours.clock),
        utilisation=MonitorUtilisation(azure, credential=_credential()),
        records=ours.records,
        leases=BlobLeases(_container()),
        corridor=ours.corridor,
        clock=ours.clock,
        settings=settings(),
        snapshots=_snapshots(secrets),
        restores=_restores(secrets),
        certificates=_certificates(secrets),
    )


def now() -> datetime:
    """The time."""
    return doors().clock.now()


def tick(message: Message) -> None:
    """See `inbox.tick`."""
    inbox.tick(world(), message)


def handle(text: str) -> None:
    """See `inbox.handle`."""
    inbox.handle(world(), text)


def bury(text: str) -> None:
    """See `inbox.bury`."""
    inbox.bury(doors().records, text, now())


def store_once(operation: Operation) -> Operation:
    """See `answers.store_once`."""
    return answers.store_once(doors().records, operation)


def operation(name: str) -> Operation:
    """See `answers.stored_operation`."""
    return answers.stored_operation(doors().records, name)


def status() -> dict[str, object]:
    """See `answers.status`."""
    return answers.status(doors().records, doors().settings.snapshots, now())


def decisions(wanted: Wanted) -> list[dict[str, object]]:
    """See `answers.decided`."""
    return answers.decided(doors().records, wanted, now())


def _snapshots(secrets: VaultSecrets) -> Snapshots:
    """Where snapshots come from and go to. Nothing of it is loaded before the first one is taken."""
    ours, azure, nomad = settings().snapshots, settings().azure, settings().nomad
    keeper, saver = (_session(secrets, name) for name in (nomad.token_secret, ours.nomad_token_secret))
    sources: list[SnapshotSource] = [NomadSnapshots(keeper, saver, saver_secret=ours.nomad_token_secret)]
    if ours.consul_address:
        sources.append(_consul(secrets, ConsulSnapshots, ours.consul_token_secret))
    return Snapshots(
        sources=sources,
        store=BlobSnapshots(azure.blobs, credential=_credential()),
        copies=BlobSnapshots(ours.copy_blobs, credential=managed_identity(ours.copy_client_id))
        if ours.copy_blobs
        else None,
        keys=VaultDataKeys(azure.vault, ours.key, credential=_credential()),
        keystores=_keystores(secrets),
    )


def _restores(secrets: VaultSecrets) -> Restores:
    """Where state is put back, and where that is rehearsed."""
    ours, azure = settings().restores, settings().azure
    keeper = _session(secrets, settings().nomad.token_secret)
    verdicts = Left(azure.blobs, DRILLS, credential=_credential())
    targets: list[RestoreTarget] = [NomadRestore(_session(secrets, ours.token_secret), secret=ours.token_secret)]
    kept: list[Canaries] = [NomadCanaries(keeper)]
    if settings().snapshots.consul_address:
        targets.append(_consul(secrets, ConsulRestore, ours.consul_token_secret))
        kept.append(_consul(secrets, ConsulCanaries, ours.consul_token_secret))
    return Restores(
        targets=targets,
        canaries=kept,
        keystores=_keystores(secrets),
        drills=NomadDrills(keeper, ours.drill, verdicts.read),
    )


def _certificates(secrets: VaultSecrets) -> Certificates:
    """The vaults that machines read, and the CA key that signs for them."""
    ours, azure = settings().certificates, settings().azure
    urls = {
        Audience.KEEPER: azure.vault,
        Audience.SERVERS: ours.servers_vault,
        Audience.CLIENTS: ours.clients_vault,
        Audience.CONSUL: ours.consul_vault,
    }
    return Certificates(
        vaults={audience: AudienceVault(url, credential=_credential()) for audience, url in urls.items() if url},
        authorities=VaultAuthorities(azure.vault, ours.key, credential=_credential()),
        fresh=lambda: os.urandom(32),
        access=_access(secrets),
    )


def _access(secrets: VaultSecrets) -> list[AccessControl]:
    """Whose access control is set up, with the management tokens that the keeper chose."""
    nomad, ours, restores = settings().nomad, settings().snapshots, settings().restores
    anybody = NomadSession(nomad, token=str, ca=_secret(secrets, nomad.ca_secret))
    found: list[AccessControl] = [NomadAccess(anybody, lambda: _session(secrets, restores.token_secret))]
    if ours.consul_address:
        ca, name = _secret(secrets, ours.consul_ca_secret), restores.consul_token_secret
        servers = ConsulServers(ours, token=str, ca=ca, secret=name)
        found.append(ConsulAccess(servers, _consul(secrets, ConsulServers, name)))
    return found


def _keystores(secrets: VaultSecrets) -> BlobKeystores:
    manager = _session(secrets, settings().restores.token_secret)
    left = Left(settings().azure.blobs, keystores.CONTAINER, credential=_credential())
    return BlobKeystores(left, lambda: root_keys(manager))


def _session(secrets: VaultSecrets, token: str) -> NomadSession:
    nomad = settings().nomad
    ca, former = _secret(secrets, nomad.ca_secret), _former(secrets, token)
    return NomadSession(nomad, token=_secret(secrets, token), ca=ca, former=former)


def _consul[T: ConsulServers](secrets: VaultSecrets, kind: type[T], secret: str) -> T:
    """Consul's servers, as the token in that secret."""
    ours = settings().snapshots
    token, ca = _secret(secrets, secret), _secret(secrets, ours.consul_ca_secret)
    return kind(ours, token=token, ca=ca, secret=secret, former=lambda: secrets.former(secret))


@cache
def _credential() -> "TokenCredential":
    return managed_identity(settings().azure.client_id)


@cache
def _container() -> Container:
    return Container(settings().azure, credential=_credential())


def _secret(secrets: VaultSecrets, name: str) -> Callable[[], str]:
    return lambda: secrets.read(name)


def _former(secrets: VaultSecrets, name: str) -> Former:
    return Former(name, lambda: secrets.former(name))
