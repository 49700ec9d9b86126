"""States kept of a log: few, nearer together towards its end, and none that a fold cannot begin with."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from onearm.engine.storage.ladder import thinned
from onearm.engine.storage.records import Base, Snapshot, SnapshotPart
from onearm.engine.storage.store import Store


@pytest.mark.parametrize("n", [10, 1000, 20_000])
def test_a_ladder_is_short_and_a_way_back_at_most_doubled(n: int) -> None:
    kept: list[int] = []
    for seq in range(n):
        kept = thinned([*kept, seq])
        assert len(kept) <= 2 * math.log2(seq + 2) + 3
    assert kept[0] == 0
    for sought in range(0, n, max(1, n // 100)):
        nearest = max(seq for seq in kept if seq <= sought)
        assert n - 1 - nearest <= 2 * (n - 1 - sought) + 2


def test_so_are_the_snapshots_of_an_experiment(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/run.db")
    key = store.add_experiment("e", "{}", b"", "{}", 0).key
    expected: list[int] = []
    for seq in range(10, 1000, 10):
        expected = thinned([*expected, seq])
        store.append([], (), [SnapshotPart(key, seq, 0, b"state")], [Snapshot(key, seq, seq, "digest", "{}")])
    assert [one.seq for one in store.newest_snapshots(key)] == expected[::-1]
    assert len(expected) < 15
    assert all(list(store.snapshot_parts(key, seq)) == [b"state"] * (seq in expected) for seq in range(10, 1000, 10))
    base = Base(key, 500, 500, "digest", "{}", 0, 500, whole=True)
    store.put_base_parts([SnapshotPart(key, 500, 0, b"base")])
    store.put_base(base)
    store.append([], (), [SnapshotPart(key, 1000, 0, b"state")], [Snapshot(key, 1000, 1000, "digest", "{}")])
    kept = [one.seq for one in store.newest_snapshots(key)]
    assert kept[:2] == [1000, 990] and kept[-1] >= 500, "none from before the base"
    store.close()
