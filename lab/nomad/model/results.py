"""What reconciling a job with its allocations comes to: stops, placements, updates, later evaluations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.nomad.model.names import NameIndex
    from lab.nomad.model.store import Record

NOT_NEEDED = "alloc not needed due to job update"
MIGRATING = "alloc is being migrated"
UPDATING = "alloc is being updated due to job update"
LOST = "alloc is lost since its node is down"
UNKNOWN = "alloc is unknown since its node is disconnected"
RESCHEDULED = "alloc was rescheduled because it failed"
NODE_TAINTED = "alloc not needed as node is tainted"


@dataclass(frozen=True, slots=True)
class Stop:
    """An allocation to stop. `client_status` is set as well when the client cannot say (lost)."""

    alloc: Record
    why: str
    client_status: str = ""
    followup: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """An allocation to place under this name, in place of a previous one if there was one."""

    name: str
    group: Record
    previous: Record | None = None
    reschedule: bool = False
    lost: bool = False
    canary: bool = False
    downgrade: bool = False
    replaces: Record | None = None
    """The allocation that a destructive update stops if, and only if, this one finds room."""


@dataclass(slots=True)
class Counts:
    """The counts that `plan` shows for one group."""

    canary: int = 0
    destructive: int = 0
    ignore: int = 0
    in_place: int = 0
    migrate: int = 0
    place: int = 0
    preemptions: int = 0
    stop: int = 0

    def add(self, name: str) -> None:
        """Count one more of a kind."""
        setattr(self, name, getattr(self, name) + 1)

    def record(self) -> Record:
        """Answer the wire's shape (DesiredUpdates)."""
        return {
            "Canary": self.canary,
            "DestructiveUpdate": self.destructive,
            "Ignore": self.ignore,
            "InPlaceUpdate": self.in_place,
            "Migrate": self.migrate,
            "Place": self.place,
            "Preemptions": self.preemptions,
            "Stop": self.stop,
        }


@dataclass(slots=True)
class Results:
    """All that has to be done for a job."""

    stop: list[Stop] = field(default_factory=list)
    place: list[Place] = field(default_factory=list)
    destructive: list[Place] = field(default_factory=list)
    in_place: list[Record] = field(default_factory=list)
    attributes: dict[str, Record] = field(default_factory=dict)
    disconnect: dict[str, Record] = field(default_factory=dict)
    reconnect: dict[str, Record] = field(default_factory=dict)
    deployment: Record | None = None
    deployment_updates: list[Record] = field(default_factory=list)
    followups: list[Record] = field(default_factory=list)
    counts: dict[str, Counts] = field(default_factory=dict)
    names: dict[str, NameIndex] = field(default_factory=dict)
