"""Tables: a world of one's own, checked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support.state_worlds import check_moves

from onearm.engine.errors import InvalidInput
from onearm.engine.states.optimum import optimum
from onearm.engine.states.world import tables_of
from onearm.envs import catalog

CIRCLE = [[[0, 1, 0], [1, 0, 0]], [[0, 0, 1], [1, 0, 0]], [[1, 0, 0], None]]
PAYS = [[0, 0.5], [0, 0.25], [1, 0]]


def test_a_world_is_what_was_given() -> None:
    transitions, reward, is_open = tables_of(catalog.make("tables", transitions=CIRCLE, rewards=PAYS))
    assert transitions[:, 0].tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert reward[:, 1].tolist() == [0.5, 0.25, 0.0]
    assert is_open.tolist() == [[True, True], [True, True], [True, False]]


def test_staying_where_half_is_paid_is_better_than_going_round() -> None:
    best = optimum(*tables_of(catalog.make("tables", transitions=CIRCLE, rewards=PAYS)))
    assert best.gain == 0.5
    assert best.policy.tolist() == [1, 0, 0]
    assert best.gaps[0].tolist() == pytest.approx([0.5, 0.0])  # h = 0 0 .5: to go round costs .5 at once
    assert math.isnan(best.gaps[2, 1])


def test_it_moves_and_pays_as_its_tables_say() -> None:
    check_moves(catalog.make("tables", transitions=CIRCLE, rewards=PAYS))
    check_moves(catalog.make("tables", drawn=True, start=1))


def test_rewards_may_depend_on_the_next_state() -> None:
    paid = [[[0.2, 0.8]], [[0.0, 1.0]]]
    _, reward, _ = tables_of(catalog.make("tables", transitions=[[[0.5, 0.5]], [[1, 0]]], rewards=paid))
    assert reward.ravel().tolist() == [0.5, 0.0]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"transitions": [[[1, 0], [0.5, 0.4]], [[1, 0], [0, 1]]]}, "state 0 and arm 1 add up to 0.9"),
        (
            {"transitions": [[[1.5, -0.5], [0, 1]], [[1, 0], [0, 1]]]},
            r"are \[1.5, -0.5\]: each must be a finite number",
        ),
        ({"transitions": [[[math.nan, 1], [0, 1]], [[1, 0], [0, 1]]]}, r"\[nan, 1.0\]"),
        ({"transitions": [[[1, 0], [1, 0]], [[0, 1], [0, 1]]]}, r"for ever in the states \[0\] and in \[1\]"),
        ({"transitions": [[None, None], [[1, 0], [0, 1]]]}, "no arm is open in state 0"),
        ({"transitions": [[[1, 0]], [[1, 0], [0, 1]]]}, "transitions is not a table"),
        (
            {"transitions": [[[1, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]]]},
            r"shape \[2, 2, 3\]: it must be \[2, 2, 2\]",
        ),
        ({"transitions": 3}, "transitions is not a table"),
        ({"rewards": [[0, 2], [0, 0]]}, "next state 0 is 2: it must be from 0 to 1"),
        ({"rewards": [[0, math.nan], [0, 0]]}, "is nan"),
        ({"rewards": [[0, 1, 0], [0, 0, 1]]}, r"shape \[2, 3\]"),
        ({"rewards": [[0, "a"], [0, 0]]}, "rewards is not a table of numbers"),
        ({"drawn": 1}, "drawn is 1"),
        ({"start": 2}, "start is 2: it must be a whole number from 0 to 1"),
    ],
)
def test_bad_worlds_are_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("tables", **changed)


def test_a_world_may_have_states_that_one_must_leave() -> None:
    """State 0 leads away for good: the gain is that of the others."""
    transitions = [[[0, 1, 0]], [[0, 0, 1]], [[0, 1, 0]]]
    best = optimum(*tables_of(catalog.make("tables", transitions=transitions, rewards=[[0], [1], [0]])))
    assert best.gain == pytest.approx(0.5, abs=1e-12)
    assert np.allclose(best.bias, [0.0, 0.5, 0.0], rtol=0, atol=1e-12)
