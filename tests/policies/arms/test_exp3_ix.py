"""Exp3-IX: its law and its estimates against the formulas, its regret against the bound of every likely run."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.protocol import probability
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)


@pytest.mark.parametrize("t", [0, 9, 10_000])
def test_the_law_is_the_softmax_of_the_losses(t: int) -> None:
    loss = np.array([3.0, 700.0, 4.5, 1e6])
    available = np.array([True, True, True, False])
    policy = catalog.make("exp3_ix")
    state = policy.init(policy.params, Problem(4))._replace(loss=loss)
    eta = math.sqrt(math.log(4) / (4 * (t + 1)))
    weights = np.exp(-eta * (loss - 3.0)) * available
    law = [probability(policy.params, state, Instance(t, np.zeros(0), available), a) for a in range(4)]
    assert law == pytest.approx(weights / weights.sum(), rel=1e-13)


def test_the_loss_is_divided_by_the_propensity_and_gamma_of_the_decisions_own_time() -> None:
    policy = catalog.make("exp3_ix")
    state = policy.init(policy.params, Problem(3))
    expected = np.zeros(3)
    for t, arm, propensity, reward in ((40, 1, 0.25, 0.3), (7, 0, 0.5, 1.0), (8, 0, 0.125, -5.0), (9, 2, 0.5, 5.0)):
        instance = Instance(t, np.zeros(0), np.ones(3, np.bool_))
        loop.learn(
            policy.params, state, instance, Decision(arm, propensity), Feedback(reward, np.zeros(0)), Key(RUN, 0)
        )
        gamma = math.sqrt(math.log(3) / (3 * (t + 1))) / 2
        expected[arm] += (1 - min(max(reward, 0), 1)) / (propensity + gamma)
    assert state.loss == pytest.approx(expected, rel=1e-14)


@pytest.mark.jit
def test_regret_against_an_adversary_is_within_the_bound_in_every_run() -> None:
    horizon, k, delta = 35_000, 10, 0.01
    regret = simulate(
        catalog.make("exp3_ix"), envs.make("adversarial"), horizon=horizon, replications=20, seed=1
    ).regret[:, -1]
    bound = 4 * math.sqrt(k * horizon * math.log(k)) + (2 * math.sqrt(k * horizon / math.log(k)) + 1) * math.log(
        2 / delta
    )
    assert regret.max() < bound
    # An arm at random loses 0.09 a decision; it has learned which arm is the best.
    assert regret.mean() < 0.5 * 0.09 * horizon
