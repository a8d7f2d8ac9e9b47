"""A tick that takes long: its lease lasts while it works, and once somebody took it away nothing more is written."""

import threading
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from azure.storage.blob import BlobLeaseClient, ContainerClient

from keeper.azure.leases import BlobLeases
from keeper.azure.storage import Container
from keeper.controllers import snapshot
from keeper.core.messages import Controller, Kind, Message
from keeper.core.snapshots import Part, Product
from keeper.errors import LostLease
from lab.archives import StaticSource, archive_of
from lab.backups import KEEPER
from lab.storage.memory import MemoryLeases

SHORTEST = timedelta(seconds=15)
"""Azure leases for no less."""
numbers = count(1)


class Leased:
    """The lab with the account's own leases, and a slow way to it."""

    def __init__(self, lab, duration=SHORTEST):
        lab.settings = replace(lab.settings, cluster=f"leased-{next(numbers)}")
        settings = replace(lab._all_settings().azure, container="leases")
        self.lab, self.account = lab, lab.account
        self.container = Container(settings, credential=lab.identity(KEEPER), transport=lab.transport())
        lab.leases = BlobLeases(self.container, duration=duration)
        self.account.journal.calls.clear()

    def tick(self, take=True):
        source = StaticSource(lambda: archive_of(b"state" * 999), index=7)
        message = Message(Kind.NUDGE, Controller.SNAPSHOT, "test", self.lab.clock.now(), "test", {"take": take})
        return snapshot.run(self.lab.world(source), message)

    def held(self):
        return self.lab.store(self.account, KEEPER).listing(self.lab.settings.cluster)

    def renewals(self):
        return [call for call, status in self.account.journal.calls if (call.comp, status) == ("lease", 200)]

    def take_over(self):
        """As an operator, and another tick after them, would."""
        lease = BlobLeaseClient(self.container.client.get_blob_client("leases/snapshot"))
        lease.break_lease(lease_break_period=0)
        lease.acquire(15)
        return lease


@pytest.fixture
def leased(lab):
    made = Leased(lab)
    client: ContainerClient = made.container.client
    if not client.exists():
        client.create_container()
    yield made
    made.account.slow = lambda _: timedelta()
    lab.leases = MemoryLeases(lab.clock.now)
    client.close()


def test_a_step_longer_than_the_lease_keeps_it_from_others_and_the_tick_succeeds(leased):
    leased.account.slow = lambda call: timedelta(seconds=9) if call.comp in {"block", "blocklist"} else timedelta()
    begun, refused = threading.Event(), []

    def another():
        begun.wait(30)
        threading.Event().wait(16)  # the lease would be over by now
        with pytest.raises(LostLease), leased.lab.leases.hold("snapshot"):
            pass
        refused.append(True)

    leased.lab.store(leased.account, KEEPER)
    slow = leased.account.slow
    leased.account.slow = lambda call: begun.set() or slow(call)
    beside = threading.Thread(target=another)
    beside.start()
    outcome = leased.tick()
    beside.join()

    assert (refused, len(outcome.taken), outcome.problems) == ([True], 1, ())


def test_an_idle_holder_renews_and_a_finished_one_does_not(leased):
    leases = BlobLeases(leased.container, duration=SHORTEST)
    leases._duration = SHORTEST / 50  # beats every tenth of a second; the lease itself is asked for below
    leases._lease = lambda blob: blob.acquire_lease(lease_duration=15)

    with leases.hold("other"):
        threading.Event().wait(1)
    renewed = len(leased.renewals())
    threading.Event().wait(0.5)

    assert renewed >= 5
    assert len(leased.renewals()) == renewed


@pytest.mark.parametrize("comp", ["block", "blocklist"])
def test_a_lease_that_was_taken_away_stops_the_tick_before_its_next_write_and_the_next_tick_finishes(leased, comp):
    taken = []

    def steal(call):
        if call.comp == comp and not taken:
            taken.append(leased.take_over())
        return timedelta()

    leased.account.slow = steal
    with pytest.raises(LostLease):
        leased.tick()

    listing = leased.held()
    assert listing.newest(Product.NOMAD) is None
    assert [set(held.parts) for held in listing.held] == ([] if comp == "block" else [{Part.ARCHIVE}])
    taken.pop().release()
    leased.account.slow = lambda _: timedelta()

    outcome = leased.tick(take=False)

    assert leased.held().newest(Product.NOMAD) is not None
    assert len(leased.held().held) == 1
    assert len(outcome.taken) == (1 if comp == "block" else 0)
