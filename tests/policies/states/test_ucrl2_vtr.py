"""UCRL2-VTR: first steps by hand, and what it loses."""

from __future__ import annotations

import math

import pytest
from support.state_steps import Steps

from onearm.engine.simulation import Simulation
from onearm.engine.states.learned import learned_by
from onearm.envs import catalog as envs
from onearm.policies import catalog


def test_first_steps_worked_by_hand() -> None:
    """A river of two states. Each pair believes that it goes up: the gain is 1, h = (0, 1), centred (-1/2, 1/2).

    A step from state 0 has the features (1/2, -1/2, -1/2): det Sigma = lam^3 (1 + .75 / lam) is more than doubled.
    """
    steps = Steps(catalog.make("ucrl2_vtr", model="river", span=2.0), 2, 2)
    state = steps.state
    assert state.plans[0] == 1
    assert state.plan.gain[0] == pytest.approx(1.0, abs=0.06)
    assert (steps.action(0), steps.action(1)) == (1, 1)
    half = state.value[1]
    assert half == pytest.approx(0.5, abs=0.1)
    steps.tell(0, 1, 0.0, 1)
    assert state.known.log_det[0] == pytest.approx(math.log(1 + 3 * half**2 / 1e-4), rel=1e-9)
    assert state.plans[0] == 2
    assert state.known.theta[0] == pytest.approx(1.0, abs=1e-3)
    told = learned_by(steps.policy, state)
    assert told is not None
    assert (told.gain, told.plans, told.since) == (pytest.approx(1.0, abs=0.06), 2, 0)
    assert (told.best.tolist(), told.visits.tolist()) == ([1, -1], [[0, 1], [0, 0]])
    assert told.q.max(axis=1).tolist() == pytest.approx(told.bias.tolist(), abs=0.06)
    steps.tell(1, 1, 1.0, 2)  # the unit ends
    told = learned_by(steps.policy, state)
    assert told is not None
    assert (told.since, told.best.tolist(), told.visits.tolist()) == (0, [1, 1], [[0, 1], [0, 1]])


@pytest.mark.jit
def test_in_the_clipped_river_nothing_is_lost() -> None:
    policy = catalog.make("ucrl2_vtr", model="river", span=30.95238095)
    simulation = Simulation(policy, envs.make("river_swim", states=12, clipped=True), horizon=10_000, seed=1)
    simulation.advance(10_000)
    assert simulation.totals.regret[0] == 0.0


@pytest.mark.jit
def test_arrivals_are_learned_later_than_by_one_theta_for_all_pairs() -> None:
    policy = catalog.make("ucrl2_vtr", model="arrivals", span=22.8976)
    simulation = Simulation(policy, envs.make("arrivals_mixture"), horizon=10_000, seed=1)
    simulation.advance(10_000)
    assert 80.0 < simulation.totals.regret[0] < 150.0
