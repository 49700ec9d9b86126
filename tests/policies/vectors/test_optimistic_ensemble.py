"""The optimistic ensemble, against a trace that is known to the digit, its bounds on any course, and its learners."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.kernel import Loop
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.policies import catalog
from onearm.policies.vectors.optimistic_ensemble import dynamic_certificate

RUN = run_key(1, 0, POLICY)
BOWL = np.array([1.0, 0.5, 0.0])  # f_t(x) = x' diag(1, .5, 0) x / 2 - b_t . x
DOMAINS = (ball(4, 0.7), box([-1.0, 0.0, -2.0, 0.0], [1.0, 0.5, 3.0, 0.01]), simplex(4), product(ball(2), simplex(2)))


COMPILED: dict[tuple[Any, ...], Any] = {}


def entry(run: Loop, params: Any, state: Any, *rest: Any) -> Any:
    """Run a loop by its compiled entry, looked up once a policy: courses of tests are long."""
    known = id(run), type(params), type(getattr(params, "inner", None)), len(rest)
    if known not in COMPILED:
        COMPILED[known] = run.compiled(params, state, *rest)
    return COMPILED[known](params, state, *rest)


def start(policy: Policy, domain: Domain, horizon: int | None, context_shape: tuple[int, ...] = (0,)) -> Any:
    return policy.init(policy.params, Problem(0, context_shape, horizon, domain=domain, feedback="gradient"))


def decide(policy: Policy, state: Any, t: int, context: Array | None = None) -> tuple[Instance, Decision]:
    instance = Instance(t, np.zeros(0) if context is None else context, np.ones(1, np.bool_))
    point, propensity = entry(loop.decide, policy.params, state, instance, Key(RUN, t))
    return instance, Decision(point.copy(), propensity)


def learn(policy: Policy, state: Any, instance: Instance, decision: Decision, detail: Array) -> None:
    entry(loop.learn, policy.params, state, instance, decision, Feedback(0.0, detail), Key(RUN, instance.t))


def test_a_trace_that_is_known_to_the_digit() -> None:
    policy = catalog.make("optimistic_ensemble", gradient_max=4.0, smoothness=1.0)
    state = start(policy, ball(3), 1000)
    pool = [0.00559017, 0.01118034, 0.02236068, 0.04472136, 0.08944272, 0.125]
    assert np.abs(state.step - pool).max() < 1e-8
    loss, x = 0.0, np.zeros(3)
    for t in range(1, 1001):
        linear = np.sin(0.3 * t * np.arange(1, 4)) + 0.5
        instance, decision = decide(policy, state, t - 1)
        x, weight = decision.action, state.scratch_weight.copy()
        loss += 0.5 * (x * BOWL) @ x - linear @ x
        learn(policy, state, instance, decision, linear - BOWL * x)
    assert np.abs(x - [0.21236365, 0.56979969, 0.78787583]).max() < 1e-8
    assert np.abs(weight - [0.02224619, 0.0795685, 0.15768574, 0.2340719, 0.26886778, 0.23755988]).max() < 1e-8
    assert abs(loss + 724.047035074) < 1e-8


@pytest.mark.covering
@pytest.mark.parametrize("hint", ["last", "zero", "context"])
@pytest.mark.parametrize("late", [False, True])
def test_the_certificates_hold_for_any_point_and_any_path_on_any_course(hint: str, late: bool) -> None:
    policy = catalog.make("optimistic_ensemble", gradient_max=2.0, smoothness=0.3, hint=hint)
    rng = np.random.default_rng(7)
    shape = (4,) if hint == "context" else (0,)
    for course, domain in enumerate(DOMAINS):
        state = start(policy, domain, 60, shape)
        waiting: list[tuple[Instance, Decision, Array]] = []
        told, earned = np.zeros((0, 4)), 0.0
        scale = 10.0 ** rng.integers(-3, 4)
        drift = rng.normal(size=4) * (course % 3)
        for t in range(60):
            gradient = scale * (rng.normal(size=4) + drift) * (50.0 if t == 30 else 1.0)
            waiting.append((*decide(policy, state, t, rng.normal(size=shape)), gradient))
            while waiting and (not late or rng.random() < 0.4):
                then, decision, detail = waiting.pop(rng.integers(len(waiting)))
                learn(policy, state, then, decision, detail)
                told = np.vstack([told, detail])
                earned += float(detail @ decision.action)
            rounding = 1e-9 * scale
            best = best_point(domain, told.sum(0))
            assert told.sum(0) @ best - earned <= loop.certificate(policy.params, state).bound + rounding
            for piece in (1, 7):  # the best point of each piece of so many feedbacks
                path = [best_point(domain, told[i : i + piece].sum(0)) for i in range(0, len(told), piece)]
                most = sum(float(told[i * piece : (i + 1) * piece].sum(0) @ u) for i, u in enumerate(path))
                length = float(sum(np.linalg.norm(b - a) for a, b in itertools.pairwise(path)))
                assert most - earned <= dynamic_certificate(policy.params, state, length).bound + rounding


def best_point(domain: Domain, linear: Array) -> Array:
    """Return the point that would have earned most."""
    best: list[float] = []
    for part in domain.parts:
        slope = linear[len(best) : len(best) + len(part.low)]
        if part.kind == "ball":
            best += list(np.array(part.low) + part.size * slope / max(float(np.linalg.norm(slope)), 1e-300))
        elif part.kind == "box":
            best += list(np.where(slope > 0.0, part.high, part.low))
        else:
            best += list(part.size * (np.arange(len(slope)) == np.argmax(slope)))
    return np.array(best)


def test_a_fixed_comparator_is_a_path_of_no_length() -> None:
    policy = catalog.make("optimistic_ensemble", gradient_max=1.0, smoothness=1.0)
    state = start(policy, ball(2), 50)
    assert loop.certificate(policy.params, state) == (0.0, 0.0)
    for t in range(50):
        learn(policy, state, *decide(policy, state, t), np.array([np.sin(t), np.cos(3.0 * t)]))
    still, far = (dynamic_certificate(policy.params, state, length) for length in (0.0, 5.0))
    assert still == loop.certificate(policy.params, state)
    smallest, largest = 4.0 * 5.0 / (2.0 * state.step[-1]), 4.0 * 5.0 / (2.0 * state.step[0])
    assert smallest <= far.bound - still.bound <= largest  # 2 D P / (2 eta)


def test_the_certificate_and_the_next_weights_of_one_step_worked_by_hand() -> None:
    policy = catalog.make("optimistic_ensemble", gradient_max=1.0, smoothness=0.25, hint="context")
    state = start(policy, ball(2), 64, (2,))
    eta = 2.0 / np.sqrt(8.0 * 64) * 2.0 ** np.arange(4)
    eta = np.minimum(eta, 0.5)
    assert np.abs(state.step - eta).max() < 1e-15
    forecast, gradient, second = np.array([0.5, 0.25]), np.array([0.5, -0.5]), np.array([-1.0, 0.0])
    then, decision = decide(policy, state, 0, forecast)
    rate = min(1.0 / (8.0 * 4.0 * 0.25), np.sqrt(np.log(4.0)))
    x = eta[:, None] * forecast
    weight = np.exp(rate * (x @ forecast))  # nobody has moved yet: the correction is 0
    weight /= weight.sum()
    assert np.abs(decision.action - weight @ x).max() < 1e-15
    learn(policy, state, then, decision, gradient)
    y = eta[:, None] * gradient
    bounds = (y - decision.action) @ gradient - (y * y).sum(1) / (2.0 * eta) + 4.0 / (2.0 * eta)
    assert loop.certificate(policy.params, state).bound == pytest.approx(bounds.min(), rel=1e-14)
    then, decision = decide(policy, state, 1, second)
    ahead = y + eta[:, None] * second
    losses = -(x @ gradient) - ahead @ second + 0.5 * ((ahead - x) ** 2).sum(1)
    rate = min(rate, np.sqrt(np.log(4.0) / (1.0 + 4.0 * ((gradient - forecast) ** 2).sum())))
    weight = np.exp(-rate * losses)
    assert np.abs(decision.action - weight @ ahead / weight.sum()).max() < 1e-15


def test_a_smoothness_that_is_large_leaves_one_learner() -> None:
    policy = catalog.make("optimistic_ensemble", gradient_max=0.1, smoothness=100.0)
    state = start(policy, ball(2), 100)
    assert state.step.tolist() == [1.0 / 800.0]
    learn(policy, state, *decide(policy, state, 0), np.array([1.0, 0.0]))
    assert decide(policy, state, 1)[1].action.tolist() == [2.0 / 800.0, 0.0]


def test_the_weights_do_not_depend_on_where_the_domain_lies() -> None:
    policy = catalog.make("optimistic_ensemble", gradient_max=1.0, smoothness=1.0)
    here, there = start(policy, ball(2), 100), start(policy, ball(2, 1.0, [1000.0, 0.0]), 100)
    for t in range(100):
        detail = np.array([np.sin(0.1 * t), 0.5])
        for state in (here, there):
            learn(policy, state, *decide(policy, state, t), detail)
    assert np.abs(here.scratch_weight - there.scratch_weight).max() < 1e-9
    assert np.abs(here.loss - there.loss).max() < 1e-9
    assert np.ptp(here.scratch_weight) > 0.01


@pytest.mark.jit
@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_a_minimiser_that_jumps_a_hundred_times_is_followed(noise: float) -> None:
    """Losses |x - c|^2 / 2 around a c that jumps on the sphere of radius .8: the dynamic regret of all learners."""
    steps, d = 20_000, 10
    policy = catalog.make("optimistic_ensemble", gradient_max=2.4, smoothness=1.0)
    descent = catalog.make("gradient_descent", gradient_max=2.4)
    state, baseline = start(policy, ball(d), steps), start(descent, ball(d), steps)
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(100, d))
    centres *= 0.8 / np.linalg.norm(centres, axis=1)[:, None]
    errors = noise * rng.normal(size=(steps, d)) / np.sqrt(d)
    regret, by_descent, by_learner, earned = 0.0, 0.0, np.zeros(len(state.step)), 0.0
    for t in range(steps):
        centre = centres[t * 100 // steps]
        then, decision = decide(policy, state, t)
        detail = centre - decision.action + errors[t]
        regret += 0.5 * float(((decision.action - centre) ** 2).sum())
        earned += float(detail @ (decision.action - centre))
        learn(policy, state, then, decision, detail)
        by_learner += 0.5 * ((state.before - centre) ** 2).sum(1)
        then, decision = decide(descent, baseline, t)
        by_descent += 0.5 * float(((decision.action - centre) ** 2).sum())
        learn(descent, baseline, then, decision, centre - decision.action + errors[t])
    assert len(state.step) == 7
    assert regret < 1.5 * by_learner.min()
    assert by_descent > 5.0 * regret
    length = float(np.linalg.norm(np.diff(centres, axis=0), axis=1).sum())
    assert -earned <= dynamic_certificate(policy.params, state, length).bound


def test_what_cannot_be_is_refused() -> None:
    for params, words in (
        ({"hint": "tomorrow"}, "hint is 'tomorrow'"),
        ({"gradient_max": 0.0}, r"gradient_max is 0\.0"),
        ({"smoothness": 0.0}, r"smoothness is 0\.0"),
    ):
        with pytest.raises(InvalidInput, match=words):
            catalog.make("optimistic_ensemble", **{"gradient_max": 1.0, "smoothness": 1.0} | params)
    policy = catalog.make("optimistic_ensemble", gradient_max=1.0, smoothness=1.0)
    with pytest.raises(InvalidInput, match="'optimistic_ensemble' needs the horizon"):
        start(policy, ball(2), None)
