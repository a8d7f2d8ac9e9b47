"""What snapshots need of the outside, as protocols; a part of `keeper.ports`.

Every method may raise `Transient` or `Permanent`, as there, and `BadSnapshot` where it says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from keeper.core.retention import Listing
from keeper.core.snapshots import Product, Tier, WrappedKey


@dataclass(frozen=True, slots=True)
class Observed:
    """A cluster of servers just before its snapshot is taken."""

    version: str
    """The leader's: `1.6.5`."""
    region: str
    leader: str
    index: int
    """A Raft index that a snapshot taken from now on cannot be behind."""
    right: str
    """The smallest right that is enough at that version, in the server's words."""
    counts: Mapping[str, int]
    """What there is, by the words of `Manifest.counts`."""
    too_wide: bool = False
    """Whether the token at hand may do more than that right allows."""


@dataclass(frozen=True, slots=True)
class Arriving:
    """An archive on its way: read `chunks` once, to the end."""

    chunks: Iterator[bytes]
    sha256: bytes | None
    """The digest that the server announced; None when it announces none."""


class SnapshotSource(Protocol):
    """Servers that give out archives of their state: Nomad's or Consul's."""

    @property
    def product(self) -> Product:
        """Whose state it is."""
        ...

    def observe(self) -> Observed:
        """What there is. Raises `BadSnapshot` (`NO_LEADER`) when nobody leads. A few calls."""
        ...

    def archive(self) -> AbstractContextManager[Arriving]:
        """Ask the leader for an archive; it is written to no disk and never held whole.

        Raises `BadSnapshot`: `RIGHT_MISSING`, naming the right, `UNREACHABLE`, `DIGEST_MISSING` where one is due. While
        `chunks` is read, a connection that breaks raises `CUT_SHORT`; one that ends early without an error may not: verify.
        """
        ...


class Upload(Protocol):
    """A blob that nobody sees before `commit`. What is never committed vanishes by itself."""

    def write(self, data: bytes) -> None:
        """Add bytes; blocks go out as they fill. At most one block is in memory."""
        ...

    def end(self) -> None:
        """Send what is still in memory; nothing is visible yet."""
        ...

    def commit(self, metadata: Mapping[str, str]) -> None:
        """After `end`: make it visible, whole, with its metadata, unless a blob of that name exists: then `Changed`. One call."""
        ...


class Deletion(StrEnum):
    """What became of a deletion."""

    DELETED = "deleted"
    GONE = "gone"
    """It was not there."""
    IMMUTABLE = "immutable"
    """The container's policy still protects it: a normal answer, ask again another day."""


class SnapshotStore(Protocol):
    """One storage account's snapshot containers, as one identity. Write-once: nothing is ever changed or renamed."""

    def listing(self, cluster: str) -> Listing:
        """All blobs of one cluster, in all tiers; complete, or an error."""
        ...

    def upload(self, tier: Tier, name: str) -> AbstractContextManager[Upload]:
        """Start a blob; leaving the block without `commit` leaves nothing visible."""
        ...

    def put(self, tier: Tier, name: str, body: bytes) -> None:
        """Write a small blob in one call; the same body again is no error, another one is `Changed`."""
        ...

    def read(self, tier: Tier, name: str) -> Iterator[bytes]:
        """The blob's bytes in pieces of a few MiB; `Gone` when there is none."""
        ...

    def metadata(self, tier: Tier, name: str) -> Mapping[str, str]:
        """What `commit` was given; `Gone` when there is no such blob."""
        ...

    def delete(self, tier: Tier, name: str) -> Deletion:
        """Delete one blob. One call."""
        ...


class Seal(Protocol):
    """Turns plain bytes into a sealed blob's, frame by frame (`keeper.core.frames`)."""

    def push(self, data: bytes) -> bytes:
        """The sealed bytes that are ready; may be empty."""
        ...

    def end(self) -> bytes:
        """The last sealed bytes."""
        ...


class DataKey(Protocol):
    """A data key in hand. Each seals one snapshot: its archive and, under another name, its keystore."""

    @property
    def wrapped(self) -> WrappedKey:
        """How the manifest keeps it."""
        ...

    def seal(self, name: str) -> Seal:
        """Seal the blob of that name (`SnapshotName.blob`), which is sealed once only."""
        ...

    def open(self, name: str, sealed: Iterator[bytes]) -> Iterator[bytes]:
        """The plain bytes of the blob of that name, each frame only once its tag holds; raises `BadSnapshot` (`UNREADABLE`)."""
        ...


class DataKeys(Protocol):
    """Data keys, wrapped by the Key Vault's snapshot key. All raise `BadSnapshot` (`KEY_UNUSABLE`) with Key Vault's reason."""

    def new(self) -> DataKey:
        """A fresh random key, wrapped by the newest version. One or two calls."""
        ...

    def unwrap(self, wrapped: WrappedKey) -> DataKey:
        """The key of a manifest, opened with the version that wrapped it. One call."""
        ...


class Keystores(Protocol):
    """Root keys that servers before Nomad 1.9 deposit (`keeper.core.keystores`), sealed by the Key Vault key throughout."""

    def deposits(self, cluster: str) -> Mapping[str, bytes]:
        """What lies there, by the id of the root key; small. One call, and one for each key."""
        ...

    def deposit(self, cluster: str, key: str, body: bytes) -> None:
        """Lay one there for the servers to fetch; one that lies there stays. One call."""
        ...

    def held(self, cluster: str) -> Mapping[str, frozenset[str]]:
        """Which root keys each server says are on its disk. One call, and one for each server."""
        ...

    def needed(self) -> Sequence[str]:
        """The ids of the root keys that the cluster's state names. One call."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """All that the snapshot controller, rehearsals and restores touch besides records and leases."""

    sources: Sequence[SnapshotSource]
    store: SnapshotStore
    copies: SnapshotStore | None
    """The second account, as another identity; None when none is configured."""
    keys: DataKeys
    keystores: Keystores | None = None
    """Where root keys that archives lack are found; None: no keystore is put beside a snapshot."""
