"""Priced: the rewards of the world inside, and costs of the law that was asked for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import respond
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import LEARN, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RUN = run_key(1, 0, NATURE)
INNER = {"name": "normal", "params": {"mean": [0.5, 0.75], "sd": 0.25}}


def told(steps: int, arm: int, **more: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the rewards and costs of an arm."""
    env = catalog.make("priced", env=INNER, cost=[2.0, 3.0], **more)
    state, detail = env.init(env.params, env.problem, RUN), np.zeros(1)
    rewards, costs = np.zeros(steps), np.zeros(steps)
    for t in range(steps):
        instance = Instance(t, np.zeros(0), np.ones(2, np.bool_))
        rewards[t] = respond(env.params, state, instance, arm, detail, Key(RUN, t))[0]
        costs[t] = detail[0]
    return rewards, costs


def test_rewards_are_those_inside() -> None:
    env = catalog.from_spec(INNER)
    state = env.init(env.params, env.problem, RUN)
    at = [Instance(t, np.zeros(0), np.ones(2, np.bool_)) for t in range(30)]
    inside = [respond(env.params, state, one, 1, np.zeros(0), Key(RUN, one.t))[0] for one in at]
    assert told(30, 1, spread=0.5)[0].tolist() == inside


def test_costs_are_as_listed_and_change_once() -> None:
    assert told(6, 1, at=4, factor=2.0)[1].tolist() == [3.0] * 4 + [6.0] * 2


@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_costs_vary_by_a_gamma_law(spread: float) -> None:
    costs = told(2000, 0, spread=spread)[1]
    shape = 1.0 / spread**2
    assert stats.kstest(costs / 2.0, stats.gamma(shape, scale=1.0 / shape).cdf).pvalue > 0.01
    assert stats.kstest(costs / 2.0, stats.gamma(1.3 * shape, scale=1.0 / shape).cdf).pvalue < 0.01


def test_a_log_holds_the_costs() -> None:
    env = catalog.make("priced", env=INNER, cost=[2.0, 3.0])
    assert (env.problem.feedback, env.problem.detail_length) == ("cost", 1)
    columns = Simulation(policies.make("uniform"), env, horizon=40, seed=3).advance_logged(40)
    learned = columns.kind == LEARN
    assert columns.detail[learned, 0].tolist() == [[2.0, 3.0][arm] for arm in columns.action[learned]]
    assert math.isnan(columns.detail[~learned, 0][0])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"cost": [1.0]}, "one per arm"),
        ({"cost": [1.0, -1.0]}, "cost"),
        ({"spread": -1.0}, "spread"),
        ({"at": -1}, "at is -1"),
        ({"factor": -1.0}, "factor"),
        ({"env": "arm_stream"}, "numbered once for all"),
        ({"env": {"name": "priced", "params": {"env": INNER, "cost": [1.0, 1.0]}}}, "inside"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("priced", **{"env": INNER, "cost": [2.0, 3.0], **params})
