"""The steps of one restore. Each returns what it adds to the progress; each may be done again after a cut."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from keeper.controllers.copying import keystore_of
from keeper.controllers.ledger import Ledger
from keeper.controllers.taking import Asked, Paced, load_manifest, storing, take, unlocking
from keeper.core import keystores, manifest_json, restoring
from keeper.core.archive import ArchiveCheck, Limits
from keeper.core.operations import Operation, State
from keeper.core.problems import FieldError
from keeper.core.restoring import LATEST, Force, Objection, Progress, Situation
from keeper.core.retention import Held, Listing
from keeper.core.snapshots import (
    MANIFEST_METADATA,
    BadSnapshot,
    Manifest,
    Part,
    Product,
    Reason,
    Tier,
    parse_stem,
)
from keeper.errors import Gone, Refused, Transient
from keeper.ports import Lease, World
from keeper.restore_ports import Restores, RestoreTarget
from keeper.snapshot_ports import Snapshots, SnapshotStore

SAID_BYTES = 16 * 1024 * 1024
"""How much goes by between two notes of the progress."""

PATIENCE = timedelta(minutes=3)
"""How long leader, counts and canaries may take to be as they must: an election, and keys that servers hand each other."""


PASSING = frozenset({Reason.UNREACHABLE, Reason.NO_LEADER, Reason.STORAGE_UNREACHABLE, Reason.KEY_UNREACHABLE})
"""Reasons that mend by themselves: fresh servers have no leader for a moment."""


class NotYet(Transient):
    """Something has to come first; the text says what, and the tick ends."""

    def __init__(self, what: str) -> None:
        super().__init__(what, retry_after=timedelta(seconds=2))


@dataclass(slots=True)
class Attempt:
    """One tick's hold on a restore: its operation as it was saved last."""

    world: World
    ledger: Ledger
    operation: Operation
    version: str
    lease: Lease

    @property
    def cluster(self) -> str:
        """The name of the cluster that is restored into."""
        return self.world.settings.snapshots.cluster

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        assert self.operation.request.restoring is not None  # noqa: S101 -- the controller looked
        return self.operation.progress or Progress(snapshot=self.operation.request.restoring.snapshot)

    def save(self, operation: Operation) -> None:
        """Write the operation, on condition that nobody else did meanwhile."""
        self.version = self.ledger.save_operation(operation, self.version)
        self.operation = operation

    def note(self, **changes: Any) -> None:  # noqa: ANN401 -- fields of Progress
        """Write how far it has come."""
        now = self.world.clock.now()
        progress = replace(self.progress, **changes)
        self.save(replace(self.operation, state=State.RUNNING, updated=now, progress=progress))

    def forces(self, force: Force) -> bool:
        """Whether the person forced this."""
        asked = self.operation.request.restoring
        return asked is not None and force in asked.force

    def refuse(self, found: Sequence[Objection]) -> None:
        """Raise `Refused` for what nobody forced."""
        left = [each for each in found if not self.forces(each.force)]
        if left:
            what = "; ".join(f"{each.what} (force: {each.force})" for each in left)
            raise Refused(f"{self.progress.snapshot} is not restored: {what}")


