"""ChebCB: an independent reference law by law, steps by hand, the edges of the range, and what it saves a solver."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import lsq_linear
from support import explorers as x

from onearm.engine.errors import InvalidInput
from onearm.engine.growth import grown
from onearm.engine.problem import check_fit
from onearm.engine.protocol import appraise, attribute
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Array, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog
from onearm.policies.contexts.chebcb import chebcb

LOW, HIGH, ARMS, M = -0.15, 0.65, 20, 6
OMEGA = np.linspace(1.0, 1.95, ARMS)


class Reference:
    """The paper's algorithm in its own units: costs over K N, boxes 1 / N and 2 / (N j), all rounds kept."""

    def __init__(self, k: int, m: int) -> None:
        self.k, self.m, self.t = k, m, 0
        self.scale = 2 + 4 * (1 + math.log(m))
        self.alpha = (math.pi + 2 / math.pi * math.log(2 * m + 1)) / (2 * self.scale * (m + 1))
        self.bound = np.array([1.0, *(2.0 / j for j in range(1, m))]) / self.scale
        self.theta = np.zeros((k, m))
        self.rows: list[list[Array]] = [[] for _ in range(k)]
        self.losses: list[list[float]] = [[] for _ in range(k)]
        self.largest = self.errors = self.resnorm = 0.0

    def features(self, context: float) -> Array:
        z = np.clip(2 * (context - LOW) / (HIGH - LOW) - 1, -1, 1)
        return np.cos(np.arange(self.m) * np.arccos(z))

    def law(self, context: float) -> Array:
        scores = self.theta @ self.features(context)
        eta = 0.0
        if self.t > 0:
            unit = (self.largest * self.scale) ** 2
            below = max(self.errors / unit - self.resnorm, 0.0) + 2 * self.alpha**2 * self.t
            eta = 2 * self.t * math.sqrt(self.k * self.t / below)
        leader = int(np.argmin(scores))
        law = 1 / (self.k + eta * (scores - scores[leader]))
        law[leader] += 1 - law.sum()
        return law

    def learn(self, context: float, arm: int, iterations: float) -> None:
        row, loss = self.features(context), iterations - 1
        self.t += 1
        self.errors += (self.largest * self.scale * (self.theta[arm] @ row) - loss) ** 2
        self.rows[arm].append(row)
        self.losses[arm].append(loss)
        grows = loss > self.largest
        self.largest, self.resnorm = max(self.largest, loss), 0.0
        for a in range(self.k):
            if self.rows[a] and (grows or a == arm):
                self.fit(a)

    def fit(self, a: int) -> None:
        n = len(self.rows[a])
        prior = 1e-6 * math.sqrt(2 ** (n.bit_length() - 1)) * np.eye(self.m)
        rows = np.vstack([self.rows[a], prior])
        y = np.concatenate([np.array(self.losses[a]) / (self.largest * self.scale), np.zeros(self.m)])
        self.theta[a] = np.linalg.lstsq(rows, y, rcond=1e-15)[0]
        if (np.abs(self.theta[a]) > self.bound).any():
            found = lsq_linear(rows, y, (-self.bound, self.bound), method="bvls", tol=1e-15, max_iter=200)
            self.theta[a] = found.x
            self.resnorm = float(((rows @ found.x - y) ** 2).sum())


def iterations_of(rng: np.random.Generator, t: int, arm: int, context: float) -> float:
    """Return a count with a valley that moves with the context, and now and then one that is larger than all before."""
    best = 1.3 + 0.4 * math.exp(-8 * (context - LOW))
    slow = 200 + 10 * t if rng.random() < 0.1 else 0
    return float(round(20 + 200 * abs(OMEGA[arm] - best) * (1 + 0.3 * rng.random()) + slow))


@pytest.mark.parametrize(("alpha", "first"), [(2.0, LOW - 0.02), (0.5, LOW)])
def test_law_by_law_it_is_the_papers_algorithm(alpha: float, first: float) -> None:
    policy = chebcb(LOW, HIGH)
    state = policy.init(policy.params, Problem(ARMS, (1,)))
    known = Reference(ARMS, M)
    rng = np.random.default_rng(8)
    grew, held = 0, 0
    for t in range(170):
        context = first + 0.6 * rng.beta(alpha, 3 * alpha)
        at = x.instance(t, np.array([context]), ARMS)
        law = x.law_of(policy, state, at)
        assert law == pytest.approx(known.law(context), abs=1e-9)
        arm = x.decide(policy, state, at).action
        iterations = iterations_of(rng, t, arm, context)
        grew += iterations - 1 > known.largest
        x.learn(policy, state, at, arm, -iterations, law[arm])
        known.learn(context, arm, iterations)
        held += known.resnorm > 0.0
    assert grew >= 5
    assert 10 <= held <= 160
    assert len(np.unique(known.theta.any(axis=1))) == 1  # every arm was played


