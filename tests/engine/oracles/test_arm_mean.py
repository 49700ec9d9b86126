"""The means of arms against NumPy, with and without forgetting."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine.oracles.arm_mean import arm_mean
from onearm.engine.oracles.oracle import fit, predict, split, spread
from onearm.engine.vocabulary import Array, Problem

NONE = np.zeros(0)
ALL = np.ones(3, np.bool_)


@pytest.mark.parametrize("half_life", [math.inf, 7.0])
def test_they_are_ridge_regressions_on_an_intercept(half_life: float) -> None:
    random = np.random.default_rng(1)
    arms, rewards = random.integers(0, 3, 100), random.normal(5.0, 1.0, 100)
    model = arm_mean(Problem(3), regularisation=0.5, half_life=half_life)
    for n, (arm, reward) in enumerate(zip(arms.tolist(), rewards.tolist(), strict=True)):
        expected = mean(arms[:n], rewards[:n], model.prior[0], half_life)
        assert fit(model, NONE, arm, reward, 1.0) == pytest.approx(reward - expected[arm], abs=1e-12)
    scores, widths, parts = np.zeros(3), np.zeros(3), np.ones(2)
    predict(model, NONE, ALL, scores)
    spread(model, NONE, ALL, widths)
    split(model, NONE, 2, parts)
    assert scores == pytest.approx(mean(arms, rewards, 0.5, half_life), abs=1e-12)
    assert parts.tolist() == [scores[2], 0.0]
    assert 1.0 / widths**2 == pytest.approx(counts(arms, 0.5, half_life), rel=1e-12)


def weights(n: int, half_life: float) -> Array:
    return 0.5 ** (np.arange(n)[::-1] / half_life) if n else np.zeros(0)


def prior_now(n: int, prior: float, half_life: float) -> float:
    """The prior loses weight as feedbacks do, and is put back every half-life."""
    return prior if half_life == math.inf else prior * 0.5 ** ((n % int(half_life)) / half_life)


def counts(arms: Array, prior: float, half_life: float) -> Array:
    own = np.bincount(arms, weights(len(arms), half_life), minlength=3)
    return own + prior_now(len(arms), prior, half_life)


def mean(arms: Array, rewards: Array, prior: float, half_life: float) -> Array:
    total = np.bincount(arms, weights(len(arms), half_life) * rewards, minlength=3)
    return total / counts(arms, prior, half_life)


def test_a_weight_counts_a_feedback_so_many_times() -> None:
    once, thrice = arm_mean(Problem(2)), arm_mean(Problem(2))
    fit(once, NONE, 0, 2.0, 3.0)
    for _ in range(3):
        fit(thrice, NONE, 0, 2.0, 1.0)
    assert once.mean.tolist() == thrice.mean.tolist() == [1.5, 0.0]
