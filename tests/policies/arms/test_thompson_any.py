"""Thompson sampling for rewards of any unit: what it believes by hand, freedom from units, and what it earns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import special

from onearm.engine import loop, snapshot
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.growth import grown
from onearm.engine.protocol import probability
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)
ALL = np.ones(3, np.bool_)


def law_of(policy: Policy, state: object, available: Array = ALL) -> list[float]:
    instance = Instance(9, np.zeros(0), available)
    return [float(probability(policy.params, state, instance, a)) for a in range(len(available))]


def shares(policy: Policy, state: Any, k: int, available: Array | None = None) -> Array:
    """Return the law of k arms at once, from the working space in which a decision leaves it."""
    every = np.ones(k, np.bool_) if available is None else available
    loop.decide(policy.params, state, Instance(9, np.zeros(0), every), Key(RUN, 9))
    law, sample = np.zeros(k), state.scratch_sample
    law[sample.arm[sample.there]] = state.scratch_maximum.law[sample.there]
    return law


def learn(policy: Policy, state: object, arm: int, reward: float) -> None:
    instance, feedback = Instance(0, np.zeros(0), ALL), Feedback(reward, np.zeros(0))
    loop.learn(policy.params, state, instance, Decision(arm, 0.5), feedback, Key(RUN, 0))


def believed(rewards: list[list[float]], variance: float) -> tuple[Array, Array]:
    """Return mean and standard deviation of each arm's mean, from the formulas of the docstring as they stand there."""
    m = np.mean([reward for of_arm in rewards for reward in of_arm])
    means, sds = [], []
    for of_arm in rewards:
        n = len(of_arm)
        x = np.mean(of_arm) if n else 0.0
        s = sum((reward - x) ** 2 for reward in of_arm)
        means.append((2 * m + n * x) / (n + 2))
        sds.append(math.sqrt((3 * variance + s / 2 + n * (x - m) ** 2 / (n + 2)) / ((2 + n / 2) * (n + 2))))
    return np.array(means), np.array(sds)


def test_the_law_of_a_trace_by_hand() -> None:
    policy = catalog.make("thompson_any")
    state = policy.init(policy.params, Problem(3))
    trace = [(0, 20.0), (1, 26.0), (0, 23.0), (1, 25.0), (1, 27.5)]
    rewards: list[list[float]] = [[], [], []]
    squares = 0.0
    for arm, reward in trace:
        learn(policy, state, arm, reward)
        if any(rewards):
            expected, _ = believed(rewards, 1.0)
            worth = len(rewards[arm]) + 2
            squares += (reward - expected[arm]) ** 2 / (1 + 1 / worth)
        rewards[arm].append(reward)
    mean, sd = believed(rewards, squares / (len(trace) - 1))
    first = special.ndtr((mean[0] - mean[1]) / math.hypot(sd[0], sd[1]))
    assert law_of(policy, state, np.array([True, True, False])) == pytest.approx([first, 1 - first, 0.0], rel=1e-7)


def test_until_two_rewards_differ_every_arm_is_played_alike() -> None:
    policy = catalog.make("thompson_any")
    state = policy.init(policy.params, Problem(3))
    for arm in (0, 0, 2):
        assert law_of(policy, state) == pytest.approx([1 / 3] * 3, rel=1e-9)
        learn(policy, state, arm, 5.25)
    assert law_of(policy, state) == pytest.approx([1 / 3] * 3, rel=1e-9)
    learn(policy, state, 1, 5.5)
    assert law_of(policy, state)[1] > 0.4


@pytest.mark.parametrize(("scale", "offset"), [(2.0**30, 0.0), (2.0**-30, 0.0), (1.0, 2.0**20), (2.0**-9, -(2.0**20))])
@pytest.mark.parametrize("propensities", [True, False])
def test_units_do_not_change_a_bit(scale: float, offset: float, propensities: bool) -> None:
    policy = catalog.make("thompson_any", propensities=propensities)
    rewards = np.random.default_rng(1).integers(0, 64, (40, 3)) / 64 + [0.0, 0.25, 0.5]

    def played(of: Array) -> list[tuple[int, float]]:
        state = policy.init(policy.params, Problem(3))
        found = []
        for t in range(len(of)):
            instance = Instance(t, np.zeros(0), ALL)
            arm, propensity = loop.decide(policy.params, state, instance, Key(RUN, t))[:2]
            found.append((int(arm), float(propensity) if propensities else 0.0))
            feedback = Feedback(float(of[t, arm]), np.zeros(0))
            loop.learn(policy.params, state, instance, Decision(int(arm), 1.0), feedback, Key(RUN, t))
        return found

    assert played(scale * rewards + offset) == played(rewards)
    assert len({arm for arm, _ in played(rewards)}) == 3


