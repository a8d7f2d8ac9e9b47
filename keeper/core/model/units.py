"""Names, units and amounts: what everything else is counted in."""

from dataclasses import dataclass, fields
from enum import StrEnum
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
