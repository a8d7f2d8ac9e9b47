"""Pools, scale sets, instances, and what a new node will be like."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keeper.core.model.nodes import Device
from keeper.core.model.units import InstanceName, MHz, PoolName, Price, Resources


class Mode(StrEnum):
    """How a scale set is orchestrated."""

    UNIFORM = "Uniform"
    FLEXIBLE = "Flexible"


class Priority(StrEnum):
    """What the instances of a pool cost and whether Azure may take them back."""

    REGULAR = "regular"
    SPOT = "spot"


@dataclass(frozen=True, slots=True)
class Pool:
    """The rules of one scale set of Nomad clients, from the settings."""

    name: PoolName
    scale_set: str
    resource_group: str
    mode: Mode
    minimum: int
    maximum: int
    priority: Priority = Priority.REGULAR
    zones: tuple[str, ...] = ()
    order: int = 100
    """Lower is tried first."""
    price: Price = 0.0
    """Of one instance per hour; breaks ties, and counts towards the overall cost limit."""
    sku: str = ""
    node_class: str = ""
    node_pool: str = "default"
    datacenter: str = "dc1"
    headroom: Resources = Resources()
    """Free capacity that a shrink must leave in this pool."""


class Provisioning(StrEnum):
    """`provisioningState` of a scale set."""

    CREATING = "Creating"
    UPDATING = "Updating"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    DELETING = "Deleting"
    OTHER = "Other"


@dataclass(frozen=True, slots=True)
class ScaleSet:
    """A scale set as Azure shows it. `capacity` is what was asked for, not what exists."""

    pool: PoolName
    id: str
    capacity: int
    provisioning: Provisioning
    sku: str
    etag: str | None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    subnet: str = ""
    """The id, in lower case, of the subnet that instances get their addresses from; empty when not known."""


class InstanceState(StrEnum):
    """What became of a VM."""

    CREATING = "creating"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class Instance:
    """A VM of a scale set."""

    name: InstanceName
    id: str
    """What Azure's delete takes: a number for Uniform sets, the VM's name for Flexible ones."""
    pool: PoolName
    state: InstanceState
    zone: str = ""
    created: datetime | None = None
    protected: bool = False


class TemplateSource(StrEnum):
    """Where the knowledge of an empty pool's next node comes from, best first."""

    SEEN = "seen"
    TAGS = "tags"
    SKU = "sku"


@dataclass(frozen=True, slots=True)
class Template:
    """What a new node of a pool will be like."""

    source: TemplateSource
    resources: Resources
    node_class: str
    node_pool: str
    datacenter: str
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    """`attr.*` and `meta.*` keys without the unique ones; complete only when the source is `SEEN`."""
    drivers: frozenset[str] | None = None
    """None when not known."""
    host_volumes: frozenset[str] = frozenset()
    devices: tuple[Device, ...] = ()
    seen: datetime | None = None
    overhead: Resources = Resources()
    """What system work takes on each node of the pool, as last seen."""
    read_only_volumes: frozenset[str] = frozenset()
    networks: frozenset[str] | None = None
    """As of `Node`; None when not known."""
    core_mhz: MHz = 0
    """As of `Node`."""
    unique: frozenset[str] | None = None
    """The unique `attr.*` and `meta.*` keys that each node has, whose values nobody knows before; None when not known."""


def instance_is_of(scale_set: str, name: str) -> bool:
    """Whether a VM of that name belongs to that scale set: both modes name VMs `<scale set>_<suffix>`."""
    return name.lower().rpartition("_")[0] == scale_set.lower()


def pool_of(name: str, pools: tuple[Pool, ...]) -> Pool | None:
    """The pool whose scale set made the VM of that name, or None when it is not ours."""
    return next((pool for pool in pools if instance_is_of(pool.scale_set, name)), None)