@pytest.mark.parametrize("unit", [2e-162, 1e-161, 1e-159])
def test_rewards_whose_squares_vanish_have_no_unit(unit: float) -> None:
    """What is left of the variance was divided down to 0, and the law was NaN."""
    policy = catalog.make("thompson_any")
    state = policy.init(policy.params, Problem(3))
    for i in range(60):
        learn(policy, state, 0 if i < 50 else i % 3, unit * (i % 2))
    assert law_of(policy, state) == pytest.approx([1 / 3] * 3, rel=1e-9)


def test_bad_params_are_refused() -> None:
    with pytest.raises(InvalidInput, match="propensities is 1"):
        catalog.make("thompson_any", propensities=1)


def test_of_many_arms_a_sample_is_played_that_grows_with_what_is_learned() -> None:
    policy, k = catalog.make("thompson_any"), 700
    state = policy.init(policy.params, Problem(k))
    every = np.ones(k, np.bool_)

    def sample(available: Array) -> set[int]:
        law = shares(policy, state, k, available)
        assert law.sum() == pytest.approx(1.0, rel=1e-12)
        return set(np.flatnonzero(law).tolist())

    first = sample(every)
    assert len(first) == 64
    assert first != set(range(64))
    shut = next(arm for arm in range(k) if arm not in first)
    for arm, p in ((min(first), 1 / 64), (shut, 0.0)):
        assert probability(policy.params, state, Instance(9, np.zeros(0), every), arm) == pytest.approx(p, rel=1e-9)
    assert sample(np.isin(np.arange(k), list(first)[:3])) == set(list(first)[:3])
    assert len(sample(~np.isin(np.arange(k), list(first)))) == 64
    state.seen.learned[0] = 9_900.0
    assert len(sample(every)) == 99
    assert sample(every) > first


def test_arms_that_join_are_in_the_sample_at_once() -> None:
    policy = catalog.make("thompson_any")
    state = policy.init(policy.params, Problem(64))
    for k in (65, 70):
        state = grown(policy, state, Problem(k))
        assert shares(policy, state, k).min() == pytest.approx(1 / k, rel=1e-9)
    late = grown(policy, policy.init(policy.params, Problem(500)), Problem(501))
    assert shares(policy, late, 501)[500] == pytest.approx(1 / 65, rel=1e-9)


@pytest.mark.parametrize("propensities", [True, False])
def test_a_state_that_grew_leaves_the_one_before_as_it_was(propensities: bool) -> None:
    """That one may be on its way to the disk: a snapshot of it with arms that join after it would count them twice."""
    policy = catalog.make("thompson_any", propensities=propensities)
    state = policy.init(policy.params, Problem(100))
    before = snapshot.digest(state)
    larger = grown(policy, state, Problem(103))
    assert (snapshot.digest(state), int(larger.seen.joined[0])) == (before, 3)


@pytest.mark.jit
def test_among_a_thousand_arms_more_is_earned_than_by_trying_each() -> None:
    """10,000 decisions, one arm of .3 and the others below .2: at random .1, `thompson_beta` .11."""
    earned = []
    for seed in range(10):
        mean = np.append(np.random.default_rng(seed).uniform(0.0, 0.2, 999), 0.3)
        policy, env = catalog.make("thompson_any", propensities=False), envs.make("bernoulli", mean=mean.tolist())
        earned.append(simulate(policy, env, horizon=10_000, seed=seed).reward[0, -1] / 10_000)
    assert np.mean(earned) > 0.155


@pytest.mark.jit
def test_with_rewards_of_0_and_1_it_loses_about_as_little_as_thompson_beta() -> None:
    """10,000 decisions, 500 runs: in the mean within a tenth, and no more than a third worse in the worst hundredth."""
    world = envs.make("bernoulli", mean=[0.1, 0.2, 0.3, 0.4, 0.6])

    def lost(name: str) -> Array:
        policy = catalog.make(name, propensities=False)
        return simulate(policy, world, horizon=10_000, replications=500, seed=0).regret[:, -1]

    ours, beta = lost("thompson_any"), lost("thompson_beta")
    assert ours.mean() < 1.1 * beta.mean()
    assert np.quantile(ours, 0.99) < 1.34 * np.quantile(beta, 0.99)


@pytest.mark.jit
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1e6, 0.0), (1e-6, 0.0), (1.0, 1e6), (1.0, -1e6)])
def test_it_earns_as_much_in_any_unit(scale: float, offset: float) -> None:
    inner = {"name": "normal", "params": {"mean": [0.1, 0.2, 0.3, 0.4, 0.6], "sd": 0.1}}
    env = envs.make("scaled", env=inner, scale=scale, offset=offset)
    curves = simulate(catalog.make("thompson_any", propensities=False), env, horizon=5000, replications=20, seed=0)
    assert curves.regret[:, -1].mean() / 5000 / scale < 0.005
