"""Small blobs that machines leave for the keeper: root keys (`keeper.core.keystores`) and verdicts of rehearsals."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from keeper.azure.answers import in_our_words, meaning
from keeper.azure.storage import is_missing, storage_options
from keeper.core import keystores
from keeper.errors import Changed
from keeper.telemetry import Event, event

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.storage.blob import ContainerClient

    from keeper.azure.arm import Transport

DRILLS = "rehearsals"
LARGEST = 64 * 1024
"""Bytes of one such blob that are read; a machine that leaves more is not believed."""


class Left:
    """One container of small blobs, which must exist."""

    def __init__(
        self, url: str, container: str, *, credential: "TokenCredential", transport: "Transport | None" = None
    ) -> None:
        self._url = url
        self._name = container
        self._credential = credential
        self._transport = transport

    @cached_property
    def client(self) -> "ContainerClient":
        """The SDK's client, made once."""
        from azure.storage.blob import ContainerClient  # noqa: PLC0415 -- an SDK, loaded when first used

        options = storage_options(self._transport)
        return ContainerClient(self._url, self._name, credential=self._credential, **options)

    def names(self, prefix: str) -> list[str]:
        """The blobs whose names start so."""
        with in_our_words(f"list {self._name}"):
            return [blob.name for blob in self.client.list_blobs(name_starts_with=prefix)]

    def read(self, name: str) -> bytes | None:
        """One blob, or None when there is none."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415 -- an SDK, loaded when first used

        try:
            return self.client.download_blob(name, length=LARGEST, offset=0).readall()
        except AzureError as exc:
            if is_missing(exc):
                return None
            raise meaning(f"read {name}", exc) from exc

    def write(self, name: str, body: bytes) -> None:
        """Write a blob that does not exist; one that does stays as it is."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415 -- an SDK, loaded when first used

        try:
            self.client.upload_blob(name, body, overwrite=False)  # If-None-Match: *
        except AzureError as exc:
            said = meaning(f"write {name}", exc)
            if not isinstance(said, Changed):
                raise said from exc


class BlobKeystores:
    """The `Keystores` port. `needed` asks the cluster which root keys its state names."""

    def __init__(self, left: Left, needed: Callable[[], Sequence[str]]) -> None:
        self._left = left
        self.needed = needed

    def deposits(self, cluster: str) -> Mapping[str, bytes]:
        """See the port."""
        found: dict[str, bytes] = {}
        for name in self._left.names(f"{cluster}/"):
            key = name.removeprefix(f"{cluster}/").removesuffix(".json")
            body = self._left.read(name) if keystores.KEY_ID.fullmatch(key) else None
            if body is not None:
                found[key] = body
        return found

    def deposit(self, cluster: str, key: str, body: bytes) -> None:
        """See the port."""
        self._left.write(f"{cluster}/{key}.json", body)

    def held(self, cluster: str) -> Mapping[str, frozenset[str]]:
        """See the port. A server whose note is damaged counts as one that has nothing."""
        found: dict[str, frozenset[str]] = {}
        prefix = f"{cluster}/servers/"
        for name in self._left.names(prefix):
            server = name.removeprefix(prefix).removesuffix(".json")
            try:
                found[server] = keystores.held_by(self._left.read(name) or b"")
            except ValueError as exc:
                event(Event.READ_FAILED, what=name, why=str(exc))
                found[server] = frozenset()
        return found
