"""The law of Tsallis-INF from losses, and losses over their running mean: vectors, bisection, hand-worked steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.tsallis_reference import law_of

from onearm.engine.laws.tsallis import (
    ScaledLosses,
    add_reduced,
    add_weighted,
    scaled_law,
    scaled_losses,
    solve,
    tsallis_work,
)
from onearm.engine.vocabulary import Array

IW, RV = 2.0, 4.0  # eta_t sqrt(t) of the two estimators


def solved(loss: Array, eta: float, available: Array) -> Array:
    gap, law = np.zeros(len(loss)), np.zeros(len(loss))
    return law / solve(loss, available, 0.5 * eta, gap, law)


def law(losses: ScaledLosses, eta: float, t: int) -> Array:
    k = len(losses.loss)
    work = tsallis_work(k)
    return work.law / scaled_law(losses, eta, float(t), np.ones(k, np.bool_), work)


@pytest.mark.parametrize(
    ("loss", "eta", "expected", "x"),
    [
        ([0.0, 1.0, 2.0, 3.0], 1.0, [0.46407542, 0.25821422, 0.16418515, 0.11352521], -2.93586252),
        ([10.0, 10.0, 50.0], 0.2, [0.48309664, 0.48309664, 0.03380672], -4.38742232),
        ([7.0] * 5, 0.3, [0.2] * 5, 7.0 - 2.0 * math.sqrt(5.0) / 0.3),
    ],
)
def test_the_law_and_its_reference_are_the_published_vectors(
    loss: list[float], eta: float, expected: list[float], x: float
) -> None:
    losses, everyone = np.array(loss), np.ones(len(loss), np.bool_)
    found = solved(losses, eta, everyone)
    assert found == pytest.approx(expected, abs=1e-8)
    assert law_of(losses, eta, everyone) == pytest.approx(expected, abs=1e-8)
    assert losses - 2.0 / (eta * np.sqrt(found)) == pytest.approx(x, abs=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_the_law_is_that_of_bisection_far_beyond_the_pole_of_a_fixed_start(seed: int) -> None:
    """The lowest loss is far above 2 / eta: Newton's method from x = -1 would pass the pole there."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 40))
    loss = 10 ** rng.uniform(0, 4) * (1.0 + rng.exponential(size=k) * 10 ** rng.uniform(-4, 1))
    available = rng.random(k) < 0.7
    available[rng.integers(k)] = True
    eta = 2.0 / math.sqrt(10 ** rng.uniform(0, 6))
    found = solved(loss, eta, available)
    assert found == pytest.approx(law_of(loss, eta, available), abs=1e-9)
    assert (found[~available] == 0.0).all()


@pytest.mark.parametrize("size", [1e-300, 1e-12, 1e12, 1e200])
def test_the_law_sums_to_1_for_losses_of_any_size(size: float) -> None:
    found = solved(size * np.array([3.0, 1.0, 2.0, 1.0]), 0.5, np.ones(4, np.bool_))
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert found == pytest.approx([0.25] * 4 if size < 1.0 else [0.0, 0.5, 0.0, 0.5], abs=1e-9)


def test_the_scale_is_the_mean_of_the_losses_learned_and_1_while_all_are_0() -> None:
    losses = scaled_losses(3)
    everyone = np.ones(3, np.bool_)
    for arm in (0, 1, 1):
        add_weighted(losses, arm, 0.0, 0.3)
        assert law(losses, IW, 50).tolist() == pytest.approx([1 / 3] * 3, rel=1e-15)
    add_weighted(losses, 2, 8.0, 0.25)
    assert law(losses, IW, 50) == pytest.approx(law_of(np.array([0.0, 0.0, 32.0]) / 2.0, IW / 50**0.5, everyone))
    add_weighted(losses, 0, 12.0, 0.5)
    assert law(losses, IW, 51) == pytest.approx(law_of(np.array([24.0, 0.0, 32.0]) / 4.0, IW / 51**0.5, everyone))
    assert (losses.total[0], losses.learned[0], losses.shift.tolist()) == (20.0, 5, [0.0] * 3)


@pytest.mark.parametrize(("arm", "loss", "shift"), [(0, [24.0, 4.0, 1000.0], -1.0), (2, [0.0, 4.0, 1024.0], 1.0)])
def test_reduced_variance_keeps_raw_losses_and_shifts_apart(arm: int, loss: list[float], shift: float) -> None:
    """At t = 100 arms 0 and 1 are likely enough for a baseline and arm 2 is not: it has none to lose when drawn."""
    losses = ScaledLosses(np.array([0.0, 4.0, 1000.0]), np.array([0.5, -1.0, 0.0]), np.array([30.0]), np.array([15]))
    before = law(losses, RV, 100)
    assert before == pytest.approx(law_of(np.array([0.5, 1.0, 500.0]), RV / 10, np.ones(3, np.bool_)), abs=1e-9)
    assert (100 * before >= 16).tolist() == [True, True, False]
    add_reduced(losses, RV, 100.0, np.ones(3, np.bool_), arm, 6.0, 0.25, tsallis_work(3))
    assert losses.loss.tolist() == loss
    assert losses.shift.tolist() == [shift, -0.5, 0.0]
    assert (losses.total[0], losses.learned[0]) == (36.0, 16)


def test_the_estimate_of_reduced_variance_is_unbiased() -> None:
    """Summed over the arm that is drawn, every arm's estimate grows by its loss over the scale of that time."""
    costs, t = np.array([3.0, 5.0, 40.0]), 64.0
    everyone = np.ones(3, np.bool_)

    def fresh() -> ScaledLosses:
        return ScaledLosses(np.array([10.0, 20.0, 90.0]), np.zeros(3), np.array([50.0]), np.array([5]))

    p = law(fresh(), RV, 64)
    grown = np.zeros((2, 3))
    for arm in range(3):
        losses = fresh()
        add_reduced(losses, RV, t, everyone, arm, costs[arm], p[arm], tsallis_work(3))
        grown += p[arm] * np.array([losses.loss - fresh().loss, losses.shift])
    assert 0 < np.count_nonzero(t * p >= 16) < 3
    assert grown[0] == pytest.approx(costs, rel=1e-12)
    assert grown[1] == pytest.approx(np.zeros(3), abs=1e-12)


def test_losses_are_stacked_along_a_new_first_axis() -> None:
    assert [array.shape for array in scaled_losses(4, 7)] == [(4, 7), (4, 7), (4, 1), (4, 1)]
    assert [array.shape for array in scaled_losses(7)] == [(7,), (7,), (1,), (1,)]
