"""What the keeper knows of the world: nodes, instances, pools, work, and what it remembers itself.

Everything here is frozen. Units live in the type names: `MHz`, `MiB`, `timedelta`, `datetime` (always aware, UTC).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import Enum, StrEnum
from typing import NamedTuple, NewType

NodeId = NewType("NodeId", str)
"""The UUID of a Nomad client."""

InstanceName = NewType("InstanceName", str)
"""The VM's name, which is also its Nomad client's name; compared in lower case, kept as received."""

PoolName = NewType("PoolName", str)

type MHz = int
type MiB = int
type Price = float
"""Money per hour, in the currency of the settings."""


class JobKey(NamedTuple):
    """A job is named by its namespace and its id."""

    namespace: str
    id: str


class JobKind(StrEnum):
    """Nomad's job types (https://developer.hashicorp.com/nomad/docs/schedulers)."""

    SERVICE = "service"
    BATCH = "batch"
    SYSTEM = "system"
    SYSBATCH = "sysbatch"

    @property
    def follows_nodes(self) -> bool:
        """Such work runs once per node: it neither asks for more nodes nor keeps one alive."""
        return self in {JobKind.SYSTEM, JobKind.SYSBATCH}


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount of everything Nomad schedules by; used for what a node offers and for what work asks."""

    cpu: MHz = 0
    cores: int = 0
    memory: MiB = 0
    disk: MiB = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            self.cpu + other.cpu, self.cores + other.cores, self.memory + other.memory, self.disk + other.disk
        )

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(
            self.cpu - other.cpu, self.cores - other.cores, self.memory - other.memory, self.disk - other.disk
        )

    def times(self, count: int) -> "Resources":
        """The same amount, `count` times."""
        return Resources(self.cpu * count, self.cores * count, self.memory * count, self.disk * count)

    def covers(self, other: "Resources") -> bool:
        """Whether `other` fits into this in every dimension."""
        return (
            self.cpu >= other.cpu
            and self.cores >= other.cores
            and self.memory >= other.memory
            and self.disk >= other.disk
        )

    def exceeded(self, other: "Resources") -> tuple[str, ...]:
        """The names of the dimensions in which `other` does not fit into this."""
        return tuple(f.name for f in fields(self) if getattr(other, f.name) > getattr(self, f.name))


class NodeStatus(StrEnum):
    """https://developer.hashicorp.com/nomad/api-docs/nodes."""

    INITIALIZING = "initializing"
    READY = "ready"
    DOWN = "down"
    DISCONNECTED = "disconnected"


class DrainStatus(StrEnum):
    """`LastDrain.Status` of a node. `COMPLETE` says that Nomad is through, not that the work has moved."""

    DRAINING = "draining"
    COMPLETE = "complete"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class LastDrain:
    """The newest drain of a node; it stays after the node is eligible again, and its meta tells who made it."""

    status: DrainStatus
    started: datetime
    updated: datetime
    meta: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def owner(self) -> str | None:
        """The controller that made this drain, or None when it was a person or another tool."""
        return self.meta.get(DRAIN_OWNER)


DRAIN_OWNER = "keeper-controller"
"""Key of the drain meta that marks a drain as the keeper's: the durable trace of who drained and why."""

DRAIN_REASON = "keeper-reason"

DRAIN_DEADLINE = "keeper-deadline"
"""Key of the drain meta that tells when Nomad stops what is left, in ISO form, or `never`."""

NO_DEADLINE = "never"


@dataclass(frozen=True, slots=True)
class Device:
    """A group of equal devices: `nvidia/gpu/T4` and how many."""

    vendor: str
    type: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Node:
    """A Nomad client as `/v1/nodes?resources=true` shows it."""

    id: NodeId
    name: InstanceName
    status: NodeStatus
    eligible: bool
    draining: bool
    resources: Resources
    """What work may use: the node's total less what is reserved."""
    node_class: str = ""
    node_pool: str = "default"
    datacenter: str = "dc1"
    last_drain: LastDrain | None = None
    drivers: frozenset[str] = frozenset()
    """Healthy drivers only."""
    host_volumes: frozenset[str] = frozenset()
    devices: tuple[Device, ...] = ()
    reserved_ports: frozenset[int] = frozenset()

    @property
    def ready(self) -> bool:
        """Whether Nomad places work here now."""
        return self.status is NodeStatus.READY and self.eligible and not self.draining

    def drained_by(self, controller: str) -> bool:
        """Whether its newest drain was made by `controller` and was not taken back."""
        last = self.last_drain
        return last is not None and last.owner == controller and last.status is not DrainStatus.CANCELED


