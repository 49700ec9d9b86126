"""Counts of arms against their propensities: chi-square, all outcomes of a small law, true logs and false ones."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from onearm.engine.estimate import counts
from onearm.engine.estimate.counts import count_actions
from onearm.engine.vocabulary import Array


def rarely_other(seed: int, other: float) -> tuple[Array, Array]:
    """Return a log of 1,797 decisions: the best of ten arms, or each of the others with probability `other`."""
    rng = np.random.default_rng(seed)
    best, wanders = rng.integers(10, size=1797), rng.random(1797) < 9.0 * other
    action = np.where(wanders, (best + rng.integers(1, 10, size=1797)) % 10, best)
    return action, np.where(wanders, other, 1.0 - 9.0 * other)


def drawn_by(law: Array, n: int, off: float, seed: int) -> tuple[Array, Array]:
    """Return n actions of a law whose arms are `off` more and less likely in turn, and the propensities it names."""
    true = law * (1.0 + off * np.where(np.arange(len(law)) % 2, 1.0, -1.0))
    action = np.random.default_rng(seed).choice(len(law), p=true / true.sum(), size=n)
    return action, law[action]


def p_value(action: Array, propensity: Array, n_arms: int) -> float:
    """Return that of `count_actions`, without all else that it counts."""
    return counts._p_value(action, propensity, np.bincount(action, minlength=n_arms))


def test_counts_of_a_uniform_log_have_the_chi_square_tail() -> None:
    action = np.repeat([0, 1, 2], [30, 45, 25])
    found = count_actions(action, np.full(100, 1.0 / 3.0), 3)
    assert found.p_value == p_value(action, np.full(100, 1.0 / 3.0), 3)
    assert found.counts.tolist() == [30, 45, 25]
    assert found.p_value == pytest.approx(scipy.stats.chisquare([30, 45, 25]).pvalue, rel=1e-12)
    assert found.promised == pytest.approx([90, 135, 75], rel=1e-12)
    # Of arm 0, 30 weights of 3 and 70 of 0 around 1: the sum of squares is 30 * 4 + 70.
    assert found.z[0] == pytest.approx((90 - 100) / math.sqrt(190), rel=1e-12)


def test_few_decisions_of_many_arms_are_no_chi_square() -> None:
    """Two of five decisions between 1,000 arms are alike once in a hundred times, and chi-square says 1e-15."""
    assert count_actions(np.array([0, 0, 1, 2, 3]), np.full(5, 1e-3), 1000).p_value == 1.0


def test_the_capital_of_true_propensities_is_one_on_average_over_every_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact: all sequences of 6 decisions among three arms whose law changes, with bets after each pair."""
    monkeypatch.setattr(counts, "_FIRST", 2)
    law = np.array(
        [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.98, 0.01, 0.01], [0.3, 0.3, 0.4], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1]]
    )
    mean, moved = 0.0, 0
    for actions in itertools.product(range(3), repeat=6):
        action = np.array(actions)
        propensity = law[np.arange(6), action]
        capital = counts._log_capital(action, propensity, 3)
        mean += float(propensity.prod()) * math.exp(capital)
        moved += capital != 0.0
    assert mean == pytest.approx(1.0, rel=1e-12)
    assert moved > 600


@pytest.mark.parametrize("other", [1e-6, 1e-4, 1e-3, 1e-2, 0.05])
def test_true_propensities_are_no_mismatch_however_small(other: float) -> None:
    values = [p_value(*rarely_other(seed, other), 10) for seed in range(40)]
    assert min(values) > 1e-3
    assert sum(value <= 0.05 for value in values) <= 2


@pytest.mark.parametrize("law", [[0.5, 0.5], [1.0 - 1e-6, 1e-6], [1.0 - 1e-4, 1e-4], [1.0, 0.0], [0.9, 0.09, 0.01]])
def test_true_laws_that_never_change_are_no_mismatch(law: list[float]) -> None:
    values = [p_value(*drawn_by(np.array(law), 2000, 0.0, seed), len(law)) for seed in range(40)]
    assert min(values) > 1e-3
    assert sum(value <= 0.05 for value in values) <= 4


@pytest.mark.parametrize(
    ("law", "least"), [([0.1] * 10, 20), ([0.6, 0.1, 0.3], 18), ([0.9, 0.1], 18), ([0.25, 0.25, 0.2, 0.2, 0.1], 19)]
)
def test_arms_that_are_ten_percent_off_are_found_in_ten_thousand_decisions(law: list[float], least: int) -> None:
    found = [p_value(*drawn_by(np.array(law), 10_000, 0.1, seed), len(law)) < 1e-3 for seed in range(20)]
    assert sum(found) >= least


def test_the_ends_of_what_can_be_counted() -> None:
    assert math.isnan(count_actions(np.zeros(0, np.int64), np.zeros(0), 3).p_value)
    assert count_actions(np.zeros(50, np.int64), np.full(50, 0.5), 1).p_value == 1.0
    assert count_actions(np.zeros(500, np.int64), np.ones(500), 3).p_value == 1.0
    assert 0.0 <= count_actions(np.zeros(5000, np.int64), np.full(5000, 1e-6), 3).p_value < 1e-300


@pytest.mark.parametrize("first", [0.05, 0.3, 0.9, 1.0])
def test_the_crowd_that_is_farthest_above_one_is_that_of_whole_columns(first: float) -> None:
    rng = np.random.default_rng(8)
    propensity = np.concatenate([[first], rng.dirichlet(np.ones(7), 400).max(axis=1), rng.choice([0.25, 0.5], 99)])
    scores = []
    for m in (1, 2, 3, 4, 6):
        large = np.where(propensity > 1.0 / (m + 1) + 0.001, 1.0 / (m * propensity), 0.0)
        scores.append(((large.mean() - 1.0) / (large.std() / math.sqrt(500)), large.mean(), m))
    z, average, arms = max(scores)
    found = count_actions(rng.integers(7, size=500), propensity, 7).likeliest
    assert found.arms == arms
    assert (found.average, found.z) == pytest.approx((average, z), rel=1e-9)
