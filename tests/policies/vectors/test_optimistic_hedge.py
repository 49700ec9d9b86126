"""Optimistic Hedge: losses that are known to the digit, weights by SciPy, a certificate that holds on any course."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from onearm.engine import loop
from onearm.engine.domain import ball, box, product, simplex
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit
from onearm.engine.vocabulary import Array, Certificate, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)


class Course(NamedTuple):
    points: Array  # float64[T, d]
    loss: float
    regret: float
    certificate: Certificate


def played(policy: Policy, losses: Array, size: float = 1.0, forecasts: Array | None = None) -> Course:
    """Return what a policy does that meets the losses, float64[T, d], each told at once."""
    steps, d = losses.shape
    shape = (0,) if forecasts is None else (d,)
    state = policy.init(policy.params, Problem(0, shape, domain=simplex(d, size), feedback="losses"))
    points = np.zeros((steps, d))
    for t in range(steps):
        context = np.zeros(0) if forecasts is None else forecasts[t]
        instance = Instance(t, context, np.ones(1, np.bool_))
        point, propensity = loop.decide(policy.params, state, instance, Key(RUN, t))
        points[t] = point
        told = Feedback(-float(losses[t] @ points[t]), -losses[t])
        loop.learn(policy.params, state, instance, Decision(points[t].copy(), propensity), told, Key(RUN, t))
    loss = float((losses * points).sum())
    regret = loss - size * float(losses.sum(axis=0).min())
    return Course(points, loss, regret, loop.certificate(policy.params, state))


def waves(steps: int = 2000) -> Array:
    t, j = np.arange(1, steps + 1)[:, np.newaxis], np.arange(1, 5)
    return 0.5 + 0.5 * np.sin(0.01 * t * j)


@pytest.mark.parametrize(("hint", "loss"), [("last", 1006.616133938), ("zero", 1021.726185821)])
def test_a_loss_that_is_known_to_the_digit(hint: str, loss: float) -> None:
    found = played(catalog.make("optimistic_hedge", hint=hint), waves())
    assert abs(found.loss - loss) < 1e-8
    assert abs(found.loss - found.regret - 1013.629517690) < 1e-8


@pytest.mark.parametrize("hint", ["last", "zero", "context"])
@pytest.mark.parametrize("size", [1.0, 2.5])
def test_the_weights_are_the_softmax_of_losses_and_hint(hint: str, size: float) -> None:
    rng = np.random.default_rng(5)
    losses, forecasts = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    policy = catalog.make("optimistic_hedge", hint=hint, scale=0.5)
    given = -forecasts if hint == "context" else None  # a forecast is one of rewards
    found = played(policy, losses, size, given)
    hints = {"last": np.vstack([np.zeros(3), losses[:-1]]), "zero": np.zeros((40, 3)), "context": forecasts}[hint]
    learned, variation = np.zeros(3), 0.0
    for t in range(40):
        eta = math.sqrt(math.log(3) / (0.25 + variation))
        expected = size * softmax(-eta * size * (learned + hints[t]))
        assert found.points[t] == pytest.approx(expected, rel=1e-10)
        learned += losses[t]
        variation += (size * np.abs(losses[t] - hints[t]).max()) ** 2
    assert found.certificate.variation == pytest.approx(variation, rel=1e-12)
    eta = math.sqrt(math.log(3) / (0.25 + variation))
    regrets = (found.points * losses).sum() - size * learned
    assert found.certificate.bound == pytest.approx(logsumexp(eta * regrets) / eta, abs=1e-10)


@pytest.mark.covering
@pytest.mark.parametrize("params", [{}, {"hint": "zero"}, {"hint": "context"}, {"scale": None}, {"scale": 1e-3}])
@pytest.mark.parametrize("late", [False, True])
def test_the_certificate_holds_for_any_point_on_any_course(params: dict[str, Any], late: bool) -> None:
    policy = catalog.make("optimistic_hedge", **params)
    rng = np.random.default_rng(7)
    for course in range(20):
        d, size = 1 + course % 5, (1.0, 3.0)[course % 2]
        shape = (d,) if policy.params.hint == 2 else (0,)
        state = policy.init(policy.params, Problem(0, shape, domain=simplex(d, size), feedback="losses"))
        waiting, linear, earned = [], np.zeros(d), 0.0
        scale = 10.0 ** rng.integers(-3, 4)
        drift = rng.normal(size=d) * (course % 3)
        for t in range(80):
            instance = Instance(t, rng.normal(size=shape), np.ones(1, np.bool_))
            point, propensity = loop.decide(policy.params, state, instance, Key(RUN, t))
            assert point.sum() == pytest.approx(size, rel=1e-14)
            assert (point >= 0.0).all()
            gains = scale * (rng.normal(size=d) + drift) * (50.0 if t == 40 else 1.0)
            waiting.append((instance, Decision(point.copy(), propensity), gains))
            while waiting and (not late or rng.random() < 0.4):
                then, decision, told = waiting.pop(rng.integers(len(waiting)))
                loop.learn(policy.params, state, then, decision, Feedback(0.0, told), Key(RUN, then.t))
                linear += told
                earned += told @ decision.action
            bound = loop.certificate(policy.params, state).bound
            assert size * linear.max() - earned <= bound + 1e-9 * scale, (course, t)


@pytest.mark.parametrize("hint", ["last", "zero"])
@pytest.mark.parametrize("drift", [0.0, 0.01, 1.0])
def test_the_certificate_is_within_what_theory_allows(hint: str, drift: float) -> None:
    rng = np.random.default_rng(11)
    for d in (2, 5, 50):
        walk = 0.5 + drift * rng.uniform(-1.0, 1.0, size=(300, d)).cumsum(axis=0)
        found = played(catalog.make("optimistic_hedge", hint=hint), walk.clip(0.0, 1.0))
        most = 2.0 * math.sqrt(math.log(d) * (1.0 + found.certificate.variation))
        assert found.regret - 1e-9 <= found.certificate.bound <= most


def test_an_adversary_who_knows_the_weights_stays_below_the_certificate_and_that_below_theory() -> None:
    policy = catalog.make("optimistic_hedge")
    state = policy.init(policy.params, Problem(0, domain=simplex(3), feedback="losses"))
    total, paid = np.zeros(3), 0.0
    for t in range(400):
        instance = Instance(t, np.zeros(0), np.ones(1, np.bool_))
        point, propensity = loop.decide(policy.params, state, instance, Key(RUN, t))
        point = point.copy()
        loss = (np.arange(3) == point.argmax()).astype(float)
        total += loss
        paid += loss @ point
        loop.learn(policy.params, state, instance, Decision(point, propensity), Feedback(0.0, -loss), Key(RUN, t))
    bound, variation = loop.certificate(policy.params, state)
    assert 5.0 < paid - total.min() <= bound + 1e-9
    assert bound <= 2.0 * math.sqrt(math.log(3) * (1.0 + variation))


def test_forecasts_that_are_true_cost_nothing_but_the_start() -> None:
    losses = np.random.default_rng(3).random((500, 4))
    policy = catalog.make("optimistic_hedge", hint="context")
    found = played(policy, losses, forecasts=-losses)
    assert found.certificate.variation == 0.0
    assert found.certificate.bound <= 2.0 * math.sqrt(math.log(4))
    assert found.regret < played(catalog.make("optimistic_hedge"), losses).regret - 5.0


def test_without_a_scale_losses_may_have_any_unit() -> None:
    policy, losses = catalog.make("optimistic_hedge", scale=None), waves(200)
    plain, small = played(policy, losses), played(policy, losses / 1024.0)
    assert small.points.tolist() == plain.points.tolist()
    assert small.certificate.bound == plain.certificate.bound / 1024.0
    assert np.ptp(plain.points[-1]) > 0.1


def test_a_simplex_of_another_size_is_that_of_1_with_losses_times_its_size() -> None:
    losses = waves(100)
    for scale in (None, 0.5):
        policy = catalog.make("optimistic_hedge", scale=scale)
        large, small = played(policy, losses, size=4.0), played(policy, 4.0 * losses)
        assert large.points.tolist() == (4.0 * small.points).tolist()
        assert large.certificate == small.certificate


def test_losses_of_any_size_leave_weights() -> None:
    policy = catalog.make("optimistic_hedge")
    losses = np.array([[1.0, 0.0], [1e100, -1e100], [0.0, 1e-300], [-1e100, -1e100], [0.5, 0.0]])
    found = played(policy, losses)
    assert found.points.sum(axis=1) == pytest.approx(1.0, abs=1e-14)
    assert math.isfinite(found.certificate.bound)


def test_what_cannot_be_is_refused() -> None:
    for params, words in (
        ({"hint": "tomorrow"}, "hint is 'tomorrow'"),
        ({"scale": 0.0}, "scale is 0.0"),
        ({"scale": math.inf}, "scale is inf"),
    ):
        with pytest.raises(InvalidInput, match=words):
            catalog.make("optimistic_hedge", **params)
    policy = catalog.make("optimistic_hedge")
    for domain, words in (
        (ball(3), "this domain is a ball: take a simplex"),
        (box([0.0], [1.0]), "this domain is a box"),
        (product(simplex(2), box([0.0], [1.0])), "a product of simplex, box"),
        (product(simplex(2), simplex(2)), "a product of simplex, simplex"),
    ):
        with pytest.raises(InvalidInput, match=words):
            policy.init(policy.params, Problem(0, domain=domain, feedback="losses"))
    with pytest.raises(InvalidInput, match=r"learns from the loss of every coordinate, but .* the gradient"):
        check_fit(policy, Problem(0, domain=simplex(3), feedback="gradient"))
    forecast = catalog.make("optimistic_hedge", hint="context")
    with pytest.raises(InvalidInput, match=r"contexts have the shape \[0\]: a forecast has \[3\]"):
        forecast.init(forecast.params, Problem(0, domain=simplex(3), feedback="losses"))
