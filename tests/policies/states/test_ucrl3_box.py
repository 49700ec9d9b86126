"""UCRL3 by its boxes: these worked out by hand, and what its plans believe."""

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
    steps = Steps(catalog.make("ucrl3_box", delta=0.1), 2, 2)
    for row in TOLD:
        steps.tell(*row)
    assert steps.state.epoch.visits.tolist() == [[4, 0], [0, 2]]
    assert steps.state.epoch.learned[0] == 6
    return steps


def test_rewards_and_boxes_are_as_wide_as_the_authors_have_them() -> None:
    steps = told()
    for _ in range(2000):
        steps.tell(0, 0, 0.5, 0)
    n, model = int(steps.state.epoch.visits[0, 0]), steps.state.model
    assert n == 1024
    rate = (2 * math.log(math.log(n)) + math.log(3 * 2 * 2 * 2 / 0.1)) / n
    assert model.reward[0, 0] == pytest.approx(0.5 + math.sqrt(0.5 * rate) + rate / 3, abs=1e-12)
    laws, p = model.laws, np.array([1 - 3 / n, 3 / n])
    np.testing.assert_allclose(laws.width[0, 0, :2], np.sqrt(p * rate) + rate / 3, rtol=1e-12)
    assert laws.width_else[0, 0] == pytest.approx(rate / 3, abs=1e-15)


def test_the_iterated_logarithm_begins_at_nothing() -> None:
    """Of counts up to e it is 0: two visits of (1, 1)."""
    laws = told().state.model.laws
    assert laws.width_else[1, 1] == pytest.approx(math.log(3 * 2 * 2 * 2 / 0.1) / 2 / 3, abs=1e-14)


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
    gains, gain = believed_gains(catalog.make("ucrl3_box"), envs.make(env), 20_000, 1000)
    assert min(gains) > gain - 1 / math.sqrt(1000)
    assert gains[-1] < 1.0
