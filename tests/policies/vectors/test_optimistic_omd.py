"""Optimistic mirror descent, against traces that are known to the digit and bounds that hold on any course."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import descents

from onearm.engine import loop
from onearm.engine.domain import ball, simplex
from onearm.engine.errors import InvalidInput
from onearm.engine.vectors.projection import project
from onearm.engine.vocabulary import Instance, Problem
from onearm.policies import catalog

PAPER = {"gradient_max": 4.0, "smoothness": 1.0, "caution": 1.0}


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
    found = descents.trace(catalog.make("optimistic_omd", **params))
    assert np.abs(found.points[1] - second).max() < 1e-8
    assert np.abs(found.points[-1] - last).max() < 1e-8
    assert abs(found.loss - loss) < 1e-8
    assert abs(found.certificate.variation - variation) < 1e-8
    assert found.certificate.bound < bound  # which is what the paper proves: less tightly


@pytest.mark.covering
@pytest.mark.parametrize(
    "params",
    [
        {},
        PAPER,
        {"hint": "zero"},
        {"hint": "context"},
        {"gradient_max": 0.01},
        {"step": 0.3},
        {"convexity": 0.5},
        {"convexity": 20.0, "hint": "context"},
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_the_certificate_holds_for_any_point_on_any_course(params: dict[str, Any], late: bool) -> None:
    policy = catalog.make("optimistic_omd", **params)
    for learned in descents.courses(policy, late=late):
        regret = descents.regret(learned, policy.params.convexity)
        assert regret <= learned.certificate.bound + descents.rounding(learned)


@pytest.mark.parametrize("caution", [1.0, 8.0])
def test_the_certificate_is_below_the_bound_of_the_theory(caution: float) -> None:
    largest = 1e5
    policy = catalog.make("optimistic_omd", gradient_max=largest, smoothness=0.0, caution=caution)
    for learned in descents.courses(policy, late=False):
        changes = np.diff(learned.gradients, axis=0, prepend=np.zeros((1, 4)))
        errors = (changes**2).sum(1)
        if errors.max() > 4.0 * largest**2:
            continue
        assert abs(errors.sum() - learned.certificate.variation) <= 1e-9 * errors.sum()
        steps = learned.domain.diameter / np.sqrt(4.0 * largest**2 + caution * np.cumsum([0.0, *errors[:-1]]))
        theory = learned.domain.diameter**2 / (2.0 * steps[-1]) + (steps * errors).sum()
        assert learned.certificate.bound <= theory * (1.0 + 1e-12)


def test_hints_that_are_true_cost_nothing() -> None:
    policy = catalog.make("optimistic_omd", hint="context")
    state = policy.init(policy.params, Problem(0, (2,), domain=ball(2), feedback="gradient"))
    rng = np.random.default_rng(3)
    for t in range(50):
        gradient = rng.normal(size=2)
        descents.played(policy, state, Instance(t, gradient, np.ones(1, np.bool_)), lambda x, g=gradient: g)
    assert loop.certificate(policy.params, state).variation == 0.0


@pytest.mark.parametrize("steps", [{}, {"step": 0.2}])
def test_two_half_steps_by_hand(steps: dict[str, float]) -> None:
    domain, region = simplex(3), simplex(3).region()
    policy = catalog.make("optimistic_omd", **steps)
    state = policy.init(policy.params, Problem(0, domain=domain, feedback="losses"))
    point, hint, variation, largest = domain.start, np.zeros(3), 0.0, 0.0
    for t in range(40):
        gradient = np.sin((t + 1) * np.arange(1, 4)) * (1.0 + t % 7)
        largest_known = largest if t else gradient @ gradient
        eta = steps.get("step", domain.diameter / np.sqrt(14.0 * largest_known + 8.0 * variation))
        ahead, following = point + eta * hint, point + eta * gradient
        project(region, ahead)
        project(region, following)
        x = descents.played(policy, state, Instance(t, np.zeros(0), np.ones(1, np.bool_)), lambda x, g=gradient: g)
        assert np.abs(x - ahead).max() < 1e-12
        variation += ((gradient - hint) ** 2).sum()
        largest = max(largest, gradient @ gradient, 0.25 * ((gradient - hint) ** 2).sum())
        point, hint = following, gradient


def test_a_forecast_that_is_far_off_counts_as_a_gradient_of_half_that_size() -> None:
    policy = catalog.make("optimistic_omd", hint="context")
    state = policy.init(policy.params, Problem(0, (2,), domain=ball(2), feedback="gradient"))
    for t, forecast in enumerate(([0.0, 0.0], [-7.0, 0.0], [0.0, 1.0])):
        instance = Instance(t, np.array(forecast), np.ones(1, np.bool_))
        x = descents.played(policy, state, instance, lambda x: np.array([1.0, 0.0]))
    # |g - M|^2 was 1, then 64: a quarter of that is more than the square of any gradient.
    eta = 2.0 / np.sqrt(14.0 * 16.0 + 8.0 * 65.0)
    first, second = 2.0 / np.sqrt(14.0), 2.0 / np.sqrt(14.0 + 8.0)
    following = np.array([min(first + second, 1.0), 0.0]) + eta * np.array([0.0, 1.0])
    assert np.abs(x - following / max(1.0, float(np.linalg.norm(following)))).max() < 1e-15


def test_what_cannot_be_is_refused() -> None:
    for params, words in (
        ({"hint": "tomorrow"}, "hint is 'tomorrow'"),
        ({"gradient_max": 0.0}, "gradient_max is 0.0"),
        ({"smoothness": -1.0}, "smoothness is -1.0"),
        ({"caution": 0.0}, "caution is 0.0"),
        ({"convexity": -0.5}, "convexity is -0.5"),
        ({"step": 0.0}, "step is 0.0"),
        ({"step": 0.1, "convexity": 0.5}, "both step and convexity"),
    ):
        with pytest.raises(InvalidInput, match=words):
            catalog.make("optimistic_omd", **params)
    policy = catalog.make("optimistic_omd", hint="context")
    with pytest.raises(InvalidInput, match=r"contexts have the shape \[0\]: a forecast has \[2\]"):
        policy.init(policy.params, Problem(0, domain=ball(2), feedback="gradient"))
