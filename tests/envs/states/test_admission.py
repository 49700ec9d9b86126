"""Admission: what is known of it, and how it moves."""

from __future__ import annotations

from support.state_worlds import check_facts, check_moves

from onearm.engine.states.optimum import optimum
from onearm.engine.states.world import tables_of
from onearm.envs import catalog


def test_what_is_known_of_it() -> None:
    check_facts(
        catalog.make("admission"),
        gain=0.4546691481,
        span=7.05584456,
        diameter_about=24.8,
        uniform=0.224886,
        least_gap=0.008835,
        stateless=0.285714,
        myopic=0.174286,
    )


def test_it_moves_and_pays_as_its_tables_say() -> None:
    check_moves(catalog.make("admission"))


def test_the_best_policy_lets_in_by_class_and_length() -> None:
    best = optimum(*tables_of(catalog.make("admission"))).policy.reshape(10, 2)
    assert best[:, 0].tolist() == [1] + [0] * 9
    assert best[:, 1].tolist() == [1] * 4 + [0] * 6
