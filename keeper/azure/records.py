"""The `Records` port over Azure Blob Storage: a record is a block blob, its version the ETag; a log is an append blob."""

import itertools
from typing import TYPE_CHECKING, cast

from keeper.azure.answers import in_our_words, meaning
from keeper.azure.storage import Container, is_missing
from keeper.ports import Stored

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

LINE = 2048
"""Bytes of an ordinary line; the end of a log is read in steps of the lines wanted, as long as they were ordinary."""

LARGEST_STEP = 4 * 1024 * 1024

FULL = "BlockCountExceedsLimit"
"""An append blob takes 50,000 blocks, which a busy day may exceed; the log then goes on in `<name>.1` and so on
(https://learn.microsoft.com/azure/storage/blobs/scalability-targets)."""


class BlobRecords:
    """The `Records` port. It translates; it never decides."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._parts: dict[str, int] = {}

    def load(self, name: str) -> Stored | None:
        """See the port."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415 -- an SDK, loaded when first used

        try:
            found = self._container.client.download_blob(name)
            return Stored(found.readall(), found.properties.etag)
        except AzureError as exc:
            if is_missing(exc):
                return None
            raise meaning(f"read the record {name}", exc) from exc

    def save(self, name: str, body: bytes, *, version: str | None) -> str:
        """See the port."""
        from azure.core import MatchConditions  # noqa: PLC0415 -- an SDK, loaded when first used

        blob = self._container.client.get_blob_client(name)
        with in_our_words(f"save the record {name}"):
            if version is None:  # If-None-Match: *
                written = blob.upload_blob(body, overwrite=False)
            else:
                condition = MatchConditions.IfNotModified
                written = blob.upload_blob(body, overwrite=True, etag=version, match_condition=condition)
        return cast("str", written["etag"])

    def append(self, name: str, line: str) -> None:
        """See the port. Line breaks within a line become spaces."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415 -- an SDK, loaded when first used

        data = (" ".join(line.splitlines()) + "\n").encode()
        for part in itertools.count(self._parts.get(name, 0)):
            try:
                _append(self._container.client.get_blob_client(_part_name(name, part)), data)
            except AzureError as exc:
                if getattr(exc, "error_code", None) == FULL:
                    continue
                raise meaning(f"append to the log {name}", exc) from exc
            self._parts[name] = part
            return

    def tail(self, name: str, most: int) -> list[str]:
        """See the port. Reads from the end, further back until there are enough lines."""
        with in_our_words(f"read the log {name}"):
            client, found = self._container.client, list[str]()
            for part, size in self._sizes(name):
                if len(found) < most:
                    found = _last_lines(client.get_blob_client(part), size, most - len(found)) + found
            return found

    def _sizes(self, name: str) -> list[tuple[str, int]]:
        """The log's parts, newest first."""
        listed = {blob.name: blob.size for blob in self._container.client.list_blobs(name_starts_with=name)}
        parts = (_part_name(name, part) for part in itertools.count())
        return [(part, listed[part]) for part in itertools.takewhile(listed.__contains__, parts)][::-1]

    def names(self, prefix: str) -> list[str]:
        """See the port."""
        from azure.storage.blob import BlobType  # noqa: PLC0415 -- an SDK, loaded when first used

        with in_our_words(f"list the records {prefix}*"):
            found = self._container.client.list_blobs(name_starts_with=prefix)
            return sorted(blob.name for blob in found if blob.blob_type == BlobType.BLOCKBLOB)


def _part_name(name: str, part: int) -> str:
    return f"{name}.{part}" if part else name


def _append(blob: "BlobClient", data: bytes) -> None:
    """Append to a log, which is made when it is missing."""
    from azure.core.exceptions import AzureError  # noqa: PLC0415 -- an SDK, loaded when first used

    try:
        blob.append_block(data)
    except AzureError as exc:
        if not is_missing(exc):
            raise
        _create_log(blob)
        blob.append_block(data)


def _create_log(blob: "BlobClient") -> None:
    """Make an empty log; one that another tick made meanwhile stays as it is."""
    from azure.core import MatchConditions  # noqa: PLC0415 -- an SDK, loaded when first used
    from azure.core.exceptions import ResourceExistsError, ResourceModifiedError  # noqa: PLC0415 -- the same

    try:
        blob.create_append_blob(match_condition=MatchConditions.IfMissing)
    except (ResourceExistsError, ResourceModifiedError):
        return


def _last_lines(blob: "BlobClient", size: int, most: int) -> list[str]:
    data, start = b"", size
    while start > 0 and most > 0 and data.count(b"\n") <= most:
        step = min(start, max(most * LINE, len(data)), LARGEST_STEP)
        start -= step
        data = blob.download_blob(offset=start, length=step).readall() + data
    whole = data if start == 0 else data.partition(b"\n")[2]  # a line cut at its beginning is none
    return whole.decode(errors="replace").splitlines()[-most:] if most > 0 else []
