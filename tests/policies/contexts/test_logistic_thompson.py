"""Logistic Thompson sampling: the mode of one feedback, the posterior against Laplace's, and both ways to decide."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm
from support import explorers as x

from onearm.engine import loop
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import appraise
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Problem
from onearm.policies import catalog
from onearm.policies.contexts.logistic_thompson import logistic, logistic_thompson, posterior_mode


@pytest.mark.parametrize("mean", [-800.0, -30.0, -1.0, 0.0, 0.5, 40.0])
@pytest.mark.parametrize("variance", [0.0, 1e-6, 0.1, 4.0, 1000.0])
@pytest.mark.parametrize("reward", [0.0, 0.3, 1.0])
def test_the_mode_solves_its_equation(mean: float, variance: float, reward: float) -> None:
    low, high = mean + variance * (reward - 1.0) - 1e-6, mean + variance * reward + 1e-6
    expected = brentq(lambda m: m - mean - variance * (reward - expit(m)), low, high, xtol=1e-13)
    assert posterior_mode(mean, variance, reward) == pytest.approx(expected, rel=1e-10, abs=1e-9)


def test_the_logistic_function_does_not_overflow() -> None:
    z = [-1e300, -800.0, -3.0, 0.0, 3.0, 800.0, 1e300]
    assert [logistic(v) for v in z] == pytest.approx(expit(np.array(z)).tolist(), rel=1e-14)


def test_the_posterior_is_that_of_laplace_one_feedback_at_a_time() -> None:
    """Without contexts: mean and variance of one logit, each step from the normal before it."""
    policy = logistic_thompson(regularisation=0.5)
    state = policy.init(policy.params, Problem(2))
    mean, variance = 0.0, 2.0
    for t, reward in enumerate([1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0]):
        x.learn(policy, state, x.instance(t, k=2), 1, reward)
        before = mean, variance
        mean = brentq(lambda m, r=reward, b=before: m - b[0] - b[1] * (r - expit(m)), -20.0, 20.0, xtol=1e-13)
        variance = 1.0 / (1.0 / variance + expit(mean) * (1.0 - expit(mean)))
    assert state.model.mean[1] == pytest.approx(mean, rel=1e-9)
    assert 1.0 / state.model.precision[1] == pytest.approx(variance, rel=1e-9)


def test_the_law_is_that_of_the_largest_logit() -> None:
    policy = logistic_thompson(alpha=0.6, regularisation=1.0)
    state = policy.init(policy.params, Problem(3))
    for t in range(9):
        x.learn(policy, state, x.instance(t), t % 2, float(t % 4 == 0))
    mean = state.model.mean
    sd = 0.6 / np.sqrt(state.model.precision)

    def wins(a: int) -> float:
        others = [b for b in range(3) if b != a]
        return quad(
            lambda z: norm.pdf(z, mean[a], sd[a]) * math.prod(norm.cdf(z, mean[b], sd[b]) for b in others), -9, 9
        )[0]

    assert x.law_of(policy, state, x.instance(9)) == pytest.approx([wins(a) for a in range(3)], abs=1e-7)


def test_rewards_outside_are_clipped() -> None:
    policy = logistic_thompson()
    one, other = (policy.init(policy.params, Problem(2, (1,))) for _ in range(2))
    for t, (wild, tame) in enumerate([(7.0, 1.0), (-3.0, 0.0), (0.5, 0.5)]):
        x.learn(policy, one, x.instance(t, np.array([1.0 * t]), 2), t % 2, wild)
        x.learn(policy, other, x.instance(t, np.array([1.0 * t]), 2), t % 2, tame)
    assert np.array_equal(one.model.theta, other.model.theta)


def test_a_feature_that_decides_is_learned() -> None:
    """Clicks come where the feature is positive; the logit then grows with it."""
    policy = logistic_thompson(propensities=False)
    state = policy.init(policy.params, Problem(1, (1,)))
    rng = np.random.default_rng(2)
    for t in range(200):
        z = float(rng.normal())
        x.learn(policy, state, x.instance(t, np.array([z]), 1), 0, float(rng.random() < expit(2.0 * z)))
    logits, width = np.zeros((3, 1)), np.zeros(1)
    for i, z in enumerate((-1.0, 0.0, 1.0)):
        appraise(policy.params, state, x.instance(0, np.array([z]), 1), logits[i], width)
    assert all(low < high - 1.0 for low, high in pairwise(logits[:, 0]))
    assert logits[:, 0] == pytest.approx([-2.0, 0.0, 2.0], abs=0.8)


@pytest.mark.jit
def test_sampled_decisions_follow_the_same_law() -> None:
    exact, sampled = logistic_thompson(), logistic_thompson(propensities=False)
    states = [x.taught(policy, Problem(3, (2,)), 40, 0.3) for policy in (exact, sampled)]
    context = np.array([0.2, -0.4])
    law = x.law_of(exact, states[0], x.instance(0, context))
    drawn = [x.decide(sampled, states[1], x.instance(t, context)) for t in range(20_000)]
    counts = np.bincount([decision.action for decision in drawn], minlength=3)
    assert (np.abs(counts / 20_000 - law) <= 4.0 * np.sqrt(law * (1.0 - law) / 20_000)).all()
    assert math.isnan(drawn[0].propensity)


def test_params_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidInput, match="alpha"):
        logistic_thompson(alpha=-1.0)
    with pytest.raises(InvalidInput, match="propensities"):
        logistic_thompson(propensities=1)  # type: ignore[arg-type]


def test_the_largest_features_there_are_leave_finite_numbers() -> None:
    """A late outlier, whose logit is far from any that was learned."""
    policy = catalog.make("logistic_thompson")
    problem = Problem(3, (3, 3))
    state = policy.init(policy.params, problem)
    rng = np.random.default_rng(0)
    for t in range(80):
        context = rng.normal(size=(3, 3)) * (1e307 if t in (3, 20, 70, 71) else 1.0)
        instance, key = Instance(t, context, np.ones(3, np.bool_)), Key(np.uint64(3), t)
        with np.errstate(over="ignore", invalid="ignore"):  # on the way to a finite answer, without the JIT
            decision = Decision(*loop.decide(policy.params, state, instance, key))
            assert 0.0 < decision.propensity <= 1.0
            feedback = Feedback(float(rng.random() < 0.5), np.zeros(0))
            loop.learn(policy.params, state, instance, decision, feedback, key)
    for name, array in zip(state.model._fields, state.model, strict=True):
        assert np.isfinite(array).all(), name
