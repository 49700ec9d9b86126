"""Arrivals of an unknown mixture: what is known of it, and how it moves."""

from __future__ import annotations

import numpy as np
import pytest
from support.state_worlds import check_moves

from onearm.engine.states.known_mixtures import arrivals
from onearm.engine.states.optimum import optimum
from onearm.engine.states.world import tables_of
from onearm.envs import catalog


def test_what_is_known_of_it() -> None:
    best = optimum(*tables_of(catalog.make("arrivals_mixture")))
    assert best.gain == pytest.approx(0.8909561966, abs=1e-10)
    assert best.span == pytest.approx(22.8976, abs=5e-5)


def test_it_moves_and_pays_as_its_tables_say() -> None:
    check_moves(catalog.make("arrivals_mixture"))


def test_it_is_the_queue_whose_arrivals_are_the_mean_of_the_rates() -> None:
    """.3 x .1 + .4 x .3 + .2 x .5 + .1 x .7 = .32."""
    transitions, reward, _ = tables_of(catalog.make("arrivals_mixture"))
    assert transitions[0, 0, 1] == pytest.approx(0.32)
    np.testing.assert_allclose(reward, arrivals(20, 4)[1], atol=1e-12)
