"""Follow the regularised leader, against a trace that is known to the digit and a bound that holds on any course."""

from __future__ import annotations

import numpy as np
import pytest
from support import descents

from onearm.engine.domain import ball
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Instance, Problem
from onearm.policies import catalog


def test_a_trace_that_is_known_to_the_digit() -> None:
    found = descents.trace(catalog.make("ftrl", gradient_max=4.0))
    assert np.abs(found.points[1] - [0.255339, 0.34171947, 0.41191086]).max() < 1e-8
    assert np.abs(found.points[-1] - [0.31332707, 0.45719577, 0.83234499]).max() < 1e-8
    assert abs(found.loss - -697.908293464) < 1e-8
    assert abs(found.certificate.variation - 600.474517630) < 1e-8


@pytest.mark.parametrize("gradient_max", [None, 0.3])
def test_steps_by_their_formula(gradient_max: float | None) -> None:
    policy = catalog.make("ftrl", gradient_max=gradient_max)
    domain = ball(2, 50.0)
    state = policy.init(policy.params, Problem(0, domain=domain, feedback="gradient"))
    total, squares, largest = np.zeros(2), 0.0, 0.0
    for t, gradient in enumerate(np.array([[1.0, 0.0], [0.0, 3.0], [-0.5, -2.5], [0.25, -2.0]])):
        instance = Instance(t, np.zeros(0), np.ones(1, np.bool_))
        x = descents.played(policy, state, instance, lambda x, g=gradient: g)
        known = gradient_max**2 if gradient_max else largest
        eta = 100.0 / np.sqrt(2.0 * (known + squares)) if t else 0.0
        expected = eta * total
        assert np.abs(x - expected / max(1.0, float(np.linalg.norm(expected)) / 50.0)).max() < 1e-12
        total, squares = total + gradient, squares + gradient @ gradient
        largest = max(largest, gradient @ gradient)
    assert np.linalg.norm(expected) < 50.0  # the last is not only a direction


@pytest.mark.parametrize("params", [{}, {"gradient_max": 0.01}, {"gradient_max": 1e6}])
@pytest.mark.parametrize("late", [False, True])
def test_the_certificate_holds_for_any_point_on_any_course(params: dict[str, float], late: bool) -> None:
    for learned in descents.courses(catalog.make("ftrl", **params), late=late):
        assert descents.regret(learned) <= learned.certificate.bound + descents.rounding(learned)


def test_the_certificate_is_below_the_bound_of_the_theory() -> None:
    for learned in descents.courses(catalog.make("ftrl", gradient_max=1e6), late=False):
        squares = (learned.gradients**2).sum(1)
        steps = learned.domain.diameter / np.sqrt(2.0 * (1e12 + np.cumsum([0.0, *squares])))
        theory = learned.domain.reach**2 / (2.0 * steps[-1]) + 0.5 * (steps[:-1] * squares).sum()
        assert learned.certificate.bound <= theory * (1.0 + 1e-12)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"gradient_max is 0\.0"):
        catalog.make("ftrl", gradient_max=0.0)
