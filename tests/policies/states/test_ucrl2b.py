"""UCRL2B: its boxes worked out by hand, and what its plans believe."""

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
    steps = Steps(catalog.make("ucrl2b", delta=0.1), 2, 2)
    for row in TOLD:
        steps.tell(*row)
    assert steps.state.epoch.visits.tolist() == [[4, 0], [0, 2]]
    assert steps.state.epoch.learned[0] == 6
    return steps


def test_rewards_and_boxes_are_as_wide_as_the_paper_says() -> None:
    steps = told()
    for _ in range(2000):
        steps.tell(0, 0, 0.5, 0)
    seen, model = steps.state.epoch, steps.state.model
    n = int(seen.visits[0, 0])
    assert n == 1024
    rate = math.log(6 * 2 * 2 * n / 0.1) / n
    variance = (2 * 0.25) * 2 / n - 0.0  # of two 1 and two 0 among so many .5: 4 * .25 / n
    bonus = 2 * math.sqrt(variance * rate) + 6 * rate
    assert model.reward[0, 0] == pytest.approx(0.5 + bonus, abs=1e-12)
    assert model.reward[1, 1] == model.reward[0, 1] == 1.0
    laws = model.laws
    assert laws.centre.chance[0, 0, :2].tolist() == [1 - 3 / n, 3 / n]
    width = 2 * math.sqrt(3 / n * (1 - 3 / n) * rate) + 6 * rate
    np.testing.assert_allclose(laws.width[0, 0, :2], [width, width], rtol=1e-12)
    assert laws.width_else[0, 0] == pytest.approx(6 * rate, abs=1e-15)


def test_the_end_of_a_unit_is_believed_in_once_one_has_ended() -> None:
    steps = told()
    assert not steps.state.model.laws.ends[0]
    steps.tell(1, 0, 0.0, 2)
    assert steps.state.model.laws.ends[0]


def test_the_plan_is_that_of_the_best_world_in_the_sets() -> None:
    """gain + h = max over a and the set of r + p h, to the eps of the sweeps, 1 / sqrt 6."""
    plan, model = told().state.plan, told().state.model
    exact = planned(model, 1e-11)
    assert plan.gain[0] == pytest.approx(exact.gain[0], abs=1 / math.sqrt(6))


@pytest.mark.jit
@pytest.mark.parametrize("env", ["river_swim", "inventory"])
def test_the_true_world_stays_in_the_sets(env: str) -> None:
    """So no plan believes in less than the true gain, up to the eps of its sweeps."""
    gains, gain = believed_gains(catalog.make("ucrl2b"), envs.make(env), 20_000, 1000)
    assert min(gains) > gain - 1 / math.sqrt(1000)
    assert gains[-1] < 1.0
