"""Tsallis-INF over losses of any scale: step by step beside a reference, free of the scale, within published bands."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import pytest
from support.tsallis_reference import Reference

from onearm.engine import loop, snapshot
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.simulation import Simulation, simulate
from onearm.engine.vocabulary import Array, Decision, Environment, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)
ESTIMATORS = ("importance_weighted", "reduced_variance")
K = 8


def scaled(estimator: str, reward_max: float = -1.0) -> Policy:
    return catalog.make("tsallis_inf", estimator=estimator, scale="running_mean", reward_max=reward_max)


def mask(t: int) -> Array:
    """Return all arms, but on every fourth decision only five of them."""
    return np.ones(K, np.bool_) if t % 4 else np.roll(np.arange(K) < 5, t)


def iterations(t: int, arm: int) -> int:
    """Return a cost of 1 to about 200, the lower the nearer the arm is to 5."""
    return 1 + int(np.random.default_rng([t, arm]).integers(1, 20)) * (1 + (arm - 5) ** 2 // 2)


def decide(policy: Policy, state: Any, t: int) -> Decision:
    return Decision(*loop.decide(policy.params, state, Instance(t, np.zeros(0), mask(t)), Key(RUN, t)))


def learn(policy: Policy, state: Any, t: int, decision: Decision, reward: float) -> None:
    instance = Instance(t, np.zeros(0), mask(t))
    loop.learn(policy.params, state, instance, decision, Feedback(reward, np.zeros(0)), Key(RUN, t))


@pytest.mark.covering
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("late", [0, 5])
def test_every_law_is_that_of_the_reference(estimator: str, late: int) -> None:
    """Late feedback has the clock of its decision, and the scale and baselines of the state that learns."""
    policy = scaled(estimator)
    state = policy.init(policy.params, Problem(K))
    reference = Reference(K, estimator == "reduced_variance")
    waiting: list[tuple[int, Decision]] = []
    baselines = 0
    for t in range(200):
        decision = decide(policy, state, t)
        law = reference.law(t + 1, mask(t))
        assert state.scratch_work.law / state.scratch_work.law.sum() == pytest.approx(law, abs=1e-9)
        assert decision.propensity == pytest.approx(law[decision.action], abs=1e-9)
        waiting.append((t, decision))
        while len(waiting) > late:
            then, made = waiting.pop(t % len(waiting))
            cost = iterations(then, made.action)
            learn(policy, state, then, made, -float(cost))
            reference.learn(then + 1, mask(then), made.action, cost - 1.0, made.propensity)
        baselines += bool(state.losses.shift.any())
    assert state.losses.total[0] / state.losses.learned[0] == pytest.approx(reference.scale)
    assert (baselines > 100) == (estimator == "reduced_variance")


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("power", [-30, -1, 7, 200])
def test_a_power_of_two_in_all_rewards_changes_no_bit(estimator: str, power: int) -> None:
    made = []
    for factor in (1.0, 2.0**power):
        policy = scaled(estimator, reward_max=-0.75 * factor)
        state = policy.init(policy.params, Problem(K))
        decisions = []
        for t in range(120):
            decisions.append(decide(policy, state, t))
            learn(policy, state, t, decisions[-1], -factor * iterations(t, decisions[-1].action))
        made.append(decisions)
    assert made[0] == made[1]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_reward_at_the_most_or_above_has_no_loss(estimator: str) -> None:
    policy = scaled(estimator)
    state = policy.init(policy.params, Problem(K))
    for t in range(12):
        decision = decide(policy, state, t)
        assert decision.propensity == pytest.approx(1.0 / mask(t).sum(), rel=1e-12)
        learn(policy, state, t, decision, (-1.0, 0.0, 1e100)[t % 3])
    assert (state.losses.total[0], state.losses.learned[0]) == (0.0, 12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_with_the_unit_scale_reward_max_moves_the_range(estimator: str) -> None:
    """Rewards of 0 to 1 and those 2 below have the same losses, to the bit where both are eighth parts."""
    digests = []
    for reward_max in (1.0, -1.0):
        policy = catalog.make("tsallis_inf", estimator=estimator, reward_max=reward_max)
        state = policy.init(policy.params, Problem(K))
        for t in range(100):
            decision = decide(policy, state, t)
            learn(policy, state, t, decision, reward_max - (1 + t + decision.action) % 11 / 8)
        digests.append(snapshot.digest(state))
    assert digests[0] == digests[1]
    assert state.loss.sum() > 50


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"scale": "median"}, "scale is 'median': it must be one of unit, running_mean"),
        ({"reward_max": float("inf")}, "reward_max is inf"),
        ({"reward_max": True}, "reward_max is True"),
    ],
)
def test_params_that_cannot_be_are_refused(params: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInput, match=match) as refused:
        catalog.make("tsallis_inf", **params)
    assert refused.value.code == "bad_param"


GOLDEN = {
    "importance_weighted": "7991a6cee124a9fd303d60281c457ea7",
    "reduced_variance": "74b0980161b48e6315700e14a93bf079",
}


def course(estimator: str) -> str:
    """Return the digest of 300 decisions and of the state after them."""
    policy = scaled(estimator)
    state = policy.init(policy.params, Problem(K))
    made = hashlib.sha256()
    for t in range(300):
        decision = decide(policy, state, t)
        made.update(struct.pack("<qd", decision.action, decision.propensity))
        learn(policy, state, t, decision, -1.0 - (t * 7 + decision.action * 5) % 13)
    return made.hexdigest()[:16] + snapshot.digest(state)[:16]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_bits_are_golden(estimator: str) -> None:
    assert course(estimator) == GOLDEN[estimator]


@pytest.mark.jit
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_bits_are_golden_when_compiled(estimator: str) -> None:
    assert course(estimator) == GOLDEN[estimator]


def mean_iterations(policy: Policy, env: Environment, seed: int) -> float:
    simulation = Simulation(policy, env, horizon=5000, seed=seed)
    simulation.advance(5000)
    return float(-simulation.totals.reward[0] / 5000)


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize(("variance", "low", "high", "best"), [("low", 64, 71, 1.65), ("high", 114, 125, 1.8)])
def test_mean_iterations_lie_in_the_bands_of_independent_runs(
    variance: str, low: float, high: float, best: float
) -> None:
    """Bands of three standard deviations around four runs of another implementation; the ratio to the best omega."""
    env = envs.make("shifted_laplacian", variance=variance)
    fixed = mean_iterations(catalog.make("fixed_omega", omega=best), env, seed=1)
    weighted, reduced = (mean_iterations(scaled(estimator), env, seed=1) for estimator in ESTIMATORS)
    assert low < weighted < high
    assert low - 3 < reduced < high
    assert 1.08 < weighted / fixed < 1.21


@pytest.mark.jit
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("factor", [1.0, 1e4])
def test_the_best_arm_is_learned_whatever_the_scale(estimator: str, factor: float) -> None:
    means = (-factor * np.array([4.0, 3.0, 1.5, 2.5, 5.0])).tolist()
    env = envs.make("normal", mean=means, sd=0.2 * factor)
    policy = scaled(estimator, reward_max=0.0)
    curves = simulate(policy, env, horizon=20_000, replications=4, seed=1)
    late = np.interp(20_000, curves.t, curves.regret.mean(axis=0)) - np.interp(
        10_000, curves.t, curves.regret.mean(axis=0)
    )
    uniform = factor * (3.2 - 1.5)
    assert 0 < late / 10_000 < 0.05 * uniform
