"""UCRL2: its sets worked out by hand, and what its plans believe."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.small_states import planned
from support.state_steps import Steps, believed_gains

from onearm.engine.errors import InvalidInput
from onearm.envs import catalog as envs
from onearm.policies import catalog

TOLD = [(0, 0, 1.0, 1), (0, 0, 0.0, 0), (1, 1, 0.5, 1), (0, 0, 1.0, 1), (0, 0, 0.0, 1), (1, 1, 1.0, 0)]  # t = 6


def told() -> Steps:
    """Return steps after (0, 0) was learned four times, (1, 1) twice, and planned last after the sixth."""
    steps = Steps(catalog.make("ucrl2", delta=0.1), 2, 2)
    for row in TOLD:
        steps.tell(*row)
    assert steps.state.epoch.visits.tolist() == [[4, 0], [0, 2]]
    assert steps.state.epoch.learned[0] == 6
    return steps


@pytest.mark.parametrize("name", ["ucrl2", "ucrl2b", "ucrl3_box", "kl_ucrl"])
@pytest.mark.parametrize("delta", [0.0, 1.0])
def test_delta_is_a_probability_between_0_and_1(name: str, delta: float) -> None:
    with pytest.raises(InvalidInput, match=r"it must be a number in \(0, 1\)"):
        catalog.make(name, delta=delta)


def test_rewards_and_balls_are_as_wide_as_the_paper_says() -> None:
    model = told().state.model
    width = math.sqrt(7 * math.log(2 * 2 * 2 * 6 / 0.1) / (2 * 4))
    assert width > 1.0
    assert model.reward.tolist() == [[1.0, 1.0], [1.0, 1.0]]  # means .5 and .75, and no more than 1
    np.testing.assert_allclose(
        [model.laws.radius[0, 0], model.laws.radius[1, 1]],
        [math.sqrt(14 * 2 * math.log(2 * 2 * 6 / 0.1) / n) for n in (4, 2)],
        rtol=1e-14,
    )
    assert model.laws.centre.chance[0, 0, :2].tolist() == [0.25, 0.75]
    assert model.laws.centre.successors[0, 1] == 0


def test_rewards_shrink_to_their_means() -> None:
    steps = told()
    for _ in range(700):
        steps.tell(0, 0, 0.5, 0)
    n, t = int(steps.state.epoch.visits[0, 0]), int(steps.state.epoch.learned[0])
    assert n == 512
    width = math.sqrt(7 * math.log(2 * 2 * 2 * t / 0.1) / (2 * n))
    assert steps.state.model.reward[0, 0] == pytest.approx(0.5 + width, abs=1e-12)


def test_the_plan_is_that_of_the_best_world_in_the_sets() -> None:
    """gain + h = max over a and the set of r + p h, to the eps of the sweeps, 1 / sqrt 6."""
    plan, model = told().state.plan, told().state.model
    exact = planned(model, 1e-11)
    assert plan.gain[0] == pytest.approx(exact.gain[0], abs=1 / math.sqrt(6))


@pytest.mark.jit
@pytest.mark.parametrize("env", ["river_swim", "inventory"])
def test_the_true_world_stays_in_the_sets(env: str) -> None:
    """So no plan believes in less than the true gain, up to the eps of its sweeps."""
    gains, gain = believed_gains(catalog.make("ucrl2"), envs.make(env), 20_000, 1000)
    assert min(gains) > gain - 1 / math.sqrt(1000)
    assert gains[-1] < 1.0
