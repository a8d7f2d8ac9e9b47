"""Names of allocations, `job.group[3]`: which numbers are taken, which to give next, which to give up first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.nomad.model.store import Record


def index_of(name: str) -> int:
    """Answer the number in an allocation's name."""
    return int(name[name.rindex("[") + 1 : -1])


class NameIndex:
    """The numbers that allocations of one group hold."""

    def __init__(self, job_id: str, group: str, count: int, taken: Iterable[Record]) -> None:
        self._prefix = f"{job_id}.{group}"
        self._count = count
        self._taken: set[int] = set()
        self.duplicates: set[int] = set()
        for alloc in taken:
            number = index_of(alloc["Name"])
            if number in self._taken:
                self.duplicates.add(number)
            self._taken.add(number)

    def highest(self, count: int) -> set[str]:
        """Give up the highest numbers, at most `count`, and answer their names."""
        chosen = sorted(self._taken, reverse=True)[: max(0, count)]
        self._taken.difference_update(chosen)
        return {self._name(number) for number in chosen}

    def unset(self, name: str) -> None:
        """Give up the number of one name."""
        self._taken.discard(index_of(name))

    def next(self, count: int) -> list[str]:
        """Take the lowest free numbers below the group's count, then start again at 0; answer the names."""
        free = [number for number in range(self._count) if number not in self._taken][: max(0, count)]
        free += range(max(0, count - len(free)))
        self._taken.update(free)
        return [self._name(number) for number in free]

    def next_canaries(self, count: int, canaries: Iterable[Record], destructive: Iterable[Record]) -> list[str]:
        """Answer names for canaries: first those that the update would replace, then free ones, then beyond."""
        used = {index_of(alloc["Name"]) for alloc in canaries}
        replaced = sorted(index_of(a["Name"]) for a in destructive)
        free = [number for number in range(self._count) if number not in self._taken]
        beyond = range(self._count, self._count + max(0, count))
        order = dict.fromkeys([*replaced, *free, *beyond])
        return [self._name(number) for number in order if number not in used][: max(0, count)]

    def _name(self, number: int) -> str:
        return f"{self._prefix}[{number}]"