def test_two_feedbacks_by_hand() -> None:
    """Of one constant per arm the fit is the mean: K = 9, a = (pi + (2 / pi) ln 3) / 4."""
    policy = chebcb(0.0, 1.0, features=1)
    state = policy.init(policy.params, Problem(3, (1,)))
    at = x.instance(0, np.array([0.5]))
    assert x.law_of(policy, state, at) == pytest.approx([1 / 3] * 3, rel=1e-15)
    x.learn(policy, state, at, 0, -10.0)
    x.learn(policy, state, at, 0, -4.0)
    misfit = (math.pi + 2 / math.pi * math.log(3)) / 4 * 9
    gamma = 2 * 2 * math.sqrt(3 * 2 / (9.0**2 + (9.0 - 3.0) ** 2 + 2 * 2 * misfit**2))
    share = 1 / (3 + gamma * 6)
    assert x.law_of(policy, state, at) == pytest.approx([share, 1 - share - 1 / 3, 1 / 3], rel=1e-9)
    only = x.instance(2, np.array([0.5]), available=np.array([True, False, True]))
    share = 1 / (2 + gamma * 6)
    assert x.law_of(policy, state, only) == pytest.approx([share, 0.0, 1 - share], rel=1e-9)


def test_gaps_are_weighed_inversely() -> None:
    """The paper's vector: gaps of 0, 0.1 and 0.3 at eta = 10, here as losses of means 1, 2 and 4 at gamma = 1."""
    policy = chebcb(0.0, 1.0, features=1, reward_max=0.0)
    state = policy.init(policy.params, Problem(3))
    for arm, loss in enumerate((1.0, 2.0, 4.0)):
        state.fit.theta[arm, 0] = loss
    state.learned[0] = 1
    state.excess[0] = 12.0  # gamma = 2 sqrt(3 / 12) = 1
    assert x.law_of(policy, state, x.instance(0)) == pytest.approx([0.583333, 0.25, 0.166667], abs=1e-6)


def test_arms_that_were_never_played_are_tried_first_the_lowest_of_them_most() -> None:
    policy = chebcb(LOW, HIGH)
    state = policy.init(policy.params, Problem(4, (1,)))
    at = x.instance(0, np.array([0.1]), 4)
    for t in range(3):
        x.learn(policy, state, at, t, -50.0)
        law = x.law_of(policy, state, at)
        assert law.argmax() == t + 1
        assert (law[: t + 1] < 0.25).all()


def test_nothing_but_the_best_reward_leaves_the_law_uniform() -> None:
    policy = chebcb(LOW, HIGH)
    state = policy.init(policy.params, Problem(3, (1,)))
    for t in range(5):
        x.learn(policy, state, x.instance(t, np.array([0.1])), t % 3, -1.0 + 3.0 * (t == 4))
    assert state.largest[0] == 0.0
    assert x.law_of(policy, state, x.instance(5, np.array([0.2]))) == pytest.approx([1 / 3] * 3, rel=1e-15)


def test_a_reward_above_the_largest_counts_as_it() -> None:
    policy = chebcb(LOW, HIGH)
    states = [policy.init(policy.params, Problem(3, (1,))) for _ in range(2)]
    for state, reward in zip(states, (-1.0, 40.0), strict=True):
        for t in range(4):
            x.learn(policy, state, x.instance(t, np.array([0.2])), t % 3, reward if t == 2 else -30.0)
    np.testing.assert_array_equal(states[0].fit.image, states[1].fit.image)
    assert states[0].excess.tolist() == states[1].excess.tolist()


def test_a_context_outside_of_the_range_counts_as_its_end_and_is_counted() -> None:
    policy = chebcb(0.0, 1.0)
    inside, outside = (taught_at(policy, values) for values in ((0.0, 1.0, 0.5), (-7.0, 1e300, 0.5)))
    assert inside.clipped[0] == 0
    assert outside.clipped[0] == 2
    np.testing.assert_array_equal(inside.fit.factor, outside.fit.factor)
    np.testing.assert_array_equal(inside.fit.theta, outside.fit.theta)
    laws = [x.law_of(policy, inside, x.instance(3, np.array([value]))) for value in (1.0, 3.0)]
    np.testing.assert_array_equal(laws[0], laws[1])


def taught_at(policy: Any, values: tuple[float, ...]) -> Any:
    state = policy.init(policy.params, Problem(3, (1,)))
    for t, value in enumerate(values):
        x.learn(policy, state, x.instance(t, np.array([value])), 1, -20.0 - 10 * t)
    return state


