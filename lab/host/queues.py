"""Storage queue triggers and outputs, with the rules of Azure's queue listener.

A message is taken for ten minutes and kept for as long as its function runs. Success deletes it. Failure gives it back
after `visibilityTimeout`, or, when it was taken `maxDequeueCount` times, moves it to `<queue>-poison`. An empty queue
is asked less and less often, up to `maxPollingInterval`. A queue that is itself a poison queue has no further one: there a
failed message stays hidden for its ten minutes, and one that failed too often is left where it is
(https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

from lab.host.connections import queue_client
from lab.host.dispatch import Call

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from azure.storage.queue import QueueClient, QueueMessage

    from lab.host.dispatch import Dispatcher
    from lab.host.journal import Journal
    from lab.host.model import Function, QueueOptions, Result

HELD = timedelta(minutes=10)
FIRST_PAUSE = timedelta(milliseconds=100)
POISON = "-poison"
LONGEST_NAME = 63


class QueueListener:
    """Feeds one queue function from its queue."""

    def __init__(
        self,
        function: Function,
        dispatcher: Dispatcher,
        options: QueueOptions,
        settings: Mapping[str, str],
        journal: Journal,
    ) -> None:
        self.function = function
        self.queue: str = function.binding["queueName"]
        self._dispatcher = dispatcher
        self._options = options
        self._journal = journal
        connection = function.binding.get("connection") or "AzureWebJobsStorage"
        self._client = queue_client(self.queue, connection, settings)
        has_poison = not self.queue.endswith(POISON) and len(self.queue + POISON) <= LONGEST_NAME
        self._poison = queue_client(self.queue + POISON, connection, settings) if has_poison else None
        self._held: dict[str, tuple[QueueMessage, float]] = {}
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._pool = ThreadPoolExecutor(options.batch_size + options.new_batch_threshold, f"queue {self.queue}")
        self._thread = threading.Thread(target=self._follow, name=f"queue {self.queue}", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Take no further message."""
        self._stopping.set()
        self._wake.set()

    def join(self) -> None:
        """Wait for the messages being worked on."""
        self._thread.join()
        self._pool.shutdown()
        self._client.close()
        if self._poison:
            self._poison.close()

    def wake(self) -> None:
        """Poll now: this host itself wrote to the queue, or a slot became free."""
        self._wake.set()

    def waiting(self) -> int:
        """Return how many messages the queue holds, hidden ones included."""
        try:
            return self._client.get_queue_properties().approximate_message_count or 0
        except ResourceNotFoundError:
            return 0

    def _follow(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            self._wake.clear()
            if self._take_batch():
                pause = FIRST_PAUSE
            else:
                self._wake.wait(pause.total_seconds())
                grown = pause * 2 * random.uniform(0.8, 1.2)
                pause = min(self._options.max_polling_interval, max(grown, FIRST_PAUSE))
                pause = FIRST_PAUSE if self._wake.is_set() else pause

    def _take_batch(self) -> bool:
        """Take messages when few enough are being worked on; tell whether there were any."""
        with self._guard:
            held = len(self._held)
        if full := held > self._options.new_batch_threshold:
            self._wake.wait(HELD.total_seconds() / 4)
        try:
            self._keep_held()
            if full:
                return True
            batch = self._options.batch_size
            messages = list(
                self._client.receive_messages(
                    messages_per_page=batch, max_messages=batch, visibility_timeout=int(HELD.total_seconds())
                )
            )
        except ResourceNotFoundError:
            return False
        except AzureError as exc:
            self._journal.log("WARNING", "host", f"queue {self.queue}: {type(exc).__name__}: {exc.message}")
            return False
        for message in messages:
            with self._guard:
                self._held[message.id] = (message, time.perf_counter())
            self._pool.submit(self._work_on, message)
        return bool(messages)

    def _keep_held(self) -> None:
        """Renew the hold on messages whose functions run long, as Azure does at half of it."""
        with self._guard:
            for key, (message, since) in self._held.items():
                if time.perf_counter() - since > HELD.total_seconds() / 2:
                    renewed = self._client.update_message(message, visibility_timeout=int(HELD.total_seconds()))
                    message.pop_receipt = renewed.pop_receipt
                    self._held[key] = (message, time.perf_counter())

    def _work_on(self, message: QueueMessage) -> None:
        try:
            ok = False
            text = self._decode(message.content)
            spent = (message.dequeue_count or 0) > self._options.max_dequeue_count
            if text is not None and not spent:
                ok = self._dispatcher.run(self.function, text_call(self.function, text, message)).ok
            with self._guard:
                self._held.pop(message.id)
            self._settle(message, ok=ok, hopeless=text is None or spent)
        except AzureError as exc:
            # The message comes back by itself when its time is over.
            self._journal.log("ERROR", "host", f"queue {self.queue}: {type(exc).__name__}: {exc.message}")
        finally:
            with self._guard:
                self._held.pop(message.id, None)
            self.wake()

    def _settle(self, message: QueueMessage, *, ok: bool, hopeless: bool) -> None:
        last = (message.dequeue_count or 0) >= self._options.max_dequeue_count
        if ok:
            self._client.delete_message(message)
        elif not self._poison:
            self._journal.log("ERROR", "host", f"queue {self.queue}: message {message.id} stays, hidden")
        elif hopeless or last:
            self._journal.log("ERROR", "host", f"queue {self.queue}: message {message.id} goes to {self.queue}-poison")
            send(self._poison, message.content)
            self._client.delete_message(message)
        else:
            self._client.update_message(
                message, visibility_timeout=int(self._options.visibility_timeout.total_seconds())
            )

    def _decode(self, content: str) -> str | None:
        """Return the text of a message, or None when it is not what `messageEncoding` says."""
        if not self._options.base64:
            return content
        try:
            return base64.b64decode(content, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None


class QueueOutputs:
    """Writes what functions put into queue outputs, and wakes the listener of that queue."""

    def __init__(self, options: QueueOptions, settings: Mapping[str, str]) -> None:
        self._options = options
        self._settings = settings
        self._clients: dict[tuple[str, str], QueueClient] = {}
        self._guard = threading.Lock()
        self.listeners: list[QueueListener] = []

    def publish(self, function: Function, result: Result) -> None:
        """Write every queue output of a successful run; raises what storage raises."""
        for name, binding in function.outputs.items():
            value = result.returned if name == "$return" else result.outputs.get(name)
            if binding["type"] != "queue" or value is None:
                continue
            client = self._client(binding["queueName"], binding.get("connection") or "AzureWebJobsStorage")
            for text in _texts(value):
                send(client, base64.b64encode(text.encode()).decode() if self._options.base64 else text)
            for listener in self.listeners:
                if listener.queue == binding["queueName"]:
                    listener.wake()

    def close(self) -> None:
        """Close the connections to storage."""
        for client in self._clients.values():
            client.close()

    def _client(self, queue: str, connection: str) -> QueueClient:
        with self._guard:
            if (queue, connection) not in self._clients:
                self._clients[queue, connection] = queue_client(queue, connection, self._settings)
            return self._clients[queue, connection]


def send(client: QueueClient, content: str) -> None:
    """Put a message into a queue, creating the queue when there is none."""
    try:
        client.send_message(content)
    except ResourceNotFoundError:
        with contextlib.suppress(ResourceExistsError):  # another output was quicker
            client.create_queue()
        client.send_message(content)


def _texts(value: Mapping[str, Any]) -> list[str]:
    """Return the messages in an output value: one text, or each item of a JSON list; objects stay JSON."""
    ((kind, content),) = value.items()
    if kind == "bytes":
        return [base64.b64decode(content).decode()]
    if kind != "json":
        return [content]
    document = json.loads(content)
    items = document if isinstance(document, list) else [document]
    return [item if isinstance(item, str) else json.dumps(item) for item in items]


def text_call(function: Function, text: str, message: QueueMessage | None = None) -> Call:
    """Return the call of a queue message, or of a text that never was in a queue."""
    return Call({function.binding["name"]: {"string": text}}, _metadata(message, text) if message else {})


def _metadata(message: QueueMessage, text: str) -> dict[str, Any]:
    """Return the trigger metadata: numbers and times as JSON, for the worker refuses protobuf's integers."""

    def moment(value: datetime | None) -> dict[str, str]:
        return {"json": json.dumps(value.isoformat() if value else None)}

    return {
        "QueueTrigger": {"string": text},
        "Id": {"string": message.id},
        "DequeueCount": {"json": json.dumps(message.dequeue_count)},
        "PopReceipt": {"string": message.pop_receipt},
        "InsertionTime": moment(message.inserted_on),
        "ExpirationTime": moment(message.expires_on),
        "NextVisibleTime": moment(message.next_visible_on),
    }
