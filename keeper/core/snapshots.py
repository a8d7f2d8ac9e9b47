"""Snapshots as they lie in storage: names, records, reasons. Pure; the bytes are `archive` (inside) and `frames` (outside).

One snapshot is two or three blobs with one stem, in the container of its tier (`snapshots-<tier>`), each written once:

    <cluster>/<product>/<taken>-<index>.snap.enc        the archive as the server sent it, sealed (`frames`)
    <cluster>/<product>/<taken>-<index>.keystore.enc    the servers' root keyring, sealed; only where the archive lacks it
    <cluster>/<product>/<taken>-<index>.manifest.json   this module's `Manifest`, written last

What has no manifest is no snapshot: a manifest is written only after everything else is proven and in place. The archive
carries the same manifest in its metadata (`MANIFEST_METADATA`), set in the call that commits it, so that a run that was
cut between the two is finished by the next one. A copy in the second account has the same names and the same bytes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum, StrEnum

from keeper.core.problems import FieldError

MANIFEST_METADATA = "manifest"
"""Name of the archive blob's metadata entry that holds `manifest_json.to_json` of its manifest."""

REHEARSALS = "snapshots/rehearsals"
STAMP = "%Y%m%dT%H%M%SZ"
STEM = re.compile(
    r"(?P<cluster>[a-z0-9][a-z0-9-]{0,62})/(?P<product>nomad|consul)/(?P<taken>\d{8}T\d{6}Z)-(?P<index>\d{12,20})"
)


class Product(StrEnum):
    """Whose state it is."""

    NOMAD = "nomad"
    CONSUL = "consul"


class Tier(StrEnum):
    """Grandfather, father, son: how long a snapshot is kept. Each tier is a container with an immutability of its own."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"

    @property
    def container(self) -> str:
        """The container's name, in both accounts."""
        return f"snapshots-{self}"


class Part(StrEnum):
    """The blobs of one snapshot, by the end of their names."""

    ARCHIVE = ".snap.enc"
    KEYSTORE = ".keystore.enc"
    MANIFEST = ".manifest.json"


class Level(IntEnum):
    """How much is proven. A manifest exists from `SANE` on; `REHEARSED` is told by the record `rehearsal_record`."""

    NOTHING = 0
    TRANSPORT = 1
    """Every byte that the server announced arrived (Consul announces none: there the inner sums are the only proof)."""
    CONTENT = 2
    """gzip ended, the members are the right ones, and their SHA-256 sums hold."""
    SANE = 3
    """Its index is not behind, its size not absurd."""
    REHEARSED = 4
    """It was restored into a throw-away server, and what the manifest counts was there."""


class Reason(StrEnum):
    """Why there is no snapshot, or no copy of it. Each has a runbook, `docs/runbooks/snapshot-<runbook>.md`."""

    NO_LEADER = "no_leader"
    UNREACHABLE = "unreachable"
    RIGHT_MISSING = "right_missing"
    SERVER_REFUSED = "server_refused"
    """The servers said no for another cause, in their own words."""
    DIGEST_MISSING = "digest_missing"
    DIGEST_WRONG = "digest_wrong"
    NOT_AN_ARCHIVE = "not_an_archive"
    CUT_SHORT = "cut_short"
    CORRUPT = "corrupt"
    WRONG_MEMBERS = "wrong_members"
    SUM_WRONG = "sum_wrong"
    TRAILING_DATA = "trailing_data"
    TOO_LARGE = "too_large"
    INDEX_BEHIND = "index_behind"
    SIZE_ABSURD = "size_absurd"
    KEY_UNUSABLE = "key_unusable"
    KEY_UNREACHABLE = "key_unreachable"
    STORAGE_REFUSED = "storage_refused"
    STORAGE_UNREACHABLE = "storage_unreachable"
    CLOCK_JUMPED = "clock_jumped"
    UNREADABLE = "unreadable"
    """What was read back is not what was written, or does not open with its key."""
    TURN_LOST = "turn_lost"
    OVERDUE = "overdue"
    """The newest verified snapshot is too old, whatever the cause."""

    @property
    def runbook(self) -> str:
        """The page that says what to do."""
        return f"docs/runbooks/snapshot-{RUNBOOKS.get(self, 'damaged')}.md"


ACCEPTABLE = frozenset({Reason.INDEX_BEHIND, Reason.SIZE_ABSURD})
"""What a person may accept of a sound archive, by name and for one snapshot."""