def test_without_a_context_an_arm_is_worth_its_mean() -> None:
    policy = chebcb(LOW, HIGH)
    state = policy.init(policy.params, Problem(2))
    for t, reward in enumerate((-30.0, -50.0, -31.0, -20.0)):
        x.learn(policy, state, x.instance(t, k=2), t % 2, reward)
    scores, widths = np.zeros(2), np.zeros(2)
    appraise(policy.params, state, x.instance(4, k=2), scores, widths)
    assert scores == pytest.approx([-30.5, -35.0], rel=1e-9)
    assert np.isnan(widths).all()
    middle = np.array([1, 0, -1, 0, 1, 0])  # T_j at z = 0
    assert state.fit.theta[0] == pytest.approx(29.5 / 3 * middle, abs=1e-3)
    parts = np.zeros(1)
    attribute(policy.params, state, x.instance(4, k=2), 1, parts)
    assert parts[0] == pytest.approx(-35.0, rel=1e-9)


def test_scores_are_predicted_rewards_and_their_parts_add_up_to_them() -> None:
    """Losses of 100 z, at many contexts: nothing but T_1."""
    policy = chebcb(0.0, 2.0, reward_max=100.0)
    state = policy.init(policy.params, Problem(2, (1,)))
    for t, value in enumerate(np.linspace(0.0, 2.0, 30)):
        x.learn(policy, state, x.instance(t, np.array([value]), 2), 1, 100.0 - 100.0 - 100.0 * (value - 1.0))
    at = x.instance(30, np.array([1.25]), 2)
    scores, widths, parts = np.zeros(2), np.zeros(2), np.full(3, np.nan)
    appraise(policy.params, state, at, scores, widths)
    attribute(policy.params, state, at, 1, parts)
    assert scores == pytest.approx([100.0, -25.0], abs=1e-6)
    assert parts == pytest.approx([-25.0, 0.0, 0.0], abs=1e-6)


def test_late_feedback_is_measured_against_the_coefficients_that_meet_it() -> None:
    policy = chebcb(0.0, 1.0, features=1)
    state = policy.init(policy.params, Problem(2, (1,)))
    at = [x.instance(t, np.array([0.5]), 2) for t in range(2)]
    x.learn(policy, state, at[1], 0, -11.0)
    x.learn(policy, state, at[0], 0, -6.0)  # decided before, when 0 was predicted
    assert state.excess[0] == pytest.approx(10.0**2 + (5.0 - 10.0) ** 2, rel=1e-9)


def test_new_arms_are_tried_and_the_others_keep_what_they_know() -> None:
    policy = chebcb(LOW, HIGH)
    state = policy.init(policy.params, Problem(3, (1,)))
    at = x.instance(0, np.array([0.3]))
    for t in range(12):
        x.learn(policy, state, at, t % 3, -20.0 - t % 3)
    more = grown(policy, state, Problem(5, (1,)))
    assert x.law_of(policy, more, x.instance(12, np.array([0.3]), 5)).argmax() == 3
    before, after = (np.zeros(3), np.zeros(3)), (np.zeros(5), np.zeros(5))
    appraise(policy.params, state, at, *before)
    appraise(policy.params, more, x.instance(12, np.array([0.3]), 5), *after)
    assert after[0][:3].tolist() == before[0].tolist()


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"low": 1.0, "high": 1.0}, "low must be below high"),
        ({"low": 0.0, "high": math.inf}, "high"),
        ({"low": 0.0, "high": 1.0, "features": 0}, "features"),
        ({"low": 0.0, "high": 1.0, "features": 2.5}, "features"),
        ({"low": 0.0, "high": 1.0, "features": 33}, "features"),
        ({"low": 0.0, "high": 1.0, "reward_max": math.nan}, "reward_max"),
        ({"low": 0.0, "high": 1.0, "reward_max": 1e101}, "reward_max"),
    ],
)
def test_params_out_of_range_are_refused(params: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        chebcb(**params)


def test_contexts_of_two_numbers_are_refused() -> None:
    with pytest.raises(InvalidInput, match="contexts of up to 1 numbers, but this problem has 2"):
        check_fit(catalog.make("chebcb", low=0.0, high=1.0), Problem(3, (2,)))


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize(("variance", "low", "high", "grid"), [("low", 44.0, 50.0, 43.33), ("high", 63.0, 71.0, 58.60)])
def test_it_relaxes_shifted_laplacians_better_than_any_fixed_omega(
    variance: str, low: float, high: float, grid: float
) -> None:
    """Bands of an independent implementation; `grid` is the mean of the best of the 20 omegas for each system."""
    env = envs.make("shifted_laplacian", variance=variance)
    for seed in (0, 1):
        run = Simulation(chebcb(LOW, HIGH), env, horizon=5000, seed=seed)
        run.advance(4000)
        before = float(run.totals.reward[0])
        run.advance(1000)
        assert low <= -float(run.totals.reward[0]) / 5000 <= high
        assert (before - float(run.totals.reward[0])) / 1000 <= 1.12 * grid