@dataclass(slots=True)
class Steps:
    """What is restored, from where and to where."""

    attempt: Attempt
    backups: Snapshots
    restores: Restores
    shelf: SnapshotStore
    """The account that the snapshot is read from."""
    target: RestoreTarget
    manifest: Manifest
    verified: bool
    _said: int = field(default=0)

    def objections(self) -> list[Objection]:
        """What speaks against it now. Once the servers took the archive it is too late to ask."""
        if self.attempt.progress.restored is not None:
            return []
        version = self.target.observe().version
        situation = Situation(
            manifest=self.manifest, verified=self.verified, cluster=self.attempt.cluster, version=version
        )
        return restoring.objections(situation)

    def shown(self) -> Mapping[str, object]:
        """What a dry run tells."""
        manifest, found = self.manifest, self.objections()
        sentence = "nothing speaks against it"
        if found:
            sentence = "it would be refused: " + "; ".join(f"{each.what} (force: {each.force})" for each in found)
        return {
            "sentence": f"restore {manifest.name.stem} ({manifest.server_version}, {manifest.archive_bytes} bytes): {sentence}",
            "snapshot": manifest.name.stem,
            "confirm": restoring.phrase(self.attempt.cluster, manifest.name.stem),
            "objections": [{"force": each.force, "what": each.what} for each in found],
            "counts": {kind: list(seen) for kind, seen in manifest.counts.items()},
            "now": dict(self.target.observe().counts),
            "keystore": manifest.keystore_sha256 is not None,
        }

    def verify(self) -> Mapping[str, object]:
        """Read, open and check every byte, before anything is sent: what is no snapshot never reaches the servers.

        The archive carries its manifest, so one that was put in the manifest's place shows.
        """
        if _carried(self.shelf, self.manifest) != self.manifest:
            what = f"the manifest of {self.manifest.name.stem} is not the one that its archive carries"
            raise BadSnapshot(Reason.UNREADABLE, what)
        check = ArchiveCheck(Limits(self.attempt.world.settings.snapshots.largest_state))
        for piece in self._archive("verifying"):
            check.push(piece)
        facts = check.end(bytes.fromhex(self.manifest.archive_sha256))
        if facts.archive_bytes != self.manifest.archive_bytes:
            raise BadSnapshot(Reason.UNREADABLE, f"{facts.archive_bytes} bytes are there, not as its manifest says")
        return {}

    def save(self) -> Mapping[str, object]:
        """Snapshot the state that is about to go. It may be that of new, empty servers: no reason to refuse it, nor to keep it as a day's or a month's."""
        self.attempt.note(doing="taking the pre-restore snapshot")
        settings = self.attempt.world.settings.snapshots
        try:
            listing = self._listing()
            asked = Asked(settings, frozenset({Reason.INDEX_BEHIND, Reason.SIZE_ABSURD}), Tier.HOURLY)
            undo = take(self.backups, self.target.source, listing, self.attempt.lease, asked)
        except BadSnapshot as exc:
            if exc.reason in PASSING:
                raise
            if not self.attempt.forces(Force.WITHOUT_UNDO):
                raise Refused(f"there is no pre-restore snapshot: {exc} (force: {Force.WITHOUT_UNDO})") from exc
            return {"undo": None}
        return {"undo": undo.name.stem}

    def key(self) -> Mapping[str, object]:
        """See that every server holds the root keys that the snapshot needs; they fetch what is laid there for them."""
        if self.manifest.keystore_sha256 is None or self.attempt.forces(Force.WITHOUT_KEYSTORE):
            return {}
        deposits = keystores.unbundle(self._keystore())
        ours = self.attempt.cluster
        for key, body in deposits.items():
            self.restores.keystores.deposit(ours, key, body)
        waiting = keystores.lacking(self.restores.keystores.held(ours), deposits, self.target.servers())
        if waiting:
            raise NotYet(f"waiting for the root keys on {', '.join(waiting)} (force: {Force.WITHOUT_KEYSTORE})")
        return {}

    def restore(self) -> Mapping[str, object]:
        """Stream the archive to the leader."""
        self.attempt.note(doing="restoring")
        self.target.restore(lambda: self._archive("restoring"), self.manifest.archive_bytes)
        return {"restored": self.attempt.world.clock.now()}

    def prove(self) -> Mapping[str, object]:
        """Look at what is there now."""
        found = self.target.found()
        wrong = restoring.differences(self.manifest, found)
        proof = {"counts": dict(found.counts), "leader": found.leader, "differences": wrong}
        self.attempt.note(proof=proof, doing="looking at what is there")
        since = self.attempt.progress.restored
        if wrong and since is not None and self.attempt.world.clock.now() - since < PATIENCE:
            raise NotYet("; ".join(wrong))
        if wrong:
            raise Refused("; ".join(wrong))
        return {"proof": proof}

    def _archive(self, doing: str) -> Iterator[bytes]:
        """The archive's bytes as the servers sent them, with the lease confirmed and the progress noted as they go by."""
        blob, done, pace = self.manifest.name.blob(Part.ARCHIVE), 0, Paced(self.attempt.lease)
        with unlocking():
            key = self.backups.keys.unwrap(self.manifest.key)
        self._note(doing, 0)
        with storing():
            for piece in key.open(blob, self.shelf.read(self.manifest.tier, blob)):
                pace.sending(len(piece))
                done += len(piece)
                if done - self._said >= SAID_BYTES:
                    self._note(doing, done)
                yield piece
        self._note(doing, done)

    def _note(self, doing: str, done: int) -> None:
        self._said = done
        self.attempt.note(doing=doing, done_bytes=done, total_bytes=self.manifest.archive_bytes)

    def _keystore(self) -> bytes:
        with unlocking():
            key = self.backups.keys.unwrap(self.manifest.key)
        return keystore_of(key, self.shelf, self.manifest)

    def _listing(self) -> Listing:
        with storing():
            return self.backups.store.listing(self.attempt.cluster)


