"""The storage account in memory: records, leases and the corridor with the contracts of `keeper.ports`, under any clock.

The simulator runs on it. `tests/contract/adapters/test_storage.py` holds it to Azurite: one suite, both.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

from keeper.core.problems import FieldError
from keeper.errors import Changed, LostLease
from keeper.ports import Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

LEASE = timedelta(seconds=30)
LARGEST_MESSAGE = 48 * 1024
"""Bytes of text in one queue message: 64 KiB once it is base64 (https://learn.microsoft.com/rest/api/storageservices/put-message)."""


class MemoryRecords:
    """`ports.Records` in memory. `records` and `logs` may be looked at, and spoilt, by a test."""

    def __init__(self) -> None:
        self.records: dict[str, Stored] = {}
        self.logs: dict[str, list[str]] = {}
        self._versions = count(1)

    def load(self, name: str) -> Stored | None:
        """See the port."""
        return self.records.get(name)

    def save(self, name: str, body: bytes, *, version: str | None) -> str:
        """See the port."""
        held = self.records.get(name)
        if (held.version if held else None) != version:
            raise Changed(f"record {name} was changed since it was read")
        self.records[name] = Stored(body, f'"{next(self._versions)}"')
        return self.records[name].version

    def append(self, name: str, line: str) -> None:
        """See the port."""
        self.logs.setdefault(name, []).append(" ".join(line.splitlines()))

    def tail(self, name: str, most: int) -> list[str]:
        """See the port."""
        return self.logs.get(name, [])[-most:] if most > 0 else []

    def names(self, prefix: str) -> list[str]:
        """See the port."""
        return sorted(name for name in self.records if name.startswith(prefix))


@dataclass(slots=True)
class _Holding:
    holder: int
    until: datetime


@dataclass(slots=True)
class MemoryLease:
    """A lease as one tick holds it."""

    name: str
    holder: int
    leases: MemoryLeases

    def confirm(self) -> None:
        """See the port. Renews; like Azure's, an expired lease that nobody took meanwhile is still ours."""
        self.leases.renew(self.name, self.holder)


class MemoryLeases:
    """`ports.Leases` in memory.

    Like a killed process, a block left by a `BaseException` that is no `Exception` releases nothing: its lease runs out.
    """

    def __init__(self, now: Callable[[], datetime], duration: timedelta = LEASE) -> None:
        self._now = now
        self._duration = duration
        self._held: dict[str, _Holding] = {}
        self._holders = count(1)

    @contextmanager
    def hold(self, name: str) -> Iterator[MemoryLease]:
        """See the port."""
        held = self._held.get(name)
        if held and held.until > self._now():
            raise LostLease(f"lease {name} is held by another tick", retry_after=timedelta(seconds=1))
        lease = MemoryLease(name, next(self._holders), self)
        self._held[name] = _Holding(lease.holder, self._now() + self._duration)
        try:
            yield lease
        except Exception:
            self._release(lease)
            raise
        else:
            self._release(lease)

    def renew(self, name: str, holder: int) -> None:
        """Prolong a holder's lease; `LostLease` when another one took it."""
        held = self._held.get(name)
        if held is None or held.holder != holder:
            raise LostLease(f"lease {name} was taken over by another tick")
        held.until = self._now() + self._duration

    def break_lease(self, name: str) -> None:
        """Take the lease away from whoever has it, as an operator may; nobody holds it afterwards."""
        self._held.pop(name, None)

    def _release(self, lease: MemoryLease) -> None:
        held = self._held.get(lease.name)
        if held and held.holder == lease.holder:
            del self._held[lease.name]


@dataclass(order=True, slots=True)
class _Waiting:
    due: datetime
    number: int
    message: str = field(compare=False)


class MemoryCorridor:
    """`ports.Corridor` in memory, with the receiving side that Azure's queue trigger has in production."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._waiting: list[_Waiting] = []
        self._numbers = count(1)

    def send(self, message: str, *, delay: timedelta = timedelta()) -> None:
        """See the port."""
        if len(message.encode()) > LARGEST_MESSAGE:
            raise FieldError("message", f"at most {LARGEST_MESSAGE} bytes", len(message.encode()))
        self._waiting.append(_Waiting(self._now() + delay, next(self._numbers), message))
        self._waiting.sort()

    def receive(self) -> str | None:
        """Take the oldest message that is due off the queue, or None."""
        if self._waiting and self._waiting[0].due <= self._now():
            return self._waiting.pop(0).message
        return None

    def next_due(self) -> datetime | None:
        """When the next message may be received, or None while the queue is empty."""
        return self._waiting[0].due if self._waiting else None
