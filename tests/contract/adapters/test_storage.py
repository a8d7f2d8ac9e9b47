"""Records, leases and corridor: one suite for the adapters in front of Azurite and for the stand-in in memory."""

import io
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import requests
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from storage_stage import Account, Identity, Memory
from urllib3.response import HTTPResponse

from keeper.azure.records import BlobRecords
from keeper.azure.storage import Container
from keeper.core.problems import FieldError
from keeper.errors import Changed, Gone, LostLease
from lab.ca import Authority
from lab.clock import wall_clock
from lab.storage import Azurite


@pytest.fixture(scope="module")
def azurite(tmp_path_factory):
    authority = Authority.create(tmp_path_factory.mktemp("ca"), wall_clock())
    leaf = authority.issue("storage", addresses=["127.0.0.1"])
    with Azurite(leaf, trust=authority.certificate) as storage, pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
        yield storage


@pytest.fixture(scope="module")
def identity():
    return Identity()


@pytest.fixture
def account(azurite, identity):
    made = Account(azurite, identity)
    yield made
    made.close()


@pytest.fixture(params=["memory", "azurite"])
def store(request):
    return Memory() if request.param == "memory" else request.getfixturevalue("account")


class TestRecords:
    def test_a_record_is_read_as_it_was_written(self, store):
        version = store.records.save("autoscale/memory", b"\x00one", version=None)

        stored = store.records.load("autoscale/memory")

        assert (stored.body, stored.version) == (b"\x00one", version)

    def test_an_empty_record_is_a_record(self, store):
        version = store.records.save("empty", b"", version=None)

        assert store.records.load("empty").body == b""
        assert store.records.load("empty").version == version

    def test_there_is_nothing_where_nothing_was_written(self, store):
        assert store.records.load("nothing") is None
        assert store.records.names("") == []
        assert store.records.tail("nothing", 5) == []

    def test_a_record_is_written_again_only_by_who_read_its_newest_version(self, store):
        first = store.records.save("record", b"1", version=None)
        second = store.records.save("record", b"2", version=first)

        assert second != first
        with pytest.raises(Changed):
            store.records.save("record", b"3", version=first)
        assert store.records.load("record").body == b"2"

    def test_a_record_is_made_once(self, store):
        store.records.save("record", b"1", version=None)

        with pytest.raises(Changed):
            store.records.save("record", b"2", version=None)

    def test_a_record_that_is_gone_is_not_written_again(self, store):
        with pytest.raises(Changed):
            store.records.save("record", b"1", version='"0x8DC0000000000"')

    def test_names_are_those_of_records_that_start_alike(self, store):
        for name in ("operations/b", "operations/a", "other"):
            store.records.save(name, b"", version=None)
        store.records.append("operations/log", "a log is no record")

        assert store.records.names("operations/") == ["operations/a", "operations/b"]

    def test_of_several_writers_one_wins(self, store):
        version = store.records.save("record", b"", version=None)

        def attempt(number):
            try:
                return store.records.save("record", str(number).encode(), version=version)
            except Changed:
                return None

        with ThreadPoolExecutor(4) as pool:
            won = [written for written in pool.map(attempt, range(8)) if written]

        assert [store.records.load("record").version] == won


class TestLogs:
    def test_lines_come_back_in_the_order_they_were_added(self, store):
        for number in range(5):
            store.records.append("decisions/2026-01-05.jsonl", f"line {number} é")

        assert store.records.tail("decisions/2026-01-05.jsonl", 3) == [f"line {number} é" for number in (2, 3, 4)]
        assert len(store.records.tail("decisions/2026-01-05.jsonl", 99)) == 5
        assert store.records.tail("decisions/2026-01-05.jsonl", 0) == []

    def test_the_end_of_a_long_log_is_read_without_its_beginning(self, store):
        store.records.append("log", "x" * 50_000)
        lines = [f"{number} " + "y" * 5000 for number in range(6)]
        for line in lines:
            store.records.append("log", line)

        assert store.records.tail("log", 2) == lines[-2:]
        assert [len(line) for line in store.records.tail("log", 7)] == [50_000] + [5002] * 6

    def test_a_line_stays_one_line(self, store):
        store.records.append("log", "one\ntwo")

        assert store.records.tail("log", 9) == ["one two"]


