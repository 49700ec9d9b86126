"""Maillard chain: an independent reference law by law, what it is invariant to, and what it saves a solver."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support import explorers as x

from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit
from onearm.engine.protocol import appraise, attribute
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Array, Environment, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog
from onearm.policies.contexts.maillard_chain import maillard_chain

LOW, HIGH = -0.15, 0.65
ONE = Problem(7, (1,))


class Reference:
    """The same law from all rows at once: a Gaussian prior over all coefficients, and its conjugate noise."""

    def __init__(self, k: int, m: int) -> None:
        self.k, self.m = k, m
        correlation = np.exp(-np.abs(np.subtract.outer(np.arange(k), np.arange(k))) / max(k - 1, 1))
        self.prior = np.kron(correlation, np.diag([100.0 / (j + 1) for j in range(m)]))
        self.rows: list[Array] = []
        self.rewards: list[float] = []

    def row(self, arm: int, context: float) -> Array:
        z = np.clip(2 * (context - LOW) / (HIGH - LOW) - 1, -1, 1)
        row = np.zeros((self.k, self.m))
        row[arm] = np.cos(np.arange(self.m) * np.arccos(z))
        return row.ravel()

    def learn(self, context: float, arm: int, reward: float) -> None:
        self.rows.append(self.row(arm, context))
        self.rewards.append(reward)

    def posterior(self, context: float) -> tuple[Array, Array]:
        """Return what each arm is expected to earn, and the standard error of that."""
        rows = np.array(self.rows)
        y = np.array(self.rewards) - self.rewards[0]
        inverse = np.linalg.inv(rows @ self.prior @ rows.T + np.eye(len(y)))
        noise = math.sqrt(y @ inverse @ y / len(y))
        gain = self.prior @ rows.T @ inverse
        covariance = self.prior - gain @ rows @ self.prior
        asked = np.array([self.row(arm, context) for arm in range(self.k)])
        widths = noise * np.sqrt(np.einsum("ij,jk,ik->i", asked, covariance, asked))
        return asked @ (gain @ y) + self.rewards[0], widths

    def law(self, context: float, available: Array) -> Array:
        scores, widths = self.posterior(context)
        weights = np.exp(-0.5 * ((scores[available].max() - scores) / widths) ** 2) * available
        law: Array = weights / weights.sum()
        return law


def reward_of(rng: np.random.Generator, arm: int, context: float) -> float:
    """Return minus a count, of a valley that moves with the context."""
    return -float(np.rint(20.0 + 8.0 * abs(arm - 6.0 + 6.0 * context) + rng.normal()))


@pytest.mark.parametrize(("k", "m"), [(7, 4), (3, 8), (1, 2)])
def test_every_law_is_that_of_the_posterior_of_all_rewards_at_once(k: int, m: int) -> None:
    policy = maillard_chain(LOW, HIGH, features=m)
    state = policy.init(policy.params, Problem(k, (1,)))
    reference = Reference(k, m)
    rng = np.random.default_rng(k)
    for t in range(60):
        context = float(rng.uniform(LOW - 0.1, HIGH + 0.1))
        available = rng.random(k) < 0.8
        available[rng.integers(k)] = True
        law = x.law_of(policy, state, x.instance(t, np.array([context]), k, available))
        expected = reference.law(context, available) if t > 1 else available / available.sum()
        assert law == pytest.approx(expected, rel=1e-6, abs=1e-12)
        arm = int(rng.choice(k, p=law))
        reward = reward_of(rng, arm, context)
        x.learn(policy, state, x.instance(t, np.array([context]), k), arm, reward)
        reference.learn(context, arm, reward)


def test_two_feedbacks_by_hand() -> None:
    """Two arms, no context: prior variance 100, correlation 1 / e; the rewards 5 and 3 of arms 0 and 1."""
    policy = maillard_chain(LOW, HIGH)
    problem = Problem(2)
    state = policy.init(policy.params, problem)
    assert x.law_of(policy, state, x.instance(0, k=2)).tolist() == [0.5, 0.5]
    x.learn(policy, state, x.instance(0, k=2), 0, 5.0)
    assert x.law_of(policy, state, x.instance(1, k=2)).tolist() == [0.5, 0.5]
    x.learn(policy, state, x.instance(1, k=2), 1, 3.0)
    tie = 100.0 / math.e
    determinant = 101.0**2 - tie**2
    scores = np.array([-2.0 * tie / determinant, -2.0 * (100.0 * 101.0 - tie * tie) / determinant])
    variance = 100.0 - (101.0 * (100.0**2 + tie**2) - 2.0 * 100.0 * tie * tie) / determinant
    noise = 2.0**2 * 101.0 / determinant / 2.0
    weight = math.exp(-0.5 * (scores[0] - scores[1]) ** 2 / (noise * variance))
    law = x.law_of(policy, state, x.instance(2, k=2))
    assert law == pytest.approx([1.0 / (1.0 + weight), weight / (1.0 + weight)], rel=1e-12)


@pytest.mark.parametrize(("factor", "shift"), [(1024.0, 0.0), (2.0**-60, 0.0), (1.0, -4096.0)])
def test_other_units_of_the_reward_change_no_law(factor: float, shift: float) -> None:
    policy = maillard_chain(LOW, HIGH)
    one, other = (policy.init(policy.params, ONE) for _ in range(2))
    rng = np.random.default_rng(5)
    for t in range(30):
        at = x.instance(t, rng.uniform(LOW, HIGH, 1), 7)
        arm = int(rng.integers(7))
        reward = reward_of(rng, arm, at.context[0])
        x.learn(policy, one, at, arm, reward)
        x.learn(policy, other, at, arm, factor * reward + shift)
    at = x.instance(30, np.array([0.1]), 7)
    assert x.law_of(policy, other, at).tolist() == x.law_of(policy, one, at).tolist()


def test_rewards_that_never_differ_leave_the_law_uniform() -> None:
    policy = maillard_chain(LOW, HIGH)
    state = policy.init(policy.params, ONE)
    for t in range(20):
        x.learn(policy, state, x.instance(t, np.array([t / 20.0]), 7), t % 7, -3.0)
    assert x.law_of(policy, state, x.instance(20, np.array([0.3]), 7)) == pytest.approx([1 / 7] * 7, rel=1e-15)


def test_a_context_outside_of_the_range_counts_as_its_end() -> None:
    policy = maillard_chain(LOW, HIGH)
    inside, outside = (policy.init(policy.params, ONE) for _ in range(2))
    rng = np.random.default_rng(6)
    for t in range(30):
        end = (LOW, HIGH)[t % 2]
        reward = reward_of(rng, t % 7, end)
        x.learn(policy, inside, x.instance(t, np.array([end]), 7), t % 7, reward)
        x.learn(policy, outside, x.instance(t, np.array([end * 1e3]), 7), t % 7, reward)
    laws = [
        x.law_of(policy, inside, x.instance(30, np.array([HIGH]), 7)),
        x.law_of(policy, outside, x.instance(30, np.array([1e300]), 7)),
    ]
    np.testing.assert_array_equal(laws[0], laws[1])
    assert (inside.clipped[0], outside.clipped[0]) == (0, 30)


@pytest.mark.parametrize("shape", [(0,), (1,)])
def test_scores_are_the_expected_rewards_and_features_add_up_to_them(shape: tuple[int]) -> None:
    policy = maillard_chain(LOW, HIGH, features=5)
    state = policy.init(policy.params, Problem(7, shape))
    reference = Reference(7, 5 if shape[0] else 1)
    rng = np.random.default_rng(7)
    for t in range(40):
        context, arm = float(rng.uniform(LOW, HIGH)), int(rng.integers(7))
        reward = reward_of(rng, arm, context)
        x.learn(policy, state, x.instance(t, np.full(shape, context), 7), arm, reward)
        reference.learn(context, arm, reward)
    at = x.instance(40, np.full(shape, 0.4), 7)
    scores, widths, parts = np.zeros(7), np.zeros(7), np.zeros((7, shape[0] + 1))
    appraise(policy.params, state, at, scores, widths)
    expected, errors = reference.posterior(0.4)
    assert scores == pytest.approx(expected, rel=1e-9)
    assert widths == pytest.approx(errors, rel=1e-7)
    for arm in range(7):
        attribute(policy.params, state, at, arm, parts[arm])
    assert parts.sum(axis=1) == pytest.approx(scores, rel=1e-12)
    assert parts[:, -1] == pytest.approx(reference.posterior((LOW + HIGH) / 2)[0], rel=1e-9)


@pytest.mark.parametrize(
    "params",
    [
        {"low": math.nan},
        {"high": math.inf},
        {"low": HIGH},
        {"features": 0},
        {"features": 33},
        {"features": 2.0},
        {"features": True},
    ],
)
def test_params_out_of_range_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(params))):
        maillard_chain(**({"low": LOW, "high": HIGH} | params))


def test_two_numbers_of_context_are_refused() -> None:
    with pytest.raises(InvalidInput, match="up to 1 numbers"):
        check_fit(maillard_chain(LOW, HIGH), Problem(3, (2,)))


def iterations(name: str, env: Environment, low: float, high: float) -> tuple[float, float]:
    """Return the mean iterations of 5000 rounds, and of the last 1000."""
    simulation = Simulation(catalog.make(name, low=low, high=high), env, horizon=5000, seed=1)
    simulation.advance(4000)
    before = simulation.totals.reward[0]
    simulation.advance(1000)
    after = simulation.totals.reward[0]
    return -after / 5000.0, (before - after) / 1000.0


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize(
    ("name", "params", "saved", "saved_at_last"),
    [
        ("shifted_laplacian", {"variance": "low"}, 1.5, 0.3),
        ("shifted_laplacian", {"variance": "high"}, 3.0, 1.5),
        pytest.param("heat_equation", {"side": 25}, 0.04, 0.01, marks=pytest.mark.slow),
    ],
)
def test_solves_take_fewer_iterations_than_under_chebcb(
    name: str, params: dict[str, Any], saved: float, saved_at_last: float
) -> None:
    low, high = (0.0, 10.0) if name == "heat_equation" else (LOW, HIGH)
    ours, theirs = (iterations(each, envs.make(name, **params), low, high) for each in ("maillard_chain", "chebcb"))
    assert ours[0] <= theirs[0] - saved
    assert ours[1] <= theirs[1] - saved_at_last


@pytest.mark.slow
@pytest.mark.jit
def test_a_grid_of_a_hundred_omegas_ends_better_than_one_of_twenty() -> None:
    coarse, fine = (
        iterations("maillard_chain", envs.make("shifted_laplacian", points=points), LOW, HIGH) for points in (20, 100)
    )
    assert fine[1] < coarse[1] - 0.4
