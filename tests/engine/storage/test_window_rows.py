"""Rewards that are on record and not learned by themselves, and windows that closed: rows beside the others."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pytest
from support.stored import NO_CONTEXT, add, decide, learn, run_sql

from onearm.engine.errors import Unavailable
from onearm.engine.storage.buckets import ALL, HOUR
from onearm.engine.storage.database import read_rows
from onearm.engine.storage.erasures import Counted
from onearm.engine.storage.records import Base, Counts, Event, Windowed
from onearm.engine.storage.rows import Wanted
from onearm.engine.storage.schema import VERSION_TABLE
from onearm.engine.storage.store import Store
from onearm.engine.storage.windows import (
    CLOSED_BY_DEFAULT,
    CLOSED_BY_REWARD,
    DEFERRED,
    DONE,
    LAPSED,
    LATE,
    Begun,
    OpenWindows,
    early_detail,
    shown_detail,
    shown_number,
    taken_detail,
)
from onearm.engine.vocabulary import ACTIVATION, CHANGE, DECIDE, EARLY, LEARN, OUTCOME


def outcome(key: int, seq: int, number: int, reward: float = 1.0, reward_id: str = "", **fields: object) -> Event:
    return Event(key, seq, OUTCOME, number, reward=reward, reward_id=reward_id, time=seq, **fields)


def log(key: int) -> list[Event]:
    """Three decisions: two rewards and a late one of the first, none of the second, the third is open."""
    return [
        decide(key, 1, 0),
        outcome(key, 2, 0, 0.25, "x"),
        decide(key, 3, 1, action=0),
        outcome(key, 4, 0, 0.5, "y"),
        learn(key, 5, 0, 0.75, reward_id=None, detail=CLOSED_BY_REWARD),
        Event(key, 6, CHANGE, detail="{}", time=6),
        outcome(key, 7, 0, 0.125, "z", detail=LATE),
        learn(key, 8, 1, 0.0, action=0, reward_id=None, detail=CLOSED_BY_DEFAULT),
        decide(key, 9, 2),
    ]


@pytest.fixture
def key(store: Store) -> int:
    key = add(store)
    store.append(log(key))
    return key


def test_they_are_counted_as_what_they_are(store: Store, key: int) -> None:
    assert store.counts(key) == Counts(9, 3, 2)
    assert store.counts_at(key, 4) == Counts(4, 2, 0)
    assert store.counts_at(key, 7) == Counts(7, 2, 1)
    assert store.beside_seqs(key).tolist() == [2, 4, 7]
    assert store.windowed(key, 0, 9) == Windowed(defaults=1, late=1, early=0, taken=0, lapsed=0, replaced=0)
    assert store.windowed(key, 7, 9) == Windowed(defaults=1, late=0, early=0, taken=0, lapsed=0, replaced=0)
    assert store.open_windows(key) == OpenWindows(closed=3, activated=0)


def test_they_are_beside_the_columns_that_policies_learn_from(store: Store, key: int) -> None:
    [(columns, first, last)] = store.columns(key, NO_CONTEXT)
    assert (first, last) == (1, 9)
    assert columns.kind.tolist() == [DECIDE, DECIDE, LEARN, LEARN, DECIDE]
    assert columns.number.tolist() == [0, 1, 0, 1, 2]
    assert columns.reward[columns.kind == LEARN].tolist() == [0.75, 0.0]


def test_a_closing_finds_its_decision_on_an_earlier_page(store: Store, key: int) -> None:
    pages = [columns for columns, _, _ in store.columns(key, NO_CONTEXT, 4, learned_only=True)]
    assert np.concatenate([page.action for page in pages]).tolist() == [1, 0]


def test_all_of_a_decision_is_found(store: Store, key: int) -> None:
    assert [(event.kind, event.seq) for event in store.find(key, [0])] == [(0, 1), (4, 2), (4, 4), (1, 5), (4, 7)]


def test_hours_count_decisions_and_what_was_learned_of_them(store: Store, key: int) -> None:
    store.put_part(key, store.next_part(key, 3))
    until = int(datetime(1970, 1, 2, tzinfo=UTC).timestamp() * 1e6)
    found = {
        bucket.action: (bucket.decisions, bucket.rewards, bucket.mean) for bucket in store.buckets(key, HOUR, until, 9)
    }
    assert found == {ALL: (3, 2, 0.375), 0: (1, 1, 0.0), 1: (2, 1, 0.75)}
    assert store.counted_to(key) == 9


def test_what_is_evaluated_is_what_was_learned(store: Store, key: int) -> None:
    with read_rows(store, key, NO_CONTEXT, Wanted(), None) as rows:
        columns = rows.columns()
    assert columns.reward.tolist() == [0.75, 0.0]
    assert columns.action.tolist() == [1, 0]


def test_since_a_decision_only_what_was_learned_counts(store: Store, key: int) -> None:
    assert list(store.since(key, 0, 0, 9)) == [
        (DECIDE, None),
        (DECIDE, None),
        (LEARN, 0.75),
        (LEARN, 0.0),
        (DECIDE, None),
    ]


def test_one_reward_id_of_a_decision_is_on_record_once(store: Store, key: int) -> None:
    with pytest.raises(Unavailable):
        store.append([outcome(key, 10, 0, 0.25, "x")])
    assert store.last(key) == (9, 3)


def test_slim_decisions_keep_what_came_of_them(store: Store, key: int) -> None:
    store.put_base(Base(key, 8, 2, "", "{}", 0, 0))
    before = store.read_events(key, 0)
    while store.slim(key, 8, 3):
        pass
    assert store.read_events(key, 0) == before, "no event of this log has a context: nothing of it can get slim"


def test_an_erasure_blanks_rewards_too_and_leaves_what_counts(store: Store, key: int) -> None:
    store.erase(key, [0])
    assert store.counted(key, [0]) == Counted(decisions=1, events=5, open=0)
    while store.blank(key, 100):
        pass
    of_it = [event for event in store.read_events(key, 0) if event.number == 0]
    assert [event.reward_id for event in of_it] == [None] * 5
    assert [event.detail for event in of_it] == [None, None, None, CLOSED_BY_REWARD, LATE]
    assert store.counts(key) == Counts(9, 3, 2)
    assert store.windowed(key, 0, 9) == Windowed(defaults=1, late=1, early=0, taken=0, lapsed=0, replaced=0)


def came_early(key: int, seq: int, decision_id: str, reward: float = 1.0) -> Event:
    detail = early_detail(decision_id)
    return Event(key, seq, EARLY, -seq, reward=reward, reward_id="", detail=detail, time=seq)


@pytest.fixture
def early(store: Store) -> int:
    """Four early rewards, of decisions "a" twice, which was made, and of "b" and "c", which were not."""
    key = add(store)
    first = [came_early(key, 1, "a", 0.5), came_early(key, 2, "b"), came_early(key, 3, "a")]
    store.append([*first, decide(key, 4, 0, decision_id="a", unit_id="ann")])
    store.append([outcome(key, 5, 0, 0.5, "x", detail=taken_detail(1)), outcome(key, 6, 0, detail=taken_detail(3))])
    store.append([came_early(key, 7, "c")])
    return key


def test_early_rewards_are_counted_and_found_by_what_they_wait_for(store: Store, early: int) -> None:
    assert store.counts(early) == store.counts_at(early, 7) == Counts(7, 1, 0)
    assert store.changes(early) == []
    assert store.windowed(early, 0, 7) == Windowed(defaults=0, late=0, early=4, taken=2, lapsed=0, replaced=0)
    assert store.held(early, 0) == [came_early(early, 2, "b"), came_early(early, 7, "c")]
    assert store.held(early, 2) == [came_early(early, 7, "c")]
    assert sorted(store.related(early, [0, 1])) == [-3, -1]
    [(columns, first, last)] = store.columns(early, NO_CONTEXT)
    assert (columns.kind.tolist(), first, last) == ([DECIDE], 1, 7)


def test_an_erasure_blanks_what_came_before_a_decision(store: Store, early: int) -> None:
    numbers = [0, *store.related(early, [0])]
    assert store.counted(early, numbers) == Counted(decisions=1, events=5, open=1)
    store.erase(early, numbers)
    while store.blank(early, 1):
        pass
    blank = [event.detail for event in store.read_events(early, 0)]
    assert blank == [None, early_detail("b"), None, None, taken_detail(1), taken_detail(3), early_detail("c")]
    assert store.erased(early) == 1
    assert store.windowed(early, 0, 7) == Windowed(defaults=0, late=0, early=4, taken=2, lapsed=0, replaced=0)
    assert [event.seq for event in store.held(early, 0)] == [2, 7]


def activation(key: int, seq: int, number: int, detail: str) -> Event:
    return Event(key, seq, ACTIVATION, number, detail=detail, time=seq)


@pytest.fixture
def deferred(store: Store) -> int:
    """Four decisions: the first is never shown, the second and third are activated, of which the third is closed."""
    key = add(store)
    made = [one for n in range(3) for one in (decide(key, 2 * n + 1, n), activation(key, 2 * n + 2, n, DEFERRED))]
    store.append([*made, decide(key, 7, 3), activation(key, 8, 2, DONE), activation(key, 9, 1, DONE)])
    store.append([activation(key, 10, 0, LAPSED), learn(key, 11, 3, 0.0, reward_id=None, detail=CLOSED_BY_DEFAULT)])
    return key


def test_windows_begin_with_decisions_and_activations(store: Store, deferred: int) -> None:
    assert store.counts(deferred) == Counts(11, 4, 1)
    begun = [*(Begun(2 * n + 1, n, 2 * n + 1, False) for n in range(4)), Begun(8, 2, 8, True), Begun(9, 1, 9, True)]
    assert store.begun(deferred, 0, 9) == begun
    assert store.begun(deferred, 3, 2) == begun[2:4]
    assert store.activated(deferred, [0, 1, 3, 9]) == {1}
    assert store.windowed(deferred, 0, 11) == Windowed(defaults=1, late=0, early=0, taken=0, lapsed=1, replaced=0)


def test_what_is_open_lies_behind_where_the_last_that_closed_began(store: Store, deferred: int) -> None:
    assert store.open_windows(deferred) == OpenWindows(closed=7, activated=2)
    store.append([learn(deferred, 12, 2, 0.0, reward_id=None, detail=CLOSED_BY_REWARD)])
    assert store.open_windows(deferred) == OpenWindows(closed=8, activated=1)


def test_what_was_shown_in_the_place_of_a_decision_belongs_to_it(store: Store) -> None:
    key = add(store)
    shown = activation(key, 3, 0, shown_detail(1))
    store.append([decide(key, 1, 0), activation(key, 2, 0, DEFERRED), shown, decide(key, 4, 1), decide(key, 5, 2)])
    assert store.related(key, [0, 2]) == [1]
    assert store.windowed(key, 0, 5).replaced == 1
    assert [one.number for one in store.begun(key, 0, 9)] == [0, 1, 2]
    assert (shown_number(shown), shown_number(activation(key, 6, 0, DONE)), shown_number(None)) == (1, None, None)


def test_a_decision_that_was_never_shown_counts_as_closed(store: Store) -> None:
    key = add(store)
    store.append([decide(key, 1, 0), activation(key, 2, 0, DEFERRED), activation(key, 3, 0, LAPSED), decide(key, 4, 1)])
    assert store.open_windows(key) == OpenWindows(closed=1, activated=0)


def test_a_database_from_before_has_none(url: str) -> None:
    with closing(Store.open(url)) as store:
        key = add(store)
        store.append([decide(key, 1, 0), learn(key, 2, 0)])
    run_sql(url, "DROP INDEX event_outcome", "DROP INDEX erased_left", "DROP INDEX event_corrected")
    run_sql(
        url, "ALTER TABLE base DROP COLUMN of_change", "DROP TABLE node", "DROP TABLE shard", "DROP TABLE published"
    )
    run_sql(url, "ALTER TABLE event DROP COLUMN policy", f"UPDATE {VERSION_TABLE} SET version_num = '0010'")
    with closing(Store.open(url, write=False)) as store:
        assert store.counts(key) == Counts(2, 1, 1)
        assert store.beside_seqs(key).tolist() == []
    with closing(Store.open(url)) as store:
        assert store.counts(key) == Counts(2, 1, 1)
        store.append([outcome(key, 3, 0, reward_id="x")])
        assert store.counts(key) == Counts(3, 1, 1)


def test_outcomes_are_counted_by_their_index(tmp_path: object) -> None:
    with closing(Store.open(f"sqlite:///{tmp_path}/run.db")) as store:
        sql = f"EXPLAIN QUERY PLAN SELECT count(*) FROM event WHERE experiment = ? AND kind >= {OUTCOME} AND seq <= ?"
        assert "event_outcome" in str(store._read(sql, (1, 5)))
