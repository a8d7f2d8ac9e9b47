"""The whole state as one JSON value, and back: what snapshots hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

    from lab.nomad.model.store import Store


def dump(store: Store) -> dict[str, Any]:
    """Answer every table with its keys, records and index, and the index of the state."""
    with store.lock:
        tables = store._tables  # noqa: SLF001 - a snapshot is the one reader of everything, keys included
        return {
            "index": store.index,
            "tables": {
                name: {
                    "index": store.table_index(name),
                    "rows": [[_plain(key), record] for key, record in records.items()],
                }
                for name, records in tables.items()
            },
        }


def load(store: Store, state: dict[str, Any]) -> None:
    """Replace every table by what `dump` answered. Listeners hear nothing, as after a restore of Raft; waiters wake."""
    with store.lock:
        for name in list(store._tables):  # noqa: SLF001 - the one writer that keeps the indexes it is given
            for key, record in list(store._tables[name].items()):  # noqa: SLF001 - the same
                store._replace(name, key, record, None)
        for name, table in state["tables"].items():
            for key, record in table["rows"]:
                store._replace(name, _key(key), None, record)
            store._table_index[name] = table["index"]  # noqa: SLF001 - the same
        store.index = state["index"]
        store.changed.notify_all()


def _plain(key: Hashable) -> object:
    return list(key) if isinstance(key, tuple) else key


def _key(plain: Any) -> Hashable:  # noqa: ANN401 - text or a list of parts
    return tuple(plain) if isinstance(plain, list) else plain
