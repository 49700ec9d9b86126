"""Tsallis-INF: its law against published vectors and another solver, its estimates, its regret in both worlds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import probability
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)


def law_of(loss: Array, t: int, available: Array) -> list[float]:
    policy = catalog.make("tsallis_inf")
    state = policy.init(policy.params, Problem(len(loss)))._replace(loss=loss)
    instance = Instance(t, np.zeros(0), available)
    return [probability(policy.params, state, instance, a) for a in range(len(loss))]


@pytest.mark.parametrize(
    ("loss", "eta", "law"),
    [
        ([0.0, 1.0, 2.0, 3.0], 1.0, [0.46407542, 0.25821422, 0.16418515, 0.11352521]),
        ([10.0, 10.0, 50.0], 0.2, [0.48309664, 0.48309664, 0.03380672]),
        ([7.0, 7.0, 7.0, 7.0, 7.0], 0.5, [0.2] * 5),
        ([123.0], 1.0, [1.0]),
    ],
)
def test_the_law_of_the_vectors(loss: list[float], eta: float, law: list[float]) -> None:
    t = round((2 / eta) ** 2) - 1
    assert law_of(np.array(loss), t, np.ones(len(loss), np.bool_)) == pytest.approx(law, abs=1e-8)


@pytest.mark.parametrize("seed", range(30))
def test_the_law_is_that_of_a_bracketing_solver(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 30))
    loss = rng.exponential(size=k) * 10 ** rng.uniform(-3, 6)
    available = rng.random(k) < 0.8
    available[rng.integers(k)] = True
    t = int(10 ** rng.uniform(0, 6))
    eta = 2 / math.sqrt(t + 1)
    offered = loss[available]
    low, high = offered.min() - 2 * math.sqrt(k) / eta - 1e-6, offered.min() - 2 / eta
    x = brentq(lambda x: (4 / (eta * (offered - x)) ** 2).sum() - 1, low, high, xtol=1e-300, rtol=1e-15)
    expected = np.where(available, 4 / (eta * (loss - x)) ** 2, 0.0)
    assert law_of(loss, t, available) == pytest.approx(expected / expected.sum(), rel=1e-8)


def test_the_law_of_very_many_arms_sums_to_1() -> None:
    policy = catalog.make("tsallis_inf")
    loss = np.random.default_rng(1).random(5000) * 1000
    state = policy.init(policy.params, Problem(5000))._replace(loss=loss)
    loop.decide(policy.params, state, Instance(100, np.zeros(0), np.ones(5000, np.bool_)), Key(RUN, 100))
    assert state.scratch_law.sum() == pytest.approx(1.0, abs=1e-9)


def test_the_loss_is_divided_by_the_propensity() -> None:
    policy = catalog.make("tsallis_inf")
    state = policy.init(policy.params, Problem(3))
    for arm, propensity, reward in ((1, 0.25, 0.5), (1, 0.5, 1.0), (0, 0.125, -5.0), (2, 0.5, 5.0)):
        instance = Instance(9, np.zeros(0), np.ones(3, np.bool_))
        loop.learn(
            policy.params, state, instance, Decision(arm, propensity), Feedback(reward, np.zeros(0)), Key(RUN, 9)
        )
    assert state.loss.tolist() == [8.0, 2.0, 0.0]


@pytest.mark.parametrize("seed", range(5))
def test_reduced_variance_adds_baselines_and_differences(seed: int) -> None:
    policy = catalog.make("tsallis_inf", estimator="reduced_variance")
    rng = np.random.default_rng(seed)
    loss, t, arm, propensity, reward = rng.random(4) * 60, 399, int(rng.integers(4)), 0.3, float(rng.random())
    available = np.array([True, True, True, seed % 2 == 0])
    instance = Instance(t, np.zeros(0), available)
    state = policy.init(policy.params, Problem(4))._replace(loss=loss.copy())
    # eta_t = 4 / sqrt(t) here is eta_t = 2 / sqrt(t) at a quarter of t.
    law = np.array(law_of(loss, 99, available))
    baseline = np.where(law >= 16 / 400, 0.5, 0.0)
    drawn = np.arange(4) == arm
    expected = loss + baseline + drawn * (1 - reward - baseline) / propensity
    loop.learn(policy.params, state, instance, Decision(arm, propensity), Feedback(reward, np.zeros(0)), Key(RUN, t))
    assert state.loss == pytest.approx(expected, rel=1e-12)
    assert 0 < np.count_nonzero(baseline) < 4


def test_an_unknown_estimator_is_refused() -> None:
    with pytest.raises(InvalidInput, match="importance_weighted, reduced_variance"):
        catalog.make("tsallis_inf", estimator="doubly_robust")


@pytest.mark.slow
@pytest.mark.jit
def test_regret_against_an_adversary_is_within_the_bound() -> None:
    horizon, k = 35_000, 10
    weighted, reduced = (
        simulate(
            catalog.make("tsallis_inf", estimator=estimator),
            envs.make("adversarial"),
            horizon=horizon,
            replications=20,
            seed=1,
        )
        .regret[:, -1]
        .mean()
        for estimator in ("importance_weighted", "reduced_variance")
    )
    assert weighted < 4 * math.sqrt(k * horizon) + 1
    # An arm at random loses 0.09 a decision.
    assert weighted < 0.25 * 0.09 * horizon
    assert reduced < 0.6 * weighted


@pytest.mark.jit
def test_regret_grows_like_the_logarithm_where_the_means_stand_still() -> None:
    env = envs.make("bernoulli", mean=[0.3, 0.4, 0.5, 0.8])
    curves = simulate(catalog.make("tsallis_inf"), env, horizon=100_000, replications=20, seed=1)
    regret = curves.regret.mean(axis=0)
    at = {t: float(np.interp(t, curves.t, regret)) for t in (1000, 10_000, 100_000)}
    # sqrt(T) would make the later decade of time cost 3.2 times the earlier one; the logarithm makes them equal.
    assert at[100_000] - at[10_000] < 1.5 * (at[10_000] - at[1000])
    assert at[100_000] < (4 * math.log(100_000) + 12) * (1 / 0.5 + 1 / 0.4 + 1 / 0.3) + 4 * math.log(100_000)
