"""One suite over every database: what is acknowledged is there, once, in order, or the caller is told."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from support.stored import NO_CONTEXT, add, decide, learn, run_sql

from onearm.engine.errors import Conflict, Damaged, Unavailable
from onearm.engine.storage.records import Counts, Event, Experiment, Snapshot, SnapshotPart
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN


def test_rows_are_read_back_as_they_were_written(store: Store) -> None:
    key = add(store)
    context = np.array([0.1, -0.0, 5e-324]).astype("<f8").tobytes()
    events = [
        Event(key, 1, DECIDE, 0, 2, 0.1, None, context, b"\xa0", None, '{"a": "\u00e9"}', "id", None, b"\x00", 2**53),
        Event(key, 2, LEARN, 0, 2, 0.1, 1 / 3, None, None, None, None, None, "", b"\xff" * 32, 9),
        Event(key, 3, CHANGE, detail='{"archived": true}', time=10),
    ]
    store.append(events)
    assert store.read_events(key, after=0) == events
    assert store.read_events(key, after=1, limit=1) == events[1:2]
    assert store.read_events(key, after=3) == []


def test_a_propensity_of_nan_is_null_in_the_database_and_nan_in_columns(store: Store) -> None:
    key = add(store)
    store.append([decide(key, 1, 0, propensity=math.nan)])
    assert store.read_events(key, 0)[0].propensity is None
    [(columns, _, _)] = store.columns(key, NO_CONTEXT)
    assert math.isnan(columns.propensity[0])


@pytest.mark.parametrize("page", [1, 2, 100])
def test_columns_up_to_a_seq_that_the_log_does_not_reach_are_refused(store: Store, page: int) -> None:
    """A state that is folded from them would be that of an earlier event."""
    key = add(store)
    store.append([decide(key, 1, 0), decide(key, 2, 1), learn(key, 3, 1)])
    for learned_only in (False, True):
        read = store.columns(key, NO_CONTEXT, page=page, learned_only=learned_only, until=3)
        assert sum(last + 1 - first for _, first, last in read) == 3
    with pytest.raises(Damaged, match="ends by seq 3, and was to be read up to seq 5"):
        list(store.columns(key, NO_CONTEXT, page=page, until=5))
    with pytest.raises(Damaged, match="ends by seq 4, and was to be read up to seq 5"):
        list(store.columns(key, NO_CONTEXT, 4, page=page, until=5))


def test_reads_of_a_block_see_what_is_committed_meanwhile(store: Store) -> None:
    key = add(store)
    with store.one_connection():
        for n in range(3):
            assert store.counts(key).decisions == n
            store.append([decide(key, n + 1, n)])
    assert store.counts(key).decisions == 3


def test_a_read_that_fails_spoils_no_later_one_of_its_block(store: Store, url: str) -> None:
    key = add(store)
    store.append([decide(key, 1, 0)])
    with store.one_connection():
        run_sql(url, "ALTER TABLE event RENAME TO elsewhere")
        with pytest.raises(Unavailable) as failed:
            store.read_events(key, 0)
        assert failed.value.code == "read_failed"
        run_sql(url, "ALTER TABLE elsewhere RENAME TO event")
        assert len(store.read_events(key, 0)) == 1
        assert len(store.read_events(key, 0)) == 1


def test_experiments_have_keys_and_ids_of_their_own(store: Store) -> None:
    first, second = add(store, "a"), add(store, "b")
    row = Experiment(first, "a", '{"policy": "ucb1"}', b"hash", "{}", 7)
    assert store.experiments() == [row, row._replace(key=second, id="b")]
    with pytest.raises(Conflict, match="'a' already") as refused:
        add(store, "a")
    assert refused.value.code == "experiment_exists"
    store.append([decide(first, 1, 0), decide(second, 1, 0, action=2)])
    assert [event.action for event in store.read_events(second, 0)] == [2]


def test_archiving_and_its_event_are_one_transaction(store: Store) -> None:
    key = add(store)
    store.append([Event(key, 1, CHANGE, detail="{}")], archived=[(key, 123)])
    assert store.experiments()[0].archived_at == 123
    with pytest.raises(Unavailable):
        store.append([Event(key, 1, CHANGE)], archived=[(key, 456)])
    assert store.experiments()[0].archived_at == 123


def test_snapshots_are_thinned_out(store: Store) -> None:
    key, other = add(store, "a"), add(store, "b")
    pictures = [Snapshot(key, seq, 10 * seq, f"digest{seq}", "{}") for seq in (1, 2, 3, 4, 5, 6)]
    store.append([], (), [SnapshotPart(other, 1, 0, b"other")], [Snapshot(other, 1, 0, "", "{}")])
    for picture in pictures:
        store.append([], (), [SnapshotPart(key, picture.seq, 0, bytes([picture.seq]))], [picture])
    assert store.newest_snapshots(key) == [pictures[n] for n in (5, 4, 3, 2, 0)]
    assert [list(store.snapshot_parts(key, seq)) for seq in (1, 2, 3, 4)] == [[b"\1"], [], [b"\3"], [b"\4"]]
    assert list(store.snapshot_parts(other, 1)) == [b"other"]
    again = pictures[5]._replace(digest="again")
    store.append([], (), [SnapshotPart(key, 6, 0, b"again")], [again])
    assert store.newest_snapshots(key)[:2] == [again, pictures[4]]
    assert list(store.snapshot_parts(key, 6)) == [b"again"]


def test_a_snapshot_is_there_once_all_its_parts_are(store: Store) -> None:
    key = add(store)
    store.append([], (), [SnapshotPart(key, 1, part, bytes([part])) for part in (0, 1, 2)])  # never whole
    for part in (0, 1):
        store.append([], (), [SnapshotPart(key, 2, part, bytes([part]))])
    assert store.newest_snapshots(key) == []
    store.append([], (), [], [Snapshot(key, 2, 7, "digest", "{}")])
    assert store.newest_snapshots(key) == [Snapshot(key, 2, 7, "digest", "{}")]
    assert list(store.snapshot_parts(key, 2)) == [b"\0", b"\1"]
    assert list(store.snapshot_parts(key, 1)) == []


def test_counts_and_last_tell_decisions_rewards_and_changes_apart(store: Store) -> None:
    key = add(store)
    assert store.last(key) == (0, 0)
    assert store.counts(key) == Counts(0, 0, 0)
    store.append([Event(key, 1, CHANGE), decide(key, 2, 0), decide(key, 3, 1), learn(key, 4, 0), learn(key, 5, 1)])
    store.append([learn(key, 6, 1, reward_id="second")])
    assert store.last(key) == (6, 2)
    assert store.counts(key) == Counts(seq=6, decisions=2, rewards=3)


def test_find_returns_decisions_by_number_and_by_id_with_all_their_rewards(store: Store) -> None:
    key, other = add(store, "a"), add(store, "b")
    mine = [
        decide(key, 1, 0, decision_id="x"),
        decide(key, 2, 1),
        decide(key, 3, 2, decision_id="y"),
        learn(key, 4, 2),
        learn(key, 5, 0, reward_id="r1"),
        learn(key, 6, 0, reward_id="r2"),
    ]
    store.append([*mine, decide(other, 1, 0, decision_id="x")])
    assert store.find(key, [1], ["x", "x", "unknown"]) == [mine[0], mine[1], mine[4], mine[5]]
    assert store.find(key, [2, 99]) == [mine[2], mine[3]]
    assert store.find(key, [], []) == []
    assert len(store.find(key, range(20_000))) == 6


@pytest.mark.parametrize(
    "twice", [{"seq": 1}, {"decision_id": "x"}, {"number": 0, "kind": LEARN, "reward_id": ""}], ids=str
)
def test_a_row_that_breaks_a_rule_stops_its_whole_batch_and_not_the_next(
    store: Store, twice: dict[str, object]
) -> None:
    key = add(store)
    store.append([decide(key, 1, 0, decision_id="x"), learn(key, 2, 0)])
    before = store.read_events(key, 0)
    with pytest.raises(Unavailable, match="nothing was written") as refused:
        store.append([decide(key, 3, 1), decide(key, 4, 2)._replace(**twice)])
    assert refused.value.code == "commit_failed"
    assert "there already" in str(refused.value) and "disk" not in str(refused.value)
    assert store.read_events(key, 0) == before
    store.append([decide(key, 3, 1), decide(key, 4, 2)])
    assert store.last(key) == (4, 3)


@pytest.mark.parametrize("field", [{"time": 2**63}, {"sent": "\ud800"}], ids=["too large", "no unicode"])
def test_what_a_database_cannot_hold_fails_like_any_commit(store: Store, field: dict[str, object]) -> None:
    key = add(store)
    with pytest.raises(Unavailable):
        store.append([decide(key, 1, 0), decide(key, 2, 1, **field)])
    assert store.last(key) == (0, 0)
    store.append([decide(key, 1, 0)])
    assert store.last(key) == (1, 1)


def test_batches_of_any_size_are_one_transaction(store: Store) -> None:
    key = add(store)
    store.append([decide(key, seq, seq - 1) for seq in range(1, 502)])
    assert store.last(key) == (501, 501)
    with pytest.raises(Unavailable):
        store.append([decide(key, seq, seq - 1) for seq in [*range(502, 1002), 1]])
    assert store.last(key) == (501, 501)


def test_a_second_writer_is_refused_and_a_reader_is_not(url: str) -> None:
    store = Store.open(url)
    key = add(store)
    with pytest.raises(Unavailable, match="in use by") as refused:
        Store.open(url)
    assert refused.value.code == "database_in_use"
    reader = Store.open(url, write=False)
    store.append([decide(key, 1, 0)])
    assert reader.last(key) == (1, 1)
    with pytest.raises(AssertionError, match="reading only"):
        reader.append([decide(key, 2, 1)])
    reader.close()
    store.close()
    Store.open(url).close()


def test_reads_go_on_in_other_threads_while_batches_are_written(store: Store) -> None:
    key = add(store)
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(len(store.read_events(key, 0)))

    reader = threading.Thread(target=read)
    reader.start()
    for batch in range(20):
        store.append([decide(key, seq, seq - 1) for seq in range(10 * batch + 1, 10 * batch + 11)])
    done.set()
    reader.join()
    assert len(store.read_events(key, 0)) == 200
    assert seen == sorted(seen)
    assert all(rows % 10 == 0 for rows in seen)
