"""The parts of Nomad's JSON that the keeper reads, as Nomad sends them; `NotRequired` is what it may leave out.

Go sends null for an empty list, map or pointer, so most of these are optional. Numbers of CPU are MHz, of memory and disk
MiB, times are nanoseconds since 1970 or RFC 3339. Source: https://developer.hashicorp.com/nomad/api-docs and the
recordings in `tests/recordings/nomad-1.6.5`.
"""

from typing import NotRequired, TypedDict


class NodeCpu(TypedDict):
    """`ReservableCpuCores` is null where cores cannot be reserved."""

    CpuShares: int
    TotalCpuCores: NotRequired[int]
    ReservableCpuCores: NotRequired[list[int] | None]


class Memory(TypedDict):
    """MiB that count when placing; `MemoryMaxMB` (oversubscription) does not."""

    MemoryMB: int


class Disk(TypedDict):
    """MiB."""

    DiskMB: int


class Port(TypedDict):
    """A static port has its number in `Value`."""

    Value: int


class NamedPort(Port):
    """A port as a job asks for it, maybe of a host network by name."""

    HostNetwork: NotRequired[str]


class Network(TypedDict):
    """Of a job or an allocation. `Mode` is empty for the host's network."""

    Mode: NotRequired[str]
    ReservedPorts: NotRequired[list[NamedPort] | None]
    DynamicPorts: NotRequired[list[NamedPort] | None]


class NodeMode(TypedDict):
    """A network of a node by its mode."""

    Mode: NotRequired[str]


class HostAddress(TypedDict):
    """`Alias` is the name of the host network."""

    Alias: str


class NodeNetwork(TypedDict):
    """The addresses of one interface."""

    Addresses: NotRequired[list[HostAddress] | None]


class HostVolume(TypedDict):
    """A host volume of a node."""

    ReadOnly: bool


class DeviceInstance(TypedDict):
    """One device of a group."""

    Healthy: bool


class NodeDevice(TypedDict):
    """A group of equal devices."""

    Vendor: str
    Type: str
    Name: str
    Instances: list[DeviceInstance] | None


class NodeResources(TypedDict):
    """What the machine has."""

    Cpu: NodeCpu
    Memory: Memory
    Disk: Disk
    Devices: NotRequired[list[NodeDevice] | None]
    Networks: NotRequired[list[NodeMode] | None]
    NodeNetworks: NotRequired[list[NodeNetwork] | None]


class ReservedCpu(TypedDict):
    """What is kept from work."""

    CpuShares: int
    ReservedCpuCores: NotRequired[list[int] | None]


class ReservedNetworks(TypedDict):
    """Such as `22,8000-8010`."""

    ReservedHostPorts: NotRequired[str | None]


class ReservedResources(TypedDict):
    """What is kept from work."""

    Cpu: ReservedCpu
    Memory: Memory
    Disk: Disk
    Networks: NotRequired[ReservedNetworks | None]


class Driver(TypedDict):
    """A task driver of a node."""

    Detected: bool
    Healthy: bool


class PastDrain(TypedDict):
    """`LastDrain`."""

    StartedAt: str
    UpdatedAt: str
    Status: str
    Meta: NotRequired[dict[str, str] | None]


class NodeStub(TypedDict):
    """One element of `/v1/nodes?resources=true`."""

    ID: str
    Name: str
    Status: str
    SchedulingEligibility: str
    Drain: bool
    NodeClass: str
    NodePool: NotRequired[str]
    Datacenter: str
    Drivers: dict[str, Driver] | None
    HostVolumes: NotRequired[dict[str, HostVolume] | None]
    LastDrain: NotRequired[PastDrain | None]
    NodeResources: NodeResources
    ReservedResources: NotRequired[ReservedResources | None]


class FullNode(NodeStub):
    """`/v1/node/:id`."""

    Attributes: dict[str, str] | None
    Meta: NotRequired[dict[str, str] | None]


class AllocatedCpu(TypedDict):
    """`ReservedCores` counts in `CpuShares` too."""

    CpuShares: int
    ReservedCores: NotRequired[list[int] | None]


class AllocatedDevice(TypedDict):
    """Devices of one group that a task was given."""

    Vendor: str
    Type: str
    Name: str
    DeviceIDs: list[str] | None


class AllocatedTask(TypedDict):
    """What one task of an allocation was given."""

    Cpu: AllocatedCpu
    Memory: Memory
    Devices: NotRequired[list[AllocatedDevice] | None]
    Networks: NotRequired[list[Network] | None]


class Lifecycle(TypedDict):
    """When a task runs; null for the main ones."""

    Hook: str
    Sidecar: bool


class AllocatedShared(TypedDict):
    """What the tasks of an allocation share."""

    DiskMB: int
    Networks: NotRequired[list[Network] | None]


class AllocatedResources(TypedDict):
    """What an allocation was given."""

    Shared: AllocatedShared
    Tasks: dict[str, AllocatedTask]
    TaskLifecycles: NotRequired[dict[str, Lifecycle | None] | None]


class AllocationStub(TypedDict):
    """One element of `/v1/allocations?resources=true`."""

    ID: str
    Namespace: str
    JobID: str
    JobType: str
    TaskGroup: str
    NodeID: str
    DesiredStatus: str
    ClientStatus: str
    AllocatedResources: AllocatedResources


class GroupSummary(TypedDict):
    """Of one task group."""

    Queued: int


class JobSummary(TypedDict):
    """Of one job."""

    Summary: dict[str, GroupSummary] | None


class JobStub(TypedDict):
    """One element of `/v1/jobs?meta=true`."""

    ID: str
    Namespace: str
    Type: str
    Stop: bool
    JobModifyIndex: int
    JobSummary: JobSummary | None
    Meta: NotRequired[dict[str, str] | None]


class FailedGroup(TypedDict):
    """Why a task group could not be placed."""

    DimensionExhausted: dict[str, int] | None


class Evaluation(TypedDict):
    """One element of `/v1/evaluations`."""

    Namespace: str
    JobID: str
    Type: str
    NodeID: NotRequired[str]
    QuotaLimitReached: NotRequired[str]
    FailedTGAllocs: NotRequired[dict[str, FailedGroup] | None]
    CreateTime: NotRequired[int]


class Deployment(TypedDict):
    """One element of `/v1/deployments`."""

    Namespace: str
    JobID: str
    Status: str
