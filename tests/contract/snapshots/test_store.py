"""The snapshot store: one suite for the adapter in front of Azurite behind the rule keeper, and for the stand-in in memory."""

import os
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from keeper.azure.snapshots import BLOCK_BYTES
from keeper.core.snapshots import Part, Product, SnapshotName, Tier
from keeper.errors import Changed, Forbidden, Gone, KeeperError, Throttled, Unreachable
from keeper.snapshot_ports import Deletion
from lab.backups import KEEPER, KEPT
from lab.storage.worm import Fault
from lab.storage.write_once import MemorySnapshots

numbers = count(1)


class InMemory:
    def __init__(self):
        self.ahead = timedelta()
        self.store = MemorySnapshots(lambda: datetime.now(UTC) + self.ahead, KEPT)

    def age(self, by):
        self.ahead += by

    @property
    def forbidden(self):
        return len(self.store.forbidden)


class InAzurite:
    def __init__(self, lab):
        self.lab = lab
        self.store = lab.store(lab.account, KEEPER)
        self.before = len(lab.account.journal.forbidden)

    def age(self, by):
        self.lab.account.ahead += by

    @property
    def forbidden(self):
        return len(self.lab.account.journal.forbidden) - self.before


@pytest.fixture(params=["memory", "azurite"])
def account(request):
    if request.param == "memory":
        yield InMemory()
        return
    lab = request.getfixturevalue("lab")
    yield InAzurite(lab)
    lab.account.ahead = timedelta()
    lab.account.fault = lambda _: None


@pytest.fixture
def name():
    return SnapshotName("contract", Product.NOMAD, datetime(2026, 1, 5, 8, tzinfo=UTC), next(numbers))


def written(store, name, body=b"sealed", metadata=None, tier=Tier.HOURLY):
    with store.upload(tier, name.blob(Part.ARCHIVE)) as upload:
        for at in range(0, len(body), 1_000_000):
            upload.write(body[at : at + 1_000_000])
        upload.end()
        upload.commit(metadata or {"manifest": "{}"})


def test_nothing_is_visible_before_commit(account, name):
    with account.store.upload(Tier.HOURLY, name.blob(Part.ARCHIVE)) as upload:
        upload.write(bytes(BLOCK_BYTES + 1))

        assert account.store.listing("contract").find(name) is None
    assert account.store.listing("contract").find(name) is None
    with pytest.raises(Gone):
        b"".join(account.store.read(Tier.HOURLY, name.blob(Part.ARCHIVE)))


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 3])
def test_what_is_committed_is_read_whole_with_its_metadata(account, name, size):
    body = os.urandom(size)
    written(account.store, name, body, {"manifest": '{"a":[1,"b"]}'})

    assert b"".join(account.store.read(Tier.HOURLY, name.blob(Part.ARCHIVE))) == body
    assert account.store.metadata(Tier.HOURLY, name.blob(Part.ARCHIVE)) == {"manifest": '{"a":[1,"b"]}'}


def test_a_listing_shows_tier_parts_and_the_accounts_time(account, name):
    written(account.store, name, tier=Tier.WEEKLY)
    account.store.put(Tier.WEEKLY, name.blob(Part.MANIFEST), b"{}")

    listing = account.store.listing("contract")
    held = listing.find(name)
    assert (held.tier, held.parts.keys()) == (Tier.WEEKLY, {Part.ARCHIVE, Part.MANIFEST})
    assert held.verified
    assert abs(listing.now - datetime.now(UTC)) < timedelta(seconds=10)
    assert abs(held.finished - listing.now) < timedelta(seconds=10)
    assert account.store.listing("contrac").held == ()


def test_a_second_blob_of_a_name_is_refused_and_the_first_stays(account, name):
    written(account.store, name, b"first")

    with pytest.raises(Changed):
        written(account.store, name, b"second", {"manifest": "other"})
    assert b"".join(account.store.read(Tier.HOURLY, name.blob(Part.ARCHIVE))) == b"first"
    assert account.forbidden == 0


