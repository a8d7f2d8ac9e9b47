"""Where snapshots go in the lab: two storage accounts behind write-once rule keepers, a vault with the wrapping key, memory for records.

    with BackupLab() as lab:
        world = lab.world(lab.nomad_source(side))

Everything but the records is the shipped adapter, over https, in front of Azurite, the Key Vault stand-in and whatever Nomad is given.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from azure.keyvault.keys import KeyClient
from azure.storage.blob import BlobServiceClient

from keeper.azure.data_keys import VaultDataKeys
from keeper.azure.snapshots import BlobSnapshots
from keeper.core.retention import RetentionRules
from keeper.core.rules import AutoscaleRules
from keeper.core.snapshots import Tier
from keeper.nomad.session import NomadSession
from keeper.nomad.snapshots import NomadSnapshots
from keeper.ports import World
from keeper.settings import AzureSettings, DoorSettings, NomadSettings, Settings, SnapshotSettings
from keeper.snapshot_ports import Snapshots
from lab.azure.model.cloud import LAB_TENANT
from lab.azure.tokens import Principal, Tenant
from lab.ca import Authority
from lab.clock import wall_clock
from lab.keyvault.server import start as start_vault
from lab.lifetime import Lifetime
from lab.storage.azurite import Azurite
from lab.storage.memory import MemoryCorridor, MemoryLeases, MemoryRecords
from lab.storage.worm import RuleKeeper

if TYPE_CHECKING:
    from datetime import datetime

    from azure.core.credentials import TokenCredential

    from keeper.snapshot_ports import SnapshotSource
    from lab.nomad.sides import RealNomad, StandInNomad

KEEPER = Principal("aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-0000000000f1", "keeper")
COPIER = Principal("aaaaaaaa-0000-4000-8000-000000000003", "aaaaaaaa-0000-4000-8000-0000000000f3", "copy")
KEY = "nomad-snapshots"
CLUSTER = "lab"
KEPT = {
    Tier.HOURLY.container: timedelta(days=2),
    Tier.DAILY.container: timedelta(days=14),
    Tier.WEEKLY.container: timedelta(days=60),
    Tier.MONTHLY.container: timedelta(days=365),
}
"""The immutability that the infrastructure sets (`bicep/main.bicep`, `retentionDays`)."""


class TenantIdentity:
    """An identity with tokens for whatever it asks."""

    def __init__(self, tenant: Tenant, principal: Principal) -> None:
        self._tenant = tenant
        self._principal = principal

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:  # noqa: ANN401 -- the SDK's options
        """A token for the resource of the scope."""
        token, ends = self._tenant.issue(self._principal, scopes[0].removesuffix("/.default"))
        return AccessToken(token, int(ends.timestamp()))


class WallClock:
    """The wall's clock, ahead by as much as a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        """The time."""
        return wall_clock() + self.ahead


class BackupLab(Lifetime):
    """A vault with its key and two accounts; as a context it ends all of it, also when starting fails half way."""

    def __init__(self, settings: SnapshotSettings | None = None, *, copies: bool = True) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="keeper-backups-"))
        self.authority = Authority.create(self.directory / "tls", wall_clock())
        self.tenant = Tenant(LAB_TENANT, wall_clock)
        self.settings = settings or SnapshotSettings(cluster=CLUSTER)
        self.clock = WallClock()
        self.records = MemoryRecords()
        self.corridor = MemoryCorridor(self.clock.now)
        self.leases = MemoryLeases(self.clock.now)
        self.stack = ExitStack()
        self._copies = copies

    def start(self) -> None:
        """Start the vault with its key, and the accounts."""
        leaf = self.authority.issue("backups", names=["localhost"], addresses=["127.0.0.1"])
        self.vault = self.stack.enter_context(start_vault(self.tenant, leaf, wall_clock))
        self.key_client = KeyClient(self.vault.url, self.identity(KEEPER), transport=self.transport())
        self.key_client.create_rsa_key(KEY, size=2048)
        self.account = self._account("account")
        self.second = self._account("second") if self._copies else None

    def close(self) -> None:
        """End every part and remove every file."""
        self.stack.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def identity(self, principal: Principal) -> TokenCredential:
        """A credential of that principal."""
        return cast("TokenCredential", TenantIdentity(self.tenant, principal))

    def transport(self) -> Any:  # noqa: ANN401 -- the SDK's generic transport
        """A transport that trusts the lab's CA."""
        made = RequestsTransport(connection_verify=str(self.authority.certificate))
        self.stack.callback(made.close)
        return made

    def store(self, account: RuleKeeper, principal: Principal) -> BlobSnapshots:
        """The shipped adapter for one account as one identity."""
        made = BlobSnapshots(account.blob_url, credential=self.identity(principal), transport=self.transport())
        self.stack.callback(made.client.close)
        return made

    def nomad_source(self, side: StandInNomad | RealNomad, token: str | None = None) -> NomadSnapshots:
        """The shipped source in front of a Nomad, with its management token unless told."""
        settings = NomadSettings(address=side.url, timeout=timedelta(seconds=30))
        ca = side.authority.read_text
        keeper = NomadSession(settings, token=lambda: side.keeper_token, ca=ca)
        saver = NomadSession(settings, token=lambda: token or side.management_token, ca=ca)
        return NomadSnapshots(keeper, saver, saver_secret=self.settings.nomad_token_secret)

    def snapshots(self, *sources: SnapshotSource) -> Snapshots:
        """The ports of the snapshot controller."""
        return Snapshots(
            sources=sources,
            store=self.store(self.account, KEEPER),
            copies=None if self.second is None else self.store(self.second, COPIER),
            keys=VaultDataKeys(self.vault.url, KEY, credential=self.identity(KEEPER), transport=self.transport()),
        )

    def world(self, *sources: SnapshotSource) -> World:
        """A world for the snapshot controller: it touches neither Nomad's work nor scale sets."""
        nothing = cast("Any", None)
        return World(
            nomad=nothing,
            scale_sets=nothing,
            utilisation=nothing,
            records=self.records,
            leases=self.leases,
            corridor=self.corridor,
            clock=self.clock,
            settings=self._all_settings(),
            snapshots=self.snapshots(*sources),
        )

    def _all_settings(self) -> Settings:
        return Settings(
            nomad=NomadSettings(address="https://nomad.lab:4646"),
            azure=AzureSettings(
                subscription=KEEPER.client_id,
                client_id=KEEPER.client_id,
                vault=self.vault.url,
                blobs=self.account.blob_url,
                queues=self.account.blob_url,
            ),
            doors=DoorSettings(),
            autoscale=AutoscaleRules(),
            snapshots=self.settings,
            retention=RetentionRules(),
        )

    def _account(self, name: str) -> RuleKeeper:
        leaf = self.authority.issue(name, addresses=["127.0.0.1"])
        trust = self.authority.certificate
        azurite = self.stack.enter_context(Azurite(leaf, trust=trust))
        with BlobServiceClient.from_connection_string(
            azurite.connection_string, connection_verify=str(trust)
        ) as service:
            for tier in Tier:
                service.create_container(tier.container)
        return self.stack.enter_context(RuleKeeper(azurite, leaf, trust, KEPT))
