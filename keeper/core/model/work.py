"""Jobs, task groups, allocations and why they wait."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum

from keeper.core.model.nodes import Device
from keeper.core.model.units import JobKey, JobKind, MHz, NodeId, Resources


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
    devices: tuple[Device, ...] = ()
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
    of_job: bool = False
    """Written in the job itself: a property that must differ then differs among all of its groups."""


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
    """The most that it holds at any time."""
    count: int = 1
    static_ports: frozenset[int] = frozenset()
    devices: tuple[DeviceAsk, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    """Those of the job, the group and its tasks together."""
    distinct: Distinct = Distinct.NO
    drivers: frozenset[str] = frozenset()
    host_volumes: frozenset[str] = frozenset()
    written_volumes: frozenset[str] = frozenset()
    """Those host volumes that it wants to write to."""
    volumes_of_one: frozenset[str] = frozenset()
    """Host volumes of which each allocation has one of its own: `data` stands for `data[0]`, `data[1]` and so on."""
    networks: frozenset[str] = frozenset()
    """What a node must offer: `mode bridge`, `host network inner`."""
    csi_volumes: frozenset[str] = frozenset()
    sticky_disk: bool = False
    phases: tuple[tuple[MHz, int], ...] = ()
    """The MHz and the cores held at the same time, for each phase of its tasks; empty when no task asks for cores."""
    cores_to_start: int = 0
    """Cores of all phases together: Nomad sets them aside apart from one another, although not all are held at once."""


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
