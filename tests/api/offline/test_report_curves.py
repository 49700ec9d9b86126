"""What the report draws, against the estimators and intervals themselves."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.api.offline.methods import of_rows
from onearm.api.offline.report.curves import largest, moments, running, shares, spread, weight_edges
from onearm.engine.estimate import Terms, dr, ips, match, normal, sndr, snips

N = 500


def estimates(shift: float = 0.0) -> list[Terms]:
    """Return the terms of estimators of every shape: means, ratios, and a mean with a ratio."""
    rng = np.random.default_rng(5)
    reward = shift + (rng.random(N) < 0.3).astype(float)
    propensity, target = rng.uniform(0.1, 0.9, N), rng.uniform(0.0, 1.0, N)
    expected = shift + rng.uniform(0.2, 0.4, N)
    predicted = shift + rng.uniform(0.2, 0.4, N)
    return [
        ips(reward, propensity, target),
        snips(reward, propensity, target),
        dr(reward, propensity, target, predicted, expected),
        sndr(reward, propensity, target, predicted, expected),
        match(reward, rng.random(N) < 0.2),
    ]


@pytest.mark.parametrize("place", range(5))
def test_a_curve_is_at_every_moment_the_estimate_of_the_decisions_before_it(place: int) -> None:
    terms = estimates()[place]
    curve = running(terms, moments(N), 0.9)
    for at, *found in zip(*curve, strict=True):
        first = of_rows(terms, np.arange(N) < at)
        interval = normal(first, 0.9)
        assert found == pytest.approx([first.value, interval.low, interval.high], rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("place", [1, 3, 4])
def test_a_curve_of_rewards_far_from_0_is_that_of_rewards_about_0_moved(place: int) -> None:
    near, far = (running(estimates(shift)[place], moments(N)) for shift in (0.0, 1e6))
    assert far.value - 1e6 == pytest.approx(near.value, abs=1e-6)
    assert far.high - far.low == pytest.approx(near.high - near.low, rel=1e-6)


def test_a_mean_has_the_interval_of_its_closed_form() -> None:
    values = np.array([0.0, 1.0, 4.0])
    curve = running(Terms("ips", values, None, None, np.ones(3)), np.array([3]))
    assert curve.value[0] == pytest.approx(5 / 3)
    assert curve.high[0] == pytest.approx(5 / 3 + 1.959963984540054 * np.std(values) / np.sqrt(3))


def test_nothing_is_drawn_where_nothing_is_told() -> None:
    agrees = np.array([False, False, True, True])
    curve = running(match(np.array([1.0, 1.0, 0.0, 1.0]), agrees), np.array([1, 2, 3, 4]))
    assert curve.value == pytest.approx([np.nan, np.nan, 0.0, 0.5], nan_ok=True)
    assert np.isnan(curve.low).tolist() == [True, True, True, False]  # of one reward there is no spread
    assert [len(column) for column in running(match(np.zeros(0), np.zeros(0, bool)), moments(0))] == [0] * 4


@pytest.mark.parametrize("n", [1, 9, 10, 11, 1000, 10**7])
def test_moments_ascend_and_end_with_the_log(n: int) -> None:
    at = moments(n)
    assert (at[0], at[-1]) == (min(n, 10), n)
    assert (np.diff(at) > 0).all()
    assert len(at) <= 160


def test_shares_sum_to_1_and_the_largest_come_first() -> None:
    table = np.array([shares(np.array([3, 1, 1, 1]), 5), shares(np.array([0, 3, 3, 3]), 5)])
    assert table.sum(axis=1).tolist() == [1.0, 1.0]
    assert largest(table, 2) == [3, 1]
    assert largest(table, 9) == [3, 1, 0]  # actions that nobody takes are left out
    assert shares(np.zeros(0, np.int64), 2).tolist() == [0.0, 0.0]


def test_every_weight_lies_in_a_bin_or_is_0() -> None:
    rng = np.random.default_rng(2)
    weights = [rng.lognormal(0.0, 3.0, 1000), np.where(rng.random(1000) < 0.9, 0.0, 10.0)]
    edges = weight_edges(weights)
    assert edges[1:] / edges[:-1] == pytest.approx(10 ** (1 / 8))
    assert edges[0] <= min(weight[weight > 0.0].min() for weight in weights)
    for weight in weights:
        found = spread(weight, edges)
        assert found.share.sum() + found.zeros == pytest.approx(1.0)
        assert (found.largest, found.zeros) == (weight.max(), np.mean(weight == 0.0))
        assert found.effective_sample_size == pytest.approx(weight.sum() ** 2 / (weight**2).sum())


def test_weights_that_are_all_0_have_a_histogram_too() -> None:
    edges = weight_edges([np.zeros(3)])
    found = spread(np.zeros(3), edges)
    assert (found.share.sum(), found.zeros, found.largest, found.effective_sample_size) == (0.0, 1.0, 0.0, 0.0)
