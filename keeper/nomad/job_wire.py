"""The parts of a whole job's JSON that the keeper reads, as Nomad sends them. See `keeper.nomad.wire`."""

from typing import NotRequired, TypedDict

from keeper.nomad.wire import Lifecycle, Network


class Constraint(TypedDict):
    """As written in the job."""

    LTarget: str
    RTarget: str
    Operand: str


class RequestedDevice(TypedDict):
    """What a task asks of devices."""

    Name: str
    Count: int
    Constraints: NotRequired[list[Constraint] | None]


class TaskResources(TypedDict):
    """What a task asks for. `CPU` is 0 when `Cores` is set."""

    CPU: int
    Cores: NotRequired[int]
    MemoryMB: int
    Devices: NotRequired[list[RequestedDevice] | None]
    Networks: NotRequired[list[Network] | None]


class Task(TypedDict):
    """A task of a job."""

    Driver: str
    Resources: TaskResources
    Lifecycle: NotRequired[Lifecycle | None]
    Constraints: NotRequired[list[Constraint] | None]


class EphemeralDisk(TypedDict):
    """The disk that a task group shares."""

    SizeMB: int
    Sticky: bool


class Volume(TypedDict):
    """`Type` is `host` or `csi`."""

    Type: str
    Source: str
    ReadOnly: NotRequired[bool]
    PerAlloc: NotRequired[bool]


class TaskGroup(TypedDict):
    """A task group of a job."""

    Name: str
    Count: int
    Tasks: list[Task] | None
    EphemeralDisk: NotRequired[EphemeralDisk | None]
    Constraints: NotRequired[list[Constraint] | None]
    Networks: NotRequired[list[Network] | None]
    Volumes: NotRequired[dict[str, Volume] | None]


class Job(TypedDict):
    """`/v1/job/:id`."""

    ID: str
    Namespace: str
    Type: str
    Priority: int
    JobModifyIndex: int
    Datacenters: list[str] | None
    NodePool: NotRequired[str]
    Constraints: NotRequired[list[Constraint] | None]
    TaskGroups: list[TaskGroup] | None
    Meta: NotRequired[dict[str, str] | None]
