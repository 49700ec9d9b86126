"""RegCB: its optimistic score is the largest that a model of bounded excess loss can give; and a start from nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support import explorers as x

from onearm.engine import loop
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import fitted
from onearm.engine.vocabulary import Array, Policy, Problem
from onearm.policies import catalog
from onearm.policies.contexts.regcb import regcb


def optimistic(policy: Policy, rewards: Array, at: int, n_arms: int) -> tuple[Array, Array]:
    """Return scores and widths after these rewards of arm 0."""
    state = policy.init(policy.params, Problem(n_arms))
    for t, reward in enumerate(rewards):
        x.learn(policy, state, x.instance(t, k=n_arms), 0, float(reward))
    law, scores, widths, parts = np.zeros(n_arms), np.zeros(n_arms), np.zeros(n_arms), np.zeros((n_arms, 1))
    loop.explain(policy.params, state, x.instance(at, k=n_arms), law, scores, widths, parts)
    return scores, widths


def test_the_bound_is_the_edge_of_the_models_that_fit() -> None:
    """Search all means m whose loss sum (r - m)^2 + m^2 exceeds the least by at most delta; the prior is in it."""
    rewards = np.array([0.5, 2.0, 1.0, 1.5])
    policy = regcb(mellowness=0.7, noise=1.3, regularisation=1.0, origin=0.0)
    scores, widths = optimistic(policy, rewards, 4, 2)
    delta = 0.7 * 1.3**2 * math.log(4 + 2)
    means = np.linspace(-10.0, 10.0, 2_000_001)
    loss = ((rewards[:, None] - means[::100]) ** 2).sum(axis=0) + means[::100] ** 2
    assert scores[0] == pytest.approx(rewards.sum() / 5.0, rel=1e-12)
    assert scores[0] + widths[0] == pytest.approx(means[::100][loss <= loss.min() + delta].max(), abs=2e-3)
    assert scores[1] + widths[1] == pytest.approx(math.sqrt(delta), rel=1e-12)  # never played: m^2 <= delta


def test_decisions_by_hand() -> None:
    """Scores and widths of means with a prior of 1: total / (n + 1) and 1 / sqrt(n + 1)."""
    policy = regcb(mellowness=1.0, noise=1.0, regularisation=1.0, origin=0.0)
    state = policy.init(policy.params, Problem(3))
    total, count = np.zeros(3), np.zeros(3)
    for t in range(40):
        reach = math.sqrt(math.log(t + 2.0))
        expected = int((total / (count + 1) + reach / np.sqrt(count + 1)).argmax())
        decision = x.decide(policy, state, x.instance(t))
        assert decision == (expected, 1.0)
        reward = [0.1, 0.9, 0.4][expected] + 0.01 * (t % 7)
        x.learn(policy, state, x.instance(t), expected, reward)
        total[expected] += reward
        count[expected] += 1


def test_zeros_first_still_try_every_arm() -> None:
    policy = regcb()
    state = policy.init(policy.params, Problem(5))
    played = []
    for t in range(5):
        played.append(x.decide(policy, state, x.instance(t, k=5)).action)
        x.learn(policy, state, x.instance(t, k=5), played[-1], 0.0)
    assert played == [0, 1, 2, 3, 4]


def test_params_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidInput, match="mellowness"):
        regcb(mellowness=-0.1)


def test_the_mellowness_that_is_left_out_follows_from_the_kind_of_contexts() -> None:
    policy, named = catalog.make("regcb"), Problem(3, (3, 64), nonzeros=9)
    for problem, mellowness in ((Problem(3), 0.1), (Problem(3, (2,)), 0.1), (named, 0.05)):
        settled = fitted(policy, problem)
        assert settled.params.mellowness == settled.spec["params"]["mellowness"] == mellowness
        assert settled.spec["params"].keys() == policy.spec["params"].keys()
        assert fitted(catalog.from_spec(settled.spec), named).params == settled.params
    assert fitted(catalog.make("regcb", mellowness=0.1), named).params.mellowness == 0.1
