"""Backoff: what is known of it, and how it moves."""

from __future__ import annotations

from support.state_worlds import check_facts, check_moves

from onearm.engine.states.optimum import optimum
from onearm.engine.states.world import tables_of
from onearm.envs import catalog


def test_what_is_known_of_it() -> None:
    check_facts(
        catalog.make("backoff"),
        gain=0.8542465753,
        span=3.02634352,
        diameter_about=249.1,
        uniform=0.423249,
        least_gap=0.1404,
        stateless=0.826201,
        myopic=0.825921,
    )


def test_it_moves_and_pays_as_its_tables_say() -> None:
    check_moves(catalog.make("backoff"))


def test_the_best_policy_waits_long_after_two_failures() -> None:
    assert optimum(*tables_of(catalog.make("backoff"))).policy.tolist() == [0, 0] + [2] * 6
