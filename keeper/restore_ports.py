"""What restores, rehearsals and canaries need of the outside, as protocols; a part of `keeper.ports`.

Every method may raise `Transient` or `Permanent`, as there, and `BadSnapshot` where it says so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from keeper.core.canaries import Canary
from keeper.core.restoring import Found
from keeper.core.snapshots import Product
from keeper.snapshot_ports import Keystores, Observed, SnapshotSource


@dataclass(frozen=True, slots=True)
class Sized:
    """A body of known length that is made as it is sent."""

    pieces: Iterator[bytes]
    size: int

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces

    def __len__(self) -> int:
        return self.size


class RestoreTarget(Protocol):
    """A cluster of servers that takes archives back, as somebody who may do everything there."""

    @property
    def product(self) -> Product:
        """Whose state it is."""
        ...

    @property
    def source(self) -> SnapshotSource:
        """The same servers giving out their state: the undo comes from there."""
        ...

    def observe(self) -> Observed:
        """What there is now. Raises `BadSnapshot` (`NO_LEADER`) when nobody leads. A few calls."""
        ...

    def servers(self) -> int:
        """How many servers there are. One call."""
        ...

    def restore(self, archive: Callable[[], Iterator[bytes]], size: int) -> None:
        """Stream an archive of `size` bytes to the leader and return when it has taken it; seconds to minutes.

        `archive` gives its bytes from the start each time it is called. A damaged or cut archive changes nothing and is
        `Permanent`. When no answer comes (`Unreachable`), it may have been taken: restoring again is harmless.
        """
        ...

    def found(self) -> Found:
        """What there is after a restore: counts, leader, canaries. A few calls."""
        ...


class Canaries(Protocol):
    """One product's canaries: Nomad's job and variable, Consul's key. Both methods raise `Forbidden` naming the right that is missing."""

    def read(self) -> Mapping[str, str] | None:
        """The canary's items; None unless all of it is there and readable. One or two calls."""
        ...

    def write(self, canary: Canary) -> None:
        """Make or refresh all of it. One or two calls; repeating is harmless."""
        ...


class Drills(Protocol):
    """Rehearsals: a batch job of the cluster that restores a snapshot into a throw-away server."""

    def dispatch(self, meta: Mapping[str, str], token: str) -> str:
        """Start one and return the dispatched job's id. The same `token` starts it once only.

        Raises `Gone` when the job is not registered.
        """
        ...

    def verdict(self, name: str) -> bytes | None:
        """What the rehearsal of that name left, or None while there is nothing."""
        ...

    def is_over(self, job: str) -> bool:
        """Whether a dispatched job has ended, or is forgotten. One call."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Restores:
    """All that restores and rehearsals touch besides snapshots, records and leases."""

    targets: Sequence[RestoreTarget]
    canaries: Sequence[Canaries]
    keystores: Keystores
    drills: Drills
