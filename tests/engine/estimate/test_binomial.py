"""Exact intervals of a share, and the tails beneath, against SciPy, closed forms and enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from onearm.engine.estimate.binomial import clopper_pearson
from onearm.engine.estimate.tails import (
    beta_quantile,
    beta_share,
    chi_square_tail,
    normal_quantile,
    t_quantile,
)
from onearm.engine.estimate.terms import Terms

SHAPES = [(1, 1), (3, 8), (0.5, 0.5), (1, 1000), (5e5, 5e5), (30000, 970001), (4.5, 0.5), (999999, 2), (12, 1)]


def match(hits: int, n: int, low: float = 0.0, high: float = 1.0) -> Terms:
    reward = np.where(np.arange(n) < hits, high, low)
    return Terms("match", None, reward, np.ones(n), np.ones(n))


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_the_beta_quantile_is_scipys(a: float, b: float) -> None:
    for share in (0.005, 0.025, 0.3, 0.5, 0.9, 0.975, 0.995):
        found = beta_quantile(share, a, b)
        assert found == pytest.approx(scipy.stats.beta.ppf(share, a, b), rel=1e-12)
        assert beta_share(found, a, b) == pytest.approx(share, rel=1e-10)


def test_the_beta_quantile_in_closed_form() -> None:
    """Beta(1, b) has 1 - (1 - share)^(1 / b), also where SciPy has fewer digits."""
    for b in (1.0, 7.0, 1e3, 1e6):
        for share in (0.025, 0.5, 0.975):
            assert beta_quantile(share, 1.0, b) == pytest.approx(-math.expm1(math.log1p(-share) / b), rel=1e-13)


def test_beta_shares_are_sums_of_binomial_probabilities() -> None:
    for x in (0.0, 0.01, 0.2, 0.7, 1.0):
        for hits in range(1, 13):
            tail = sum(math.comb(12, j) * x**j * (1 - x) ** (12 - j) for j in range(hits, 13))
            assert beta_share(x, hits, 13 - hits) == pytest.approx(tail, rel=1e-12, abs=1e-300)


def test_other_tails_are_scipys() -> None:
    for freedom in (1, 2, 5, 33, 1000):
        for value in (0.0, 0.1, 1.0, 3.84, float(freedom), 3.0 * freedom + 50.0):
            assert chi_square_tail(value, freedom) == pytest.approx(scipy.stats.chi2.sf(value, freedom), rel=1e-12)
    for freedom in (1, 2, 9, 999):
        assert t_quantile(0.975, freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=1e-12)
    assert normal_quantile(0.9) == pytest.approx(scipy.stats.norm.ppf(0.9), rel=1e-14)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 10), (7, 10), (10, 10), (0, 1), (1, 1), (123, 4567), (9, 10**6)])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_clopper_pearson_is_scipys(hits: int, n: int, level: float) -> None:
    below, above = (1 - level) / 2, (1 + level) / 2
    low = 0.0 if hits == 0 else scipy.stats.beta.ppf(below, hits, n - hits + 1)
    high = 1.0 if hits == n else scipy.stats.beta.ppf(above, hits + 1, n - hits)
    found = clopper_pearson(match(hits, n), level)
    assert found[1:3] == pytest.approx((low, high), rel=1e-11, abs=1e-300)
    oracle = scipy.stats.binomtest(hits, n).proportion_ci(level, "exact")
    assert found[1:3] == pytest.approx((oracle.low, oracle.high), rel=1e-7, abs=1e-11)
    assert (found.note is not None) == (hits in (0, n))


def test_clopper_pearson_covers_at_least_as_often_as_it_says_exactly() -> None:
    """All outcomes of 12 trials, weighted by their probability."""
    ends = [clopper_pearson(match(hits, 12), 0.9) for hits in range(13)]
    for p in np.linspace(0.01, 0.99, 25):
        inside = [found.low <= p <= found.high for found in ends]
        assert scipy.stats.binom.pmf(np.arange(13), 12, p)[inside].sum() >= 0.9


def test_any_two_values_are_a_share() -> None:
    unit, other = clopper_pearson(match(7, 10)), clopper_pearson(match(7, 10, -5.0, 15.0))
    assert other[1:3] == pytest.approx((20 * unit.low - 5, 20 * unit.high - 5), rel=1e-12)
    weight = np.tile([4.0, 0.0], 20)  # uniform over four arms, the target takes one: terms are 0 or 4
    found = clopper_pearson(Terms("ips", weight, None, None, weight))
    half = clopper_pearson(match(20, 40))
    assert found[1:3] == pytest.approx((4 * half.low, 4 * half.high), rel=1e-12)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (Terms("match", None, np.array([0.0, 0.5, 1.0]), np.ones(3), np.ones(3)), "1 of 3 terms are neither 0 nor 1"),
        (Terms("snips", None, np.ones(2), np.array([1.0, 2.0]), np.ones(2)), "snips weights its rewards"),
        (Terms("ips", np.zeros(5), None, None, np.ones(5)), "second value was never seen"),
        (match(3, 3, 0.0, 7.0), "all 3 terms are 7"),
        (match(0, 0), "never takes"),
    ],
)
def test_what_is_no_share_is_refused_in_words(terms: Terms, words: str) -> None:
    found = clopper_pearson(terms)
    assert np.isnan(found[1:3]).all()
    assert words in str(found.note)
