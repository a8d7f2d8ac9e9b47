"""Nomad clients as `/v1/nodes` shows them, and their drains."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keeper.core.model.units import InstanceName, MHz, NodeId, Resources


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
    read_only_volumes: frozenset[str] = frozenset()
    """Those of the host volumes that nobody may write to."""
    networks: frozenset[str] = frozenset()
    """What it offers, in the words of `TaskGroup.networks`."""
    core_mhz: MHz = 0
    """What a reserved core takes of the CPU; 0 when not told, then it is an equal share of what work may use."""
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
