"""The things in the model: scale sets, their instances, and long-running operations. Plain state, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.azure.model.words import (
    EvictionPolicy,
    Happening,
    Health,
    Mode,
    OperationKind,
    OperationStatus,
    Power,
    Priority,
    Provisioning,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from lab.azure.model.notices import Notice


@dataclass(frozen=True, slots=True)
class ScaleSetKey:
    """Where a scale set lives; compared without case, as ARM does."""

    subscription: str
    group: str
    name: str

    def folded(self) -> tuple[str, str, str]:
        """Return the key under which the model files it."""
        return self.subscription.lower(), self.group.lower(), self.name.lower()

    @property
    def group_id(self) -> str:
        """The ARM id of the resource group."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"

    @property
    def id(self) -> str:
        """The ARM id of the scale set."""
        return f"{self.group_id}/providers/Microsoft.Compute/virtualMachineScaleSets/{self.name}"


@dataclass(slots=True)
class Instance:
    """One virtual machine. `instance_id` is a number for Uniform and the VM's name for Flexible."""

    instance_id: str
    name: str
    number: int
    sku: str
    zone: str | None
    ip: str
    vm_id: str
    created: datetime
    status_time: datetime
    model_version: int
    fault_domain: int
    tags: dict[str, str]
    provisioning: Provisioning = Provisioning.CREATING
    power: Power | None = None
    health: Health = Health.HEALTHY
    protect_from_scale_in: bool = False
    protect_from_actions: bool = False
    has_protection_policy: bool = False
    allocated: bool = True
    joins: bool = True
    introduced: bool = False
    etag: int = 1
    error: dict[str, Any] | None = None
    notices: list[Notice] = field(default_factory=list)
    incarnation: int = 0

    @property
    def standing(self) -> bool:
        """Whether it counts towards the scale set's capacity."""
        return self.provisioning is not Provisioning.DELETING

    @property
    def is_running(self) -> bool:
        """Whether its guest is up."""
        return self.power is Power.RUNNING and self.standing


@dataclass(slots=True)
class ScaleSet:
    """A scale set: what its owner asked for (`document`: `properties` and unknown top-level parts) and what is there."""

    key: ScaleSetKey
    location: str
    mode: Mode
    sku: str
    capacity: int
    zones: tuple[str, ...]
    tags: dict[str, str]
    document: dict[str, Any]
    unique_id: str
    placement_group: str
    created: datetime
    network_number: int
    etag: int = 1
    model_version: int = 1
    provisioning: Provisioning = Provisioning.SUCCEEDED
    status_time: datetime | None = None
    instances: dict[str, Instance] = field(default_factory=dict)
    next_number: int = 0
    repairs_suspended: bool = False
    updating: Operation | None = None

    @property
    def profile(self) -> dict[str, Any]:
        """The template of its instances."""
        profile: dict[str, Any] = self.document["properties"].setdefault("virtualMachineProfile", {})
        return profile

    @property
    def priority(self) -> Priority:
        """What its instances are bought as."""
        return Priority(self.profile.get("priority", "Regular"))

    @property
    def eviction_policy(self) -> EvictionPolicy:
        """What eviction does; Azure's default is to deallocate."""
        return EvictionPolicy(self.profile.get("evictionPolicy", "Deallocate"))

    @property
    def quoted_etag(self) -> str:
        """The ETag as it appears in headers and bodies: a quoted number."""
        return f'"{self.etag}"'

    def standing(self) -> list[Instance]:
        """Return the instances that count as capacity, in order of creation."""
        return [instance for instance in self.instances.values() if instance.standing]

    def instance_named(self, name_or_id: str) -> Instance | None:
        """Find an instance by instance id or name, in any case."""
        wanted = name_or_id.lower()
        return next((i for i in self.instances.values() if wanted in {i.instance_id.lower(), i.name.lower()}), None)

    def __iter__(self) -> Iterator[Instance]:
        return iter(self.instances.values())


@dataclass(slots=True)
class Operation:
    """A long-running operation; `waiting` holds the instances it still waits for."""

    name: str
    kind: OperationKind
    subscription: str
    location: str
    started: datetime
    status: OperationStatus = OperationStatus.IN_PROGRESS
    ended: datetime | None = None
    error: dict[str, Any] | None = None
    waiting: set[str] = field(default_factory=set)
    output: dict[str, Any] | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status is OperationStatus.IN_PROGRESS


@dataclass(frozen=True, slots=True)
class InstanceEvent:
    """What a lifecycle observer receives.

    `joins` is False when a fault says that this machine boots but its Nomad client never registers. After REIMAGED a
    BOOTED follows with the same name, address and data disk but an empty operating system disk; after STOPPED one
    follows only if the instance is started again; after EVICTED and DELETED none does, unless an eviction deallocated.
    """

    happening: Happening
    at: datetime
    name: str
    instance_id: str
    scale_set: str
    group: str
    subscription: str
    mode: Mode
    priority: Priority
    sku: str
    location: str
    zone: str | None
    tags: dict[str, str]
    ip: str
    joins: bool
