"""The `SnapshotStore` port over Azure Blob Storage: write-once blobs in one container per tier."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from keeper.azure.answers import in_our_words, meaning
from keeper.azure.storage import is_missing, storage_options
from keeper.core.retention import Held, Listing
from keeper.core.snapshots import Part, SnapshotName, Tier, parse_blob
from keeper.errors import Changed, Unreachable
from keeper.snapshot_ports import Deletion

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.exceptions import AzureError
    from azure.storage.blob import BlobClient, BlobServiceClient

    from keeper.azure.arm import Transport

BLOCK_BYTES = 8 * 1024 * 1024
PIECE_BYTES = 4 * 1024 * 1024
TRIES = 4
"""A block that was refused for a moment is sent again: starting the whole archive over costs the leader more."""

IMMUTABLE = frozenset({"BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold"})
"""https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes"""


class BlobSnapshots:
    """The `SnapshotStore` port for one account (`url` is its blob endpoint) as one identity. The containers must exist."""

    def __init__(self, url: str, *, credential: "TokenCredential", transport: "Transport | None" = None) -> None:
        self._url = url
        self._credential = credential
        self._transport = transport

    @cached_property
    def client(self) -> "BlobServiceClient":
        """The SDK's client, made once."""
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 -- an SDK, loaded when first used

        options = storage_options(self._transport) | {"retry_total": TRIES - 1}
        return BlobServiceClient(
            self._url,
            credential=self._credential,
            max_single_get_size=PIECE_BYTES,
            max_chunk_get_size=PIECE_BYTES,
            **options,
        )

    def listing(self, cluster: str) -> Listing:
        """See the port."""
        parts: dict[tuple[SnapshotName, Tier], dict[Part, datetime]] = {}
        clock = _Dated()
        for tier in Tier:
            with in_our_words(f"list {tier.container}"):
                container = self.client.get_container_client(tier.container)
                for blob in container.list_blobs(name_starts_with=f"{cluster}/", raw_response_hook=clock.note):
                    known = parse_blob(blob.name)
                    if known is not None:
                        parts.setdefault((known[0], tier), {})[known[1]] = blob.creation_time or blob.last_modified
        return Listing(tuple(Held(name, tier, held) for (name, tier), held in parts.items()), clock.read())

    @contextmanager
    def upload(self, tier: Tier, name: str) -> Generator["StagedBlob"]:
        """See the port. Staged blocks that are never committed vanish after a week."""
        yield StagedBlob(self._blob(tier, name), name)

    def put(self, tier: Tier, name: str, body: bytes) -> None:
        """See the port."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415 -- an SDK, loaded when first used

        try:
            self._blob(tier, name).upload_blob(body, overwrite=False)  # If-None-Match: *
        except AzureError as exc:
            if not _exists(exc) or b"".join(self.read(tier, name)) != body:
                raise meaning(f"write {name}", exc) from exc

    def read(self, tier: Tier, name: str) -> Iterator[bytes]:
        """See the port."""
        with in_our_words(f"read {name}"):
            yield from self._blob(tier, name).download_blob(max_concurrency=1, raw_response_hook=_drain).chunks()

    def metadata(self, tier: Tier, name: str) -> Mapping[str, str]:
        """See the port."""
        with in_our_words(f"read the metadata of {name}"):
            return self._blob(tier, name).get_blob_properties().metadata

    def delete(self, tier: Tier, name: str) -> Deletion:
        """See the port."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415 -- an SDK, loaded when first used

        try:
            self._blob(tier, name).delete_blob()
        except AzureError as exc:
            if is_missing(exc):
                return Deletion.GONE
            if getattr(exc, "error_code", None) in IMMUTABLE:
                return Deletion.IMMUTABLE
            raise meaning(f"delete {name}", exc) from exc
        return Deletion.DELETED

    def _blob(self, tier: Tier, name: str) -> "BlobClient":
        return self.client.get_blob_client(tier.container, name)


class StagedBlob:
    """The `Upload` port: blocks are staged as they fill, and one call makes them a blob."""

    def __init__(self, blob: "BlobClient", name: str) -> None:
        self._blob = blob
        self._name = name
        self._waiting = bytearray()
        self._blocks: list[str] = []

    def write(self, data: bytes) -> None:
        """See the port."""
        self._waiting += data
        while len(self._waiting) >= BLOCK_BYTES:
            self._stage(bytes(memoryview(self._waiting)[:BLOCK_BYTES]))
            del self._waiting[:BLOCK_BYTES]

    def end(self) -> None:
        """See the port."""
        if self._waiting:
            self._stage(bytes(self._waiting))
            self._waiting.clear()

    def commit(self, metadata: Mapping[str, str]) -> None:
        """See the port. When no answer came to an attempt that arrived, the next finds its own work and is content."""
        from azure.core import MatchConditions  # noqa: PLC0415 -- an SDK, loaded when first used
        from azure.core.exceptions import AzureError  # noqa: PLC0415 -- the same
        from azure.storage.blob import BlobBlock  # noqa: PLC0415 -- the same

        try:
            self._blob.commit_block_list(
                [BlobBlock(block) for block in self._blocks],
                metadata=dict(metadata),
                match_condition=MatchConditions.IfMissing,
            )
        except AzureError as exc:
            if not (_exists(exc) and self._is_ours(metadata)):
                raise meaning(f"commit {self._name}", exc) from exc

    def _stage(self, data: bytes) -> None:
        block = f"{len(self._blocks):06d}"
        with in_our_words(f"stage a block of {self._name}"):
            self._blob.stage_block(block, data, len(data))
        self._blocks.append(block)

    def _is_ours(self, metadata: Mapping[str, str]) -> bool:
        with in_our_words(f"read the metadata of {self._name}"):
            return self._blob.get_blob_properties().metadata == dict(metadata)


class _Dated:
    """Keeps the time that the service's answers bear."""

    def __init__(self) -> None:
        self._said = ""

    def note(self, response: Any) -> None:  # noqa: ANN401 -- the SDK's pipeline response, untyped
        self._said = self._said or response.http_response.headers.get("Date", "")

    def read(self) -> datetime:
        try:
            return parsedate_to_datetime(self._said).astimezone(UTC)
        except ValueError as exc:
            raise Unreachable("the storage account's answer to a listing bears no date") from exc


def _drain(response: Any) -> None:  # noqa: ANN401 -- the SDK's pipeline response, untyped
    """Read a refusal to its end before the SDK tries again: it forgets the answer of a streamed request, and its connection."""
    if response.http_response.status_code >= HTTPStatus.BAD_REQUEST:
        response.http_response.body()


def _exists(exc: "AzureError") -> bool:
    """Whether the write was refused because there is a blob of that name."""
    refused = getattr(exc, "status_code", None) in {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}
    return refused and isinstance(meaning("", exc), Changed)
