"""The chain of regressions: the posterior of all arms at once, solved densely, and what arms learn from each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine.oracles.arm_chain import Links, chain, expect, take_in
from onearm.engine.vocabulary import Array

Feedbacks = list[tuple[int, Array, float]]


def feedbacks(k: int, m: int, n: int, seed: int) -> Feedbacks:
    rng = np.random.default_rng(seed)
    return [(int(rng.integers(k)), rng.normal(size=m), float(rng.normal())) for _ in range(n)]


def taught(k: int, variance: Array, learned: Feedbacks) -> Links:
    links = chain(k, variance)
    for arm, f, y in learned:
        take_in(links, arm, f, y)
    return links


def dense(k: int, variance: Array, learned: Feedbacks) -> tuple[Array, Array]:
    """Return mean and covariance of all k m coefficients: the prior conditioned on what was learned, in one step."""
    m = len(variance)
    apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    prior = np.kron(np.exp(-apart / max(k - 1, 1)), np.diag(variance))
    rows = np.zeros((len(learned), k * m))
    for row, (arm, f, _) in zip(rows, learned, strict=True):
        row[arm * m : arm * m + m] = f
    gain = prior @ rows.T @ np.linalg.inv(rows @ prior @ rows.T + np.eye(len(rows)))
    return gain @ np.array([y for *_, y in learned]), prior - gain @ rows @ prior


@pytest.mark.parametrize(("k", "m"), [(1, 1), (1, 4), (2, 3), (5, 1), (9, 5)])
@pytest.mark.parametrize("n", [0, 1, 40])
def test_an_arm_expects_what_the_posterior_of_all_arms_says(k: int, m: int, n: int) -> None:
    variance = 100.0 / np.arange(1.0, m + 1.0)
    learned = feedbacks(k, m, n, seed=k + n)
    links = taught(k, variance, learned)
    mean, covariance = dense(k, variance, learned)
    f = np.random.default_rng(3).normal(size=m)
    for arm in range(k):
        own = slice(arm * m, arm * m + m)
        value, spread = expect(links, arm, f)
        assert value == pytest.approx(f @ mean[own], rel=1e-9, abs=1e-9)
        assert spread == pytest.approx(f @ covariance[own, own] @ f, rel=1e-8)


def test_the_order_of_feedbacks_does_not_matter() -> None:
    learned = feedbacks(6, 3, 50, seed=1)
    one, other = (taught(6, np.ones(3), order) for order in (learned, learned[::-1]))
    for arm in range(6):
        assert expect(one, arm, np.ones(3)) == pytest.approx(expect(other, arm, np.ones(3)), rel=1e-12)


def test_asking_leaves_what_is_known_alone() -> None:
    links = taught(4, np.ones(2), feedbacks(4, 2, 9, seed=2))
    before = [array.copy() for name, array in zip(links._fields, links, strict=True) if not name.startswith("scratch")]
    expect(links, 2, np.ones(2))
    after = [array for name, array in zip(links._fields, links, strict=True) if not name.startswith("scratch")]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_an_arm_learns_less_from_arms_farther_away() -> None:
    links = taught(11, np.ones(1), [(3, np.ones(1), 5.0)])
    values = [expect(links, arm, np.ones(1))[0] for arm in range(11)]
    apart = np.abs(np.arange(11) - 3)
    assert values == pytest.approx(2.5 * np.exp(-apart / 10.0), rel=1e-12)


def test_a_finer_scale_is_tied_from_end_to_end_as_a_coarse_one() -> None:
    ends = [expect(taught(k, np.ones(1), [(0, np.ones(1), 2.0)]), k - 1, np.ones(1)) for k in (2, 20, 200)]
    assert ends == [pytest.approx((1.0 / math.e, 1.0 - 0.5 / math.e**2), rel=1e-9)] * 3


@pytest.mark.parametrize("times", [1e9, 1e18])
def test_any_number_of_feedbacks_leaves_a_posterior(times: float) -> None:
    """Sums of 1e18 are rounded to 128, where the prior's precision is 0.01: pivots would be 0, or below."""
    m = 8
    links = chain(5, 100.0 / np.arange(1.0, m + 1.0))
    f = np.ones(m)  # says nothing but of the sum of all coefficients
    take_in(links, 2, f, 3.0)
    links.gram[:] *= times
    links.moment[:] *= times
    take_in(links, 2, f, 3.0)
    for arm in range(5):
        value, variance = expect(links, arm, f)
        assert 0.0 < variance < 300.0
        assert 0.0 < value < 3.01
    assert expect(links, 2, f) == pytest.approx((3.0, 1.0 / times), rel=1e-4)
