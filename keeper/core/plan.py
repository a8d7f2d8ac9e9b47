"""What a tick chose to do: ordered actions, a reason, one sentence, and what is to be remembered."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from keeper.core.memory import Memory
from keeper.core.model import DRAIN_DEADLINE, DRAIN_OWNER, DRAIN_REASON, NO_DEADLINE, InstanceName, NodeId, PoolName


class Reason(StrEnum):
    """Why a plan is what it is; the strongest one of all that a plan does."""

    STEADY = "steady"
    PAUSED = "paused"
    DEMAND = "demand"
    PRESSURE = "pressure"
    FLOOR = "floor"
    REQUEST = "request"
    RECLAIM = "reclaim"
    SURPLUS = "surplus"
    TIDY = "tidy"
    BLIND = "blind"
    """Something could not be read: nothing shrinks, growth goes on."""


@dataclass(frozen=True, slots=True)
class Grow:
    """Raise a pool's capacity to `target`. Never lower than the capacity that was seen."""

    pool: PoolName
    before: int
    target: int
    etag: str | None
    because: Reason


@dataclass(frozen=True, slots=True)
class Drain:
    """Start to empty a node, or change the deadline of a drain of ours. None: no deadline, batch work is waited for."""

    node: NodeId
    instance: InstanceName
    pool: PoolName
    deadline: timedelta | None
    because: Reason

    def meta(self, controller: str, now: datetime) -> dict[str, str]:
        """The drain's meta: who drains, why, and when Nomad stops what is left; later ticks read it."""
        until = NO_DEADLINE if self.deadline is None else (now + self.deadline).isoformat()
        return {DRAIN_OWNER: controller, DRAIN_REASON: self.because, DRAIN_DEADLINE: until}


@dataclass(frozen=True, slots=True)
class Reclaim:
    """Take back a drain of ours, running or over, and make the node eligible again."""

    node: NodeId
    instance: InstanceName
    pool: PoolName
    because: Reason


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete these very instances. `id`s are Azure's; an instance that is already gone is no error."""

    pool: PoolName
    instances: tuple[InstanceName, ...]
    ids: tuple[str, ...]
    because: Reason


@dataclass(frozen=True, slots=True)
class Purge:
    """Forget the node of an instance that is gone, so that Nomad frees its work at once."""

    node: NodeId
    instance: InstanceName
    because: Reason


type Action = Grow | Drain | Reclaim | Delete | Purge


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that was considered and not done: a pool not chosen, demand not bought for, an instance kept."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Cut:
    """A guard or a limit that took something out of a plan."""

    guard: str
    what: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of planning. Equal views give equal plans."""

    actions: tuple[Action, ...]
    reason: Reason
    sentence: str
    memory: Memory
    """To be stored before the first action, so that a crash after any of them loses nothing."""
    rejected: tuple[Rejected, ...] = ()
    cuts: tuple[Cut, ...] = ()
