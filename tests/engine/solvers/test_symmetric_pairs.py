"""Pairs of entries across the diagonal, against a dense search."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine.solvers.symmetric_pairs import Pairs, pairs_of


def csr_of(pattern: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the start and the columns of the entries that a square array of bools marks."""
    start = np.concatenate(([0], np.cumsum(pattern.sum(axis=1))))
    return start.astype(np.int32), np.nonzero(pattern)[1].astype(np.int32)


def check(pattern: np.ndarray, found: Pairs | None) -> None:
    assert found is not None
    n = len(pattern)
    place = np.full((n, n), -1)
    place[pattern] = np.arange(pattern.sum())
    row, column = np.nonzero(np.tril(pattern, -1))
    assert found.below.tolist() == place[row, column].tolist()
    assert found.above.tolist() == place[column, row].tolist()
    assert found.diagonal.tolist() == np.diag(place).tolist()
    assert found.half_index.tolist() == column.tolist()
    assert np.diff(found.half_start).tolist() == np.tril(pattern, -1).sum(axis=1).tolist() and found.half_start[0] == 0


@pytest.mark.parametrize("seed", range(20))
def test_each_entry_finds_its_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    some = rng.random((n, n)) < rng.random()
    pattern = some | some.T | np.eye(n, dtype=bool)
    check(pattern, pairs_of(*csr_of(pattern)))


@pytest.mark.parametrize("seed", range(20))
def test_an_entry_without_an_image_is_noticed_wherever_it_stands(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 10))
    some = rng.random((n, n)) < 0.3
    whole = some | some.T | np.eye(n, dtype=bool)
    for i, j in zip(*np.nonzero(whole & ~np.eye(n, dtype=bool)), strict=True):
        pattern = whole.copy()
        pattern[i, j] = False
        assert pairs_of(*csr_of(pattern)) is None
        other = pattern & ~pattern.T & ~np.eye(n, dtype=bool)
        assert other.sum() == 1
    for i, j in zip(*np.nonzero(~whole), strict=True):  # as many below as above, but no images
        k, m = rng.permutation(n)[:2]
        if not whole[k, m] and (k, m) != (j, i) and (k, m) != (i, j):
            pattern = whole.copy()
            pattern[i, j] = pattern[k, m] = True
            assert pairs_of(*csr_of(pattern)) is None


@pytest.mark.jit
def test_compiled_pairs_are_the_same() -> None:
    n = 30
    pattern = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) % 7 == 0
    check(pattern, pairs_of(*csr_of(pattern)))
    pattern[7, 0] = False
    pattern[8, 0] = True
    assert pairs_of(*csr_of(pattern)) is None
