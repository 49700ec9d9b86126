"""KL-UCB: its bound against other solvers, its choice against bounds worked out one by one, its regret."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import rel_entr

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.protocol import explains
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog
from onearm.policies.arms.kl_ucb import divergence, upper_bound

MEANS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8]
RUN = run_key(1, 0, POLICY)


def kl(p: float, q: float) -> float:
    return float(rel_entr(p, q) + rel_entr(1 - p, 1 - q))


@pytest.mark.parametrize("mean", [1e-9, 0.01, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("share", [1e-6, 0.01, 0.5, 0.99, 0.999999])
def test_the_divergence_is_that_of_scipy(mean: float, share: float) -> None:
    distance = share * (1 - mean)
    assert divergence(mean, distance) == pytest.approx(kl(mean, mean + distance), rel=1e-7, abs=1e-15)


def test_the_divergence_at_its_ends() -> None:
    assert divergence(0.3, 0.0) == 0.0
    assert divergence(0.3, 0.7) == math.inf
    assert divergence(1.0, 0.0) == 0.0
    assert divergence(0.0, 0.5) == pytest.approx(math.log(2), rel=1e-15)


@pytest.mark.parametrize("mean", [1e-6, 0.01, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("allowed", [1e-3, 0.02, 0.3, 2.0, 8.0])
def test_the_bound_is_that_of_scipy(mean: float, allowed: float) -> None:
    top = np.nextafter(1.0, 0.0)
    if kl(mean, top) <= allowed:
        assert upper_bound(mean, allowed) >= top
    else:
        oracle = brentq(lambda q: kl(mean, q) - allowed, mean, top, xtol=1e-15, rtol=1e-14)
        assert upper_bound(mean, allowed) == pytest.approx(oracle, abs=1e-13)


def test_the_bound_is_exact_to_the_last_digits_where_doubles_cancel() -> None:
    mean, allowed = 0.4, 1e-13
    with localcontext() as context:
        context.prec = 50
        p, low, high = Decimal(mean), Decimal(mean), Decimal(mean) + Decimal("1e-3")
        for _ in range(120):
            q = (low + high) / 2
            spent = p * (p / q).ln() + (1 - p) * ((1 - p) / (1 - q)).ln()
            low, high = (low, q) if spent > Decimal(allowed) else (q, high)
    assert abs(upper_bound(mean, allowed) - float(low)) <= 2e-16


def test_the_bound_at_its_ends() -> None:
    assert upper_bound(1.0, 0.5) == 1.0
    assert upper_bound(0.3, 0.0) == 0.3
    assert upper_bound(0.0, 0.5) == pytest.approx(1 - math.exp(-0.5), rel=1e-15)
    assert upper_bound(0.5, 1e9) == 1.0


@pytest.mark.parametrize("c", [0.0, 3.0])
@pytest.mark.parametrize("seed", range(10))
def test_the_arm_of_the_highest_bound_is_taken(c: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = rng.integers(1, 60, 6)
    mean = rng.integers(0, count + 1) / count
    available = rng.random(6) < 0.7
    available[rng.integers(6)] = True
    t = int(count.sum())
    budget = math.log(t) + c * math.log(math.log(t))
    bounds = [upper_bound(m, budget / n) if there else -1.0 for m, n, there in zip(mean, count, available, strict=True)]
    policy = catalog.make("kl_ucb", c=c)
    state = policy.init(policy.params, Problem(6))._replace(count=count, mean=mean)
    decision = loop.decide(policy.params, state, Instance(t, np.zeros(0), available), Key(RUN, t))
    assert tuple(decision) == (int(np.argmax(bounds)), 1.0)


def test_rewards_are_clipped() -> None:
    policy = catalog.make("kl_ucb")
    state = policy.init(policy.params, Problem(1))
    for t, reward in enumerate([7.0, -3.0, 0.5]):
        instance = Instance(t, np.zeros(0), np.ones(1, np.bool_))
        loop.learn(policy.params, state, instance, Decision(0, 1.0), Feedback(reward, np.zeros(0)), Key(RUN, t))
    assert state.mean[0] == pytest.approx(0.5)


@pytest.mark.slow
@pytest.mark.jit
def test_regret_is_near_the_lower_bound_of_lai_and_robbins() -> None:
    horizon = 100_000
    env = envs.make("bernoulli", mean=MEANS)
    regret = simulate(catalog.make("kl_ucb"), env, horizon=horizon, replications=10, seed=1).regret[:, -1]
    bound = math.log(horizon) * sum((0.8 - p) / kl(p, 0.8) for p in MEANS[:-1])
    assert 0.7 * bound < regret.mean() < 1.2 * bound


def test_it_explains_itself_by_mean_and_the_way_to_its_bound() -> None:
    """A mean of 0 is allowed up to q with -ln(1 - q) = ln 8 / 2, q = 1 - 1 / sqrt(8); a mean of 1 is the end."""
    policy = catalog.make("kl_ucb")
    state = policy.init(policy.params, Problem(5))._replace(
        count=np.array([2, 5, 3, 0, 1]), mean=np.array([0.0, 1.0, 0.5, 0.0, 0.0])
    )
    scores, widths, law, parts = np.zeros(5), np.zeros(5), np.zeros(5), np.zeros((5, 1))
    instance = Instance(8, np.zeros(0), np.array([True, True, True, True, False]))
    assert explains(policy.params)
    loop.explain(policy.params, state, instance, law, scores, widths, parts)
    assert law[:4].tolist() == [0.0, 0.0, 0.0, 1.0]
    np.testing.assert_allclose(scores[:4], [0.0, 1.0, 0.5, np.nan])
    # Of mean 1/2, 3 ln(1 / (4 q (1 - q))) / 2 = ln 8, so that 4 q (1 - q) = 1/4 and q = 1/2 + sqrt(3) / 4
    np.testing.assert_allclose(widths[:4], [1.0 - 1.0 / math.sqrt(8.0), 0.0, math.sqrt(3.0) / 4.0, np.nan], atol=1e-12)
