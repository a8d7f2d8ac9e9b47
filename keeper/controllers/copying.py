"""Reads snapshots back, and puts copies of them into the second account, as another identity."""

import hashlib
from collections.abc import Collection, Iterator

from keeper.controllers.taking import Paced, load_manifest, put_manifest, storing
from keeper.core import manifest_json
from keeper.core.retention import Held, Listing
from keeper.core.snapshots import MANIFEST_METADATA, BadSnapshot, Manifest, Part, Reason
from keeper.ports import Lease
from keeper.snapshot_ports import DataKey, SnapshotStore


def read_back(store: SnapshotStore, manifest: Manifest, lease: Lease) -> None:
    """Read a snapshot's archive as it lies in storage; raises `BadSnapshot` (`UNREADABLE`) unless every byte is as written."""
    with storing():
        pieces = store.read(manifest.tier, manifest.name.blob(Part.ARCHIVE))
        for _ in _proven(pieces, manifest, lease):
            pass


def copy(store: SnapshotStore, copies: SnapshotStore, held: Held, there: Listing, lease: Lease) -> Manifest:
    """Copy one snapshot's blobs as they are, read the copy back, and only then write its manifest.

    A copy that a cut run left without a manifest is read back and finished. Reading the original to its end proves that too.
    """
    with storing():
        manifest = load_manifest(store, held)
        half = there.find(held.name)
        present: Collection[Part] = half.parts if half is not None else ()
        for part in (Part.ARCHIVE, Part.KEYSTORE):
            if part in held.parts and part not in present:
                _copy_part(store, copies, manifest, part, lease)
    read_back(copies, manifest, lease)
    with storing():
        if manifest.keystore_sha256 is not None:
            _compare_keystores(store, copies, manifest)
        put_manifest(copies, manifest, lease)
    return manifest


def keystore_of(key: DataKey, store: SnapshotStore, manifest: Manifest) -> bytes:
    """The root keys beside a snapshot; raises `BadSnapshot` (`UNREADABLE`) unless they are those that its manifest names."""
    blob = manifest.name.blob(Part.KEYSTORE)
    with storing():
        body = b"".join(key.open(blob, store.read(manifest.tier, blob)))
    if hashlib.sha256(body).hexdigest() != manifest.keystore_sha256:
        raise BadSnapshot(Reason.UNREADABLE, f"{blob} is not the keystore that the manifest names")
    return body


def _compare_keystores(store: SnapshotStore, copies: SnapshotStore, manifest: Manifest) -> None:
    """The manifest knows only what is inside, which the copying identity cannot open."""
    blob = manifest.name.blob(Part.KEYSTORE)
    first, second = (b"".join(each.read(manifest.tier, blob)) for each in (store, copies))
    if first != second:
        raise BadSnapshot(Reason.UNREADABLE, f"the copy of {blob} is not what was copied")


def _copy_part(store: SnapshotStore, copies: SnapshotStore, manifest: Manifest, part: Part, lease: Lease) -> None:
    blob, pace = manifest.name.blob(part), Paced(lease)
    pieces = store.read(manifest.tier, blob)
    with copies.upload(manifest.tier, blob) as upload:
        for piece in _proven(pieces, manifest, lease) if part is Part.ARCHIVE else pieces:
            pace.sending(len(piece))
            upload.write(piece)
        upload.end()
        lease.confirm()
        upload.commit({MANIFEST_METADATA: manifest_json.to_json(manifest)})


def _proven(pieces: Iterator[bytes], manifest: Manifest, lease: Lease) -> Iterator[bytes]:
    """The pieces of a sealed archive; after the last, raises unless they are what the manifest says."""
    digest, size, pace = hashlib.sha256(), 0, Paced(lease)
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        pace.sending(len(piece))
        yield piece
    if digest.hexdigest() != manifest.sealed_sha256 or size != manifest.sealed_bytes:
        raise BadSnapshot(
            Reason.UNREADABLE, f"{manifest.name.stem} was read back as {size} other bytes than were written"
        )
