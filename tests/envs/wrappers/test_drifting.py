"""Drifting: it is switching that takes a while."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import regret
from onearm.engine.vocabulary import Environment, Instance
from onearm.envs import catalog

INNER = {"name": "bernoulli", "params": {"mean": [0.25, 0.5, 1.0]}}
RUN = run_key(1, 0, NATURE)


def lacks(env: Environment, steps: int) -> list[list[float]]:
    """Return the regret of each arm at each decision."""
    state = env.init(env.params, env.problem, RUN)
    instances = [Instance(t, np.zeros(0), np.ones(3, np.bool_)) for t in range(steps)]
    return [[regret(env.params, state, instance, a) for a in range(3)] for instance in instances]


@pytest.mark.parametrize(
    "params", [{"at": [50, 200]}, {"every": 100, "shift": 2}, {"at": [9], "orders": [[0, 1, 2], [2, 1, 0]]}]
)
def test_it_is_switching_over_as_many_decisions(params: dict[str, Any]) -> None:
    drifting = catalog.make("drifting", env=INNER, over=60, **params)
    switching = catalog.make("switching", env=INNER, over=60, **params)
    assert (drifting.name, drifting.spec["name"], drifting.problem) == ("drifting", "drifting", switching.problem)
    assert lacks(drifting, 300) == lacks(switching, 300)
    assert lacks(drifting, 300) != lacks(catalog.make("switching", env=INNER, **params), 300)
    assert catalog.from_spec(drifting.spec).spec == drifting.spec


def test_from_world_to_world_by_and_by() -> None:
    before, after = [0.75, 0.5, 0.0], [0.5, 0.0, 0.75]
    found = lacks(catalog.make("drifting", env=INNER, at=[1000], over=1000), 2500)
    new = np.array([row == after for row in found])
    assert all(row in (before, after) for row in found)
    assert not new[:1000].any() and new[1999:].all()
    assert [round(new[1000 + 250 * i : 1250 + 250 * i].mean() * 8) for i in range(4)] == [1, 3, 5, 7]


@pytest.mark.parametrize(
    ("params", "words"),
    [({"every": 999}, "over is 1000"), ({}, "give one of them"), ({"at": [5], "over": -1}, "over is -1")],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("drifting", env=INNER, **params)
