"""River swim: what is known of it, and how it moves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.state_worlds import check_facts, check_moves

from onearm.engine.errors import InvalidInput
from onearm.engine.states.optimum import optimum
from onearm.engine.states.world import tables_of
from onearm.envs import catalog


@pytest.mark.parametrize(
    ("params", "facts"),
    [
        (
            {},
            {
                "gain": 0.4286224338,
                "span": 6.31032431,
                "diameter_about": 14.7,
                "uniform": 0.002779,
                "least_gap": 0.4236,
                "stateless": 0.428622,
                "myopic": 0.005,
            },
        ),
        (
            {"states": 12},
            {
                "gain": 0.4285714290,
                "span": 14.88095240,
                "diameter_about": 34.7,
                "uniform": 0.001348,
                "least_gap": 0.4236,
                "stateless": 0.428571,
                "myopic": 0.005,
            },
        ),
        (
            {"states": 12, "clipped": True},
            {
                "gain": 0.8571428572,
                "span": 30.95238095,
                "diameter_about": 36.1,
                "uniform": 0.001669,
                "least_gap": 0.8521,
                "stateless": 0.857143,
                "myopic": 0.005,
            },
        ),
    ],
)
def test_what_is_known_of_it(params: dict[str, Any], facts: dict[str, float]) -> None:
    check_facts(catalog.make("river_swim", **params), **facts)


def test_it_moves_and_pays_as_its_tables_say() -> None:
    check_moves(catalog.make("river_swim"))


def test_the_bias_and_the_gaps_are_those_that_are_printed() -> None:
    transitions, reward, is_open = tables_of(catalog.make("river_swim"))
    best = optimum(transitions, reward, is_open)
    printed = [0, 0.71437072, 2.04105921, 3.45522166, 4.88188039, 6.31032431]
    assert np.allclose(best.bias, printed, rtol=0, atol=5e-9)
    gaps = [0.423622, 1.142993, 1.755311, 1.842785, 1.855281, 1.857066]
    assert np.allclose(best.gaps[:, 0], gaps, rtol=0, atol=5e-7)
    assert best.policy.tolist() == [1] * 6


@pytest.mark.parametrize(
    ("params", "words"),
    [({"states": 1}, "states is 1"), ({"states": True}, "states is True"), ({"clipped": 1}, "clipped is 1")],
)
def test_bad_params_are_refused(params: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("river_swim", **params)
