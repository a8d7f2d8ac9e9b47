"""The state of the stand-in: tables of wire-shaped records under one index, like a Raft log without the Raft.

Rules that keep it safe to read from many threads:

- A record, once put, is never changed in place: whoever wants to change it puts a new dictionary. So a reader may keep
  what it got, and nested parts may be shared between versions.
- Writes happen inside `transaction()`. One outermost transaction is one index, assigned at its first write; if the
  block raises, everything it wrote is undone and the index is given back.
- Listeners hear of a write only after the whole transaction stands.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from datetime import datetime

Record = dict[str, Any]
"""A JSON object as the API answers it in full."""


class Table(StrEnum):
    """Names of the tables, with the key of each. Other tables may be added by naming them; these have indexes or rules."""

    NODES = "nodes"  # node id
    NODE_POOLS = "node_pools"  # name
    JOBS = "jobs"  # (namespace, job id)
    JOB_VERSIONS = "job_versions"  # (namespace, job id, version)
    JOB_SUMMARIES = "job_summaries"  # (namespace, job id)
    EVALS = "evals"  # evaluation id
    ALLOCS = "allocs"  # allocation id
    DEPLOYMENTS = "deployments"  # deployment id
    SCALING_EVENTS = "scaling_events"  # (namespace, job id)
    PERIODIC_LAUNCHES = "periodic_launches"  # (namespace, job id)
    SCHEDULER_CONFIG = "scheduler_config"  # "scheduler_config"
    NAMESPACES = "namespaces"  # name


def _job_key(record: Record) -> Hashable:
    return (record["Namespace"], record["JobID"])


_SECONDARY: dict[str, dict[str, Callable[[Record], Hashable]]] = {
    Table.ALLOCS: {"node": lambda r: r["NodeID"], "job": _job_key, "eval": lambda r: r["EvalID"]},
    Table.EVALS: {"job": _job_key},
    Table.DEPLOYMENTS: {"job": _job_key},
    Table.JOB_VERSIONS: {"job": lambda r: (r["Namespace"], r["ID"])},
    Table.JOBS: {"parent": lambda r: (r["Namespace"], r["ParentID"])},
}
_WITHOUT_INDEXES = frozenset({Table.SCALING_EVENTS, Table.PERIODIC_LAUNCHES})
_KEEPS_CREATE_INDEX = frozenset({Table.JOB_VERSIONS})

type Listener = Callable[[int, str, Hashable, Record | None, Record | None], None]
type Hook = Callable[[Hashable, Record | None, Record | None], None]


class Store:
    """Tables of records, one index, one lock, one condition.

    `index` is that of the newest write (0 before any). `now` is the clock handed in; the store itself stamps no times.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.index = 0
        self.cause: str | None = None
        self._tables: defaultdict[str, dict[Hashable, Record]] = defaultdict(dict)
        self._sorted: dict[str, list[Hashable]] = {}
        self._secondary: defaultdict[tuple[str, str, Hashable], dict[Hashable, Record]] = defaultdict(dict)
        self._table_index: defaultdict[str, int] = defaultdict(int)
        self._listeners: list[Listener] = []
        self._hooks: defaultdict[str, list[Hook]] = defaultdict(list)
        self._depth = 0
        self._written: list[tuple[str, Hashable, Record | None, Record | None]] = []
        self._before: tuple[int, dict[str, int]] = (0, {})

    @contextmanager
    def transaction(self, cause: str | None = None) -> Iterator[None]:
        """Make all writes inside one index. Re-entrant; an exception undoes the whole outermost transaction.

        `cause` says which kind of write it is (`words.Cause`, None when the caller does not care); listeners read it as `store.cause` during the commit.
        """
        with self.lock:
            if not self._depth:
                self._before = (self.index, {})
                self.cause = cause
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if not self._depth:
                    self._undo()
                raise
            self._depth -= 1
            if not self._depth and self._written:
                self._commit()

    def put(self, table: str, key: Hashable, record: Record) -> Record:
        """Write `record`, and answer it as stored: a shallow copy with CreateIndex and ModifyIndex set.

        A record new to the table gets both from this transaction; a replaced one keeps its CreateIndex. Copies of job
        versions keep the CreateIndex they bring. Outside a transaction the write is one of its own.
        """
        with self.transaction():
            index = self._open_index(table)
            old = self._tables[table].get(key)
            record = dict(record)
            if table not in _WITHOUT_INDEXES:
                if table not in _KEEPS_CREATE_INDEX:
                    record["CreateIndex"] = old["CreateIndex"] if old else index
                record["ModifyIndex"] = index
            self._replace(table, key, old, record)
            self._written.append((table, key, old, record))
            return record

    def delete(self, table: str, key: Hashable) -> Record | None:
        """Remove a record and answer it; None when there was none (then nothing is written)."""
        with self.transaction():
            old = self._tables[table].get(key)
            if old is None:
                return None
            self._open_index(table)
            self._replace(table, key, old, None)
            self._written.append((table, key, old, None))
            return old

    def get(self, table: str, key: Hashable) -> Record | None:
        """Answer the record, or None."""
        return self._tables[table].get(key)

    def rows(self, table: str) -> list[Record]:
        """Answer all records of a table in the order of their keys (Nomad's own order: by ID)."""
        with self.lock:
            records = self._tables[table]
            keys = self._sorted.get(table)
            if keys is None:
                keys = self._sorted[table] = sorted(records)  # type: ignore[type-var]  # keys of one table are of one type
            return [records[key] for key in keys]

    def by(self, table: str, name: str, value: Hashable) -> list[Record]:
        """Answer the records whose secondary index `name` has `value`, oldest first.

        Allocations by `node`, `job` or `eval`; evaluations and deployments by `job`; job versions by `job`; jobs by
        `parent`. A job is named by (namespace, id).
        """
        with self.lock:
            found = self._secondary.get((table, name, value))
            return list(found.values()) if found else []

    def count(self, table: str) -> int:
        """Answer how many records a table has."""
        return len(self._tables[table])

    def table_index(self, table: str) -> int:
        """Answer the index of the last write (or delete) in this table, 0 when there was none."""
        return self._table_index[table]

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(index, table, key, old, new)` for each write, in order, at commit and under the lock.

        `old` is None for a new record, `new` for a deleted one. The answer is a function that ends the subscription.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def hook(self, table: str, hook: Hook) -> None:
        """Call `hook(key, old, new)` at each write of a table at once, also when a write is undone. For derived sums."""
        self._hooks[table].append(hook)

    def amend(self, table: str, key: Hashable, record: Record) -> None:
        """Replace a record that keeps its ModifyIndex; the table's index moves and listeners are told as by `put`."""
        with self.transaction():
            self._open_index(table)
            old = self._tables[table].get(key)
            self._replace(table, key, old, record)
            self._written.append((table, key, old, record))

    def touch(self, table: str) -> int:
        """Move a table's index without changing a record, as an empty Raft entry does; answer the index."""
        with self.transaction():
            index = self._open_index(table)
            self._written.append((table, "", None, None))
            return index

    def _open_index(self, table: str) -> int:
        index, tables = self._before
        if self.index == index:
            self.index += 1
        tables.setdefault(table, self._table_index[table])
        self._table_index[table] = self.index
        return self.index

    def _replace(self, table: str, key: Hashable, old: Record | None, new: Record | None) -> None:
        records = self._tables[table]
        if new is None:
            del records[key]
        else:
            records[key] = new
        if old is None or new is None:
            self._sorted.pop(table, None)
        for name, value_of in _SECONDARY.get(table, {}).items():
            self._reindex(table, name, key, (old and value_of(old), new and value_of(new)), new)
        for hook in self._hooks[table]:
            hook(key, old, new)

    def _reindex(self, table: str, name: str, key: Hashable, values: tuple[Any, Any], new: Record | None) -> None:
        was, now = values
        if was is not None and was != now:
            group = self._secondary[table, name, was]
            group.pop(key, None)
            if not group:
                del self._secondary[table, name, was]
        if new is not None:
            self._secondary[table, name, now][key] = new

    def _commit(self) -> None:
        written, self._written = self._written, []
        for listener in list(self._listeners):
            for table, key, old, new in written:
                if old is not None or new is not None:
                    listener(self.index, table, key, old, new)
        self.changed.notify_all()

    def _undo(self) -> None:
        written, self._written = self._written, []
        for table, key, old, new in reversed(written):
            if old is not None or new is not None:
                self._replace(table, key, new, old)
        self.index, tables = self._before
        self._table_index.update(tables)
