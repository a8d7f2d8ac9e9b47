"""What the controllers need of the outside, as protocols; adapters keep these contracts and never decide.

Every method may raise `Transient` (throttled, unreachable, changed) or `Permanent` (forbidden, gone). Reads have no side
effect. Writes say below what repeating them does.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from keeper.certificate_ports import Certificates
from keeper.clock import Clock
from keeper.core.memory import GrowthFailure
from keeper.core.model import (
    Allocation,
    BlockedEvaluation,
    Instance,
    JobKey,
    JobSpec,
    JobStub,
    Node,
    NodeId,
    Pool,
    PoolName,
    ScaleSet,
    Template,
)
from keeper.restore_ports import Restores
from keeper.settings import Settings
from keeper.snapshot_ports import Snapshots


class Nomad(Protocol):
    """The Nomad cluster, through its servers' load balancer. All reads are consistent and come from the leader."""

    def nodes(self) -> tuple[Node, ...]:
        """Every client of every node pool, down ones included, sorted by name and then id. One call."""
        ...

    def allocations(self) -> tuple[Allocation, ...]:
        """Every allocation of every namespace that may still run. One call."""
        ...

    def jobs(self) -> tuple[JobStub, ...]:
        """Every job of every namespace with what it has queued. One call."""
        ...

    def blocked(self) -> tuple[BlockedEvaluation, ...]:
        """Every blocked evaluation. One call."""
        ...

    def deploying(self) -> frozenset[JobKey]:
        """The jobs with an active deployment. One call."""
        ...

    def job(self, key: JobKey, modify_index: int) -> JobSpec:
        """The job's specification; kept between calls while the job's modify index stays. At most one call."""
        ...

    def template(self, node: NodeId, at: datetime) -> Template:
        """What a further node like this one will be like. One call."""
        ...

    def drain(self, node: NodeId, deadline: timedelta | None, meta: Mapping[str, str]) -> None:
        """Start a drain, or change the deadline of a running one; None waits without limit. Repeating is harmless."""
        ...

    def reclaim(self, node: NodeId, meta: Mapping[str, str]) -> None:
        """End a running drain, if any, and make the node eligible. Repeating is harmless."""
        ...

    def purge(self, node: NodeId) -> None:
        """Forget the node. One that is already unknown is no error."""
        ...


class OperationStatus(StrEnum):
    """How a long-running Azure operation stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class OperationResult:
    """`failure` is set exactly when the operation failed."""

    status: OperationStatus
    failure: GrowthFailure | None = None


class GrowthRefused(Exception):
    """Azure refused a growth at once."""

    def __init__(self, failure: GrowthFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ScaleSets(Protocol):
    """The VM scale sets of the pools, through Azure Resource Manager."""

    def scale_sets(self) -> Mapping[PoolName, ScaleSet]:
        """Every pool's scale set; one call per resource group. A pool whose scale set is missing has no entry."""
        ...

    def instances(self, pool: Pool) -> tuple[Instance, ...]:
        """The pool's instances, failed and stopped ones included, sorted by name. One call per page."""
        ...

    def free_addresses(self, subnets: Iterable[str]) -> Mapping[str, int]:
        """How many addresses each subnet, given by its id, has left. One call each."""
        ...

    def grow(self, pool: Pool, current: ScaleSet, target: int) -> str | None:
        """Ask for `target` instances, on condition that the scale set is unchanged since it was read.

        Returns where to ask for the outcome, without waiting for it (None when it was over at once). Raises
        `GrowthRefused` when Azure says no at once, `Changed` when the condition fails, ValueError when `target` is below
        the current capacity: capacity is never lowered this way. Repeating with the same target buys nothing twice.
        """
        ...

    def outcome(self, pool: Pool, operation: str) -> OperationResult:
        """How the growth `operation` stands. One call. An operation that Azure has forgotten counts as succeeded."""
        ...

    def delete(self, pool: Pool, ids: Sequence[str]) -> None:
        """Start to delete exactly these instances; capacity falls with them. One that is already gone is no error."""
        ...


class Utilisation(Protocol):
    """Azure Monitor's metrics of the scale sets."""

    def average_cpu(self, scale_set: ScaleSet, over: timedelta, until: datetime) -> float | None:
        """The average "Percentage CPU" over that time, or None when there are no points."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A record's bytes and the version that a conditional save names."""

    body: bytes
    version: str


class Records(Protocol):
    """The keeper's state account: small named records and append-only logs."""

    def load(self, name: str) -> Stored | None:
        """The record, or None when there is none."""
        ...

    def save(self, name: str, body: bytes, *, version: str | None) -> str:
        """Write on condition that the record still has `version` (None: that it does not exist); the new version.

        Raises `Changed` when the condition fails.
        """
        ...

    def append(self, name: str, line: str) -> None:
        """Add one line to a log, which is made when missing. Appending twice adds it twice."""
        ...

    def tail(self, name: str, most: int) -> list[str]:
        """The last lines of a log, oldest first, at most that many; none when it does not exist."""
        ...

    def names(self, prefix: str) -> list[str]:
        """The records whose names start with `prefix`, sorted."""
        ...


class Lease(Protocol):
    """A held lease; the tick asks it before each write."""

    def confirm(self) -> None:
        """Raise `LostLease` unless it is still ours for the next write."""
        ...


class Leases(Protocol):
    """Mutual exclusion between ticks."""

    def hold(self, name: str) -> AbstractContextManager[Lease]:
        """Take the lease for the time of the block; raises `LostLease` at once when another tick has it."""
        ...


class Corridor(Protocol):
    """The one queue between the doors and the controllers."""

    def send(self, message: str, *, delay: timedelta = timedelta()) -> None:
        """Put one message; it is delivered at least once, not before `delay`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that a controller may touch."""

    nomad: Nomad
    scale_sets: ScaleSets
    utilisation: Utilisation
    records: Records
    leases: Leases
    corridor: Corridor
    clock: Clock
    settings: Settings
    snapshots: Snapshots | None = None
    """None where no snapshots are taken, as in the simulator."""
    restores: Restores | None = None
    """The same for restores and rehearsals."""
    certificates: Certificates | None = None
    """The same for certificates and secrets."""
