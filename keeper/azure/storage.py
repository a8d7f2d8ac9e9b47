"""How the keeper calls its storage account: two short tries instead of the SDK's fifteen seconds between them."""

from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

from keeper.azure.adapter import SdkAdapter

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from keeper.azure.arm import Transport


class StorageOptions(TypedDict, total=False):
    """Options that every azure-storage client takes."""

    retry_total: int
    initial_backoff: int
    increment_base: int
    random_jitter_range: int
    connection_timeout: int
    read_timeout: int
    transport: "Transport"


def storage_options(transport: "Transport | None" = None) -> StorageOptions:
    """Options for all of them. `transport` replaces the network."""
    options = StorageOptions(
        retry_total=1,
        initial_backoff=1,
        increment_base=1,
        random_jitter_range=1,
        connection_timeout=5,
        read_timeout=10,
    )
    if transport is not None:
        options["transport"] = transport
    return options


class Container(SdkAdapter):
    """The blob container of the keeper's records and leases. It must exist; azure-storage-blob is loaded when first used."""

    @cached_property
    def client(self) -> "ContainerClient":
        """The SDK's client, made once."""
        from azure.storage.blob import ContainerClient  # noqa: PLC0415 -- an SDK, loaded when first used

        options = storage_options(self._transport)
        return ContainerClient(self._settings.blobs, self._settings.container, credential=self._credential, **options)


def is_missing(exc: Exception) -> bool:
    """Whether it is the blob that does not exist, and not its container or account."""
    return getattr(exc, "error_code", None) == "BlobNotFound"
