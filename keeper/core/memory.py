"""What the autoscale controller cannot derive from the world and therefore writes down between two ticks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keeper.core.model import InstanceName, JobKey, PoolName, Template


@dataclass(frozen=True, slots=True)
class Pressure:
    """A fired alert aimed at a pool, until it resolves or expires."""

    alert: str
    """The alert's id: a fired and a resolved message with the same id are the same alert."""
    rule: str
    pool: PoolName
    fired: datetime
    expires: datetime
    stepped: datetime | None = None
    """When the pool last grew because of it; the next step waits for the cooldown."""
    resolved: datetime | None = None
    """When it was resolved. It is kept until it expires, so that a late or doubled `fired` does not revive it."""


class FailureKind(StrEnum):
    """Why Azure did not give what was asked for. Each is set aside in its own scope, for its own time."""

    SKU_FAMILY_QUOTA = "sku-family-quota"
    LOW_PRIORITY_QUOTA = "low-priority-quota"
    REGIONAL_QUOTA = "regional-quota"
    SKU_NOT_AVAILABLE = "sku-not-available"
    SUBNET_FULL = "subnet-full"
    ZONAL_ALLOCATION = "zonal-allocation"
    ALLOCATION = "allocation"
    OVERCONSTRAINED = "overconstrained"
    OVERCONSTRAINED_ZONAL = "overconstrained-zonal"
    THROTTLED = "throttled"
    PREEMPTED = "preempted"
    CONFLICT = "conflict"
    NEVER_JOINED = "never-joined"
    NEVER_BOOTED = "never-booted"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class GrowthFailure:
    """A growth that Azure refused, at once or later through its long-running operation."""

    pool: PoolName
    kind: FailureKind
    at: datetime
    code: str
    message: str
    zones: tuple[str, ...] = ()
    """The zones that the error names, if any."""
    cores_left: int | None = None
    """Quota errors: limit less usage, in cores; what still fits can be asked for."""
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class SetAside:
    """A pool (or all that share its quota, zone or priority) is not asked for more until then."""

    kind: FailureKind
    pool: PoolName
    """The pool whose growth failed; `kind` tells which others are set aside with it."""
    until: datetime
    failures: int
    """How many times in a row; the time grows with it."""
    since: datetime
    zones: tuple[str, ...] = ()
    cores_left: int | None = None
    """Quota: the cores that the pool may still ask for while it is set aside."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A growth that was asked for and whose long-running operation has not been seen to end."""

    pool: PoolName
    asked: datetime
    before: int
    """Capacity before."""
    target: int
    """Capacity asked for."""
    operation: str | None
    """Where to ask how it went; None while the request itself is not known to have arrived."""
    etag: str | None = None
    """The scale set's version before: while it is unchanged, a growth that raises no capacity has not arrived."""
    cores: int = 0
    """Virtual cores asked for."""


@dataclass(frozen=True, slots=True)
class ScaleRequest:
    """Somebody asked over HTTP for that many instances; holds until reached, replaced or expired."""

    operation: str
    pool: PoolName
    count: int
    asked: datetime
    expires: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything autoscale remembers. Empty memory is always safe: it only makes the keeper slower to shrink."""

    observed: datetime | None = None
    """The `now` of the last completed observation: older messages are satisfied."""
    follow_up: datetime | None = None
    """When the keeper has asked itself to look again, so that it asks only once."""
    paused: str | None = None
    """Why autoscale is paused, or None."""
    pressures: tuple[Pressure, ...] = ()
    set_asides: tuple[SetAside, ...] = ()
    growths: tuple[Growth, ...] = ()
    requests: tuple[ScaleRequest, ...] = ()
    unneeded: Mapping[InstanceName, datetime] = field(default_factory=dict[InstanceName, datetime])
    """Since when an instance has been found unneeded in every tick."""
    refused: Mapping[tuple[JobKey, str], datetime] = field(default_factory=dict[tuple[JobKey, str], datetime])
    """Since when Nomad has refused work that fits by our reckoning, by job and task group."""
    templates: Mapping[PoolName, Template] = field(default_factory=dict[PoolName, Template])
    """The last node seen of each pool, for when the pool is empty."""
    never_joined: Mapping[PoolName, int] = field(default_factory=dict[PoolName, int])
    """How many instances of each pool were removed because they never joined."""
    first_seen: Mapping[InstanceName, datetime] = field(default_factory=dict[InstanceName, datetime])
    """When an instance was first seen without a node."""
    grew: Mapping[PoolName, datetime] = field(default_factory=dict[PoolName, datetime])
    """When a pool was last seen growing."""
    believed: Mapping[tuple[JobKey, str], int] = field(default_factory=dict[tuple[JobKey, str], int])
    """How often Nomad was believed for work that fits by our reckoning; each time doubles the wait for the next."""
    returned: Mapping[InstanceName, datetime] = field(default_factory=dict[InstanceName, datetime])
    """`LastDrain.updated` of nodes seen ready again: that drain is over and claims nothing any more."""