def choose(attempt: Attempt) -> Steps:
    """The steps for the snapshot that was asked for; raises `Refused` when nothing is configured, `Gone` when it is not there."""
    backups, restores = attempt.world.snapshots, attempt.world.restores
    if backups is None or restores is None or not attempt.cluster:
        raise Refused("no snapshots are configured here, so none can be restored: set SNAPSHOT_CLUSTER")
    shelf = _shelf(attempt, backups)
    held = _held(shelf, attempt.cluster, attempt.progress.snapshot)
    target = next((each for each in restores.targets if each.product is held.name.product), None)
    if target is None:
        raise Refused(f"no {held.name.product} is configured here")
    return Steps(attempt, backups, restores, shelf, target, _manifest(shelf, held), held.verified)


def _shelf(attempt: Attempt, backups: Snapshots) -> SnapshotStore:
    """The account to read from, as the person said; raises `Refused` when there is no second one."""
    asked = attempt.operation.request.restoring
    if asked is None or not asked.copy:
        return backups.store
    if backups.copies is None:
        raise Refused("copy: no second account is configured here: set SNAPSHOT_COPY_BLOB_URL")
    return backups.copies


def _held(shelf: SnapshotStore, cluster: str, snapshot: str) -> Held:
    """The snapshot as storage has it; of another cluster's, if that is what was asked for."""
    latest = LATEST.get(snapshot)
    name = None if latest is not None else parse_stem(snapshot)
    with storing():
        listing = shelf.listing(cluster if name is None else name.cluster)
    held = listing.newest(latest or Product.NOMAD) if name is None else listing.find(name)
    if held is None or Part.ARCHIVE not in held.parts:
        raise Gone(f"snapshot: expected one that exists, got {snapshot!r}")
    return held


def _manifest(shelf: SnapshotStore, held: Held) -> Manifest:
    """The manifest blob; of a snapshot without one, what its archive carries, which nobody has proven to be finished."""
    with storing():
        return load_manifest(shelf, held) if held.verified else _carried(shelf, held)


def _carried(shelf: SnapshotStore, of: Held | Manifest) -> Manifest:
    """The manifest in the archive's own metadata."""
    with storing():
        text = shelf.metadata(of.tier, of.name.blob(Part.ARCHIVE)).get(MANIFEST_METADATA, "")
    try:
        return manifest_json.from_json(text)
    except FieldError as exc:
        raise BadSnapshot(Reason.UNREADABLE, f"the archive of {of.name.stem} carries no manifest: {exc}") from exc
