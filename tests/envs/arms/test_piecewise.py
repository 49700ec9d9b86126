"""Piecewise: which piece is current, and its regret."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine.draws import NATURE, run_key, uniform
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import regret, respond
from onearm.engine.vocabulary import Instance, Key
from onearm.envs import catalog

RUN = run_key(1, 0, NATURE)
MEANS = [[0.1, 0.9], [0.75, 0.25], [0.5, 0.5]]


@pytest.mark.parametrize(("t", "piece"), [(0, 0), (9, 0), (10, 1), (19, 1), (20, 2), (29, 2), (30, 2), (10**9, 2)])
def test_the_piece_follows_from_t_and_the_last_one_stays(t: int, piece: int) -> None:
    env = catalog.make("piecewise", means=MEANS, length=10)
    state = env.init(env.params, env.problem, RUN)
    instance = Instance(t, np.zeros(0), np.ones(2, np.bool_))
    for arm in (0, 1):
        assert regret(env.params, state, instance, arm) == max(MEANS[piece]) - MEANS[piece][arm]
        answer = respond(env.params, state, instance, arm, np.zeros(0), Key(RUN, t))
        assert answer == (float(uniform(Key(RUN, t), 0) < MEANS[piece][arm]), 0)


def test_one_pass_is_all_pieces() -> None:
    assert catalog.make("piecewise", means=MEANS, length=10).problem.horizon == 30


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"means": [[0.1, 0.2], [0.3]], "length": 5}, "rows of numbers, all of one length"),
        ({"means": [[0.1, 2.0]], "length": 5}, r"means\[0\]\[1\] is 2"),
        ({"means": [[0.1, None]], "length": 5}, r"means\[0\]\[1\] is nan"),
        ({"means": [0.1, 0.2], "length": 5}, "shape"),
        ({"means": [[0.1]], "length": 0}, "length is 0"),
        ({"means": [[0.1]], "length": 2.5}, "length is 2.5"),
    ],
)
def test_bad_params_are_refused(params: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("piecewise", **params)