class Desired(StrEnum):
    """What Nomad wants of an allocation."""

    RUN = "run"
    STOP = "stop"
    EVICT = "evict"


class ClientStatus(StrEnum):
    """What the client says of an allocation."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Allocation:
    """A task group placed on a node."""

    id: str
    job: JobKey
    group: str
    kind: JobKind
    node: NodeId
    desired: Desired
    client: ClientStatus
    resources: Resources
    static_ports: frozenset[int] = frozenset()
    devices: tuple["Device", ...] = ()
    """The devices it holds, with `count` of each."""

    @property
    def live(self) -> bool:
        """Whether a task of it may still run: told to stop is not the same as stopped."""
        return self.client in {ClientStatus.PENDING, ClientStatus.RUNNING, ClientStatus.UNKNOWN}


class Operand(StrEnum):
    """Constraint operators (https://developer.hashicorp.com/nomad/docs/job-specification/constraint)."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    REGEXP = "regexp"
    VERSION = "version"
    SEMVER = "semver"
    SET_CONTAINS = "set_contains"
    SET_CONTAINS_ALL = "set_contains_all"
    SET_CONTAINS_ANY = "set_contains_any"
    IS_SET = "is_set"
    IS_NOT_SET = "is_not_set"
    DISTINCT_HOSTS = "distinct_hosts"
    DISTINCT_PROPERTY = "distinct_property"


@dataclass(frozen=True, slots=True)
class Constraint:
    """`left` and `right` as written in the job, with `${...}` not yet resolved."""

    left: str
    operand: Operand
    right: str


@dataclass(frozen=True, slots=True)
class DeviceAsk:
    """`nvidia/gpu`, `gpu` or `nvidia/gpu/T4`, how many, and what the device itself must be like."""

    name: str
    count: int
    constraints: tuple[Constraint, ...] = ()


class Distinct(Enum):
    """How far apart allocations must be: not at all, one per node of the group, one per node of the job."""

    NO = "no"
    GROUP = "group"
    JOB = "job"


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """What one allocation of a task group asks for."""

    name: str
    resources: Resources
    count: int = 1
    static_ports: frozenset[int] = frozenset()
    devices: tuple[DeviceAsk, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    """Those of the job, the group and its tasks together."""
    distinct: Distinct = Distinct.NO
    drivers: frozenset[str] = frozenset()
    host_volumes: frozenset[str] = frozenset()
    csi_volumes: frozenset[str] = frozenset()
    sticky_disk: bool = False


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job as `/v1/job/:id` shows it, reduced to what decides where its work can run and whether it may move."""

    key: JobKey
    kind: JobKind
    modify_index: int
    datacenters: tuple[str, ...]
    node_pool: str
    groups: Mapping[str, TaskGroup]
    priority: int = 50
    meta: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class JobStub:
    """A job as `/v1/jobs` shows it: enough to count what waits."""

    key: JobKey
    kind: JobKind
    modify_index: int
    stopped: bool
    queued: Mapping[str, int]
    """Per task group, how many allocations Nomad wants to place and cannot."""
    meta: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class BlockedEvaluation:
    """Why work waits. Its reasons may be stale (a re-blocked evaluation keeps its old ones): never count by it."""

    job: JobKey
    kind: JobKind
    node: NodeId | None
    """Set for system work only: that node cannot take it, and more nodes would not help."""
    quota: str
    """The quota that holds the work back, or empty. Waiting for a quota is no demand for machines."""
    groups: frozenset[str]
    exhausted: frozenset[str] = frozenset()
    since: datetime | None = None


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


def instance_is_of(scale_set: str, name: str) -> bool:
    """Whether a VM of that name belongs to that scale set: both modes name VMs `<scale set>_<suffix>`."""
    return name.lower().rpartition("_")[0] == scale_set.lower()


def pool_of(name: str, pools: tuple[Pool, ...]) -> Pool | None:
    """The pool whose scale set made the VM of that name, or None when it is not ours."""
    return next((pool for pool in pools if instance_is_of(pool.scale_set, name)), None)


def with_drain(node: Node, last: LastDrain) -> Node:
    """`node` as it will look once that drain has started."""
    return replace(node, draining=last.status is DrainStatus.DRAINING, eligible=False, last_drain=last)
