"""Optimistic mirror descent, against traces that are known to the digit and bounds that hold on any course."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.domain import ball, box
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Array, Certificate, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.policies import catalog

RUN = run_key(1, 0, POLICY)
BOWL = np.array([1.0, 0.5, 0.0])  # f_t(x) = x' diag(1, .5, 0) x / 2 - b_t . x
PAPER = {"gradient_max": 4.0, "smoothness": 1.0, "caution": 1.0}


class Trace(NamedTuple):
    points: list[Array]
    loss: float
    certificate: Certificate


def trace(policy: Policy, steps: int = 1000) -> Trace:
    problem = Problem(0, domain=ball(3), feedback="gradient")
    state = policy.init(policy.params, problem)
    points, loss = [], 0.0
    for t in range(1, steps + 1):
        linear = np.sin(0.3 * t * np.arange(1, 4)) + 0.5
        instance = Instance(t - 1, np.zeros(0), np.ones(1, np.bool_))
        point, propensity = loop.decide(policy.params, state, instance, Key(RUN, t - 1))
        x = point.copy()
        points.append(x)
        loss += 0.5 * (x * BOWL) @ x - linear @ x
        loop.learn(
            policy.params, state, instance, Decision(x, propensity), Feedback(0.0, linear - BOWL * x), Key(RUN, t - 1)
        )
    return Trace(points, loss, loop.certificate(policy.params, state))


@pytest.mark.parametrize(
    ("params", "second", "last", "loss", "variation", "bound"),
    [
        (
            PAPER,
            [0.30952987, 0.41424296, 0.49933114],
            [0.19867302, 0.58643842, 0.78525092],
            -767.238330866,
            579.251271390,
            6.619953357,
        ),
        (
            PAPER | {"convexity": 0.5},
            [0.43059358, 0.57626219, 0.69463016],
            [0.30998919, 0.46211697, 0.83087581],
            -712.184155925,
            596.752173018,
            -1.113435113,
        ),
    ],
)
def test_a_trace_that_is_known_to_the_digit(
    params: dict[str, Any], second: list[float], last: list[float], loss: float, variation: float, bound: float
) -> None:
    found = trace(catalog.make("optimistic_omd", **params))
    assert np.abs(found.points[1] - second).max() < 1e-8
    assert np.abs(found.points[-1] - last).max() < 1e-8
    assert abs(found.loss - loss) < 1e-8
    assert abs(found.certificate.variation - variation) < 1e-8
    assert abs(found.certificate.bound - bound) < 1e-8


@pytest.mark.parametrize("params", [{}, PAPER, {"hint": "zero"}, {"hint": "context"}, {"gradient_max": 0.01}])
@pytest.mark.parametrize("late", [False, True])
def test_the_certificate_holds_for_any_point_on_any_course(params: dict[str, Any], late: bool) -> None:
    policy = catalog.make("optimistic_omd", **params)
    rng = np.random.default_rng(7)
    for course in range(20):
        domain = (ball(4, 0.7), box([-1.0, 0.0, -2.0, 0.0], [1.0, 0.5, 3.0, 0.01]))[course % 2]
        context_shape = (4,) if policy.params.hint == 2 else (0,)
        state = policy.init(policy.params, Problem(0, context_shape, domain=domain, feedback="gradient"))
        waiting, linear, earned = [], np.zeros(4), 0.0
        scale = 10.0 ** rng.integers(-3, 4)
        drift = rng.normal(size=4) * (course % 3)
        for t in range(80):
            instance = Instance(t, rng.normal(size=context_shape), np.ones(1, np.bool_))
            point, propensity = loop.decide(policy.params, state, instance, Key(RUN, t))
            gradient = scale * (rng.normal(size=4) + drift) * (50.0 if t == 40 else 1.0)
            waiting.append((instance, Decision(point.copy(), propensity), gradient))
            while waiting and (not late or rng.random() < 0.4):
                then, decision, told = waiting.pop(rng.integers(len(waiting)))
                loop.learn(policy.params, state, then, decision, Feedback(0.0, told), Key(RUN, then.t))
                linear += told
                earned += told @ decision.action
            best = _best(domain, linear)
            bound = loop.certificate(policy.params, state).bound
            assert best - earned <= bound + 1e-9 * scale * 1e4, (course, t)


def _best(domain: Any, linear: Array) -> float:
    """Return the most that a fixed point would have earned."""
    part = domain.parts[0]
    if part.kind == "ball":
        return float(part.size * np.linalg.norm(linear))
    return float(np.maximum(linear * np.array(part.low), linear * np.array(part.high)).sum())


def test_hints_that_are_true_cost_nothing() -> None:
    policy = catalog.make("optimistic_omd", hint="context")
    problem = Problem(0, (2,), domain=ball(2), feedback="gradient")
    state = policy.init(policy.params, problem)
    rng = np.random.default_rng(3)
    for t in range(50):
        gradient = rng.normal(size=2)
        instance = Instance(t, gradient, np.ones(1, np.bool_))
        point, propensity = loop.decide(policy.params, state, instance, Key(RUN, t))
        loop.learn(
            policy.params, state, instance, Decision(point.copy(), propensity), Feedback(0.0, gradient), Key(RUN, t)
        )
    assert loop.certificate(policy.params, state).variation == 0.0


def test_what_cannot_be_is_refused() -> None:
    for params, words in (
        ({"hint": "tomorrow"}, "hint is 'tomorrow'"),
        ({"gradient_max": 0.0}, "gradient_max is 0.0"),
        ({"smoothness": -1.0}, "smoothness is -1.0"),
        ({"caution": 0.0}, "caution is 0.0"),
        ({"convexity": -0.5}, "convexity is -0.5"),
    ):
        with pytest.raises(InvalidInput, match=words):
            catalog.make("optimistic_omd", **params)
    policy = catalog.make("optimistic_omd", hint="context")
    with pytest.raises(InvalidInput, match=r"contexts have the shape \[0\]: a forecast has \[2\]"):
        policy.init(policy.params, Problem(0, domain=ball(2), feedback="gradient"))
