"""A state goes back to what it was, and of tables that are mostly empty little is kept for it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from onearm.api.experiment.undo import LARGE, Undo
from onearm.engine.snapshot import digest
from onearm.engine.vocabulary import Array


class Inner(NamedTuple):
    count: Array
    flag: Array


class State(NamedTuple):
    table: Array
    seen: Array
    inner: Inner
    empty: Array
    scalar: Array


def state(size: int) -> State:
    made = State(
        np.zeros((size, 2)),
        np.zeros((size, 7), np.float32),
        Inner(np.arange(3), np.array([True])),
        np.zeros(0),
        np.ones(()),
    )
    made.table[size // 2, 1] = -0.0  # a bit that no number shows
    made.seen[-1] = 2.5  # behind the last whole page
    made.seen[size // 2 : size // 2 + 3] = 0.25
    made.seen[size // 2, 3] = -0.0
    return made


@pytest.mark.parametrize(("size", "by_pages"), [(5, 0), (LARGE // 16 + 3, 2)])
def test_a_state_goes_back_to_what_it_was(size: int, by_pages: int) -> None:
    changed = state(size)
    before = Undo(changed)
    assert len(before._pages) == by_pages
    changed.table[0] = 1.0
    changed.table[size // 2] = 7.0
    changed.seen[-1] = 0.0
    changed.seen[1] = np.nan
    changed.seen[size // 2] = 1.0
    changed.inner.count[1] = 40
    changed.inner.flag[0] = False
    changed.scalar[...] = 3.0
    assert digest(changed) != digest(state(size))
    before.undo()
    assert digest(changed) == digest(state(size))
    assert np.signbit(changed.table[size // 2, 1]) and np.signbit(changed.seen[size // 2, 3])


def test_little_is_kept_of_a_table_that_is_mostly_empty() -> None:
    table = np.zeros((1 << 20, 2))
    table[::100_000] = 1.0
    assert Undo((table,)).nbytes <= 11 * 4096
