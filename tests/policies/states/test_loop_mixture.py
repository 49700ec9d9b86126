"""LOOP in a mixture: first steps by hand, and what it loses."""

from __future__ import annotations

import numpy as np
import pytest
from support.state_steps import Steps

from onearm.engine.simulation import Simulation
from onearm.engine.states.learned import learned_by
from onearm.envs import catalog as envs
from onearm.policies import catalog


def test_first_steps_worked_by_hand() -> None:
    """A river of two states. All shares are possible at first, and up is best: 1 for ever in state 1, h = (0, 1).

    Centred that is (-1/2, 1/2), so that f = (1/2, -1/2, -1/2) from state 0. After one step up of six the error is least
    where theta . f = t - 1/2 is the mean of what came, -1/3: t, the share of up, is 1/6.
    """
    steps = Steps(catalog.make("loop_mixture", model="river", span=2.0), 2, 2)
    state = steps.state
    assert state.plans[0] == 1
    assert (steps.action(0), steps.action(1)) == (1, 1)
    assert state.gain[0] == pytest.approx(1.0, abs=0.06)
    assert state.theta.tolist() == [1.0, 0.0, 0.0]
    np.testing.assert_allclose(state.value[:2], [-0.5, 0.5], atol=0.1)
    steps.tell(0, 1, 0.0, 1)
    assert state.known.theta[0] == pytest.approx(1.0, abs=1e-3)
    before = state.known.theta.copy()
    steps.tell(0, 1, 0.0, 2)  # the unit has ended
    assert (state.known.theta == before).all()
    for _ in range(5):
        steps.tell(0, 1, 0.0, 0)
    assert state.known.learned[0] == 6
    assert state.known.theta[0] == pytest.approx(1 / 6, abs=0.02)
    told = learned_by(steps.policy, state)
    assert told is not None
    assert (told.best.tolist(), told.visits.tolist()) == ([1, -1], [[0, 7], [0, 0]])
    assert (told.gain, told.plans, told.since) == (pytest.approx(1.0, abs=0.06), 1, 6)
    np.testing.assert_allclose(told.bias, [0.0, 1.0], atol=0.1)
    assert told.error == state.off[0]
    assert told.error_max == 3 * state.off[1]


@pytest.mark.jit
def test_in_the_clipped_river_nothing_is_lost() -> None:
    policy = catalog.make("loop_mixture", model="river", span=30.95238095)
    simulation = Simulation(policy, envs.make("river_swim", states=12, clipped=True), horizon=10_000, seed=1)
    simulation.advance(10_000)
    assert simulation.totals.regret[0] == 0.0
    assert simulation.state.plans[0] <= 20


@pytest.mark.slow
@pytest.mark.jit
def test_arrivals_are_learned() -> None:
    """At most 55 in the mean at 1e5; here four runs of 2e4, of which the plans are few."""
    total = 0.0
    for seed in range(1, 5):
        policy = catalog.make("loop_mixture", model="arrivals", span=22.8976)
        simulation = Simulation(policy, envs.make("arrivals_mixture"), horizon=20_000, seed=seed)
        simulation.advance(20_000)
        total += simulation.totals.regret[0]
        assert simulation.state.plans[0] <= 20
        np.testing.assert_allclose(simulation.state.known.theta @ [0.1, 0.3, 0.5, 0.7], 0.32, atol=0.03)
    assert total / 4 < 55.0
