"""KL-UCRL: its sets worked out by hand, and what its plans believe."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.small_states import planned
from support.state_steps import Steps, believed_gains

from onearm.envs import catalog as envs
from onearm.policies import catalog

TOLD = [(0, 0, 1.0, 1), (0, 0, 0.0, 0), (1, 1, 0.5, 1), (0, 0, 1.0, 1), (0, 0, 0.0, 1), (1, 1, 1.0, 0)]  # t = 6


def told() -> Steps:
    """Return steps after (0, 0) was learned four times, (1, 1) twice, and planned last after the sixth."""
    steps = Steps(catalog.make("kl_ucrl", delta=0.1), 2, 2, horizon=1000)
    for row in TOLD:
        steps.tell(*row)
    assert steps.state.epoch.visits.tolist() == [[4, 0], [0, 2]]
    assert steps.state.epoch.learned[0] == 6
    return steps


def radius_of(states: int, n_arms: int, time: float, delta: float) -> float:
    b = math.log(2 * math.e * states**2 * n_arms * math.log(time) / delta)
    inner = b + 1 / math.log(time)
    return states * (b + math.log(inner) * (1 + 1 / inner))


def test_rewards_and_balls_are_as_wide_as_the_paper_says() -> None:
    steps = told()
    for _ in range(200):
        steps.tell(0, 0, 0.5, 0)
    model, n = steps.state.model, int(steps.state.epoch.visits[0, 0])
    assert n == 128
    width = math.sqrt(math.log(4 * 2 * 2 * math.log(1000) / 0.1) / 1.99)
    assert model.reward[0, 0] == pytest.approx(0.5 + width / math.sqrt(n), abs=1e-12)
    assert model.reward[1, 1] == 1.0
    found = [model.laws.radius[0, 0], model.laws.radius[1, 1]]
    np.testing.assert_allclose(found, [radius_of(2, 2, 1000, 0.1) / n for n in (128, 2)], rtol=1e-12)


def test_without_a_horizon_it_takes_what_was_learned_so_far() -> None:
    steps = Steps(catalog.make("kl_ucrl", delta=0.1), 2, 2)
    for row in TOLD:
        steps.tell(*row)
    assert steps.state.model.laws.radius[0, 0] == pytest.approx(radius_of(2, 2, 6, 0.1) / 4, rel=1e-12)
    fresh = Steps(catalog.make("kl_ucrl", delta=0.1), 2, 2)
    fresh.tell(*TOLD[0])  # of one step there is no logarithm to divide by
    assert fresh.state.model.laws.radius[0, 0] == pytest.approx(radius_of(2, 2, 3, 0.1), rel=1e-12)


def test_the_plan_is_that_of_the_best_world_in_the_sets() -> None:
    """gain + h = max over a and the set of r + p h, to the eps of the sweeps, 1 / sqrt 6."""
    plan, model = told().state.plan, told().state.model
    exact = planned(model, 1e-11)
    assert plan.gain[0] == pytest.approx(exact.gain[0], abs=1 / math.sqrt(6))


@pytest.mark.jit
@pytest.mark.parametrize("env", ["river_swim", "inventory"])
def test_the_true_world_stays_in_the_sets(env: str) -> None:
    """So no plan believes in less than the true gain, up to the eps of its sweeps."""
    gains, gain = believed_gains(catalog.make("kl_ucrl"), envs.make(env), 20_000, 1000)
    assert min(gains) > gain - 1 / math.sqrt(1000)
    assert gains[-1] < 1.0
