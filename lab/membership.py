"""The scale sets' instances are Nomad clients: an instance that boots joins, one that is deleted takes its client with it.

The cloud tells what befell an instance; a `NomadSide` makes it so, in the stand-in or with a real process.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lab.azure.model.words import Happening

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from lab.azure.model.resources import InstanceEvent


@dataclass(frozen=True, slots=True)
class NodeShape:
    """What a client of a pool offers: cpu in MHz, memory and disk in MiB."""

    cpu: int = 4000
    memory: int = 8192
    disk: int = 20_000
    node_class: str = ""
    node_pool: str = "default"
    datacenter: str = "dc1"


class NomadSide(Protocol):
    """A Nomad cluster that clients join and leave."""

    def join(self, name: str, shape: NodeShape, meta: Mapping[str, str]) -> None:
        """Let a client of that name and shape register."""
        ...

    def leave(self, name: str) -> None:
        """End the client and its tasks at once, as a deleted machine does."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that befell a client, for timelines."""

    at: datetime
    what: Happening
    name: str


class Membership:
    """Applies the cloud's events to the Nomad side as they come: for models, which answer at once."""

    def __init__(self, nomad: NomadSide, shapes: Mapping[str, NodeShape]) -> None:
        self._nomad = nomad
        self._shapes = shapes
        self.changes: list[Change] = []

    def observe(self, event: InstanceEvent) -> None:
        """Make one event so."""
        self.changes.append(Change(event.at, event.happening, event.name))
        if event.happening is not Happening.BOOTED:
            self._nomad.leave(event.name)
        elif event.joins:
            # Nothing unique to one machine: such metadata would make each node a computed class of its own.
            meta = {"scale_set": event.scale_set, "zone": event.zone or "none"}
            self._nomad.join(event.name, self._shapes[event.scale_set], meta)


class FollowingMembership(Membership):
    """The same on a thread of its own: for processes and sockets, since observers of the cloud must return at once."""

    def __init__(self, nomad: NomadSide, shapes: Mapping[str, NodeShape]) -> None:
        super().__init__(nomad, shapes)
        self._events: queue.SimpleQueue[InstanceEvent | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._follow, name="membership", daemon=True)
        self._thread.start()

    def observe(self, event: InstanceEvent) -> None:
        """Take one event; returns at once."""
        self._events.put(event)

    def stop(self) -> None:
        """Finish what was told and end."""
        self._events.put(None)
        self._thread.join(timeout=30)

    def _follow(self) -> None:
        while (event := self._events.get()) is not None:
            super().observe(event)
