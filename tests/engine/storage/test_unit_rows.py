"""Whom decisions are for, in SQL: a column that most rows leave empty, and an index of those that do not."""

from __future__ import annotations

from contextlib import closing

import pytest
from support.stored import add, decide, learn, run_sql, without_units

from onearm.engine.storage.schema import VERSION_TABLE
from onearm.engine.storage.store import Store


def test_the_decisions_for_a_unit_are_found_page_by_page_and_those_of_others_are_not(store: Store) -> None:
    key, other = add(store), add(store, "other")
    store.append([decide(key, n + 1, n, unit_id=f"u{n % 3}" if n % 4 else None) for n in range(40)])
    store.append([decide(other, 1, 0, unit_id="u1"), learn(other, 2, 0)])
    mine = [n for n in range(40) if n % 4 and n % 3 == 1]
    assert store.of_unit(key, "u1", -1, 100) == mine
    assert store.of_unit(key, "u1", mine[2], 3) == mine[3:6]
    assert store.of_unit(key, "nobody", -1, 100) == []
    assert store.of_unit(other, "u1", -1, 100) == [0]
    assert [event.unit_id for event in store.find(key, [0, 1])] == [None, "u1"]


def test_only_rows_with_a_unit_are_in_the_index_which_finds_them(url: str, store: Store) -> None:
    key = add(store)
    for start in range(0, 12_000, 4000):
        some = range(start, start + 4000)
        store.append([decide(key, n + 1, n, unit_id="u" if n % 4000 == 7 else None) for n in some])
    sql = f"SELECT number FROM event WHERE experiment = {key} AND unit_id = 'u' AND number > -1 ORDER BY number"
    if url.startswith("sqlite"):
        plan = " ".join(str(row[3]) for row in store._read(f"EXPLAIN QUERY PLAN {sql}", ()))
        assert "COVERING INDEX event_unit_id" in plan and "TEMP B-TREE" not in plan
        return
    run_sql(url, "ANALYZE event")
    assert "event_unit_id" in " ".join(row[0] for row in store._read(f"EXPLAIN {sql}", ()))
    (size,) = store._read("SELECT pg_relation_size('event_unit_id')", ())[0]
    assert size <= 16_384, "two pages, for three rows of 12,000"


@pytest.mark.parametrize("older", ["0005", "0006"])
def test_a_database_from_before_there_were_units_is_read_as_it_is_and_migrates(url: str, older: str) -> None:
    with closing(Store.open(url)) as store:
        key = add(store)
        before = [decide(key, 1, 0, decision_id="d"), learn(key, 2, 0)]
        store.append(before)
    without_units(url)
    run_sql(url, "DROP TABLE base", "DROP TABLE base_part", "ALTER TABLE experiment DROP COLUMN deleted_at")
    if older == "0005":
        run_sql(url, "DROP TABLE audit", "DROP TABLE api_key")
    run_sql(url, f"UPDATE {VERSION_TABLE} SET version_num = '{older}'")
    with closing(Store.open(url, write=False)) as store:
        assert store.read_events(key, 0) == store.find(key, [0]) == before
        assert store.of_unit(key, "u", -1, 10) == []
    with closing(Store.open(url)) as store:
        assert store.read_events(key, 0) == before
        store.append([decide(key, 3, 1, unit_id="u")])
        assert store.of_unit(key, "u", -1, 10) == [1]
