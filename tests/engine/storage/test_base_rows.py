"""Bases in SQL: truth that is written once, whole or not at all, and the slim rows before it."""

from __future__ import annotations

from contextlib import closing

import pytest
from support.stored import add, decide, learn, run_sql, without_units

from onearm.engine.storage.records import SUMS, Base, Counts, Event, SnapshotPart
from onearm.engine.storage.schema import VERSION_TABLE
from onearm.engine.storage.states import slimmed, unneeded
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import CHANGE, EXTERNAL

BLANK = {"context": None, "available": None, "sent": None, "detail": None}


def fat(experiment: int, seq: int, number: int, **fields: object) -> Event:
    """Return a decision with everything that one may have."""
    said = {"context": b"seen", "available": b"\x80", "sent": "{}", "detail": "[]", "actions": "[]", "vector": b"at"}
    return decide(experiment, seq, number, **(said | fields))


def base_of(experiment: int, seq: int, slim: int = 0) -> Base:
    return Base(experiment, seq, 2, "digest", "{}", 9, slim, "e.parquet", "sha", 100)


def put(store: Store, base: Base) -> None:
    """Write a base of two parts, and its sums."""
    store.put_base_parts([SnapshotPart(base.experiment, base.seq, part, b"bytes") for part in (0, 1)])
    store.put_base_parts([SnapshotPart(base.experiment, base.seq, SUMS, b"sums")])
    assert store.put_base(base)


def test_a_base_is_read_as_it_was_written(store: Store) -> None:
    key, other = add(store), add(store, "other")
    assert (store.bases(key), store.base_seq(key)) == ([], 0)
    first, second = base_of(key, 4), base_of(key, 9, 9)
    put(store, second)
    put(store, first)
    assert (store.bases(key), store.base_seq(key), store.bases(other)) == ([first, second], 9, [])
    assert (list(store.base_parts(key, 4)), store.base_sums(key, 4)) == ([b"bytes", b"bytes"], b"sums")
    assert store.unslimmed() == [first]


def test_parts_without_a_base_are_taken_away_and_others_stay(store: Store) -> None:
    key = add(store)
    store.put_base_parts([SnapshotPart(key, 7, part, b"left") for part in (0, 1, 2)])
    put(store, base_of(key, 4))
    store.sweep_bases()
    assert (list(store.base_parts(key, 7)), len(list(store.base_parts(key, 4)))) == ([], 2)


def of_change(experiment: int, seq: int) -> Base:
    return base_of(experiment, seq, seq)._replace(archive=None, whole=True, of_change=True)


def test_bases_of_changes_go_before_a_plain_one_without_an_archive(store: Store) -> None:
    key = add(store)
    of_erasure = base_of(key, 3, 3)._replace(archive=None, whole=True)
    bases = [of_change(key, 1), base_of(key, 2), of_change(key, 2), of_erasure, of_change(key, 4)]
    bases += [base_of(key, 5)._replace(archive=None), of_change(key, 6)]
    assert unneeded(bases) == [2, 4]
    assert unneeded(bases[:5]) == [], "an erasure makes nothing slim: what lies before is in the next archive"


def test_a_base_that_nobody_needs_goes_part_by_part(store: Store) -> None:
    key, other = add(store), add(store, "other")
    for base in (of_change(key, 3), of_change(key, 4), base_of(key, 5)._replace(archive=None), of_change(other, 3)):
        put(store, base)
    assert store.changed() == [key, other]
    left = []
    while store.prune(key, 1):
        left.append((len(store.bases(key)), len(list(store.base_parts(key, 3))), len(list(store.base_parts(key, 4)))))
    assert left == [(3, 1, 2), (3, 0, 2), (3, 0, 2), (2, 0, 2), (2, 0, 1), (2, 0, 0), (2, 0, 0)]
    assert ([base.seq for base in store.bases(key)], store.changed()) == ([5], [other])
    assert len(list(store.base_parts(key, 5))) == len(list(store.base_parts(other, 3))) == 2
    assert not store.prune(key, 1) and not store.prune(other, 1)
    put(store, of_change(key, 7))
    assert not store.prune(key, 10_000) and len(store.bases(key)) == 2, "it lies behind the plain one"


