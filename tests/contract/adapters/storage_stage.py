"""The two stores that the storage tests are put to: the adapters in front of Azurite, and the stand-in in memory."""

import base64
from itertools import count

from azure.core.credentials import AccessToken
from azure.storage.blob import BlobLeaseClient, ContainerClient
from azure.storage.queue import QueueClient

from keeper.azure.corridor import StorageCorridor
from keeper.azure.leases import BlobLeases
from keeper.azure.records import BlobRecords
from keeper.azure.storage import Container
from keeper.settings import AzureSettings
from lab.azure.tokens import Principal, Tenant
from lab.clock import FakeClock, wall_clock
from lab.storage.memory import MemoryCorridor, MemoryLeases, MemoryRecords

CLIENT = "0a0a0a0a-0000-4000-8000-000000000001"


class Identity:
    """The keeper's identity with a token for storage."""

    def __init__(self):
        tenant = Tenant("0c0c0c0c-0000-4000-8000-000000000001", wall_clock)
        self._token, ends = tenant.issue(Principal(CLIENT, CLIENT), "https://storage.azure.com")
        self._ends = int(ends.timestamp())

    def get_token(self, *_scopes, **_options):
        return AccessToken(self._token, self._ends)


class Memory:
    """The stand-in."""

    def __init__(self):
        self.clock = FakeClock()
        self.records, self.leases = MemoryRecords(), MemoryLeases(self.clock)
        self.corridor = MemoryCorridor(self.clock)

    def take_over(self, name):
        self.leases.break_lease(name)
        self.leases.hold(name).__enter__()

    def received(self):
        return list(iter(self.corridor.receive, None))


class Account:
    """The adapters, each test with a container and a queue of its own."""

    numbers = count()

    def __init__(self, azurite, identity):
        number = next(self.numbers)
        settings = AzureSettings(
            subscription=CLIENT,
            client_id=CLIENT,
            vault="https://vault.example",
            blobs=azurite.blob_url,
            queues=azurite.queue_url,
            container=f"keeper-{number}",
            queue=f"keeper-{number}",
        )
        self.settings = settings
        self.container = ContainerClient(settings.blobs, settings.container, credential=identity)
        self.queue = QueueClient(settings.queues, settings.queue, credential=identity)
        self.container.create_container()
        self.queue.create_queue()
        self.held = Container(settings, credential=identity)
        self.records, self.leases = BlobRecords(self.held), BlobLeases(self.held)
        self.corridor = StorageCorridor(settings, credential=identity)
        self.elsewhere = Container(
            settings.__class__(**{**fields_of(settings), "container": "none"}), credential=identity
        )

    def take_over(self, name):
        lease = BlobLeaseClient(self.container.get_blob_client(f"leases/{name}"))
        lease.break_lease(lease_break_period=0)
        lease.acquire(15)

    def received(self):
        return [base64.b64decode(message.content).decode() for message in self.queue.receive_messages()]

    def close(self):
        self.container.close()
        self.queue.close()
        self.held.client.close()


def fields_of(settings):
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}
