"""Takes one snapshot: through hashing, archive check and sealing into staged blocks, committed only when all is proven.

Nothing is held whole. A run that is cut anywhere leaves nothing visible, but for one case: between the archive and its manifest,
which `finish` mends from the archive's own metadata.
"""

import hashlib
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from keeper.core import frames, keystores, manifest_json, restoring, retention, snapshot_plan
from keeper.core.archive import ArchiveCheck, Facts, Limits
from keeper.core.problems import FieldError
from keeper.core.retention import Held, Listing
from keeper.core.snapshots import (
    MANIFEST_METADATA,
    BadSnapshot,
    Level,
    Manifest,
    Part,
    Product,
    Reason,
    SnapshotName,
    Tier,
)
from keeper.errors import Forbidden, LostLease, Permanent, Transient
from keeper.ports import Lease
from keeper.settings import SnapshotSettings
from keeper.snapshot_ports import Arriving, DataKey, Observed, Seal, Snapshots, SnapshotSource, SnapshotStore, Upload
from keeper.telemetry import Event, event

MANIFESTS_TRIED = 5

CONFIRM_BYTES = 8 * 1024 * 1024
"""How much may go out on one confirmation of the lease."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a snapshot is taken with; `accept` is what a person accepts by name."""

    settings: SnapshotSettings
    accept: Collection[Reason] = ()
    tier: Tier | None = None
    """None: the longest kept one whose period has none yet."""


def take(backups: Snapshots, source: SnapshotSource, listing: Listing, lease: Lease, asked: Asked) -> Manifest:
    """Take, verify, seal and commit a snapshot; raises `BadSnapshot` with the reason when there is none, or `LostLease`."""
    last = _last(backups.store, listing, source.product)
    when = listing.free_second(source.product)
    tier = asked.tier or retention.tier_of(when, listing.held, source.product)
    with asking():
        before = source.observe()
    if before.too_wide:
        event(Event.SNAPSHOT_RIGHT_TOO_WIDE, product=source.product, enough=before.right, version=before.version)
    with unlocking():
        key = backups.keys.new()
    keystore = gathered(backups, source.product, asked.settings.cluster, before.version)
    run = _Run(backups.store, source, key, when, tier, asked, lease, keystore)
    manifest = run.through(before, last)
    with storing():
        put_manifest(backups.store, manifest, lease)
    return manifest


def _last(store: SnapshotStore, listing: Listing, product: Product) -> Manifest | None:
    """The newest manifest that can be read. One that is damaged is said, and keeps nobody from the next snapshot."""
    for held in reversed(
        listing.believable(product)[-MANIFESTS_TRIED:] or listing.verified(product)[-MANIFESTS_TRIED:]
    ):
        try:
            with storing():
                return load_manifest(store, held)
        except BadSnapshot as exc:
            if exc.reason is not Reason.UNREADABLE:
                raise
            event(Event.SNAPSHOT_FAILED, product=product, reason=exc.reason, why=exc.what, runbook=exc.reason.runbook)
    return None


def gathered(backups: Snapshots, product: Product, cluster: str, version: str) -> bytes | None:
    """The root keys that the archive lacks, or None where it holds them or not all were deposited, which is said.

    A snapshot without them is better than none: it is kept, and restoring it asks for `without-keystore` by name.
    """
    if backups.keystores is None or not restoring.lacks_root_keys(product, version):
        return None
    with asking():
        needed = backups.keystores.needed()
    with storing():
        deposits = backups.keystores.deposits(cluster)
    bundled = keystores.bundle(deposits, needed)
    if bundled is None:
        missing = keystores.missing(deposits, needed)
        event(Event.KEYSTORE_MISSING, product=product, keys=missing, runbook="docs/runbooks/snapshot-keystore.md")
    return bundled


def finish(store: SnapshotStore, held: Held, lease: Lease) -> Manifest:
    """Write the manifest of an archive that a cut run committed: it was proven before. Repeating is harmless."""
    with storing():
        metadata = store.metadata(held.tier, held.name.blob(Part.ARCHIVE))
        manifest = _parsed(metadata.get(MANIFEST_METADATA, ""))
        put_manifest(store, manifest, lease)
    return manifest


def put_manifest(store: SnapshotStore, manifest: Manifest, lease: Lease) -> None:
    """Write the manifest, which makes the snapshot one."""
    lease.confirm()
    store.put(manifest.tier, manifest.name.blob(Part.MANIFEST), manifest_json.to_json(manifest).encode())


def load_manifest(store: SnapshotStore, held: Held) -> Manifest:
    """The manifest of a verified snapshot; raises `BadSnapshot` (`UNREADABLE`) when it is damaged or another's."""
    manifest = _parsed(b"".join(store.read(held.tier, held.name.blob(Part.MANIFEST))))
    if (manifest.name, manifest.tier) != (held.name, held.tier):
        raise BadSnapshot(Reason.UNREADABLE, f"the manifest of {held.name.stem} is that of {manifest.name.stem}")
    return manifest


def _parsed(text: str | bytes) -> Manifest:
    try:
        return manifest_json.from_json(text)
    except FieldError as exc:
        raise BadSnapshot(Reason.UNREADABLE, f"a manifest is damaged: {exc}") from exc


@dataclass(slots=True)
class Paced:
    """Confirms the lease as bytes go out."""

    lease: Lease
    sent: int = CONFIRM_BYTES

    def sending(self, amount: int) -> None:
        """Raise `LostLease` before these bytes when the lease is no longer ours."""
        self.sent += amount
        if self.sent >= CONFIRM_BYTES:
            self.sent = 0
            self.lease.confirm()


