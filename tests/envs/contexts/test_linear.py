"""Linear: contexts and rewards by their law, action sets that vary, and the regret of every action."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from onearm.engine.contexts import empty_context
from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import observe, regret, respond
from onearm.engine.vocabulary import Environment, Instance, Key
from onearm.envs import catalog

RUN = run_key(1, 0, NATURE)


def start(env: Environment, run: np.uint64 = RUN) -> Any:
    return env.init(env.params, env.problem, run)


def show(env: Environment, state: Any, t: int) -> Instance:
    context, available = empty_context(env.problem), np.ones(env.problem.n_arms, np.bool_)
    observe(env.params, state, t, context, available, Key(RUN, t))
    return Instance(t, context, available)


@pytest.mark.parametrize("action_features", [False, True])
def test_without_noise_the_reward_is_the_product_and_regret_the_gap_to_the_best_there(action_features: bool) -> None:
    env = catalog.make("linear", arms=4, dimension=3, noise=0.0, action_features=action_features, min_actions=1)
    state = start(env)
    assert np.linalg.norm(state.theta, axis=1) == pytest.approx(1.0)
    assert state.theta.shape == ((1, 3) if action_features else (4, 3))
    for t in range(30):
        instance = show(env, state, t)
        means = (state.theta @ np.transpose(instance.context)).ravel()
        best = means[instance.available].max()
        for a in range(4):
            reward, delay = respond(env.params, state, instance, a, np.zeros(0), Key(RUN, t))
            assert (reward, delay) == (pytest.approx(means[a], abs=1e-14), 0)
            assert regret(env.params, state, instance, a) == pytest.approx(best - means[a], abs=1e-14)


def test_contexts_and_the_noise_are_normal() -> None:
    env = catalog.make("linear", arms=2, dimension=4, noise=0.3)
    state = start(env)
    numbers, noise = [], []
    for t in range(500):
        instance = show(env, state, t)
        numbers.extend(instance.context)
        reward = respond(env.params, state, instance, 1, np.zeros(0), Key(RUN, t))[0]
        noise.append(reward - state.theta[1] @ instance.context)
    assert kstest(numbers, "norm").pvalue > 0.01
    assert kstest(noise, "norm", (0.0, 0.3)).pvalue > 0.01


def test_bernoulli_rewards_have_the_clipped_linear_probability() -> None:
    env = catalog.make("linear", arms=2, dimension=1, reward="bernoulli")
    state = start(env)
    slope = state.theta[0, 0]
    for x, p in ((0.0, 0.5), (1.0, 0.75), (-3.0, 0.0), (9.0, 1.0)):
        instance = Instance(0, np.array([x * slope]), np.ones(2, np.bool_))
        rewards = [respond(env.params, state, instance, 0, np.zeros(0), Key(RUN, t))[0] for t in range(2000)]
        assert set(rewards) <= {0.0, 1.0}
        assert np.mean(rewards) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 2000))


def test_every_action_set_of_a_size_is_as_likely() -> None:
    env = catalog.make("linear", arms=4, dimension=1, min_actions=2, action_features=True)
    state = start(env)
    seen: dict[tuple[bool, ...], int] = {}
    for t in range(3000):
        mask = tuple(show(env, state, t).available.tolist())
        seen[mask] = seen.get(mask, 0) + 1
    assert {sum(mask) for mask in seen} == {2, 3, 4}
    expected = {2: 3000 / 3 / 6, 3: 3000 / 3 / 4, 4: 3000 / 3}
    assert len(seen) == 6 + 4 + 1
    assert chisquare(list(seen.values()), [expected[sum(mask)] for mask in seen]).pvalue > 0.01


def test_theta_comes_from_the_key_of_nature() -> None:
    env = catalog.make("linear")
    assert (start(env).theta == start(env).theta).all()
    assert (start(env).theta != start(env, run_key(2, 0, NATURE)).theta).all()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"arms": 0}, "arms is 0"),
        ({"dimension": 0}, "dimension is 0"),
        ({"arms": 3, "min_actions": 4}, "min_actions is 4"),
        ({"noise": -1.0}, "noise is -1"),
        ({"reward": "poisson"}, "reward is 'poisson'"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("linear", **params)