class TestLeases:
    def test_a_lease_is_held_by_one_at_a_time(self, store):
        with store.leases.hold("cluster") as lease:
            lease.confirm()
            with pytest.raises(LostLease), store.leases.hold("cluster"):
                pass
            with store.leases.hold("snapshot"):
                lease.confirm()

    def test_a_lease_is_free_again_after_the_block_also_when_it_failed(self, store):
        with pytest.raises(ZeroDivisionError), store.leases.hold("cluster"):
            raise ZeroDivisionError
        with store.leases.hold("cluster"):
            pass
        with store.leases.hold("cluster") as lease:
            lease.confirm()

    def test_a_lease_taken_over_stops_the_first_holder(self, store):
        with store.leases.hold("cluster") as lease:
            store.take_over("cluster")

            with pytest.raises(LostLease):
                lease.confirm()

        with pytest.raises(LostLease), store.leases.hold("cluster"):
            pass  # the end of the first block did not end the second holder's lease

    def test_a_lease_given_back_confirms_nothing(self, store):
        with store.leases.hold("cluster") as lease:
            pass

        with pytest.raises(LostLease):
            lease.confirm()

    def test_lost_leases_are_worth_trying_again_soon(self, store):
        with store.leases.hold("cluster"), pytest.raises(LostLease) as lost, store.leases.hold("cluster"):
            pass

        assert lost.value.retry_after <= timedelta(seconds=60)


class TestCorridor:
    def test_a_message_is_received_as_it_was_sent(self, store):
        store.corridor.send('{"cause": "é"}')

        assert store.received() == ['{"cause": "é"}']

    def test_a_delayed_message_is_not_received_before_its_time(self, store):
        store.corridor.send("later", delay=timedelta(minutes=5))
        store.corridor.send("now")

        assert store.received() == ["now"]

    def test_the_largest_message_goes_through_and_a_larger_one_is_named(self, store):
        store.corridor.send("x" * 49152)

        with pytest.raises(FieldError, match="message: expected at most 49152 bytes, got 49153"):
            store.corridor.send("x" * 49153)
        assert [len(message) for message in store.received()] == [49152]


class TestMemoryOnly:
    def test_a_killed_tick_releases_nothing_and_its_lease_runs_out(self):
        store = Memory()
        with pytest.raises(KeyboardInterrupt), store.leases.hold("cluster"):
            raise KeyboardInterrupt

        with pytest.raises(LostLease), store.leases.hold("cluster"):
            pass
        store.clock.advance(timedelta(seconds=30))
        with store.leases.hold("cluster"):
            pass

    def test_the_simulator_learns_when_the_next_message_is_due(self):
        store = Memory()
        store.corridor.send("later", delay=timedelta(minutes=5))

        assert store.corridor.next_due() == store.clock() + timedelta(minutes=5)
        store.clock.advance(timedelta(minutes=5))
        assert store.received() == ["later"]
        assert store.corridor.next_due() is None


class FullAfterThree(HTTPAdapter):
    """Refuses a fourth block of any append blob, as Azure refuses the 50,001st."""

    def __init__(self):
        super().__init__()
        self.blocks = Counter()

    def send(self, request, **how):
        path = urlsplit(request.url).path
        if "comp=appendblock" not in request.url or self.blocks[path] < 3:
            response = super().send(request, **how)
            self.blocks[path] += "comp=appendblock" in request.url and response.status_code == 201
            return response
        refused = requests.Response()
        refused.status_code, refused.request, refused.url = 409, request, request.url
        refused.headers["x-ms-error-code"] = "BlockCountExceedsLimit"
        refused.raw = HTTPResponse(io.BytesIO(b""), preload_content=False, status=409)
        return refused


class TestAzureOnly:
    def test_a_log_that_is_full_goes_on_and_reads_as_one(self, account, identity):
        session = requests.Session()
        session.mount("https://", FullAfterThree())
        transport = RequestsTransport(session=session, session_owner=False)
        container = Container(account.settings, credential=identity, transport=transport)
        lines = [f"line {number}" for number in range(8)]

        for line in lines[:5]:
            BlobRecords(container).append("log", line)  # a new process each time
        records = BlobRecords(container)
        for line in lines[5:]:
            records.append("log", line)

        assert [blob.name for blob in account.container.list_blobs()] == ["log", "log.1", "log.2"]
        assert records.tail("log", 99) == lines
        assert [records.tail("log", most) for most in (1, 4, 7)] == [lines[-1:], lines[-4:], lines[-7:]]
        session.close()

    def test_a_missing_container_is_no_empty_one(self, account):
        records = BlobRecords(account.elsewhere)

        for call in (lambda: records.load("x"), lambda: records.tail("x", 1), lambda: records.append("x", "y")):
            with pytest.raises(Gone):
                call()
        account.elsewhere.client.close()
