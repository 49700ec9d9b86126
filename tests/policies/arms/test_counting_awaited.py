"""UCB1 and KL-UCB that count what is awaited: they take turns where they repeated themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)
NAMES = ["ucb1", "kl_ucb"]
ALL = np.ones(4, np.bool_)


def decide(policy: Policy, state: Any, t: int) -> int:
    return int(loop.decide(policy.params, state, Instance(t, np.zeros(0), ALL), Key(RUN, t)).action)


def learn(policy: Policy, state: Any, t: int, arm: int, reward: float) -> None:
    instance = Instance(t, np.zeros(0), ALL)
    loop.learn(policy.params, state, instance, Decision(arm, 1.0), Feedback(reward, np.zeros(0)), Key(RUN, t))


@pytest.mark.parametrize("name", NAMES)
def test_arms_take_turns_while_nothing_is_learned(name: str) -> None:
    for wait, taken in ((0, [0] * 8), (100, [0, 1, 2, 3, 0, 1, 2, 3])):
        policy = catalog.make(name, wait=wait)
        state = policy.init(policy.params, Problem(4))
        assert [decide(policy, state, t) for t in range(8)] == taken


def test_the_width_is_that_of_what_was_learned_and_is_awaited() -> None:
    policy = catalog.make("ucb1", wait=100)
    state = policy.init(policy.params, Problem(4))
    arms = [decide(policy, state, t) for t in range(50)]
    for t in range(0, 50, 3):
        learn(policy, state, t, arms[t], 0.5)
    widths, scores = np.zeros(4), np.zeros(4)
    law, parts = np.zeros(4), np.zeros((4, 1))
    loop.explain(policy.params, state, Instance(50, np.zeros(0), ALL), law, scores, widths, parts)
    wanted = [math.sqrt(2 * math.log(50) / arms.count(arm)) for arm in range(4)]
    assert widths.tolist() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_never_answered_counts_for_the_wait(name: str) -> None:
    policy = catalog.make(name, wait=5)
    state = policy.init(policy.params, Problem(4))
    for t in range(200):
        decide(policy, state, t)
    assert state.awaited.by_action.sum() == 5


@pytest.mark.parametrize("name", NAMES)
def test_rewards_that_come_a_thousand_decisions_late_are_survived(name: str) -> None:
    world = {"name": "bernoulli", "params": {"mean": [0.1, 0.2, 0.3, 0.4, 0.6]}}
    env = envs.make("delayed", env=world, delay=1000)
    lost = {
        wait: simulate(catalog.make(name, wait=wait), env, horizon=2000, replications=2, seed=0).regret[:, -1].mean()
        for wait in (0, 1100)
    }
    assert lost[1100] < 0.8 * lost[0]
