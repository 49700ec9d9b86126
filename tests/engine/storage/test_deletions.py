"""Deleted experiments in SQL: their rows stay with the id, and their logs go a little at a time."""

from __future__ import annotations

import pytest
from support.stored import add, decide, learn, run_sql

from onearm.engine.errors import Conflict
from onearm.engine.storage.schema import VERSION_TABLE
from onearm.engine.storage.store import Store
from onearm.engine.storage.tables import SUMS, Snapshot, SnapshotPart


def fill(store: Store, key: int, decisions: int) -> None:
    """Write decisions with their rewards, and a snapshot in parts."""
    events = [event for n in range(decisions) for event in (decide(key, 2 * n + 1, n), learn(key, 2 * n + 2, n))]
    parts = [SnapshotPart(key, 2 * decisions, part, b"bytes") for part in (0, 1, 2, SUMS)]
    store.append(events, (), parts, [Snapshot(key, 2 * decisions, decisions, "digest", "{}")])


def test_a_deleted_experiment_is_in_no_list_and_its_id_stays_taken(store: Store) -> None:
    key, other = add(store), add(store, "other")
    fill(store, key, 3)
    fill(store, other, 2)
    store.bury(key, 99)
    assert [row.id for row in store.experiments()] == ["other"]
    assert (store.buried(), store.unpurged()) == (["e"], [key])
    with pytest.raises(Conflict):
        add(store)


def test_its_log_and_snapshots_go_and_those_of_others_stay(store: Store) -> None:
    key, other = add(store), add(store, "other")
    fill(store, key, 5)
    fill(store, other, 2)
    store.bury(key, 99)
    left = [10]
    while store.purge(key, 4):
        left.append(len(store.read_events(key, 0)))
    assert left[:4] == [10, 6, 2, 0]
    assert (store.newest_snapshots(key), list(store.snapshot_parts(key, 10)), store.unpurged()) == ([], [], [])
    assert (store.buried(), store.snapshot_sums(key, 10)) == (["e"], None)
    assert len(store.read_events(other, 0)) == 4 and len(list(store.snapshot_parts(other, 4))) == 3
    assert not store.purge(key, 4)


def test_nothing_of_the_spec_stays(url: str, store: Store) -> None:
    key = add(store)
    store.bury(key, 99)
    (row,) = store._read("SELECT * FROM experiment", ())
    assert [bytes(part) if isinstance(part, memoryview) else part for part in row] == [
        key,
        "e",
        "",
        b"",
        "",
        7,
        None,
        99,
    ]


def test_a_database_from_before_there_were_deletions_is_read_as_it_is(url: str) -> None:
    store = Store.open(url)
    key = add(store)
    fill(store, key, 2)
    store.close()
    run_sql(url, "ALTER TABLE experiment DROP COLUMN deleted_at", f"UPDATE {VERSION_TABLE} SET version_num = '0006'")
    reading = Store.open(url, write=False)
    assert [row.id for row in reading.experiments()] == ["e"]
    assert reading.counts(key).seq == 4
    reading.close()
    writing = Store.open(url)
    assert [row.id for row in writing.experiments()] == ["e"]
    writing.bury(key, 9)
    assert writing.experiments() == []
    writing.close()
