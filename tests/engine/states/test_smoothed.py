"""Laws with one imagined visit: as NumPy makes them, and plans with them."""

from __future__ import annotations

import numpy as np
import pytest
from support.small_states import model_of, planned
from support.state_steps import Steps

from onearm.engine.kernel import loop
from onearm.engine.states import transitions
from onearm.engine.states.planning import Model
from onearm.engine.states.smoothed import Smoothed, smoothed, write_smoothed
from onearm.engine.vocabulary import Array
from onearm.policies import catalog


def told(states: int, n_arms: int, steps: int, ends: bool) -> tuple[Smoothed, Array]:
    """Return laws after random steps, and the same as a table float64[S, A, S + 1]."""
    rng = np.random.default_rng(states)
    learner = Steps(catalog.make("half_visit"), states, n_arms)
    for _ in range(steps):
        s, a, after = (int(rng.integers(most)) for most in (states, n_arms, states + ends))
        learner.tell(s, a, 0.5, after)
    seen, laws = learner.state.seen, smoothed(states, n_arms)
    for s, a in np.ndindex(states, n_arms):
        write_smoothed(laws, seen, s, a)
    table = seen.following.astype(float)
    table[:, :, :states] += 1.0 / states
    return laws, table / (seen.visits[:, :, np.newaxis] + 1.0)


@loop
def outlook(laws: Smoothed, s: int, a: int, value: Array) -> float:
    transitions.arrange(laws, value)
    return transitions.outlook(laws, s, a, value)


@pytest.mark.parametrize("ends", [False, True])
def test_an_outlook_is_the_mean_by_counts_and_one_visit_more(ends: bool) -> None:
    laws, table = told(5, 2, 30, ends)
    value = np.random.default_rng(1).normal(size=6)
    assert (laws.came.successors == 0).any()
    for s, a in np.ndindex(5, 2):
        assert outlook(laws, s, a, value) == pytest.approx(table[s, a] @ value, abs=1e-14)
        assert transitions.effort(laws, s, a) == laws.came.successors[s, a] + 1


def test_a_plan_is_that_of_the_table() -> None:
    laws, table = told(4, 2, 20, ends=True)
    reward, start = np.random.default_rng(2).random((4, 2)), np.array([0.25, 0.75, 0.0, 0.0])
    dense = planned(model_of(reward, table, start=start))
    sparse = planned(Model(reward, np.ones((4, 2), np.bool_), start, laws))
    assert sparse.gain[0] == pytest.approx(dense.gain[0], abs=1e-11)
    np.testing.assert_allclose(sparse.bias, dense.bias, atol=1e-9)
