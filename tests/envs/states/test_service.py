"""Service: what is known of it, and how it moves."""

from __future__ import annotations

import pytest
from support.state_worlds import check_facts, check_moves

from onearm.engine.errors import InvalidInput
from onearm.engine.states.optimum import optimum
from onearm.engine.states.world import tables_of
from onearm.envs import catalog


def test_what_is_known_of_it() -> None:
    check_facts(
        catalog.make("service"),
        gain=0.8471853221,
        span=25.60998861,
        diameter_about=91.0,
        uniform=0.765035,
        least_gap=0.0009993,
        stateless=0.773026,
        myopic=0.394737,
    )


def test_it_moves_and_pays_as_its_tables_say() -> None:
    check_moves(catalog.make("service"))


def test_the_best_policy_works_faster_where_the_queue_is_longer() -> None:
    assert optimum(*tables_of(catalog.make("service"))).policy.tolist() == [0, 1, 2, 2, 2] + [3] * 15


def test_bad_params_are_refused() -> None:
    with pytest.raises(InvalidInput, match="places is 1"):
        catalog.make("service", places=1)
