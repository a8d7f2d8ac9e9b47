"""The `Leases` port over the leases of Azure Blob Storage."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from keeper.azure.answers import meaning
from keeper.azure.storage import Container, is_missing
from keeper.errors import LostLease

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobLeaseClient

TURN = timedelta(seconds=1)
"""How soon to ask again: ticks are short and take turns."""

DURATION = timedelta(seconds=30)
"""Longer than any one write may take, so that a confirmed lease outlives it; short, for a killed tick holds it so long.
Azure allows 15 to 60 s (https://learn.microsoft.com/rest/api/storageservices/lease-blob)."""

TAKEN = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})


@dataclass(frozen=True, slots=True)
class BlobLease:
    """A lease as one tick holds it."""

    name: str
    lease: "BlobLeaseClient"

    def confirm(self) -> None:
        """See the port. Renews, so that the lease lasts its whole duration from now on. One call."""
        if not self.lease.id:  # the SDK forgets the id of a lease that was given back
            raise LostLease(f"the lease {self.name} was given back")
        with _in_words_of_leases(self.name):
            self.lease.renew()


class BlobLeases:
    """The `Leases` port: one empty blob per lease, `leases/<name>`, made when missing."""

    def __init__(self, container: Container, *, duration: timedelta = DURATION) -> None:
        self._container = container
        self._duration = duration

    @contextmanager
    def hold(self, name: str) -> Generator[BlobLease]:
        """See the port."""
        lease = self._acquire(name)
        try:
            yield BlobLease(name, lease)
        finally:
            _release(lease)

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


def _release(lease: "BlobLeaseClient") -> None:
    """Give the lease back; one that cannot be given back runs out by itself."""
    from azure.core.exceptions import AzureError  # noqa: PLC0415 -- as above

    try:
        lease.release()
    except AzureError:
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
