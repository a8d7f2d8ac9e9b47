"""What a machine is told about itself: the knobs in the `userData` of the instance metadata service.

`userData` is base64 of the program and then `{"schema": 1, "role": ..., "knobs": {...}, "sha256": ...}`. The loader verifies
and unpacks the program; `reading.py` checks the rest. It carries no secret: secrets come from the role's own Key Vault.
Every field of `knobs` is described here once; the templates write them, the program refuses what it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Role(str, Enum):
    """What the machine is for."""

    SERVER = "server"
    CLIENT = "client"
    CONSUL = "consul"


class ConsulMode(str, Enum):
    """Where Consul's servers run."""

    COLOCATED = "colocated"
    DEDICATED = "dedicated"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port, named as in bicep/ports.bicep (in camelCase there), with the products' own defaults."""

    nomad_http: int = 4646
    nomad_rpc: int = 4647
    nomad_serf: int = 4648
    consul_rpc: int = 8300
    consul_serf_lan: int = 8301
    consul_serf_wan: int = 8302
    consul_http: int = 8500
    consul_https: int = 8501
    consul_grpc: int = 8502
    consul_dns: int = 8600
    vault_api: int = 8200
    vault_cluster: int = 8201
    dynamic_first: int = 20_000
    dynamic_last: int = 32_000
    health: int = 4690
    metrics: int = 4691


@dataclass(frozen=True, slots=True)
class Peer:
    """One server: the machine's name, and the name or address that others dial."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class CniRelease:
    """The CNI plugins: no signature is published for them, so the digest itself is pinned, for each architecture."""

    version: str = "1.6.2"
    amd64: str = "b8e811578fb66023f90d2e238d80cec3bdfca4b44049af74c374d4fae0f9c090"
    arm64: str = "01e0e22acc7f7004e4588c1fe1871cc86d7ab562cd858e1761c4641d89ebfaa4"


@dataclass(frozen=True, slots=True)
class SealKey:
    """A Key Vault key that wraps other keys: the vault's name (not its address) and the key's name."""

    vault_name: str
    key_name: str
    tenant_id: str


@dataclass(frozen=True, slots=True)
class KeystorePlace:
    """Where servers before Nomad 1.9 deposit their root keys: an account's blob address, and the key that wraps them."""

    blob_url: str
    key_url: str


@dataclass(frozen=True, slots=True)
class FilesShare:
    """A share that clients mount over NFS 4.1: the server's name, and the share's path there."""

    host: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """One cluster's settings as one role needs them. JSON names are these in camelCase."""

    cluster: str
    """Name of the cluster."""

    vault_url: str
    """The role's own Key Vault, such as `https://kv-servers.vault.azure.net`."""

    identity_client_id: str
    """Client id of the machine's user-assigned identity."""

    nomad_version: str
    """Release of Nomad, 1.6 to 2.x."""

    servers: tuple[Peer, ...]
    """The Nomad servers, in the order in which they take turns at restarts."""

    region: str = "global"
    """Nomad region."""

    datacenter: str = "dc1"
    """Nomad datacenter; a client pool may have its own."""

    authoritative_region: str | None = None
    """The region that owns ACL policies and global tokens, where several regions are joined."""

    federated_servers: tuple[str, ...] = ()
    """Names or addresses of servers in other regions, without a port, that this region's servers join."""

    queue_url: str | None = None
    """The keeper's queue, for the watcher on servers."""

    consul: ConsulMode = ConsulMode.OFF
    """Where Consul runs."""

    consul_version: str = "1.21.4"
    """Release of Consul, 1.16 to 1.22."""

    consul_datacenter: str = "dc1"
    """Consul datacenter: one for the whole cluster, whatever Nomad calls the places of its pools."""

    consul_servers: tuple[Peer, ...] = ()
    """The Consul servers; the Nomad servers when co-located."""

    consul_mesh: bool = False
    """Whether Consul's service mesh is on."""

    vault_version: str = "1.20.3"
    """Release of HashiCorp Vault, when `vaultSeal` is given."""

    vault_seal: SealKey | None = None
    """Runs HashiCorp Vault on the servers, unsealed by this key; clients are told too, so that their tasks can use it."""

    keyring_key: SealKey | None = None
    """Wraps Nomad's root keyring (1.9 and later), so that a snapshot alone opens no variable."""

    keystore: KeystorePlace | None = None
    """Has servers before Nomad 1.9 deposit their root keys for snapshots, and take them back when they lack some."""

    node_pool: str = "default"
    """Nomad node pool of a client."""

    node_class: str = ""
    """Nomad node class of a client."""

    pool: str = ""
    """Name of the keeper's pool, as a client's metadata `keeper_pool`."""

    node_meta: dict[str, str] = field(default_factory=dict[str, str])
    """More metadata of a client."""

    drain_deadline_seconds: int = 600
    """How long a client that is told to stop waits for its work to move."""

    client_introduction: str = "warn"
    """`none`, `warn` or `strict` (1.11 and later): whether a new client must be introduced."""

    files_share: FilesShare | None = None
    """A share that clients mount at /srv/files and offer to jobs as the host volume `files`."""

    data_disk_lun: int | None = None
    """LUN of the data disk mounted at /data; without one /data lies on the OS disk."""

    releases_url: str = "https://releases.hashicorp.com"
    """Where releases come from; a mirror must have the same layout."""

    release_key: str | None = None
    """Base64 of the OpenPGP key ring (binary) that signs releases; HashiCorp's own, which the program carries, when absent."""

    release_fingerprint: str = "C874011F0AB405110D02105534365D9472D7468F"
    """Fingerprint of the primary key that must have signed: HashiCorp Security."""

    cni_url: str = "https://github.com/containernetworking/plugins/releases/download"
    """Where the CNI plugins come from."""

    cni: CniRelease = field(default_factory=CniRelease)
    """Release of the CNI plugins and its digests."""

    ports: Ports = field(default_factory=Ports)
    """Every port, the same object that the network rules are made of."""


@dataclass(frozen=True, slots=True)
class Told:
    """What `userData` says: the role and its knobs."""

    role: Role
    knobs: Knobs


def since(version: str, release: tuple[int, int]) -> bool:
    """Tell whether `version` is `release` (major, minor) or later."""
    major, minor, *_ = version.split(".")
    return (int(major), int(minor)) >= release
