"""Gradients from rewards of points: inside the domain, right on average, and with two points nearly as good."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.kernel import Loop
from onearm.engine.problem import check_fit
from onearm.engine.vectors.projection import project
from onearm.engine.vocabulary import Array, Decision, Feedback, FeedbackKind, Instance, Key, Policy, Problem
from onearm.policies import catalog
from onearm.policies.wrappers.point_gradient import point_gradient

RUN = run_key(1, 0, POLICY)
DESCENT = {"name": "gradient_descent", "params": {"gradient_max": 1.0}}
DOMAINS = (
    ball(3, 0.5, [0.25, 0.0, 0.0]),
    box([-1.0, 0.2, 0.0], [1.0, 0.2, 1.5]),
    simplex(4),
    product(ball(2), simplex(1), box([-0.5], [0.25]), simplex(3, 2.0)),
)


COMPILED: dict[tuple[Any, ...], Any] = {}


def entry(run: Loop, params: Any, state: Any, *rest: Any) -> Any:
    """Run a loop by its compiled entry, looked up once a policy: courses of tests are long."""
    known = id(run), type(params), type(getattr(params, "inner", None)), len(rest)
    if known not in COMPILED:
        COMPILED[known] = run.compiled(params, state, *rest)
    return COMPILED[known](params, state, *rest)


def start(policy: Policy, domain: Domain, feedback: FeedbackKind, horizon: int | None = 400) -> Any:
    return policy.init(policy.params, Problem(0, horizon=horizon, domain=domain, feedback=feedback))


def decide(policy: Policy, state: Any, t: int) -> tuple[Instance, Decision]:
    instance = Instance(t, np.zeros(0), np.ones(1, np.bool_))
    point, propensity = entry(loop.decide, policy.params, state, instance, Key(RUN, t))
    return instance, Decision(point.copy(), propensity)


def learn(policy: Policy, state: Any, then: Instance, decision: Decision, rewards: list[float]) -> None:
    feedback = Feedback(float(np.mean(rewards)), np.array(rewards if len(rewards) > 1 else []))
    entry(loop.learn, policy.params, state, then, decision, feedback, Key(RUN, then.t))


@pytest.mark.parametrize("feedback", ["reward", "two_rewards"])
@pytest.mark.parametrize("delta", [None, 0.9])
@pytest.mark.parametrize("domain", DOMAINS)
def test_points_lie_in_the_domain_even_where_the_inner_policy_is_at_the_wall(
    feedback: FeedbackKind, delta: float | None, domain: Domain
) -> None:
    policy = catalog.make("point_gradient", policy=DESCENT, delta=delta)
    state = start(policy, domain, feedback)
    d = domain.dimension
    for t in range(60):
        then, decision = decide(policy, state, t)
        points = decision.action.reshape(-1, d)
        assert math.isnan(decision.propensity)
        for point in points:
            inside = point.copy()
            project(domain.region(), inside)
            assert np.abs(inside - point).max() < 1e-12
        learn(policy, state, then, decision, [float(point @ np.arange(1, d + 1)) for point in points])
    if feedback == "two_rewards":
        played = state.scratch_inner
        assert np.abs(played - state.middle).max() > 0.9 * domain.diameter / 4.0  # it went to a wall


@pytest.mark.covering
@pytest.mark.parametrize("feedback", ["reward", "two_rewards"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_estimates_of_a_linear_loss_are_right_on_average(feedback: FeedbackKind, domain: Domain) -> None:
    policy = catalog.make("point_gradient", policy=DESCENT, delta=0.25)
    state = start(policy, domain, feedback)
    d = domain.dimension
    slope = np.arange(1.0, d + 1.0)
    n = 500
    estimates = np.zeros((n, d))
    for t in range(-1, n):
        then, decision = decide(policy, state, t + 1)
        learn(policy, state, then, decision, [float(slope @ point) for point in decision.action.reshape(-1, d)])
        if t >= 0:
            estimates[t] = state.scratch_gradient / 0.75
        state.inner.point[:] = domain.start  # stand still
    expected = tangential(domain, slope)
    error = estimates.std(0) / math.sqrt(n)
    assert (np.abs(estimates.mean(0) - expected) <= 4.0 * error + 1e-9).all()
    assert (error < 0.3 * np.abs(expected).max()).all()


def tangential(domain: Domain, slope: Array) -> Array:
    """Return what of a gradient shows within the domain: nothing across a simplex, nor where a box has no width."""
    shown: list[float] = []
    for part in domain.parts:
        piece = slope[len(shown) : len(shown) + len(part.low)]
        if part.kind == "simplex":
            piece = piece - piece.mean()
        elif part.kind == "box":
            piece = np.where(np.array(part.low) < np.array(part.high), piece, 0.0)
        shown += list(piece)
    return np.array(shown)


def test_late_feedback_gives_the_estimate_of_its_own_decision() -> None:
    policy = catalog.make("point_gradient", policy=DESCENT, delta=0.5)
    for kind in ("reward", "two_rewards"):
        feedback: FeedbackKind = kind  # type: ignore[assignment]
        state = start(policy, ball(2), feedback)
        first, second = decide(policy, state, 0), decide(policy, state, 1)
        learn(policy, state, *second, [0.0] * (len(second[1].action) // 2))
        y = state.inner.point.copy()
        learn(policy, state, *first, [1.0] if kind == "reward" else [1.0, -1.0])
        sphere = first[1].action[:2] / 0.5  # both were decided in the middle
        assert np.abs(state.scratch_gradient - 0.5 * 2.0 * sphere / 0.5).max() < 1e-12
        assert np.abs(y).max() == 0.0


@pytest.mark.slow
@pytest.mark.jit
def test_two_points_are_nearly_as_good_as_the_gradient_on_bowls_and_one_is_better_than_none() -> None:
    steps, d = 5_000, 5
    centre = np.full(d, 0.3)
    regret = {}
    for kind in ("gradient", "two_rewards", "reward"):
        feedback: FeedbackKind = kind  # type: ignore[assignment]
        bound = {"gradient": 2.0, "two_rewards": 2.0 * math.sqrt(d), "reward": 20.0}[kind]
        inner = {"name": "gradient_descent", "params": {"gradient_max": bound}}
        policy = catalog.from_spec(inner) if kind == "gradient" else catalog.make("point_gradient", policy=inner)
        state = start(policy, ball(d), feedback, steps)
        total = 0.0
        for t in range(steps):
            then, decision = decide(policy, state, t)
            points = decision.action.reshape(-1, d)
            rewards = [-0.5 * float(((point - centre) ** 2).sum()) for point in points]
            total -= float(np.mean(rewards))
            if kind == "gradient":
                loop.learn(policy.params, state, then, decision, Feedback(rewards[0], centre - points[0]), Key(RUN, t))
            else:
                learn(policy, state, then, decision, rewards)
        regret[kind] = total
    assert regret["two_rewards"] < 10.0 * regret["gradient"] + 1.0
    assert regret["two_rewards"] < 20.0
    assert regret["reward"] < 0.5 * 0.5 * float(centre @ centre) * steps  # half of what standing still costs


@pytest.mark.parametrize("feedback", ["reward", "two_rewards"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_the_inner_policy_learns_of_the_point_that_it_decided(feedback: FeedbackKind, domain: Domain) -> None:
    policy = catalog.make("point_gradient", policy=DESCENT, delta=0.25)
    state = start(policy, domain, feedback)
    slope = np.arange(domain.dimension, 0.0, -1.0)
    for t in range(20):
        inner = state.inner.point.copy()
        then, decision = decide(policy, state, t)
        rewards = [float(slope @ point) for point in decision.action.reshape(-1, domain.dimension)]
        learn(policy, state, then, decision, rewards)
        assert np.abs(state.scratch_inner - inner).max() < 1e-14
    assert np.abs(inner - domain.start).max() > 0.1


@pytest.mark.parametrize("n", [2, 3, 7])
def test_what_is_played_may_go_as_far_as_to_the_walls(n: int) -> None:
    policy = catalog.make("point_gradient", policy=DESCENT, delta=0.5)
    widths = start(policy, product(simplex(n, 2.0), box([-1.0, 3.0], [1.0, 8.0]), ball(2, 0.7)), "reward").width
    assert widths[n:].tolist() == [1.0, 2.5, 0.7, 0.7]
    towards = np.full(n, -1.0)
    towards[0] = n - 1.0  # straight away from the facet of the first coordinate
    reached = 2.0 / n - widths[:n] * towards / np.linalg.norm(towards)
    assert reached[0] == pytest.approx(0.0, abs=1e-15)
    assert (reached[1:] > 0.0).all()


def test_limits_hold_to_the_last_bit() -> None:
    """In one dimension s is 1 or -1, and what is played next to a wall lies on it: rounding put every sixth beyond."""
    policy, rng, limits = catalog.make("point_gradient", policy=DESCENT, delta=0.9), np.random.default_rng(6), 0
    for feedback in ("reward", "two_rewards"):
        for t in range(60):
            low = float(rng.uniform(-3.0, 3.0))
            high = low + float(rng.uniform(0.0, 2.0))
            state = start(policy, box([low], [high]), feedback)  # type: ignore[arg-type]
            state.inner.point[:] = high if t % 2 else low
            for played in decide(policy, state, t)[1].action:
                assert low <= played <= high
                limits += played in (low, high)
    assert limits > 20


def test_a_new_version_of_the_inner_policy_is_one_of_the_wrapper() -> None:
    inner = catalog.from_spec(DESCENT)
    assert point_gradient(dataclasses.replace(inner, version=4)).version == point_gradient(inner).version + 3


def test_delta_follows_from_the_horizon() -> None:
    policy = catalog.make("point_gradient", policy=DESCENT)
    assert start(policy, ball(4), "reward", 10_000).delta[0] == pytest.approx(0.2)
    assert start(policy, ball(4), "reward", 2).delta[0] == 0.5
    assert start(policy, ball(4), "two_rewards", 10_000).delta[0] == pytest.approx(0.005)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidInput, match="takes its delta from the horizon"):
        start(catalog.make("point_gradient", policy=DESCENT), ball(2), "reward", None)
    for inner in ("ucb1", "implicit_omd"):
        with pytest.raises(InvalidInput, match=f"'{inner}' does not decide vectors from gradients"):
            catalog.make("point_gradient", policy={"name": inner, "params": {}})
    with pytest.raises(InvalidInput, match=r"delta is 1\.0"):
        catalog.make("point_gradient", policy=DESCENT, delta=1.0)
    policy = catalog.make("point_gradient", policy=DESCENT)
    with pytest.raises(InvalidInput, match="learns from the reward of what was decided, but this problem reveals the"):
        check_fit(policy, Problem(0, domain=ball(2), feedback="gradient"))
