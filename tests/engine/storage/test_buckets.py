"""Buckets of hours and days, on both databases: parts that are counted one after another come to what one part does."""

from __future__ import annotations

import pytest
from support.stored import add, decide, learn

from onearm.engine.storage import buckets
from onearm.engine.storage.buckets import ALL, DAY, HOUR, merged
from onearm.engine.storage.records import Bucket
from onearm.engine.storage.store import Store

H = HOUR * 1_000_000


def fill(store: Store) -> int:
    """Write decisions at five hours; the rewards of the first come last."""
    key = add(store)
    decided = [decide(key, n + 1, n, action=n % 3, time=n * H // 2 + 5) for n in range(10)]
    rewarded = [learn(key, 11 + n, n, action=n % 3, reward=float(n * n), time=9 * H) for n in reversed(range(8))]
    rewarded = [event._replace(seq=11 + i) for i, event in enumerate(rewarded)]
    store.append(decided + rewarded)
    return key


def counted(store: Store, key: int) -> None:
    while (part := store.next_part(key, 2)).until > part.after:
        store.put_part(key, part)


@pytest.mark.parametrize("page", [1, 4, 5000])
def test_parts_add_up(store: Store, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(buckets, "PAGE", page)
    key = fill(store)
    counted(store, key)
    assert store.counted_to(key) == 18
    (day,) = [one for one in store.buckets(key, DAY, 2**62, 10) if one.action == ALL]
    assert (day.decisions, day.rewards, day.mean) == (10, 8, 17.5)
    assert day.square == pytest.approx(2226.0)
    hours = store.buckets(key, HOUR, 2**62, 2)
    assert [(one.begins // H, one.action, one.decisions, one.rewards) for one in hours] == [
        (3, ALL, 2, 2),
        (3, 0, 1, 1),
        (3, 1, 1, 1),
        (4, ALL, 2, 0),
        (4, 0, 1, 0),
    ], "arm 2 is not told apart"


def test_nothing_is_counted_of_a_deleted_experiment(store: Store) -> None:
    key = fill(store)
    part = store.next_part(key, 2)
    store.bury(key, 7)
    store.put_part(key, part)
    assert store.counted_to(key) == 0 and store.buckets(key, DAY, 2**62, 10) == []


def test_buckets_without_rewards_add_up() -> None:
    none = Bucket(1, DAY, 0, ALL, 3, 0, 0.0, 0.0)
    some = Bucket(1, DAY, 0, ALL, 2, 2, 4.0, 2.0)
    assert merged(none, some) == merged(some, none) == some._replace(decisions=5)
    assert merged(none, none) == none._replace(decisions=6)
