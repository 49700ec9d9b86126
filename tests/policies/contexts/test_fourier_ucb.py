"""Fourier UCB: a rule worked by hand, freedom from units, and a table that bends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

KEY = Key(np.uint64(0), 0)


def play(contexts: Array, rewards: Array, spec: str = "fourier_ucb") -> list[int]:
    """Return the arms that the policy plays on float64[n, d] contexts and float64[n, k] rewards."""
    policy = catalog.parse(spec)
    n, k = rewards.shape
    state = policy.init(policy.params, Problem(k, contexts.shape[1:]))
    chosen = []
    for t in range(n):
        instance = Instance(t, contexts[t], np.ones(k, np.bool_))
        action = loop.decide(policy.params, state, instance, KEY).action
        chosen.append(int(action))
        feedback = Feedback(float(rewards[t, action]), np.zeros(0))
        loop.learn(policy.params, state, instance, Decision(action, 1.0), feedback, KEY)
    return chosen


def test_without_contexts_the_rule_by_hand() -> None:
    """A ridge of one intercept: mean = sum / (n + 0.3), width = 1 / sqrt(n + 0.3)."""
    policy = catalog.make("fourier_ucb", origin=0.0)
    state = policy.init(policy.params, Problem(3))
    total, count, square, low, high = np.zeros(3), np.zeros(3), 0.0, 0.0, 0.0
    rewards = np.random.default_rng(1).normal([1.0, 1.5, 1.2], 0.3, (40, 3))
    seen = 0
    for t in range(40):
        mean, width = total / (count + 0.3), 1 / np.sqrt(count + 0.3)
        sd = math.sqrt((square + (0.5 * (high - low)) ** 2) / (seen + 1.0))
        alpha = 1.0
        if sd > 0.0:
            alpha = max(min(1.5 * sd, *((0.3 * low + 0.7 * high - mean) / width)), 0.2 * sd)
        instance = Instance(t, np.zeros(0), np.ones(3, np.bool_))
        arm = int(loop.decide(policy.params, state, instance, KEY).action)
        assert arm == int(np.argmax(mean + alpha * width))
        reward = float(rewards[t, arm])
        loop.learn(policy.params, state, instance, Decision(arm, 1.0), Feedback(reward, np.zeros(0)), KEY)
        square += (reward - mean[arm]) ** 2 / (1 + width[arm] ** 2)
        low, high = (min(low, reward), max(high, reward)) if seen else (reward, reward)
        total[arm], count[arm], seen = total[arm] + reward, count[arm] + 1, seen + 1


@pytest.mark.usefixtures("few_cosines")
def test_units_of_contexts_and_of_rewards_do_not_matter() -> None:
    """Powers of two scale without rounding, so not even a tie may break another way."""
    random = np.random.default_rng(2)
    contexts, rewards = random.normal(size=(48, 3)), random.integers(0, 5, size=(48, 3)).astype(float)
    plain = play(contexts, rewards)
    assert len(set(plain)) == 3
    assert play(contexts * [1024.0, 1.0, 2.0**-20], rewards) == plain
    assert play(contexts, 4096.0 * rewards) == plain


def test_where_a_prediction_reaches_the_target_there_is_next_to_no_exploration() -> None:
    rewards = np.tile([1.0, 0.0], (60, 1))
    contexts = np.zeros((60, 0))
    assert play(contexts, rewards).count(1) <= 4


@pytest.mark.slow
@pytest.mark.jit
def test_it_bends_where_linear_policies_cannot() -> None:
    """Two rings: which arm is right depends on the distance from the origin, on which no linear score does."""
    random = np.random.default_rng(3)
    angle, right = random.uniform(0, 2 * math.pi, 1500), random.integers(0, 2, 1500)
    radius = np.where(right == 1, 2.0, 1.0) + random.normal(0, 0.1, 1500)
    table = {"features": np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), "label": right}
    env = envs.make("classification", **{name: values.tolist() for name, values in table.items()})

    def share(spec: str) -> float:
        curves = simulate(catalog.parse(spec), env, horizon=1500, replications=4, seed=1)
        return float(curves.reward[:, -1].mean() / 1500)

    assert share("fourier_ucb") > 0.93
    assert share("linucb") < 0.65


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize(("dataset", "low"), [("wine", 0.90), ("breast_cancer", 0.95)])
def test_untuned_it_classifies_while_it_learns(dataset: str, low: float) -> None:
    env = envs.make("classification", dataset=dataset)
    n: Any = env.problem.horizon
    curves = simulate(catalog.make("fourier_ucb"), env, horizon=n, replications=10, seed=0)
    assert curves.reward[:, -1].mean() / n > low