def test_an_attempt_that_ended_is_replaced_and_a_base_never_is(store: Store) -> None:
    key = add(store)
    store.put_base_parts([SnapshotPart(key, 4, part, b"left") for part in (0, 1, 2)])
    put(store, base_of(key, 4))
    assert list(store.base_parts(key, 4)) == [b"bytes", b"bytes"]
    with pytest.raises(Exception, match="a base is truth"):
        store.put_base_parts([SnapshotPart(key, 4, 0, b"other")])
    assert list(store.base_parts(key, 4)) == [b"bytes", b"bytes"]


def test_nothing_is_written_of_a_deleted_experiment(store: Store) -> None:
    key = add(store)
    store.bury(key, 99)
    assert not store.put_base(base_of(key, 4))
    assert store.bases(key) == []


def test_a_deletion_takes_bases_with_it(store: Store) -> None:
    key, other = add(store), add(store, "other")
    for one in (key, other):
        put(store, base_of(one, 4))
    store.bury(key, 99)
    assert store.unpurged() == [key]
    while store.purge(key, 10):
        pass
    assert (store.bases(key), list(store.base_parts(key, 4)), store.unpurged()) == ([], [], [])
    assert (len(store.bases(other)), store.base_sums(other, 4)) == (1, b"sums")


def test_what_was_learned_before_a_base_becomes_slim_and_the_rest_stays_whole(store: Store) -> None:
    key, other = add(store), add(store, "other")
    events = [
        fat(key, 1, 0),
        Event(key, 2, CHANGE, detail='{"change": "archived"}', time=2),
        fat(key, 3, 1, decision_id="mine", body_hash=b"hash"),
        fat(key, 4, 2),
        fat(key, 5, 3)._replace(kind=EXTERNAL),
        learn(key, 6, 1, detail="[1.0]"),
        learn(key, 7, 3),
        learn(key, 8, 0),
        fat(key, 9, 4),
        learn(key, 10, 2),
    ]
    store.append([*events, fat(other, 1, 0), learn(other, 2, 0)])
    counts, found = store.counts(key), store.find(key, [0], ["mine"])
    put(store, base_of(key, 9))
    steps = [store.slim(key, 9, 2) for _ in range(6)]
    assert steps == [True, True, True, True, False, False]
    assert store.unslimmed() == [] and store.bases(key)[0].slim == 9
    slim = {0: BLANK, 2: BLANK | {"detail": "[]"}, 4: BLANK}
    expected = [event._replace(**slim.get(place, {})) for place, event in enumerate(events)]  # type: ignore[arg-type]
    assert store.read_events(key, 0) == expected
    assert [slimmed(events[place]) for place in slim] == [expected[place] for place in slim]
    assert store.read_events(other, 0) == [fat(other, 1, 0), learn(other, 2, 0)]
    assert store.counts(key) == counts
    assert [event.seq for event in store.find(key, [0], ["mine"])] == [event.seq for event in found]
    put(store, base_of(key, 10, 9))
    assert not store.slim(key, 10, 100)
    assert store.read_events(key, 3, 1)[0].context is None, "it was learned between the two bases"


def test_counts_up_to_a_seq(store: Store) -> None:
    key = add(store)
    store.append([decide(key, 1, 0), Event(key, 2, CHANGE, time=2), decide(key, 3, 1), learn(key, 4, 0)])
    found = [store.counts_at(key, seq) for seq in range(5)]
    assert found == [Counts(0, 0, 0), Counts(1, 1, 0), Counts(2, 1, 0), Counts(3, 2, 0), Counts(4, 2, 1)]
    assert store.counts_at(key, 4) == store.counts(key)


def test_a_database_from_before_there_were_bases_is_read_as_it_is(url: str) -> None:
    with closing(Store.open(url)) as store:
        key = add(store)
        store.append([decide(key, 1, 0)])
    without_units(url)
    run_sql(url, "DROP TABLE base", "DROP TABLE base_part", f"UPDATE {VERSION_TABLE} SET version_num = '0007'")
    with closing(Store.open(url, write=False)) as reading:
        assert (reading.bases(key), reading.base_seq(key), reading.counts(key).seq) == ([], 0, 1)
    with closing(Store.open(url)) as writing:
        put(writing, base_of(key, 1))
        assert writing.base_seq(key) == 1
