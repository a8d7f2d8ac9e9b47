"""The snapshot controller over stores in memory, under a clock that a test moves."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from keeper.controllers import snapshot
from keeper.core.messages import Controller, Kind, Message
from keeper.core.retention import RetentionRules
from keeper.core.rules import AutoscaleRules
from keeper.core.snapshots import Product
from keeper.ports import World
from keeper.settings import AzureSettings, DoorSettings, NomadSettings, Settings, SnapshotSettings
from keeper.snapshot_ports import Snapshots
from lab.archives import HeldKeys, StaticSource, archive_of
from lab.backups import KEPT
from lab.clock import FakeClock
from lab.storage.memory import MemoryCorridor, MemoryLeases, MemoryRecords
from lab.storage.write_once import MemorySnapshots

NOBODY = "00000000-0000-0000-0000-000000000000"
SETTINGS = Settings(
    nomad=NomadSettings(address="https://nomad.lab:4646"),
    azure=AzureSettings(
        subscription=NOBODY, client_id=NOBODY, vault="https://v.lab", blobs="https://b.lab", queues="https://q.lab"
    ),
    doors=DoorSettings(),
    autoscale=AutoscaleRules(),
    snapshots=SnapshotSettings(cluster="lab"),
    retention=RetentionRules(),
)


class Reading:
    """A clock of somebody's; `off` makes it wrong."""

    def __init__(self, clock):
        self.clock = clock
        self.off = timedelta()

    def now(self):
        return self.clock() + self.off


@dataclass
class Stage:
    """Everything in memory."""

    clock: FakeClock = field(default_factory=FakeClock)
    settings: Settings = SETTINGS
    index: int = 1000

    def __post_init__(self):
        self.state = b"state of a cluster" * 1000
        self.nomad = StaticSource(self.send)
        self.consul = StaticSource(self.send, product=Product.CONSUL)
        self.reading, self.accounts = Reading(self.clock), Reading(self.clock)
        self.store = MemorySnapshots(self.accounts.now, KEPT)
        self.copies = MemorySnapshots(self.accounts.now, KEPT)
        self.records = MemoryRecords()
        self.leases = MemoryLeases(self.clock)
        self.corridor = MemoryCorridor(self.clock)
        self.sources = [self.nomad]
        self.keys = HeldKeys()

    def send(self):
        self.index += 1
        return archive_of(self.state, self.index)

    def world(self):
        return World(
            nomad=None,
            scale_sets=None,
            utilisation=None,
            records=self.records,
            leases=self.leases,
            corridor=self.corridor,
            clock=self.reading,
            settings=self.settings,
            snapshots=Snapshots(sources=tuple(self.sources), store=self.store, copies=self.copies, keys=self.keys),
        )

    def tick(self, kind=Kind.NUDGE, **detail):
        message = Message(kind, Controller.SNAPSHOT, "test", self.clock(), "test", detail)
        return snapshot.run(self.world(), message)

    def verified(self, product=Product.NOMAD, store=None):
        return (store or self.store).listing("lab").verified(product)

    def hour(self, hours=1):
        self.clock.advance(timedelta(hours=hours))


@pytest.fixture
def stage():
    return Stage()
