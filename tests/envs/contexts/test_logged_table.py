"""Logged table: rows in order, arms that are not on offer, contexts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import observe, regret, respond
from onearm.engine.vocabulary import Instance, Key
from onearm.envs import catalog

RUN = run_key(1, 0, NATURE)
REWARD = [[1.0, None, 0.5], [0.25, 4.0, None], [-1.0, -2.0, -3.0]]


@pytest.mark.parametrize("context", [None, [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
def test_rows_are_replayed_in_order_and_from_the_start_again(context: list[list[float]] | None) -> None:
    env = catalog.make("logged_table", reward=REWARD, context=context)
    state = env.init(env.params, env.problem, RUN)
    assert env.problem.horizon == 3
    shown, available = np.zeros(env.problem.context_shape), np.zeros(3, np.bool_)
    for t in range(7):
        row = REWARD[t % 3]
        observe(env.params, state, t, shown, available, Key(RUN, t))
        assert shown.tolist() == (context[t % 3] if context else [])
        assert available.tolist() == [reward is not None for reward in row]
        best = max(reward for reward in row if reward is not None)
        for arm, reward in enumerate(row):
            if reward is not None:
                instance = Instance(t, shown, available)
                assert respond(env.params, state, instance, arm, np.zeros(0), Key(RUN, t)) == (reward, 0)
                assert regret(env.params, state, instance, arm) == best - reward


def test_nan_in_an_array_is_a_missing_reward() -> None:
    table = np.array([[math.nan if reward is None else reward for reward in row] for row in REWARD])
    np.testing.assert_array_equal(
        catalog.make("logged_table", reward=table).params.reward,
        catalog.make("logged_table", reward=REWARD).params.reward,
    )


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"reward": [[1.0, 2.0], [None, None]]}, "row 1 of reward offers no arm"),
        ({"reward": [[math.inf]]}, r"reward\[0\]\[0\] is inf"),
        ({"reward": [[1.0], [2.0]], "context": [[1.0]]}, "context has 1 rows and reward 2"),
        ({"reward": [[1.0]], "context": [[None]]}, r"context\[0\]\[0\] is nan"),
        ({"reward": []}, "shape"),
    ],
)
def test_bad_tables_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("logged_table", **params)
