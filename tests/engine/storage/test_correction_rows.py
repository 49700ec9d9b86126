"""Corrections in a database: what each was before, and what counts and reads them."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pytest
from support.stored import NO_CONTEXT, add, decide, learn, run_sql

from onearm.engine.storage.buckets import ALL, DAY, HOUR
from onearm.engine.storage.corrections import Corrected, Correction, amended
from onearm.engine.storage.database import read_rows
from onearm.engine.storage.erasures import Counted
from onearm.engine.storage.records import Counts, Event
from onearm.engine.storage.rows import Wanted
from onearm.engine.storage.schema import VERSION_TABLE
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import CORRECTED, LEARN


def corrected(key: int, seq: int, number: int, reward: float | None) -> Event:
    return Event(key, seq, CORRECTED, number, reward=reward, time=seq)


def log(key: int) -> list[Event]:
    """Three decisions: the first is corrected twice, the second retracted and brought back, the third is open."""
    return [
        decide(key, 1, 0),
        learn(key, 2, 0, 0.25),
        decide(key, 3, 1, action=0),
        learn(key, 4, 1, 0.5, action=0),
        corrected(key, 5, 0, 0.75),
        corrected(key, 6, 1, None),
        decide(key, 7, 2),
        corrected(key, 8, 0, 1.0),
        corrected(key, 9, 1, 2.0),
    ]


def test_each_says_what_was_before(store: Store) -> None:
    key, other = add(store), add(store, "other")
    store.append(log(key))
    store.append([decide(other, 1, 0), learn(other, 2, 0), corrected(other, 3, 0, 9.0)])
    assert store.corrections(key) == [
        Correction(5, 0, 2, 1, 0.25, 0.75),
        Correction(6, 1, 4, 0, 0.5, None),
        Correction(8, 0, 2, 1, 0.75, 1.0),
        Correction(9, 1, 4, 0, None, 2.0),
    ]
    assert [one.seq for one in store.corrections(key, 6)] == [5, 6]
    assert store.beside_seqs(key).tolist() == [5, 6, 8, 9]
    assert (store.n_beside(key), store.n_beside(key, 7)) == (4, 2)


def test_they_count_for_the_seq_and_not_as_rewards(store: Store) -> None:
    key = add(store)
    store.append(log(key))
    assert store.counts(key) == Counts(9, 3, 2)
    assert store.counts_at(key, 6) == Counts(6, 2, 2)
    assert store.counted(key, [0, 1]) == Counted(2, 8, 0)
    (page,) = [columns for columns, _, _ in store.columns(key, NO_CONTEXT)]
    assert len(page.kind) == 5
    assert store.changes(key) == []
    found = amended(page, Corrected.of(store.corrections(key, 8)))
    assert found.reward[found.kind == LEARN].tolist() == [1.0], "what is retracted is left out"


def test_evaluation_takes_the_last_one(store: Store) -> None:
    key = add(store)
    store.append(log(key))
    with read_rows(store, key, NO_CONTEXT, Wanted()) as rows:
        assert rows.columns().reward.tolist() == [1.0, 2.0]
    store.append([corrected(key, 10, 1, None)])
    with read_rows(store, key, NO_CONTEXT, Wanted()) as rows:
        assert rows.columns().reward.tolist() == [1.0]
    store.erase(key, [0])
    store.blank(key, 100)
    with read_rows(store, key, NO_CONTEXT, Wanted()) as rows:
        assert rows.columns().reward.tolist() == []
    assert store.counts(key) == Counts(10, 3, 2), "what is blank counts as before"


@pytest.mark.parametrize("page", [1, 4, 100])
def test_curves_take_out_what_was_and_put_in_what_is(store: Store, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr("onearm.engine.storage.buckets.PAGE", page)
    key = add(store)
    store.append(log(key)[:8])
    while (part := store.next_part(key, 3)).until > part.after:
        store.put_part(key, part)
    for span in (HOUR, DAY):
        found = {one.action: one for one in store.buckets(key, span, 10**18, 9)}
        counted = {arm: (found[arm].decisions, found[arm].rewards) for arm in (ALL, 0, 1)}
        assert counted == {ALL: (3, 1), 0: (1, 0), 1: (2, 1)}
        assert [found[arm].mean for arm in (ALL, 0, 1)] == pytest.approx([1.0, 0.0, 1.0])
    store.append([corrected(key, 9, 1, 2.0)])
    part = store.next_part(key, 3)
    (hour,) = (one for one in part.buckets if one.span == HOUR and one.action == ALL)
    assert (hour.rewards, hour.mean) == (2, 1.5)
    np.testing.assert_allclose(hour.square, 0.5)
    assert hour.begins == round(datetime(1970, 1, 1, tzinfo=UTC).timestamp())


def test_a_database_from_before_has_none(url: str) -> None:
    with closing(Store.open(url)) as store:
        key = add(store)
        store.append([decide(key, 1, 0), learn(key, 2, 0)])
    run_sql(url, "DROP TABLE node", "DROP TABLE shard", "DROP TABLE published")
    run_sql(url, "DROP INDEX event_corrected", f"UPDATE {VERSION_TABLE} SET version_num = '0013'")
    with closing(Store.open(url, write=False)) as store:
        assert store.counts(key) == Counts(2, 1, 1)
        assert (store.corrections(key), store.beside_seqs(key).tolist()) == ([], [])
    with closing(Store.open(url)) as store:
        store.append([corrected(key, 3, 0, 9.0)])
        assert store.counts(key) == Counts(3, 1, 1)


def test_corrections_are_found_by_their_index(tmp_path: object) -> None:
    with closing(Store.open(f"sqlite:///{tmp_path}/run.db")) as store:
        key = add(store)
        asked: list[str] = []
        read = store._read

        def reading(sql: str, parameters: tuple[object, ...]) -> list[object]:
            asked.extend(str(row) for row in read(f"EXPLAIN QUERY PLAN {sql}", parameters))
            return read(sql, parameters)

        store._read = reading  # type: ignore[method-assign]
        store.corrections(key, 99)
        store.n_beside(key, 99)
        store.beside_seqs(key)
    found = [sum(index in plan for plan in asked) for index in ("event_corrected", "event_outcome")]
    assert found == [1, 2], asked
    assert any("event_number_reward_id" in plan or "autoindex" in plan for plan in asked), asked
