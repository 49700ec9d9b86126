"""MOSS: its two bonuses worked by hand, its regret against both published bounds."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.protocol import explains
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)


def without_horizon(policy: Policy) -> Policy:
    """Return the policy as it starts where no horizon is known."""
    return dataclasses.replace(
        policy, init=lambda params, problem: policy.init(params, dataclasses.replace(problem, horizon=None))
    )


@pytest.mark.parametrize("horizon", [None, 900])
def test_the_arm_of_the_highest_bound_is_taken(horizon: int | None) -> None:
    policy = catalog.make("moss", alpha=2.0)
    for t in range(100, 200):
        rng = np.random.default_rng(t)
        state = policy.init(policy.params, Problem(4, horizon=horizon))
        counts, totals = rng.integers(1, 40, 4), np.zeros(4)
        for arm in np.repeat(np.arange(4), counts):
            feedback = Feedback(float(rng.random()), np.zeros(0))
            instance = Instance(t, np.zeros(0), np.ones(4, np.bool_))
            loop.learn(policy.params, state, instance, Decision(int(arm), 1.0), feedback, Key(RUN, t))
            totals[arm] += feedback.reward
        time, factor = (horizon, 1.0) if horizon else (t, (1 + 2.0) / 2)
        bounds = [
            total / n + math.sqrt(factor * max(math.log(time / (4 * n)), 0) / n)
            for total, n in zip(totals, counts, strict=True)
        ]
        available = rng.random(4) < 0.8
        available[rng.integers(4)] = True
        decision = loop.decide(policy.params, state, Instance(t, np.zeros(0), available), Key(RUN, t))
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


@pytest.mark.parametrize(("horizon", "widths"), [(80, [1.7308, 0.6343, math.nan]), (None, [1.0197, 0.0, math.nan])])
def test_it_explains_itself_by_mean_and_bonus(horizon: int | None, widths: list[float]) -> None:
    """Of T = 80: sqrt(ln 20) = 1.7308, and sqrt(ln 5 / 4) = 0.6343; at t = 8 of no end: sqrt(1.5 ln 2) = 1.0197."""
    policy = catalog.make("moss", alpha=2.0)
    state = policy.init(policy.params, Problem(4, horizon=horizon))._replace(
        count=np.array([1, 4, 0, 0]),
        mean=np.array([0.5, 0.25, 0.0, 0.0]),
        log_share=np.array([math.log(4), math.log(16), -math.inf, -math.inf]),
    )
    scores, bonuses, law, parts = np.zeros(4), np.zeros(4), np.zeros(4), np.zeros((4, 1))
    instance = Instance(8, np.zeros(0), np.array([True, True, True, False]))
    assert explains(policy.params)
    loop.explain(policy.params, state, instance, law, scores, bonuses, parts)
    assert law[:3].tolist() == [0.0, 0.0, 1.0]
    np.testing.assert_allclose(scores[:3], [0.5, 0.25, np.nan])
    np.testing.assert_allclose(bonuses[:3], widths, atol=1e-4)
