"""Inventory: what is known of it, and how it moves."""

from __future__ import annotations

from support.state_worlds import check_facts, check_moves

from onearm.engine.states.optimum import optimum
from onearm.engine.states.world import tables_of
from onearm.envs import catalog


def test_what_is_known_of_it() -> None:
    check_facts(
        catalog.make("inventory"),
        gain=0.4088293017,
        span=0.38543812,
        diameter_about=21.2,
        uniform=0.381438,
        least_gap=0.006353,
        stateless=0.373056,
        myopic=0.346405,
    )


def test_it_moves_and_pays_as_its_tables_say() -> None:
    check_moves(catalog.make("inventory"))


def test_the_best_policy_orders_much_or_nothing() -> None:
    assert optimum(*tables_of(catalog.make("inventory"))).policy.tolist() == [4, 4, 4] + [0] * 8