def test_a_small_blob_may_be_put_again_only_as_it_is(account, name):
    account.store.put(Tier.HOURLY, name.blob(Part.MANIFEST), b"{}")
    account.store.put(Tier.HOURLY, name.blob(Part.MANIFEST), b"{}")

    with pytest.raises(Changed):
        account.store.put(Tier.HOURLY, name.blob(Part.MANIFEST), b"{ }")
    assert account.forbidden == 0


def test_an_immutable_blob_is_kept_and_that_is_a_normal_answer(account, name):
    written(account.store, name)

    assert account.store.delete(Tier.HOURLY, name.blob(Part.ARCHIVE)) is Deletion.IMMUTABLE
    assert account.store.listing("contract").find(name) is not None


def test_it_goes_once_its_interval_is_over_and_going_twice_is_no_error(account, name):
    written(account.store, name)
    account.age(timedelta(days=2, seconds=1))

    assert account.store.delete(Tier.HOURLY, name.blob(Part.ARCHIVE)) is Deletion.DELETED
    assert account.store.delete(Tier.HOURLY, name.blob(Part.ARCHIVE)) is Deletion.GONE


def test_metadata_of_nothing_is_gone(account, name):
    with pytest.raises(Gone):
        account.store.metadata(Tier.HOURLY, name.blob(Part.ARCHIVE))


@pytest.fixture
def azure(lab):
    made = InAzurite(lab)
    yield made
    lab.account.fault = lambda _: None


def on(comp, method="PUT"):
    return lambda call: call.method == method and call.comp == comp


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.RESET, Fault.ANSWER_LOST])
@pytest.mark.parametrize("comp", ["block", "blocklist"])
def test_a_moments_trouble_is_sent_again_and_changes_nothing(azure, name, fault, comp):
    body = os.urandom(BLOCK_BYTES + 5)
    azure.lab.account.fail(fault, when=on(comp))

    written(azure.store, name, body)

    assert b"".join(azure.store.read(Tier.HOURLY, name.blob(Part.ARCHIVE))) == body
    assert azure.forbidden == 0


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.RESET, Fault.ANSWER_LOST])
def test_a_manifests_trouble_is_sent_again_too(azure, name, fault):
    azure.lab.account.fail(fault, when=on(""))

    azure.store.put(Tier.HOURLY, name.blob(Part.MANIFEST), b"{}")

    assert b"".join(azure.store.read(Tier.HOURLY, name.blob(Part.MANIFEST))) == b"{}"
    assert azure.forbidden == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [(Fault.THROTTLED, Throttled), (Fault.FORBIDDEN, Forbidden), (Fault.FULL, KeeperError), (Fault.BUSY, Unreachable)],
)
@pytest.mark.parametrize("comp", ["block", "blocklist"])
def test_lasting_trouble_is_said_and_leaves_nothing_visible(azure, name, fault, error, comp):
    azure.lab.account.fail(*[fault] * 9, when=on(comp))

    with pytest.raises(error):
        written(azure.store, name, bytes(10))
    assert azure.store.listing("contract").find(name) is None


def test_a_read_that_breaks_off_goes_on(azure, name):
    body = os.urandom(9_000_000)
    written(azure.store, name, body)
    azure.lab.account.fail(Fault.CUT, when=on("", "GET"))

    assert b"".join(azure.store.read(Tier.HOURLY, name.blob(Part.ARCHIVE))) == body


@pytest.mark.parametrize("change", ["overwrite", "metadata", "properties", "snapshot", "delete"])
def test_the_rule_keeper_refuses_what_an_immutable_container_refuses(azure, name, change):
    written(azure.store, name)
    blob = azure.store.client.get_blob_client(Tier.HOURLY.container, name.blob(Part.ARCHIVE))
    calls = {
        "overwrite": lambda: blob.upload_blob(b"x", overwrite=True),
        "metadata": lambda: blob.set_blob_metadata({"a": "b"}),
        "properties": blob.set_http_headers,
        "snapshot": blob.create_snapshot,
        "delete": blob.delete_blob,
    }
    from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 -- only here

    with pytest.raises(HttpResponseError) as caught:
        calls[change]()
    assert caught.value.error_code == "BlobImmutableDueToPolicy"
    assert azure.forbidden == 1
