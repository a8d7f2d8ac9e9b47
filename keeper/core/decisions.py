"""Which decision records a person wants to read: the query of `GET decisions`, and whether a record answers it. Pure."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from keeper.core.messages import Controller
from keeper.core.model import Pool
from keeper.core.problems import FieldError

MOST = 500
SEARCHED = 5000
"""Where a field besides the controller is asked for, so many of each controller's newest records of the day are looked through."""

KEYS = frozenset({"code", "clientId"})
"""Parameters of Azure's own: a function key may come in the query."""

NAMING = ("chose", "rejected", "cuts", "refused")
"""Where a record names the pools that it concerns; what it merely saw holds all of them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A query. None: whatever it is."""

    controllers: tuple[Controller, ...] = tuple(Controller)
    pool: str | None = None
    cause: str | None = None
    reason: str | None = None
    day: datetime | None = None
    """Midnight (UTC) of the day; None is today."""
    most: int = 20

    @property
    def searched(self) -> int:
        """How many of a controller's newest records to look through."""
        return self.most if self.pool is self.cause is self.reason is None else SEARCHED

    def answered_by(self, record: Mapping[str, object]) -> bool:
        """Whether a record is wanted."""
        return (
            self.cause in {None, record.get("cause")}
            and self.reason in {None, record.get("reason")}
            and (self.pool is None or _concerns(record, self.pool))
        )


FIELDS = ("controller", "pool", "cause", "reason", "day", "most")


def parse(given: Mapping[str, str], pools: Iterable[Pool]) -> Wanted:
    """The query of a request's parameters; raises `FieldError` naming the one that is wrong."""
    for name in given:
        if name not in FIELDS and name not in KEYS:
            raise FieldError(name, "one of the parameters " + ", ".join(FIELDS), given[name])
    return Wanted(
        _controllers(given.get("controller")),
        _one_of("pool", [pool.name for pool in pools], given.get("pool")),
        given.get("cause"),
        given.get("reason"),
        _day(given.get("day")),
        _most(given.get("most", "20")),
    )


def _concerns(record: Mapping[str, object], pool: str) -> bool:
    named = json.dumps([record.get(part) for part in NAMING])
    return re.search(rf"(?<![\w-]){re.escape(pool)}(?![\w-])", named) is not None


def _controllers(name: str | None) -> tuple[Controller, ...]:
    found = _one_of("controller", list(Controller), name)
    return tuple(Controller) if found is None else (Controller(found),)


def _one_of(field: str, words: list[str] | list[Controller], value: str | None) -> str | None:
    if value is not None and value not in words:
        raise FieldError(field, "one of " + ", ".join(words), value)
    return value


def _day(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise FieldError("day", "a date as YYYY-MM-DD", text) from None


def _most(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST:
        raise FieldError("most", f"a whole number from 1 to {MOST}", text)
    return int(text)
