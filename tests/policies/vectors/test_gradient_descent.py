"""Gradient descent, against traces that are known to the digit and a bound that holds on any course."""

from __future__ import annotations

import numpy as np
import pytest
from support import descents

from onearm.engine.errors import InvalidInput
from onearm.policies import catalog


@pytest.mark.parametrize(
    ("params", "second", "last", "loss", "variation"),
    [
        (
            {"gradient_max": 4.0},
            [0.3977601, 0.53232124, 0.64166345],
            [0.31647044, 0.47809494, 0.81931171],
            -689.859842293,
            601.549430180,
        ),
        (
            {"convexity": 0.5},
            [0.43059358, 0.57626219, 0.69463016],
            [0.31354068, 0.45768264, 0.8319969],
            -697.577169246,
            600.382550256,
        ),
    ],
)
def test_a_trace_that_is_known_to_the_digit(
    params: dict[str, float], second: list[float], last: list[float], loss: float, variation: float
) -> None:
    found = descents.trace(catalog.make("gradient_descent", **params))
    assert np.abs(found.points[1] - second).max() < 1e-8
    assert np.abs(found.points[-1] - last).max() < 1e-8
    assert abs(found.loss - loss) < 1e-8
    assert abs(found.certificate.variation - variation) < 1e-8


@pytest.mark.parametrize("params", [{}, {"gradient_max": 0.01}, {"gradient_max": 100.0}, {"convexity": 0.5}])
@pytest.mark.parametrize("late", [False, True])
def test_the_certificate_holds_for_any_point_on_any_course(params: dict[str, float], late: bool) -> None:
    policy = catalog.make("gradient_descent", **params)
    for learned in descents.courses(policy, late=late):
        regret = descents.regret(learned, policy.params.convexity)
        assert regret <= learned.certificate.bound + descents.rounding(learned)


def test_the_certificate_is_below_the_bound_of_the_theory() -> None:
    for learned in descents.courses(catalog.make("gradient_descent"), late=False):
        largest = np.sqrt((learned.gradients**2).sum(1)).max()
        theory = 1.5 * learned.domain.diameter * largest * np.sqrt(len(learned.points))
        assert learned.certificate.bound <= theory + descents.rounding(learned)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"gradient_max is 0\.0"):
        catalog.make("gradient_descent", gradient_max=0.0)
    with pytest.raises(InvalidInput, match="convexity is -1"):
        catalog.make("gradient_descent", convexity=-1.0)