RUNBOOKS: Mapping[Reason, str] = {
    Reason.NO_LEADER: "no-leader",
    Reason.UNREACHABLE: "no-leader",
    Reason.RIGHT_MISSING: "right-missing",
    Reason.SERVER_REFUSED: "no-leader",
    Reason.INDEX_BEHIND: "index-behind",
    Reason.SIZE_ABSURD: "size-absurd",
    Reason.TOO_LARGE: "size-absurd",
    Reason.KEY_UNUSABLE: "key-unusable",
    Reason.KEY_UNREACHABLE: "key-unusable",
    Reason.STORAGE_REFUSED: "storage",
    Reason.STORAGE_UNREACHABLE: "storage",
    Reason.CLOCK_JUMPED: "clock-jumped",
    Reason.UNREADABLE: "unreadable",
    Reason.TURN_LOST: "overdue",
    Reason.OVERDUE: "overdue",
}
"""Reasons that are not listed say that the archive itself is damaged."""


class BadSnapshot(Exception):
    """A snapshot that must not be kept, or cannot be used. `str()` is one line with the reason code and the runbook."""

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(f"{reason}: {what} (see {reason.runbook})")
        self.reason = reason
        self.what = what


@dataclass(frozen=True, slots=True, order=True)
class SnapshotName:
    """Which snapshot it is; sorts by cluster, product and age. `taken` has whole seconds."""

    cluster: str
    product: Product
    taken: datetime
    index: int

    @property
    def stem(self) -> str:
        """What the names of its blobs begin with. Frames are bound to stem and part."""
        return f"{self.cluster}/{self.product}/{self.taken.astimezone(UTC):{STAMP}}-{self.index:012d}"

    def blob(self, part: Part) -> str:
        """The name of one of its blobs, within the container of its tier."""
        return self.stem + part


def parse_blob(name: str) -> tuple[SnapshotName, Part] | None:
    """Whose blob it is, or None for a name that the keeper does not give."""
    for part in Part:
        found = STEM.fullmatch(name.removesuffix(part)) if name.endswith(part) else None
        if found is not None:
            return _name(found), part
    return None


def parse_stem(stem: str) -> SnapshotName:
    """The snapshot of that stem; raises `FieldError`."""
    found = STEM.fullmatch(stem)
    if found is None:
        raise FieldError("snapshot", "a name such as prod/nomad/20260105T080000Z-000000001229", stem)
    return _name(found)


def _name(found: re.Match[str]) -> SnapshotName:
    try:
        taken = datetime.strptime(found["taken"], STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise FieldError("snapshot", "a name with a real time in it", found[0]) from None
    return SnapshotName(found["cluster"], Product(found["product"]), taken, int(found["index"]))


def rehearsal_record(name: SnapshotName) -> str:
    """Name of the keeper's record (state account) with the verdict of this snapshot's newest rehearsal."""
    return f"{REHEARSALS}/{name.stem}.json"


def rehearsal_records(cluster: str, product: Product) -> str:
    """What the names of all such records of one product begin with; they sort by the age of their snapshots."""
    return f"{REHEARSALS}/{cluster}/{product}/"


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key that only the Key Vault key can open."""

    key: str
    """The Key Vault key's id without its version, such as `https://kv-1.vault.azure.net/keys/nomad-snapshots`."""
    version: str
    algorithm: str
    """Key Vault's name of it: `RSA-OAEP-256`."""
    wrapped: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that is known of a snapshot whose archive is verified, sealed and committed. Sizes are bytes."""

    name: SnapshotName
    tier: Tier
    level: Level
    """What was proven when it was written: `SANE`."""
    server_version: str
    """Of the leader: `1.6.5`. Restoring into an older server is refused."""
    region: str
    """Nomad's region, Consul's datacenter."""
    leader: str
    """The leader's RPC address when it was taken."""
    term: int
    state_bytes: int
    """Size of state.bin; compared with the next snapshot's."""
    archive_bytes: int
    archive_sha256: str
    """Of the archive as the server sent it and takes it back; hex."""
    digest_announced: bool
    """Whether the server said that digest beforehand (Nomad does, Consul does not)."""
    sealed_bytes: int
    sealed_sha256: str
    """Of the blob; hex. Enough to compare copies without any key."""
    seal: str
    """The frame format: `frames.FORMAT`."""
    frame_bytes: int
    """Plain bytes in each frame but the last."""
    key: WrappedKey
    counts: Mapping[str, tuple[int, int]]
    """What a restored server must have, `jobs`, `nodes`, `acl_tokens`, `variables` and so on: the fewest and the most seen
    just before and just after. What may not be read has no entry."""
    servers: int
    """Raft peers in the archive's configuration."""
    right: str
    """The right it was taken with: `management`, or `operator:snapshot-save`."""
    keystore_sha256: str | None = None
    """Of the keystore blob's plain bytes, hex; None when there is no such blob."""

    def in_tier(self, tier: Tier) -> "Manifest":
        """The same in another tier."""
        return replace(self, tier=tier)
