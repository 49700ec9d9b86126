"""Four rooms: what is known of it, and how it moves."""

from __future__ import annotations

import pytest
from support.state_worlds import check_facts, check_moves

from onearm.engine.states.world import tables_of
from onearm.envs import catalog


def test_what_is_known_of_it() -> None:
    check_facts(
        catalog.make("four_rooms"),
        gain=0.0767010713,
        span=0.92329893,
        diameter_about=14.7,
        uniform=0.006342,
        least_gap=0.06437,
        stateless=0.009457,
        myopic=0.0,
    )


def test_it_moves_and_pays_as_its_tables_say() -> None:
    check_moves(catalog.make("four_rooms"))


def test_the_way_leads_through_doors_and_begins_again() -> None:
    transitions, reward, _ = tables_of(catalog.make("four_rooms"))
    assert len(transitions) == 20
    corner = transitions[0]  # (1, 1): walls above and to the left
    assert corner[0, 0] == pytest.approx(0.9)
    assert corner[1, 1] == pytest.approx(0.7)
    assert reward.sum() == 4.0
    assert (transitions[19, :, 0] == 1.0).all()
