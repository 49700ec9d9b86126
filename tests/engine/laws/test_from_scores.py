"""Laws made from scores: hand-worked ones, those of other programs, and drawing from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from onearm.engine.laws.from_scores import draw, greedy, inverse_gap, leader_of, power, softmax, total_of
from onearm.engine.vocabulary import Array

ALL = np.ones(3, np.bool_)


def law_from(kernel: Any, scores: list[float], number: float, available: Array | None = None) -> Array:
    """Return the law that a kernel writes into an array full of something else."""
    mask = np.ones(len(scores), np.bool_) if available is None else available
    law = np.full(len(scores), 7.0)
    kernel(np.array(scores), mask, number, law)
    return law


def test_inverse_gap_weighting_is_the_published_example() -> None:
    """Costs (0.1, 0.2, 0.4) with eta = 10 give (0.583333, 0.25, 0.166667)."""
    law = law_from(inverse_gap, [-0.1, -0.2, -0.4], 10.0)
    assert law == pytest.approx([1 - 1 / 4 - 1 / 6, 1 / 4, 1 / 6], rel=1e-15)


def test_greedy_has_the_probabilities_of_vowpal_wabbit() -> None:
    """Epsilon 0.1 on two actions of costs 0.3 and 0.5: .95 and .05."""
    assert law_from(greedy, [-0.3, -0.5], 0.1) == pytest.approx([0.95, 0.05], rel=1e-15)


def test_softmax_has_the_probabilities_of_vowpal_wabbit() -> None:
    """Lambda 1 on scores that differ by 0.2394: .559575 and .440425, as its softmax explorer gives."""
    law = law_from(softmax, [0.0, -math.log(0.559575 / 0.440425)], 1.0)
    assert law == pytest.approx([0.559575, 0.440425], abs=1e-12)
    assert law_from(softmax, [1e9, -1e9, 0.0], 5.0).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("kernel", [greedy, inverse_gap, softmax])
def test_what_is_not_available_has_no_part(kernel: Any) -> None:
    """It may have any score, even NaN, or one that would make a denominator 0; the others share as if it were not."""
    for score in (math.nan, math.inf, 1e300, 2.0 + 3.0 / 4.0):
        law = law_from(kernel, [1.0, score, 2.0, 0.5], 4.0, np.array([True, False, True, True]))
        without = law_from(kernel, [1.0, 2.0, 0.5], 4.0)
        assert law[1] == 0.0
        assert law[[0, 2, 3]] == pytest.approx(without, rel=1e-15)


@pytest.mark.parametrize("kernel", [greedy, inverse_gap, softmax])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 7, 8, 100])
def test_a_law_sums_to_one_and_moves_with_its_actions(kernel: Any, k: int) -> None:
    rng = np.random.default_rng(k)
    scores = rng.normal(size=k)
    order = rng.permutation(k)
    law = law_from(kernel, scores.tolist(), 0.3)
    assert law.sum() == pytest.approx(1.0, abs=1e-14)
    assert law_from(kernel, scores[order].tolist(), 0.3) == pytest.approx(law[order], rel=1e-12)
    assert law.argmax() == scores.argmax()


def test_without_a_gap_that_counts_all_laws_are_uniform() -> None:
    assert law_from(inverse_gap, [3.0, 1.0, 2.0], 0.0) == pytest.approx([1 / 3] * 3, rel=1e-15)
    assert law_from(softmax, [3.0, 1.0, 2.0], 0.0) == pytest.approx([1 / 3] * 3, rel=1e-15)
    assert law_from(greedy, [3.0, 1.0, 2.0], 1.0) == pytest.approx([1 / 3] * 3, rel=1e-15)


def test_the_lowest_of_ties_leads() -> None:
    assert leader_of(np.array([1.0, 2.0, 2.0]), ALL) == 1
    assert leader_of(np.array([9.0, 2.0, 2.0]), np.array([False, False, True])) == 2
    assert law_from(inverse_gap, [1.0, 1.0, 0.0], 2.0) == pytest.approx([1 - 1 / 3 - 1 / 5, 1 / 3, 1 / 5], rel=1e-15)


def test_draw_gives_each_action_its_share_of_the_unit_interval() -> None:
    law = np.array([0.25, 0.0, 0.5, 0.25, 9.0])  # what lies beyond the first four is of another context
    u = (np.arange(1000) + 0.5) / 1000
    drawn = [draw(law, 2, 4, float(x)) for x in u]
    assert np.bincount(drawn, minlength=5).tolist() == [250, 0, 500, 250, 0]
    assert drawn[:500] == [2] * 500


def test_draw_never_takes_what_has_no_probability() -> None:
    """Shares of 1/10 sum to less than 1: the last one of positive probability is taken beyond."""
    law = np.array([0.1] * 10 + [0.0])
    law[0] = 0.1 - 1e-15
    assert draw(law, 0, 11, 1.0 - 2.0**-53) == 9
    assert draw(np.array([0.0, 1.0, 0.0]), 1, 3, 0.0) == 1


def test_sums_and_powers() -> None:
    assert [total_of(np.arange(1.0, k + 1.0), k) for k in range(10)] == [k * (k + 1) / 2 for k in range(10)]
    assert [power(9.0, 0.5), power(9.0, 0.0), power(7.0, 1.0)] == pytest.approx([3.0, 1.0, 7.0], rel=1e-15)
