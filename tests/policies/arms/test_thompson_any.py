"""Thompson sampling for rewards of any unit: what it believes by hand, freedom from units, and what it earns."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy import special

import onearm
from onearm.api.experiment.spec import Spec
from onearm.engine import loop, snapshot
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.growth import grown
from onearm.engine.problem import fitted
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


@pytest.mark.covering
@pytest.mark.parametrize(("scale", "offset"), [(2.0**30, 0.0), (2.0**-30, 0.0), (1.0, 2.0**20), (2.0**-9, -(2.0**20))])
@pytest.mark.parametrize("propensities", [True, False])
def test_units_do_not_change_a_bit(scale: float, offset: float, propensities: bool) -> None:
    policy = catalog.make("thompson_any", propensities=propensities)
    rewards = np.random.default_rng(1).integers(0, 64, (24, 3)) / 64 + [0.0, 0.25, 0.5]

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


def sampled(expected: list[float] | None, k: int, learned: float = 0.0) -> list[int]:
    """Return the sample of k arms, in its order."""
    policy = fitted(catalog.make("thompson_any", expected=expected), Problem(k))
    state = policy.init(policy.params, Problem(k))
    state.seen.learned[0] = learned
    shares(policy, state, k)
    found: list[int] = state.scratch_sample.arm[state.scratch_sample.there].tolist()
    return found


def test_of_many_arms_those_come_first_of_which_more_is_expected() -> None:
    k = 700
    expected: list[float] = [(37.0 * arm) % k for arm in range(k)]
    ranked = sorted(range(k), key=lambda arm: -expected[arm])
    assert sampled(expected, k) == ranked[:64]
    assert sampled([3.0 + 1e6 * number for number in expected], k, 9_900.0) == ranked[:99]


def test_arms_of_which_as_much_is_expected_stand_as_without_an_expectation() -> None:
    k = 700
    assert sampled([2.5] * k, k) == sampled([0.0, -0.0] * 350, k) == sampled(None, k)
    first = {5, 69, 300}
    mixed = sampled([float(arm in first) for arm in range(k)], k)
    assert set(mixed[:3]) == first
    assert mixed[3:] == [arm for arm in sampled(None, k) if arm not in first][:61]


@pytest.mark.parametrize("propensities", [True, False])
def test_arms_that_join_are_in_the_sample_at_once_whatever_is_expected_of_the_others(propensities: bool) -> None:
    policy = catalog.make("thompson_any", propensities=propensities, expected=[float(arm) for arm in range(500)])
    policy = fitted(policy, Problem(500))
    state = policy.init(policy.params, Problem(500))
    late = grown(policy, state, Problem(501))
    assert late.seen.order[:66].tolist() == [*range(499, 435, -1), 500, 435]
    assert sorted(late.seen.order) == list(range(501))
    assert state.seen.order[:2].tolist() == [499, 498]
    assert snapshot.digest(late) != snapshot.digest(policy.init(policy.params, Problem(501)))  # what a snapshot fills


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ([1, 2], "expected has 2 numbers and there are 3 arms: give one for each arm"),
        ([1, 2, 3, 4], "expected has 4 numbers and there are 3 arms: give one for each arm"),
        ([1, 2, math.nan], "expected[2] is nan: it must be a finite number"),
        ([1, -math.inf, 2], "expected[1] is -inf: it must be a finite number"),
        ([1, "2", 3], "expected[1] is '2': it must be a finite number"),
        ([1, 2, True], "expected[2] is True: it must be a finite number"),
        (np.array([True, False, True]), "expected[0] is np.True_: it must be a finite number"),
        ([None, 2, 3], "expected[0] is nan: it must be a finite number"),
        ([[1], [2], [3]], "expected has the shape (3, 1): it must be a list"),
        ([], "expected has the shape (0,): it must be a list of one or more numbers"),
        ("123", "expected has the shape (): it must be a list of one or more numbers"),
        ({"a": 1}, "expected is {'a': 1}: it must be a list of numbers"),
        ([10**400, 1, 2], "expected is [1000"),
    ],
)
@pytest.mark.parametrize("outer", [None, "floor"])
def test_an_expectation_that_cannot_be_one_is_refused(expected: Any, said: str, outer: str | None) -> None:
    spec = {"name": "thompson_any", "params": {"expected": expected}}
    with pytest.raises(InvalidInput) as refused:
        onearm.open({"name": outer, "params": {"policy": spec}} if outer else spec, arms=3)
    assert said in str(refused.value) and len(str(refused.value)) < 200


@pytest.mark.parametrize("expected", [[1, 2.5, -3], (1, 2.5, -3), np.array([1, 2.5, -3])])
@pytest.mark.parametrize("propensities", [True, False])
def test_a_spec_with_an_expectation_is_read_as_it_was_written(expected: Any, propensities: bool) -> None:
    params = {"propensities": propensities, "expected": expected}
    said = onearm.open({"name": "thompson_any", "params": params}, arms=3).spec.to_json()
    assert said["policy"]["params"] == params | {"expected": [1.0, 2.5, -3.0]}
    for read in (Spec.from_json, Spec.from_stored):
        assert read(json.loads(json.dumps(said))).to_json() == said


def test_a_spec_from_before_there_were_expectations_is_the_policy_without_one() -> None:
    stored = {"name": "thompson_any", "params": {"propensities": True}}
    policy, now = catalog.from_stored(stored), catalog.make("thompson_any")
    assert (policy.spec, policy.version, policy.params, policy.init) == (stored, now.version, now.params, now.init)
    assert now.spec["params"] == {"propensities": True, "expected": None}


@pytest.mark.jit
def test_among_a_thousand_arms_an_expectation_that_is_worth_something_earns_more() -> None:
    """What is expected of each arm is its mean and an error as large as the means differ, in another unit."""
    earned: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(5):
        random = np.random.default_rng(seed)
        mean = np.append(random.uniform(0.0, 0.2, 999), 0.3)
        guess = (1000.0 * (mean + random.normal(0.0, 0.06, 1000)) - 7e4).tolist()
        for knows, of in earned.items():
            policy = catalog.make("thompson_any", propensities=False, expected=guess if knows else None)
            curves = simulate(policy, envs.make("bernoulli", mean=mean.tolist()), horizon=10_000, seed=seed)
            of.append(curves.reward[0, -1] / 10_000)
    assert np.mean(earned[True]) > np.mean(earned[False]) + 0.03


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


@pytest.mark.parametrize(("k", "in_it"), [(128, 128), (129, 64)])
def test_a_hundred_arms_are_all_in_the_sample(k: int, in_it: int) -> None:
    """Of 100 arms, each of which can be tried often, the best earned a quarter less while a third was left out."""
    policy = catalog.make("thompson_any")
    assert np.count_nonzero(shares(policy, policy.init(policy.params, Problem(k)), k)) == in_it
