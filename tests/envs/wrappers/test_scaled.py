"""Scaled: the world inside in other units, and noise of the law that was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import observe, regret, respond
from onearm.engine.vocabulary import Environment, Instance, Key
from onearm.envs import catalog

RUN = run_key(1, 0, NATURE)
INNER = {"name": "normal", "params": {"mean": [0.5, 0.75], "sd": 0.25}}


def paid(env: Environment, steps: int, arm: int = 0) -> tuple[np.ndarray, float]:
    """Return the rewards of an arm, and its regret."""
    state = env.init(env.params, env.problem, RUN)
    context, available = np.zeros(env.problem.context_shape), np.ones(env.problem.n_arms, np.bool_)
    rewards = []
    for t in range(steps):
        observe(env.params, state, t, context, available, Key(RUN, t))
        instance = Instance(t, context, available)
        rewards.append(respond(env.params, state, instance, arm, np.zeros(0), Key(RUN, t))[0])
    return np.array(rewards), regret(env.params, state, instance, arm)


def test_rewards_and_regret_are_those_inside_in_other_units() -> None:
    inner, shortfall = paid(catalog.from_spec(INNER), 50)
    rewards, scaled_shortfall = paid(catalog.make("scaled", env=INNER, scale=4.0, offset=-7.0), 50)
    assert (rewards == 4.0 * inner - 7.0).all()
    assert scaled_shortfall == 4.0 * shortfall == 1.0


def test_nothing_is_paid_that_no_interface_would_take() -> None:
    rewards, _ = paid(catalog.make("scaled", env=INNER, scale=1e100, noise=1e100, degrees=0.1), 50)
    assert (rewards.min(), rewards.max()) == (-1e100, 1e100)


@pytest.mark.parametrize("degrees", [1.0, 2.0, 7.5])
def test_noise_is_of_students_law(degrees: float) -> None:
    inner, _ = paid(catalog.from_spec(INNER), 2000)
    env = catalog.make("scaled", env=INNER, scale=2.0, offset=1.0, noise=0.5, degrees=degrees)
    noise = (paid(env, 2000)[0] - (2.0 * inner + 1.0)) / (2.0 * 0.5)
    assert stats.kstest(noise, stats.t(degrees).cdf).pvalue > 0.01
    assert stats.kstest(noise, stats.t(degrees + 20.0).cdf).pvalue < 0.01 or degrees > 7.0
    assert abs(np.corrcoef(np.clip(noise, -3, 3), inner)[0, 1]) < 4 / np.sqrt(2000)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"scale": 0.0}, "scale"),
        ({"noise": -1.0}, "noise"),
        ({"degrees": 0.0}, "degrees"),
        ({"offset": float("nan")}, "offset"),
        ({"env": {"name": "sea", "params": {"dimension": 3}}}, "env decides vectors"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("scaled", **{"env": INNER, **params})


def test_its_range_is_that_of_the_environment_inside_in_its_units_unless_there_is_noise() -> None:
    coin = {"name": "bernoulli", "params": {"mean": [0.5]}}
    assert catalog.make("scaled", env=coin, scale=4.0, offset=-1.0).problem.reward_range == (-1.0, 3.0)
    assert catalog.make("scaled", env=coin, noise=0.1).problem.reward_range is None
    assert catalog.make("scaled", env=INNER).problem.reward_range is None
    assert catalog.make("scaled", env=coin, scale=1e-9, offset=1e9).problem.reward_range is None  # all is 1e9
