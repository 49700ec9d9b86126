"""Optimistic FTRL, against traces that are known to the digit and bounds that hold on any course."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import descents

from onearm.engine import loop
from onearm.engine.domain import ball
from onearm.engine.errors import InvalidInput
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import Instance, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog


@pytest.mark.parametrize(
    ("params", "second", "last", "loss", "variation"),
    [
        (
            {"steps": "sachs", "gradient_max": 4.0, "smoothness": 1.0},
            [0.242209, 0.32414763, 0.39072965],
            [0.31151487, 0.45786517, 0.83265717],
            -704.510721445,
            598.993860277,
        ),
        (
            {"convexity": 0.5},
            [0.43059358, 0.57626219, 0.69463016],
            [0.31266325, 0.45884524, 0.83168669],
            -703.604635771,
            599.493431537,
        ),
    ],
)
def test_a_trace_that_is_known_to_the_digit(
    params: dict[str, Any], second: list[float], last: list[float], loss: float, variation: float
) -> None:
    found = descents.trace(catalog.make("optimistic_ftrl", **params))
    assert np.abs(found.points[1] - second).max() < 1e-8
    assert np.abs(found.points[-1] - last).max() < 1e-8
    assert abs(found.loss - loss) < 1e-8
    assert abs(found.certificate.variation - variation) < 1e-8


def test_a_confident_step_by_hand() -> None:
    policy = catalog.make("optimistic_ftrl", gradient_max=3.0, smoothness=0.5, caution=2.0)
    state = policy.init(policy.params, Problem(0, domain=ball(2), feedback="gradient"))
    instance = Instance(0, np.zeros(0), np.ones(1, np.bool_))
    assert descents.played(policy, state, instance, lambda x: np.array([1.0, 0.5])).tolist() == [0.0, 0.0]
    second = descents.played(policy, state, instance, lambda x: np.zeros(2))
    eta = 2.0 / np.sqrt(4.0 * 9.0 + 10.0 * 4.0 * 0.25 + 2.0 * 1.25)
    assert np.abs(second - 2.0 * eta * np.array([1.0, 0.5])).max() < 1e-15


@pytest.mark.covering
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"hint": "zero"},
        {"hint": "context"},
        {"gradient_max": 0.01, "smoothness": 0.0},
        {"steps": "sachs"},
        {"steps": "sachs", "hint": "context", "gradient_max": 5.0, "smoothness": 2.0},
        {"convexity": 0.5},
        {"convexity": 20.0, "hint": "context"},
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_the_certificate_holds_for_any_point_on_any_course(params: dict[str, Any], late: bool) -> None:
    policy = catalog.make("optimistic_ftrl", **params)
    for learned in descents.courses(policy, late=late):
        regret = descents.regret(learned, policy.params.convexity)
        assert regret <= learned.certificate.bound + descents.rounding(learned)


def test_the_certificate_is_below_the_bound_of_the_theory() -> None:
    largest = 1e5
    for learned in descents.courses(catalog.make("optimistic_ftrl", gradient_max=largest, hint="zero"), late=False):
        squares = (learned.gradients**2).sum(1)
        if squares.max() > largest**2:
            continue
        below = 4.0 * largest**2 + 8.0 * np.cumsum([0.0, *squares])
        steps = learned.domain.diameter / np.sqrt(below)
        theory = learned.domain.reach**2 / (2.0 * steps[-1]) + 0.5 * (steps[:-1] * squares).sum()
        assert learned.certificate.bound <= theory * (1.0 + 1e-12)


@pytest.mark.parametrize("steps", ["confident", "sachs"])
def test_the_unit_of_the_losses_does_not_matter(steps: str) -> None:
    policy = catalog.make("optimistic_ftrl", steps=steps)
    problem = Problem(0, domain=ball(3), feedback="gradient")
    one, other = policy.init(policy.params, problem), policy.init(policy.params, problem)
    for t in range(60):
        told = np.sin(0.3 * t * np.arange(1, 4)) * (t > 2)
        instance = Instance(t, np.zeros(0), np.ones(1, np.bool_))
        x = descents.played(policy, one, instance, lambda x, g=told: g)
        assert descents.played(policy, other, instance, lambda x, g=told: 1024.0 * g).tobytes() == x.tobytes()
    assert loop.certificate(policy.params, other).bound == 1024.0 * loop.certificate(policy.params, one).bound


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("drift", [0.0, 0.01])
def test_knowing_nothing_it_is_as_good_as_the_better_of_the_papers(noise: float, drift: float) -> None:
    env = envs.make("sea", dimension=10, noise=noise, drift=drift)
    for horizon in (1000, 10_000):
        regrets = []
        for name, params in (
            ("optimistic_ftrl", {}),
            ("optimistic_ftrl", {"steps": "sachs", "gradient_max": 2.2, "smoothness": 1.0}),
            ("optimistic_omd", {"caution": 1.0, "gradient_max": 2.2, "smoothness": 1.0}),
        ):
            total = 0.0
            for replication in range(4):
                run = Simulation(catalog.make(name, **params), env, horizon=horizon, seed=5, replication=replication)
                run.advance(horizon)
                total += run.totals.regret[0]
            regrets.append(total)
        assert regrets[0] <= 1.1 * min(regrets[1:]), (horizon, regrets)


def test_a_forecast_that_is_far_off_counts_as_a_gradient_of_half_that_size() -> None:
    policy = catalog.make("optimistic_ftrl", hint="context")
    state = policy.init(policy.params, Problem(0, (2,), domain=ball(2), feedback="gradient"))
    for t, forecast in enumerate(([0.0, 0.0], [-7.0, 0.0], [0.0, 1.0])):
        instance = Instance(t, np.array(forecast), np.ones(1, np.bool_))
        x = descents.played(policy, state, instance, lambda x: np.array([1.0, 0.0]))
    # |g - M|^2 was 1, then 64: a quarter of that is more than the square of any gradient.
    eta = 2.0 / np.sqrt(4.0 * 16.0 + 8.0 * 65.0)
    assert np.abs(x - eta * np.array([2.0, 1.0])).max() < 1e-15


def test_what_cannot_be_is_refused() -> None:
    for params, words in (
        ({"hint": "tomorrow"}, "hint is 'tomorrow'"),
        ({"steps": "big"}, "steps is 'big'"),
        ({"gradient_max": 0.0}, "gradient_max is 0.0"),
        ({"smoothness": -1.0}, "smoothness is -1.0"),
        ({"caution": 0.0}, "caution is 0.0"),
        ({"convexity": -0.5}, "convexity is -0.5"),
    ):
        with pytest.raises(InvalidInput, match=words):
            catalog.make("optimistic_ftrl", **params)
    policy = catalog.make("optimistic_ftrl", hint="context")
    with pytest.raises(InvalidInput, match=r"contexts have the shape \[0\]: a forecast has \[2\]"):
        policy.init(policy.params, Problem(0, domain=ball(2), feedback="gradient"))
