"""Normal: mean plus noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from onearm.engine.draws import NATURE, normal, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import regret, respond
from onearm.engine.vocabulary import Instance, Key
from onearm.envs import catalog

RUN = run_key(1, 0, NATURE)


def test_the_reward_is_the_mean_plus_the_scaled_draw() -> None:
    env = catalog.make("normal", mean=[-1.0, 4.0], sd=0.5)
    state = env.init(env.params, env.problem, RUN)
    for t in range(20):
        instance = Instance(t, np.zeros(0), np.ones(2, np.bool_))
        for arm, mean in enumerate([-1.0, 4.0]):
            reward, delay = respond(env.params, state, instance, arm, np.zeros(0), Key(RUN, t))
            assert (reward, delay) == (mean + 0.5 * normal(Key(RUN, t), 0), 0)
        assert [regret(env.params, state, instance, arm) for arm in (0, 1)] == [5.0, 0.0]


def test_rewards_are_normal() -> None:
    env = catalog.make("normal", mean=[3.0], sd=2.0)
    state = env.init(env.params, env.problem, RUN)
    rewards = [
        respond(env.params, state, Instance(t, np.zeros(0), np.ones(1, np.bool_)), 0, np.zeros(0), Key(RUN, t))[0]
        for t in range(1000)
    ]
    assert kstest(rewards, "norm", (3.0, 2.0)).pvalue > 0.01


@pytest.mark.parametrize("params", [{"mean": []}, {"mean": [float("inf")]}, {"mean": [0.0], "sd": -1.0}])
def test_bad_params_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        catalog.make("normal", **params)
