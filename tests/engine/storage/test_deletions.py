"""Deleted experiments in SQL: their rows stay with the id, and their logs go a little at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from support.stored import add, decide, learn, run_sql, without_units

from onearm.engine.errors import Conflict
from onearm.engine.storage.records import SUMS, Snapshot, SnapshotPart
from onearm.engine.storage.schema import VERSION_TABLE
from onearm.engine.storage.store import Store


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


def test_sqlite_overwrites_what_was_deleted(tmp_path: Path) -> None:
    """In the file, but for what it left behind where it moved rows from page to page, and in the -wal file."""
    file = tmp_path / "run.db"
    store, reading = Store.open(f"sqlite:///{file}"), Store.open(f"sqlite:///{file}", write=False)
    secret = "the visitor of 12 High Street"
    key = store.add_experiment("e", f'{{"policy": "{secret}"}}', b"hash", "{}", 7).key
    other = add(store, "other")
    for n in range(300):
        seen = f"{secret} {n}".encode() * (400 if n % 50 == 0 else 1)  # some are longer than a page
        store.append([decide(key, n + 1, n, context=seen, sent=secret), decide(other, n + 1, n)])
    store.append([], (), [SnapshotPart(key, 300, 0, secret.encode() * 1000)], [Snapshot(key, 300, 300, "", "{}")])

    def seen_in_files() -> int:
        return sum(path.read_bytes().count(secret.encode()) for path in (file, Path(f"{file}-wal")))

    with reading._reader.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM event")).scalar() == 600
        before = seen_in_files()
        assert before > 1000
        store.bury(key, 99)
        while store.purge(key, 70):
            pass
        assert not store.empty_wal(), "somebody reads what was there before"
        assert seen_in_files() > 0
    assert store.empty_wal()
    assert seen_in_files() < before / 100
    assert secret.encode() not in Path(f"{file}-wal").read_bytes()
    reading.close()
    assert len(store.read_events(other, 0)) == 300
    store.append([decide(other, 301, 300)])
    store.close()


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
    without_units(url)
    run_sql(url, "DROP TABLE base", "DROP TABLE base_part", "ALTER TABLE experiment DROP COLUMN deleted_at")
    run_sql(url, f"UPDATE {VERSION_TABLE} SET version_num = '0006'")
    reading = Store.open(url, write=False)
    assert [row.id for row in reading.experiments()] == ["e"]
    assert reading.counts(key).seq == 4
    reading.close()
    writing = Store.open(url)
    assert [row.id for row in writing.experiments()] == ["e"]
    writing.bury(key, 9)
    assert writing.experiments() == []
    writing.close()
