"""The `Leases` port over the leases of Azure Blob Storage.

While a tick waits, for a leader that packs an archive or takes one in, a thread beside it renews the lease: it lasts as long as
its tick, and a killed one holds it for `DURATION` at most. A lease that was taken away is not fought for; the next `confirm` says so.
"""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from keeper.azure.answers import meaning
from keeper.azure.storage import Container, is_missing
from keeper.errors import LostLease, Permanent, Transient

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobLeaseClient

TURN = timedelta(seconds=1)
"""How soon to ask again: ticks are short and take turns."""

DURATION = timedelta(seconds=30)
"""Longer than any one write may take, so that a confirmed lease outlives it; short, for a killed tick holds it so long.
Azure allows 15 to 60 s (https://learn.microsoft.com/rest/api/storageservices/lease-blob)."""

BEATS = 3
"""Renewals in one duration: one that fails is made up for."""

TAKEN = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})


@dataclass(frozen=True, slots=True)
class BlobLease:
    """A lease as one tick holds it."""

    name: str
    lease: "BlobLeaseClient"
    _one: Lock = field(default_factory=Lock)

    def confirm(self) -> None:
        """See the port. Renews, so that the lease lasts its whole duration from now on. One call."""
        with self._one, _in_words_of_leases(self.name):
            if not self.lease.id:  # the SDK forgets the id of a lease that was given back
                raise LostLease(f"the lease {self.name} was given back")
            self.lease.renew()

    def beat(self, over: Event, pause: timedelta) -> None:
        """Renew until it is over, or the lease is lost; an account that does not answer is asked again."""
        while not over.wait(pause.total_seconds()):
            try:
                self.confirm()
            except (LostLease, Permanent):
                return
            except Transient:
                continue

    def give_back(self) -> None:
        """Release it; one that cannot be given back runs out by itself."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415 -- an SDK, loaded when first used

        with self._one, suppress(AzureError):
            self.lease.release()


class BlobLeases:
    """The `Leases` port: one empty blob per lease, `leases/<name>`, made when missing."""

    def __init__(self, container: Container, *, duration: timedelta = DURATION) -> None:
        self._container = container
        self._duration = duration

    @contextmanager
    def hold(self, name: str) -> Generator[BlobLease]:
        """See the port."""
        lease, over = BlobLease(name, self._acquire(name)), Event()
        beating = Thread(target=lease.beat, args=(over, self._duration / BEATS), name=f"lease-{name}", daemon=True)
        beating.start()
        try:
            yield lease
        finally:
            over.set()
            lease.give_back()
            beating.join()

    def _acquire(self, name: str) -> "BlobLeaseClient":
        from azure.core.exceptions import AzureError  # noqa: PLC0415 -- an SDK, loaded when first used

        blob = self._container.client.get_blob_client(f"leases/{name}")
        with _in_words_of_leases(name):
            try:
                return self._lease(blob)
            except AzureError as exc:
                if not is_missing(exc):
                    raise
            _make(blob)
            return self._lease(blob)

    def _lease(self, blob: "BlobClient") -> "BlobLeaseClient":
        return blob.acquire_lease(lease_duration=int(self._duration.total_seconds()))


def _make(blob: "BlobClient") -> None:
    """Make the blob that the lease is on, unless another tick made it meanwhile."""
    from azure.core.exceptions import ResourceExistsError, ResourceModifiedError  # noqa: PLC0415 -- as above

    try:
        blob.upload_blob(b"", overwrite=False)
    except (ResourceExistsError, ResourceModifiedError):
        return


@contextmanager
def _in_words_of_leases(name: str) -> Generator[None]:
    """Raise `LostLease` for every conflict, and anything else in the keeper's words."""
    from azure.core.exceptions import AzureError, HttpResponseError  # noqa: PLC0415 -- as above

    try:
        yield
    except HttpResponseError as exc:
        if exc.status_code in TAKEN:
            raise LostLease(f"the lease {name} is held by another tick", retry_after=TURN) from exc
        raise meaning(f"take the lease {name}", exc) from exc
    except AzureError as exc:
        raise meaning(f"take the lease {name}", exc) from exc
