"""What was asked of the stand-in, for tests and benchmarks to count."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered request. `action` is the ARM action, empty when no route matched; `body` is what was sent."""

    at: datetime
    method: str
    path: str
    status: int
    action: str
    if_match: str | None
    body: bytes


class Journal:
    """The last requests, oldest first."""

    def __init__(self, size: int = 100_000) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)

    def add(self, entry: Entry) -> None:
        """Write an entry."""
        self._entries.append(entry)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def matching(self, action: str = "*", method: str = "*", status: int | None = None) -> list[Entry]:
        """Return the entries whose action fits a pattern (`*/write`), and method and status if given."""
        return [
            entry
            for entry in self._entries
            if fnmatchcase(entry.action.lower(), action.lower())
            and fnmatchcase(entry.method, method)
            and status in {None, entry.status}
        ]

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
