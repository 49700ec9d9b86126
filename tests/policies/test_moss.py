"""MOSS: its two bonuses worked by hand, its regret against both published bounds."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.experiment import simulate
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog
from onearm.policies.moss import MossState

RUN = run_key(1, 0, POLICY)


def without_horizon(policy: Policy) -> Policy:
    """Return the policy as it starts where no horizon is known."""
    return dataclasses.replace(
        policy, init=lambda params, problem: policy.init(params, dataclasses.replace(problem, horizon=None))
    )


@pytest.mark.parametrize("horizon", [None, 500])
@pytest.mark.parametrize("seed", range(8))
def test_the_arm_of_the_highest_bound_is_taken(horizon: int | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    policy = catalog.make("moss", alpha=2.0)
    state: MossState = policy.init(policy.params, Problem(4, horizon=horizon))
    counts, totals = np.zeros(4), np.zeros(4)
    for t in range(60):
        arm, reward = t if t < 4 else int(rng.integers(4) // rng.integers(1, 4)), float(rng.random())
        instance = Instance(t, np.zeros(0), np.ones(4, np.bool_))
        loop.learn(policy.params, state, instance, Decision(arm, 1.0), Feedback(reward, np.zeros(0)), Key(RUN, t))
        counts[arm] += 1
        totals[arm] += reward
    available = rng.random(4) < 0.8
    available[0] = True
    time, factor = (horizon, 1.0) if horizon else (60, (1 + 2.0) / 2)
    bounds = [
        total / n + math.sqrt(factor * max(math.log(time / (4 * n)), 0) / n)
        for total, n in zip(totals, counts, strict=True)
    ]
    decision = loop.decide(policy.params, state, Instance(60, np.zeros(0), available), Key(RUN, 60))
    assert tuple(decision) == (int(np.argmax(np.where(available, bounds, -1.0))), 1.0)


def test_an_arm_with_its_share_of_the_horizon_has_no_bonus() -> None:
    policy = catalog.make("moss")
    fresh = policy.init(policy.params, Problem(2, horizon=100))
    instance = Instance(90, np.zeros(0), np.ones(2, np.bool_))
    # With half of the horizon each, the means alone decide; with less, the arm that was played less.
    for counts, arm in (([50, 50], 0), ([50, 5], 1)):
        state = fresh._replace(
            count=np.array(counts), mean=np.array([0.5, 0.49]), log_share=np.log(2.0 * np.array(counts))
        )
        assert loop.decide(policy.params, state, instance, Key(RUN, 90)).action == arm


@pytest.mark.jit
@pytest.mark.parametrize("gap", [0.02, 0.1, 0.5])
def test_regret_is_within_both_bounds(gap: float) -> None:
    horizon, k = 20_000, 10
    env = envs.make("bernoulli", mean=[0.5] * (k - 1) + [0.5 + gap])
    known, anytime = (
        simulate(policy, env, horizon=horizon, replications=10, seed=1).regret[:, -1].mean()
        for policy in (catalog.make("moss"), without_horizon(catalog.make("moss")))
    )
    scale = math.sqrt(k * horizon)
    assert 0.0 < known < min(49 * scale, gap * horizon)
    assert 0.0 < anytime < min(113 * scale, gap * horizon)
    # What is seen in practice is far below what is proved.
    assert max(known, anytime) < 2 * scale
