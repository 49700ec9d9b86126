"""Grouped: rewards by the law of the arm's group and its own part, and groups that are drawn evenly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import observe, regret, respond
from onearm.engine.vocabulary import Array, Environment, Instance, Key
from onearm.envs import catalog

RUN = run_key(1, 0, NATURE)


def start(env: Environment, run: np.uint64 = RUN) -> Any:
    return env.init(env.params, env.problem, run)


def show(env: Environment, state: Any, t: int) -> Instance:
    context, available = np.zeros(env.problem.context_shape), np.ones(env.problem.n_arms, np.bool_)
    observe(env.params, state, t, context, available, Key(RUN, t))
    return Instance(t, context, available)


def paid(env: Environment, state: Any, instance: Instance, arm: int) -> float:
    reward, delay = respond(env.params, state, instance, arm, np.zeros(0), Key(RUN, instance.t))
    assert delay == 0
    return float(reward)


def means(state: Any, x: Array, bend: float, own: float) -> Array:
    """Return the means of all arms by the formula."""
    g = state.group
    bent = np.abs(state.phi[g] @ x) - math.sqrt(2 / math.pi)
    mean: Array = state.theta[g] @ x + bend * bent + own * (state.delta @ x)
    return mean


def test_without_noise_the_reward_is_the_formula_and_regret_the_gap_to_the_best() -> None:
    env = catalog.make("grouped", arms=6, groups=2, dimension=3, bend=0.7, own=0.2, reward="normal", noise=0.0)
    state = start(env)
    for directions in (state.theta, state.phi, state.delta):
        assert np.linalg.norm(directions, axis=1) == pytest.approx(1.0)
    for t in range(20):
        instance = show(env, state, t)
        expected = means(state, instance.context, 0.7, 0.2)
        for a in range(6):
            assert paid(env, state, instance, a) == pytest.approx(expected[a], abs=1e-14)
            assert regret(env.params, state, instance, a) == pytest.approx(expected.max() - expected[a], abs=1e-14)


def test_regret_knows_the_mask() -> None:
    env = catalog.make("grouped", arms=6, groups=3, dimension=2)
    state = start(env)
    x = show(env, state, 0).context
    best = int(means(state, x, 0.0, 0.2).argmax())
    instance = Instance(0, x, np.arange(6) != best)
    assert min(regret(env.params, state, instance, a) for a in range(6) if a != best) == 0.0


def test_arms_of_a_group_pay_nearly_the_same() -> None:
    env = catalog.make("grouped", arms=40, groups=4, dimension=8, own=0.0, reward="normal", noise=0.0)
    state = start(env)
    instance = show(env, state, 3)
    rewards = np.array([paid(env, state, instance, a) for a in range(40)])
    for group in range(4):
        assert np.ptp(rewards[state.group == group]) == 0.0
    assert len(set(rewards)) == 4


def test_rewards_of_0_and_1_have_the_clipped_probability() -> None:
    env = catalog.make("grouped", arms=2, groups=1, dimension=1, own=0.0)
    state = start(env)
    for x, p in ((0.0, 0.5), (1.0, 0.75), (-3.0, 0.0), (9.0, 1.0)):
        context = np.array([x * state.theta[0, 0]])
        rewards = [paid(env, state, Instance(t, context, np.ones(2, np.bool_)), 0) for t in range(2000)]
        assert set(rewards) <= {0.0, 1.0}
        assert np.mean(rewards) == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 2000))


def test_contexts_and_the_noise_are_normal_and_groups_even() -> None:
    env = catalog.make("grouped", arms=2000, groups=4, dimension=4, reward="normal", noise=0.3)
    state = start(env)
    assert chisquare(np.bincount(state.group, minlength=4)).pvalue > 0.01
    numbers, noise = [], []
    for t in range(500):
        instance = show(env, state, t)
        numbers.extend(instance.context)
        noise.append(paid(env, state, instance, 1) - means(state, instance.context, 0.0, 0.2)[1])
    assert kstest(numbers, "norm").pvalue > 0.01
    assert kstest(noise, "norm", (0.0, 0.3)).pvalue > 0.01
    assert abs(np.corrcoef(numbers[::4], state.delta[:500, 0])[0, 1]) < 0.15, "both are drawn at the times 0, 1, 2 ..."


def test_directions_and_groups_come_from_the_key_of_nature() -> None:
    env = catalog.make("grouped")
    for one, same, other in zip(start(env), start(env), start(env, run_key(2, 0, NATURE)), strict=True):
        assert (one == same).all()
        assert (one != other).any()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"arms": 0}, "arms is 0"),
        ({"arms": 3, "groups": 4}, "groups is 4: it must be a whole number from 1 to 3"),
        ({"dimension": 0}, "dimension is 0"),
        ({"own": -1.0}, "own is -1"),
        ({"noise": math.nan}, "noise is nan"),
        ({"bend": math.inf}, "bend is inf"),
        ({"reward": "poisson"}, "reward is 'poisson'"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("grouped", **params)
