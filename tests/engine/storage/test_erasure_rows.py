"""Erasures in SQL: rows that say nothing any more, and are found by nobody, and those of others as they were."""

from __future__ import annotations

import pytest
from support.stored import NO_CONTEXT, add, decide, learn

from onearm.engine.storage import erasures
from onearm.engine.storage.erasures import Counted
from onearm.engine.storage.records import SUMS, Base, Event, Snapshot, SnapshotPart
from onearm.engine.storage.store import Store

SAID = {
    "context": b"c",
    "available": b"a",
    "detail": "{}",
    "sent": "{}",
    "body_hash": b"h",
    "actions": "[]",
    "vector": b"v",
}


def fill(store: Store, key: int, n: int) -> list[Event]:
    """Write decisions for two people in turn, three of four with a reward."""
    events: list[Event] = []
    for number in range(n):
        unit = "ann" if number % 2 == 0 else "bob"
        said = {"decision_id": f"{unit} {number}", "unit_id": unit, **SAID}
        events.append(decide(key, len(events) + 1, number, **said))
        if number % 4 != 2:
            events.append(learn(key, len(events) + 1, number, reward_id=unit, detail="[1]"))
    store.append(events)
    return events


def test_named_decisions_become_blank_and_all_else_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasures, "NAMED_MAX", 3)
    key, other = add(store), add(store, "other")
    before, others = fill(store, key, 20), fill(store, other, 20)
    numbers = store.of_unit(key, "ann", -1, 100)
    for _ in range(2):  # again it is the same, and nothing is there twice
        store.erase(key, numbers)
        assert store.counted(key, numbers) == Counted(10, 15, 5)
    assert ([*store.unblanked()], store.erased(key), store.erased(other)) == ([key], 10, 0)
    assert store.read_events(key, 0) == before, "nothing is blank yet"
    steps = 1
    while store.blank(key, 2):
        steps += 1
    assert (steps, store.unblanked(), store.erased(key)) == (6, {}, 10)
    for old, new in zip(before, store.read_events(key, 0), strict=True):
        if old.number in numbers:
            nothing = dict.fromkeys([*SAID, "decision_id", "reward_id", "unit_id"])
            assert new == old._replace(**nothing)  # type: ignore[arg-type]
        else:
            assert new == old
    assert store.read_events(other, 0) == others
    assert store.of_unit(key, "ann", -1, 100) == [] and len(store.of_unit(other, "ann", -1, 100)) == 10
    found = {event.number for event in store.find(key, range(20), ["ann 0", "bob 1"])}
    assert found == {number for number in range(20) if number % 2}
    store.append([decide(key, len(before) + 1, 20, decision_id="ann 0")])  # its id is free again
    assert [event.number for event in store.find(key, [], ["ann 0"])] == [20]
    assert store.counts(key).rewards == 15 and store.last(key) == (len(before) + 1, 21)


def test_snapshots_that_are_older_than_the_base_go_and_others_stay(store: Store) -> None:
    key = add(store)
    fill(store, key, 4)
    for seq in (2, 5):
        parts = [SnapshotPart(key, seq, part, b"bytes") for part in (0, 1, SUMS)]
        store.append([], (), parts, [Snapshot(key, seq, 1, "digest", "{}")])
    store.put_base(Base(key, 4, 2, "digest", "{}", 7, 4))
    store.erase(key, [0])
    while store.blank(key, 100):
        pass
    assert [stored.seq for stored in store.newest_snapshots(key)] == [5]
    assert (len(list(store.snapshot_parts(key, 2))), len(list(store.snapshot_parts(key, 5)))) == (0, 2)


def test_what_is_purged_leaves_no_erasure(store: Store) -> None:
    key, other = add(store), add(store, "other")
    for one in (key, other):
        fill(store, one, 4)
        store.erase(one, [0, 1])
    store.bury(key, 9)
    assert store.unpurged() == [key]
    while store.purge(key, 100):
        pass
    assert (store.unpurged(), store.erased(key), store.erased(other)) == ([], 0, 2)


def test_who_reads_the_log_is_told_of_no_blank_event_but_the_counts_hold(store: Store) -> None:
    key = add(store)
    events = []
    for number in range(6):
        events.append(decide(key, len(events) + 1, number, unit_id="ann" if number % 3 == 0 else "bob"))
        events.append(learn(key, len(events) + 1, number))
    store.append(events)
    store.erase(key, [0, 3])
    assert len(store.find(key, range(6))) == 12, "a retry finds its decision until it is blank"
    for _ in range(2):
        assert [event.number for event in store.told_events(key, 0, 12, 100)] == [1, 1, 2, 2, 4, 4, 5, 5]
        assert [event.number for event in store.carried(key, 1, 12, 0, 9)] == []
        store.blank(key, 100)
    assert store.blank_seqs(key) == [1, 2, 7, 8]
    assert [event.seq for event in store.told_events(key, 0, 10, 4)] == [3, 4, 5, 6]
    assert [event.seq for event in store.told_events(key, 6, 10, 4)] == [9, 10]
    [(columns, first, last)] = store.columns(key, NO_CONTEXT)
    assert (columns.number.tolist(), first, last) == ([1, 1, 2, 2, 4, 4, 5, 5], 1, 12)
    [(columns, _, _)] = store.columns(key, NO_CONTEXT, bare=True)
    assert columns.number.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert [event.number for event in store.carried(key, 1, 12, 0, 9)] == []