@dataclass(slots=True)
class _Run:
    """One archive on its way into one blob."""

    store: SnapshotStore
    source: SnapshotSource
    key: DataKey
    when: datetime
    tier: Tier
    asked: Asked
    lease: Lease
    keystore: bytes | None

    def through(self, before: Observed, last: Manifest | None) -> Manifest:
        """Stream, prove, commit."""
        with asking(), self.source.archive() as arriving:
            check = ArchiveCheck(Limits(self.asked.settings.largest_state))
            name, start = self._name(arriving, check)
            blob = name.blob(Part.ARCHIVE)
            with storing(), self.store.upload(self.tier, blob) as upload:
                sealing = _Sealing(self.key.seal(blob), upload, Paced(self.lease))
                sealing.push(start)
                for piece in arriving.chunks:
                    check.push(piece)
                    sealing.push(piece)
                facts = check.end(arriving.sha256)
                snapshot_plan.judge(facts, before.index, last, self.asked.settings.shrink, self.asked.accept)
                sealing.end()
                upload.end()
                self._put_keystore(name)
                manifest = self._manifest(name, facts, before, sealing, arriving)
                self.lease.confirm()
                upload.commit({MANIFEST_METADATA: manifest_json.to_json(manifest)})
        return manifest

    def _name(self, arriving: Arriving, check: ArchiveCheck) -> tuple[SnapshotName, bytes]:
        """Its name, which needs the index that stands at the archive's start, and that start."""
        start = b""
        for piece in arriving.chunks:
            check.push(piece)
            start += piece
            if check.index is not None:
                cluster = self.asked.settings.cluster
                return SnapshotName(cluster, self.source.product, self.when, check.index), start
        check.end(arriving.sha256)
        raise BadSnapshot(Reason.CUT_SHORT, "the archive ends before it says its index")

    def _put_keystore(self, name: SnapshotName) -> None:
        """Lay the root keys beside the archive, before anything of it is visible."""
        if self.keystore is not None:
            seal = self.key.seal(name.blob(Part.KEYSTORE))
            self.lease.confirm()
            self.store.put(self.tier, name.blob(Part.KEYSTORE), seal.push(self.keystore) + seal.end())

    def _manifest(
        self, name: SnapshotName, facts: Facts, before: Observed, sealing: "_Sealing", arriving: Arriving
    ) -> Manifest:
        return Manifest(
            name=name,
            tier=self.tier,
            level=Level.SANE,
            server_version=before.version,
            region=before.region,
            leader=before.leader,
            term=facts.term,
            state_bytes=facts.state_bytes,
            archive_bytes=facts.archive_bytes,
            archive_sha256=facts.sha256.hex(),
            digest_announced=arriving.sha256 is not None,
            sealed_bytes=sealing.size,
            sealed_sha256=sealing.sha256.hexdigest(),
            seal=frames.FORMAT,
            frame_bytes=frames.FRAME_BYTES,
            key=self.key.wrapped,
            counts=_ranges(before.counts, self._counts_now()),
            servers=facts.servers,
            right=before.right,
            keystore_sha256=None if self.keystore is None else hashlib.sha256(self.keystore).hexdigest(),
        )

    def _counts_now(self) -> Mapping[str, int]:
        """Counted once more; a leader that is lost now costs the counts, not the snapshot."""
        try:
            with asking():
                return self.source.observe().counts
        except BadSnapshot as exc:
            event(Event.READ_FAILED, what="counts", why=exc.what)
            return {}


class _Sealing:
    """What leaves: sealed, hashed, paced by the lease."""

    def __init__(self, seal: Seal, upload: Upload, pace: Paced) -> None:
        self._seal = seal
        self._upload = upload
        self._pace = pace
        self.sha256 = hashlib.sha256()
        self.size = 0

    def push(self, plain: bytes) -> None:
        self._out(self._seal.push(plain))

    def end(self) -> None:
        self._out(self._seal.end())

    def _out(self, sealed: bytes) -> None:
        self.sha256.update(sealed)
        self.size += len(sealed)
        self._pace.sending(len(sealed))
        self._upload.write(sealed)


def _ranges(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    both = before.keys() & after.keys()
    return {kind: (min(before[kind], after[kind]), max(before[kind], after[kind])) for kind in sorted(both)}


@contextmanager
def storing() -> Generator[None]:
    """Name storage as the culprit of what goes wrong inside."""
    with _blaming(Reason.STORAGE_REFUSED, Reason.STORAGE_UNREACHABLE):
        yield


@contextmanager
def asking() -> Generator[None]:
    """Name the servers as the culprit of what goes wrong inside."""
    with _blaming(Reason.SERVER_REFUSED, Reason.UNREACHABLE, Reason.RIGHT_MISSING):
        yield


@contextmanager
def unlocking() -> Generator[None]:
    """Name the Key Vault key as the culprit of what goes wrong inside."""
    with _blaming(Reason.KEY_UNUSABLE, Reason.KEY_UNREACHABLE):
        yield


@contextmanager
def _blaming(permanent: Reason, transient: Reason, forbidden: Reason | None = None) -> Generator[None]:
    """A lost lease, and what has its reason already, pass as they are."""
    try:
        yield
    except LostLease:
        raise
    except Transient as exc:
        raise BadSnapshot(transient, str(exc)) from exc
    except Forbidden as exc:
        raise BadSnapshot(forbidden or permanent, str(exc)) from exc
    except Permanent as exc:
        raise BadSnapshot(permanent, str(exc)) from exc
