"""Snapshot containers in memory: the `SnapshotStore` port with the rules of immutable containers, under any clock.

`tests/contract/snapshots/test_store.py` holds it to Azurite behind the rule keeper: one suite, both.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keeper.core.retention import Held, Listing
from keeper.core.snapshots import parse_blob
from keeper.errors import Changed, Gone
from keeper.snapshot_ports import Deletion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime, timedelta

    from keeper.core.snapshots import Part, SnapshotName, Tier

PIECE = 64 * 1024


@dataclass(slots=True)
class Kept:
    """One blob."""

    body: bytes
    metadata: Mapping[str, str]
    born: datetime


@dataclass
class MemorySnapshots:
    """`blobs` may be looked at, and spoilt, by a test; `step` is called before each write, for a test to end the run there."""

    now: Callable[[], datetime]
    intervals: Mapping[str, timedelta] = field(default_factory=dict)
    blobs: dict[tuple[str, str], Kept] = field(default_factory=dict)
    forbidden: list[str] = field(default_factory=list)
    step: Callable[[str], None] = lambda _: None

    def listing(self, cluster: str) -> Listing:
        """See the port."""
        from keeper.core.snapshots import Tier  # noqa: PLC0415 -- at run time only here

        parts: dict[tuple[SnapshotName, Tier], dict[Part, datetime]] = {}
        for (container, name), kept in self.blobs.items():
            known = parse_blob(name) if name.startswith(f"{cluster}/") else None
            if known is not None:
                tier = next(tier for tier in Tier if tier.container == container)
                parts.setdefault((known[0], tier), {})[known[1]] = kept.born
        return Listing(tuple(Held(name, tier, held) for (name, tier), held in parts.items()), self.now())

    @contextmanager
    def upload(self, tier: Tier, name: str) -> Iterator[MemoryUpload]:
        """See the port."""
        yield MemoryUpload(self, tier, name)

    def put(self, tier: Tier, name: str, body: bytes) -> None:
        """See the port."""
        held = self.blobs.get((tier.container, name))
        if held is None or held.body != body:
            self.create(tier, name, body, {})

    def read(self, tier: Tier, name: str) -> Iterator[bytes]:
        """See the port."""
        body = self._found(tier, name).body
        for at in range(0, len(body), PIECE):
            yield body[at : at + PIECE]

    def metadata(self, tier: Tier, name: str) -> Mapping[str, str]:
        """See the port."""
        return dict(self._found(tier, name).metadata)

    def delete(self, tier: Tier, name: str) -> Deletion:
        """See the port."""
        self.step(f"delete {name}")
        held = self.blobs.get((tier.container, name))
        if held is None:
            return Deletion.GONE
        interval = self.intervals.get(tier.container)
        if interval is not None and self.now() < held.born + interval:
            self.forbidden.append(name)
            return Deletion.IMMUTABLE
        del self.blobs[tier.container, name]
        return Deletion.DELETED

    def create(self, tier: Tier, name: str, body: bytes, metadata: Mapping[str, str]) -> None:
        """Make a blob visible, unless there is one."""
        self.step(f"write {name}")
        if (tier.container, name) in self.blobs:
            raise Changed(f"{name} exists")
        self.blobs[tier.container, name] = Kept(body, dict(metadata), self.now())

    def _found(self, tier: Tier, name: str) -> Kept:
        held = self.blobs.get((tier.container, name))
        if held is None:
            raise Gone(f"there is no blob {name}")
        return held


@dataclass(slots=True)
class MemoryUpload:
    """The `Upload` port."""

    store: MemorySnapshots
    tier: Tier
    name: str
    _body: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        """See the port."""
        self.store.step(f"stage {self.name}")
        self._body += data

    def end(self) -> None:
        """See the port."""

    def commit(self, metadata: Mapping[str, str]) -> None:
        """See the port. A second commit of the same thing is content, as the adapter's is."""
        held = self.store.blobs.get((self.tier.container, self.name))
        if held is None or dict(held.metadata) != dict(metadata):
            self.store.create(self.tier, self.name, bytes(self._body), metadata)
