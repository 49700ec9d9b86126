"""Garnet: what is known of it, and how it moves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.state_worlds import check_facts, check_moves

from onearm.engine.errors import InvalidInput
from onearm.engine.states.world import tables_of
from onearm.envs import catalog


@pytest.mark.parametrize(
    ("params", "facts"),
    [
        (
            {"seed": 1},
            {
                "gain": 0.8381291286,
                "span": 0.65298656,
                "diameter_about": 7.4,
                "uniform": 0.526144,
                "least_gap": 0.005429,
                "stateless": 0.622924,
                "myopic": 0.782619,
            },
        ),
        (
            {"seed": 2},
            {
                "gain": 0.8117857727,
                "span": 0.82882870,
                "diameter_about": 11.9,
                "uniform": 0.495708,
                "least_gap": 0.01418,
                "stateless": 0.669793,
                "myopic": 0.778389,
            },
        ),
        (
            {"seed": 3},
            {
                "gain": 0.8095422440,
                "span": 0.78896409,
                "diameter_about": 8.9,
                "uniform": 0.484240,
                "least_gap": 0.01843,
                "stateless": 0.564842,
                "myopic": 0.775520,
            },
        ),
    ],
)
def test_what_is_known_of_it(params: dict[str, Any], facts: dict[str, float]) -> None:
    check_facts(catalog.make("garnet", **params), **facts)


def test_it_moves_and_pays_as_its_tables_say() -> None:
    check_moves(catalog.make("garnet"))


def test_the_numbers_are_those_of_the_generator() -> None:
    env = catalog.make("garnet", seed=1)
    transitions, reward, _ = tables_of(env)
    (to,) = np.nonzero(transitions[0, 0])
    assert to.tolist() == [0, 3, 18]
    assert np.allclose(transitions[0, 0, to], [0.0877658609, 0.2545325743, 0.6577015648], rtol=0, atol=1e-10)
    assert reward[0, 0] == pytest.approx(0.5458704333, abs=1e-10)
    assert reward[19, 3] == pytest.approx(0.8004539114, abs=1e-10)


@pytest.mark.parametrize(("seed", "total"), [(1, 777.85728355), (2, 668.38127418), (3, 800.67130933)])
def test_all_moves_together_are_those_that_are_printed(seed: int, total: float) -> None:
    transitions, _, _ = tables_of(catalog.make("garnet", seed=seed))
    assert (transitions @ np.arange(20.0)).sum() == pytest.approx(total, abs=1e-7)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"branches": 21}, "branches is 21: it must be a whole number from 1 to 20"),
        ({"seed": -1}, "seed is -1"),
        ({"states": 1000, "arms": 5}, "5000000"),
    ],
)
def test_bad_params_are_refused(params: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("garnet", **params)
