"""Sums and weights in blocks: they have the bits that NumPy's have over whole columns."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine.errors import InvalidInput
from onearm.engine.estimate import Terms
from onearm.engine.estimate.blocks import BLOCK, blocks, summed
from onearm.engine.estimate.weighting import weighing, weights


@pytest.mark.parametrize("n", [0, 1, 7, 128, 1000, BLOCK, BLOCK + 1, 3 * BLOCK + 77, 250_001])
def test_a_sum_in_blocks_has_the_bits_of_the_whole(n: int) -> None:
    numbers = np.random.default_rng(n).lognormal(0.0, 3.0, n)
    assert summed(n, lambda rows: np.square(numbers[rows])) == np.square(numbers).sum()


def test_blocks_hold_every_row_once() -> None:
    assert [row for rows in blocks(BLOCK + 3) for row in range(rows.start, rows.stop)] == list(range(BLOCK + 3))


@pytest.mark.parametrize("shape", ["base", "ratio", "both"])
def test_influences_of_parts_are_those_of_the_whole(shape: str) -> None:
    draws = np.random.default_rng(3)
    base, part, share = draws.random((3, 90_000))
    terms = Terms("any", *((base, None, None) if shape == "base" else (None, part, share)), share)
    if shape == "both":
        terms = terms._replace(base=base)
    if shape == "base":
        expected = base - np.mean(base)
    else:
        whole = float(share.sum())
        expected = (share * (-float(part.sum()) / whole) + part) * (len(share) / whole)
        expected = expected + base - np.mean(expected + base) if shape == "both" else expected
    assert np.array_equal(terms.influence, expected)
    assert np.array_equal(np.concatenate([terms.influences(rows) for rows in blocks(90_000)]), expected)


def test_weights_are_checked_in_every_block_and_a_wrong_propensity_is_told_before_a_wrong_target() -> None:
    n = 2 * BLOCK
    propensity, target = np.full(n, 0.5), np.full(n, 0.25)
    assert np.array_equal(weights(propensity, target, "ips"), np.full(n, 0.5))
    assert np.array_equal(weighing(propensity, target, "ips")(slice(BLOCK, n)), np.full(BLOCK, 0.5))
    target[1] = 1.5
    with pytest.raises(InvalidInput, match="the target of row 1 is 1"):
        weights(propensity, target, "ips")
    propensity[BLOCK + 2] = math.nan
    for each in (weights, weighing):
        with pytest.raises(InvalidInput, match=f"the propensity of row {BLOCK + 2} is unknown"):
            each(propensity, target, "ips")
