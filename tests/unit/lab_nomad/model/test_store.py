"""The store: one index per transaction, undo, indexes by node and job, listeners."""

from datetime import UTC, datetime

import pytest

from lab.nomad.model.store import Store, Table


@pytest.fixture
def store():
    return Store(lambda: datetime(2026, 1, 1, tzinfo=UTC))


def alloc(node="n", status="run"):
    return {"NodeID": node, "Namespace": "default", "JobID": "j", "EvalID": "e", "DesiredStatus": status}


def test_one_transaction_is_one_index_however_deep(store):
    with store.transaction():
        store.put(Table.ALLOCS, "a", alloc())
        with store.transaction():
            store.put(Table.ALLOCS, "b", alloc())
    store.put(Table.ALLOCS, "a", alloc())

    assert store.index == 2
    first, second = store.rows(Table.ALLOCS)
    assert (first["CreateIndex"], first["ModifyIndex"]) == (1, 2)
    assert (second["CreateIndex"], second["ModifyIndex"]) == (1, 1)


def test_a_transaction_that_writes_nothing_takes_no_index(store):
    with store.transaction():
        store.delete(Table.ALLOCS, "unknown")
    assert store.index == 0


def test_an_exception_undoes_everything_and_gives_the_index_back(store):
    store.put(Table.ALLOCS, "a", alloc("n1"))
    heard = []
    store.subscribe(lambda *news: heard.append(news))

    with pytest.raises(ValueError, match="half"):
        write_and_fail(store)

    assert (store.index, store.table_index(Table.ALLOCS), heard) == (1, 1, [])
    assert [row["NodeID"] for row in store.rows(Table.ALLOCS)] == ["n1"]
    assert store.by(Table.ALLOCS, "node", "n2") == []
    assert len(store.by(Table.ALLOCS, "node", "n1")) == 1


def write_and_fail(store):
    with store.transaction():
        store.put(Table.ALLOCS, "a", alloc("n2"))
        store.put(Table.ALLOCS, "b", alloc("n2"))
        store.delete(Table.ALLOCS, "a")
        raise ValueError("half way")


def test_listeners_hear_old_and_new_after_the_commit(store):
    heard = []
    end = store.subscribe(lambda index, table, key, old, new: heard.append((index, table, key, old, new)))
    with store.transaction("PlanResult"):
        store.put(Table.ALLOCS, "a", alloc())
        assert heard == []
    end()
    store.delete(Table.ALLOCS, "a")

    ((index, table, key, old, new),) = heard
    assert (index, table, key, old) == (1, "allocs", "a", None)
    assert new["ModifyIndex"] == 1


def test_a_record_is_never_changed_under_a_reader(store):
    store.put(Table.ALLOCS, "a", alloc())
    seen = store.get(Table.ALLOCS, "a")

    store.put(Table.ALLOCS, "a", {**seen, "DesiredStatus": "stop"})

    assert seen["DesiredStatus"] == "run"


def test_rows_come_in_the_order_of_their_keys(store):
    for key in ("c", "a", "b"):
        store.put("anything", key, {"ID": key})
    assert [row["ID"] for row in store.rows("anything")] == ["a", "b", "c"]
