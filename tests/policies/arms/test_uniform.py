"""Uniform: each available arm alike."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key, uniform
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Instance, Key, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

MEANS = [0.1, 0.5, 0.9]


def test_the_draw_picks_the_place_among_the_available_arms() -> None:
    policy = catalog.make("uniform")
    state = policy.init(policy.params, Problem(5))
    available = np.array([False, True, True, False, True])
    for t in range(50):
        key = Key(run_key(1, 0, POLICY), t)
        decision = loop.decide(policy.params, state, Instance(t, np.zeros(0), available), key)
        assert decision.action == (1, 2, 4)[int(uniform(key, 0) * 3)]
        assert decision.propensity == 1 / 3


@pytest.mark.jit
def test_regret_is_the_mean_gap_at_every_decision() -> None:
    curves = simulate(catalog.make("uniform"), envs.make("bernoulli", mean=MEANS), horizon=100_000, seed=1)
    gaps = 0.9 - np.array(MEANS)
    error = np.sqrt(gaps.var() / 100_000)
    assert abs(curves.regret[0, -1] / 100_000 - gaps.mean()) < 4 * error
