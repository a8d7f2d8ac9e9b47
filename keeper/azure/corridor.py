"""The `Corridor` port over Azure Queue Storage."""

import math
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from keeper.azure.adapter import SdkAdapter
from keeper.azure.answers import in_our_words
from keeper.azure.storage import storage_options
from keeper.core.problems import FieldError

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

LARGEST = 48 * 1024
"""Bytes of text in one message: 64 KiB as base64 (https://learn.microsoft.com/rest/api/storageservices/put-message)."""


class StorageCorridor(SdkAdapter):
    """The `Corridor` port. The queue must exist. Messages are base64, as the Functions queue trigger expects them."""

    @cached_property
    def _client(self) -> "QueueClient":
        from azure.storage.queue import QueueClient, TextBase64EncodePolicy  # noqa: PLC0415 -- an SDK, loaded when first used

        return QueueClient(
            self._settings.queues,
            self._settings.queue,
            credential=self._credential,
            message_encode_policy=TextBase64EncodePolicy(),
            **storage_options(self._transport),
        )

    def send(self, message: str, *, delay: timedelta = timedelta()) -> None:
        """See the port. Delays are rounded up to whole seconds, at most seven days."""
        size = len(message.encode())
        if size > LARGEST:
            raise FieldError("message", f"at most {LARGEST} bytes", size)
        with in_our_words("put a message on the corridor"):
            self._client.send_message(message, visibility_timeout=math.ceil(delay.total_seconds()))
