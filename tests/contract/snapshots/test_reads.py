"""What is read as a stream meets busy services, throttling, broken connections: it goes on, or one line says why it did not."""

import gc
from dataclasses import replace
from itertools import count

import pytest

from keeper.controllers import snapshot
from keeper.core.messages import Controller, Kind, Message
from keeper.core.snapshots import Part, Product, Tier
from keeper.errors import Forbidden, KeeperError, Throttled, Unreachable
from lab.archives import StaticSource, archive_of
from lab.backups import COPIER, KEEPER
from lab.storage.worm import Fault

numbers = count(1)


@pytest.fixture(autouse=True)
def fresh(lab):
    lab.settings = replace(lab.settings, cluster=f"reads-{next(numbers)}")
    lab.leases.break_lease("snapshot")
    yield
    for account in (lab.account, lab.second):
        account.fault = lambda _: None
    gc.collect()  # a connection that somebody forgot would be told here
    assert lab.account.journal.forbidden == lab.second.journal.forbidden == []


def tick(lab, take=True):
    source = StaticSource(lambda: archive_of(b"state" * 999), index=7)
    message = Message(Kind.NUDGE, Controller.SNAPSHOT, "test", lab.clock.now(), "test", {"take": take})
    return snapshot.run(lab.world(source), message)


def reading(part):
    return lambda call: call.method == "GET" and call.blob.endswith(part)


def copies(lab):
    return lab.store(lab.second, COPIER).listing(lab.settings.cluster).verified(Product.NOMAD)


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.RESET, Fault.CUT])
@pytest.mark.parametrize(
    ("where", "part"), [("account", Part.ARCHIVE), ("account", Part.MANIFEST), ("second", Part.ARCHIVE)]
)
def test_a_moments_trouble_while_reading_back_or_copying_costs_nothing(lab, fault, part, where):
    getattr(lab, where).fail(fault, when=reading(part))

    outcome = tick(lab)

    assert (len(outcome.taken), outcome.problems, len(copies(lab))) == (1, (), 1)


@pytest.mark.parametrize(
    ("where", "fault", "reason"),
    [
        ("account", Fault.BUSY, "storage_unreachable"),
        ("account", Fault.THROTTLED, "storage_unreachable"),
        ("account", Fault.FORBIDDEN, "storage_refused"),
        ("second", Fault.RESET, "storage_unreachable"),
        ("second", Fault.CUT, "storage_unreachable"),
        ("second", Fault.FORBIDDEN, "storage_refused"),
    ],
)
def test_lasting_trouble_is_one_line_and_the_next_tick_makes_up_for_it(lab, fault, reason, where):
    getattr(lab, where).fail(*[fault] * 40, when=reading(Part.ARCHIVE))  # 429 is not tried again within a tick

    outcome = tick(lab)

    assert len(outcome.taken) == 1
    assert all(problem.startswith(f"{reason}: ") and "\n" not in problem for problem in outcome.problems)
    assert outcome.problems
    assert copies(lab) == []
    getattr(lab, where).fault = lambda _: None
    assert tick(lab, take=False).problems == ()
    assert len(copies(lab)) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.BUSY, Unreachable),
        (Fault.THROTTLED, Throttled),
        (Fault.FORBIDDEN, Forbidden),
    ],
)
def test_an_account_that_cannot_be_listed_stops_the_tick_in_one_line(lab, fault, error):
    tick(lab)
    lab.account.fail(*[fault] * 40, when=lambda call: call.comp == "list")

    with pytest.raises(error):
        lab.store(lab.account, KEEPER).listing(lab.settings.cluster)
    outcome = tick(lab)

    assert outcome.taken == ()
    (problem,) = outcome.problems
    assert problem.startswith("storage_refused: " if error is Forbidden else "storage_unreachable: ")


def test_a_container_that_is_missing_is_named(lab):
    store = lab.store(lab.account, KEEPER)
    with store.client.get_container_client(Tier.WEEKLY.container) as container:
        container.delete_container()
    try:
        (problem,) = tick(lab).problems
        with pytest.raises(KeeperError):
            store.listing(lab.settings.cluster)
    finally:
        with store.client.get_container_client(Tier.WEEKLY.container) as container:
            container.create_container()

    assert problem.startswith("storage_refused: ")
    assert "list snapshots-weekly" in problem
