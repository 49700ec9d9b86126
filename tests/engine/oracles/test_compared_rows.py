"""Two ways to the same sum: what words that come and go add to a row, alone and beside what the row adds in all."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine.oracles.compared import Compared, _passing_part, _row_part, compared_words
from onearm.engine.oracles.oracle import fit
from onearm.engine.oracles.second_order import AT_ONCE
from onearm.engine.vocabulary import Array, Features, Problem

SLOTS = 512
CONSTANTS, NUMBERS = 8, 100  # the first slots are always there with one value, the next have many; others are words


def rows(rng: np.random.Generator, *sizes: int) -> Features:
    """Return rows of so many features each, the context's own first."""
    index = [np.sort(np.concatenate([np.arange(min(n, CONSTANTS)), words(rng, n - min(n, CONSTANTS))])) for n in sizes]
    slots = np.concatenate(index).astype(np.uint32)
    value = np.where(slots < CONSTANTS, 0.5, np.where(slots < NUMBERS, rng.normal(size=len(slots)), 1.0))
    return Features(np.cumsum([0, *map(len, index)]), slots, value)


def words(rng: np.random.Generator, n: int) -> Array:
    return rng.choice(np.arange(CONSTANTS, SLOTS), n, replace=False)


@pytest.fixture(scope="module")
def model() -> Compared:
    """Return one that learned rewards of rows of all lengths."""
    rng = np.random.default_rng(3)
    made = compared_words(Problem(2, (2, SLOTS), None, 4 * SLOTS))
    for step in range(60):
        sizes = rng.integers(1, 2 * AT_ONCE if step % 10 == 0 else 40, size=2)
        fit(made, rows(rng, 3, *sizes), step % 2, float(rng.normal()), 1.0)
    return made


@pytest.mark.parametrize("n", [0, 1, 7, AT_ONCE, AT_ONCE + 1])
def test_what_comes_and_goes_adds_the_same_bits_by_both_ways(model: Compared, n: int) -> None:
    rng, passed = np.random.default_rng(n), 0
    for _ in range(10):
        context = rows(rng, 2, n, 1)
        for row in range(3):
            alone = _passing_part(model.scratch_some, model, context, row)
            _, beside, _ = _row_part(model.scratch_some, model, context, row)
            assert np.float64(alone).tobytes() == np.float64(beside).tobytes()
            passed += alone != 0.0
    assert passed == (10 if n > 1 else 0), "the first feature is always there"
