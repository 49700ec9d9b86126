"""UCB1: its bounds worked by hand, its regret against theorem 1."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import explains
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

MEANS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8]
RUN = run_key(1, 0, POLICY)
ALL = np.ones(3, np.bool_)


def test_arms_never_learned_come_first_and_in_order() -> None:
    policy = catalog.make("ucb1")
    state = policy.init(policy.params, Problem(3))
    for t in range(3):
        instance = Instance(t, np.zeros(0), ALL)
        decision = Decision(*loop.decide(policy.params, state, instance, Key(RUN, t)))
        assert decision == (t, 1.0)
        loop.learn(policy.params, state, instance, decision, Feedback(0.5, np.zeros(0)), Key(RUN, t))


@pytest.mark.parametrize("alpha", [0.1, 1.0, 3.0])
def test_the_arm_of_the_highest_bound_is_taken(alpha: float) -> None:
    policy = catalog.make("ucb1", alpha=alpha)
    for t in range(3, 103):
        rng = np.random.default_rng(t)
        count, mean = rng.integers(1, 50, 6), rng.random(6)
        state = policy.init(policy.params, Problem(6))._replace(count=count, mean=mean, width=1 / np.sqrt(count))
        bounds = [m + alpha * math.sqrt(2 * math.log(t) / n) for m, n in zip(mean, count, strict=True)]
        available = rng.random(6) < 0.7
        available[rng.integers(6)] = True
        decision = loop.decide(policy.params, state, Instance(t, np.zeros(0), available), Key(RUN, t))
        assert decision.action == int(np.argmax(np.where(available, bounds, -np.inf)))


def test_means_and_widths_are_those_of_the_rewards() -> None:
    policy = catalog.make("ucb1")
    state = policy.init(policy.params, Problem(2))
    rewards = [0.25, 1.0, 0.0, 0.5, 0.75]
    for t, reward in enumerate(rewards):
        instance = Instance(t, np.zeros(0), np.ones(2, np.bool_))
        loop.learn(policy.params, state, instance, Decision(1, 1.0), Feedback(reward, np.zeros(0)), Key(RUN, t))
    assert state.count.tolist() == [0, 5]
    assert state.mean == pytest.approx([0.0, np.mean(rewards)], abs=1e-15)
    assert state.width.tolist() == pytest.approx([math.inf, 1 / math.sqrt(5)])


def test_alpha_must_be_positive() -> None:
    with pytest.raises(InvalidInput, match="alpha is 0"):
        catalog.make("ucb1", alpha=0.0)


@pytest.mark.jit
def test_regret_is_within_theorem_1() -> None:
    horizon = 100_000
    env = envs.make("bernoulli", mean=MEANS)
    regret = simulate(catalog.make("ucb1"), env, horizon=horizon, replications=20, seed=1).regret[:, -1]
    gaps = 0.8 - np.array(MEANS[:-1])
    bound = 8 * math.log(horizon) * (1 / gaps).sum() + (1 + math.pi**2 / 3) * gaps.sum()
    assert 0.1 * bound < regret.mean() < bound


def test_it_explains_itself_by_mean_and_bonus() -> None:
    """At t = 8 the bonus is 2 sqrt(2 ln 8 / count): ln 8 = 2.0794, so 4.0787 after 1 reward and 2.0393 after 4."""
    policy = catalog.make("ucb1", alpha=2.0)
    state = policy.init(policy.params, Problem(4))._replace(
        count=np.array([1, 4, 0, 9]), mean=np.array([0.5, 0.25, 0.0, 1.0]), width=np.array([1.0, 0.5, np.inf, 1 / 3])
    )
    scores, widths, law, parts = np.zeros(4), np.zeros(4), np.zeros(4), np.zeros((4, 1))
    available = np.array([True, True, True, False])
    assert explains(policy.params)
    loop.explain(policy.params, state, Instance(8, np.zeros(0), available), law, scores, widths, parts)
    assert law[:3].tolist() == [0.0, 0.0, 1.0]
    np.testing.assert_allclose(scores[:3], [0.5, 0.25, np.nan])
    np.testing.assert_allclose(widths[:3], [4.0787, 2.0393, np.nan], atol=1e-4)
