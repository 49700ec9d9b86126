"""Thresholds: where means lie, what is answered, and what a cut costs."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine.draws import NATURE, run_key, uniform
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import recommendation_loss, respond
from onearm.engine.vocabulary import Environment, Instance, Key
from onearm.envs import catalog

RUN = run_key(1, 0, NATURE)


def costs(env: Environment) -> list[float]:
    state = env.init(env.params, env.problem, RUN)
    return [recommendation_loss(env.params, state, cut) for cut in range(env.problem.n_arms + 1)]


def test_points_before_the_change_are_positive() -> None:
    env = catalog.make("thresholds", points=5, change=2, amplitude=0.25)
    assert env.params.mean.tolist() == [0.25, 0.25, -0.25, -0.25, -0.25]
    assert catalog.make("thresholds").params.mean.tolist() == [0.5] * 5 + [-0.5] * 5
    assert catalog.make("thresholds", points=3, change=0).params.mean.tolist() == [-0.5] * 3


def test_an_answer_is_a_sign_with_that_mean() -> None:
    env = catalog.make("thresholds", points=2, change=1, amplitude=0.5)
    state, detail = env.init(env.params, env.problem, RUN), np.zeros(1)
    for t in range(200):
        instance = Instance(t, np.zeros(0), np.ones(2, np.bool_))
        for point, chance in ((0, 0.75), (1, 0.25)):
            assert respond(env.params, state, instance, point, detail, Key(RUN, t)) == (0.0, 0)
            assert detail[0] == (1.0 if uniform(Key(RUN, t), 0) < chance else -1.0)


def test_a_cut_costs_the_excess_of_errors_or_one() -> None:
    assert costs(catalog.make("thresholds", points=4, change=3, amplitude=0.5)) == [1.5, 1.0, 0.5, 0.0, 0.5]
    assert costs(catalog.make("thresholds", points=2, change=1, loss="identification")) == [1.0, 0.0, 1.0]


def test_means_may_contradict_every_cut() -> None:
    """Of -, +, +, - with unlike sizes the values of the cuts 0..4 are 0, -.25, .25, .75, .5."""
    env = catalog.make("thresholds", means=[-0.25, 0.5, 0.5, -0.25])
    assert costs(env) == [0.75, 1.0, 0.5, 0.0, 0.25]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"points": 0}, "0 queries"),
        ({"points": 2.5}, "2.5 queries"),
        ({"points": 3, "change": 4}, "change is 4: it must be a whole number from 0 to 3"),
        ({"points": 3, "change": True}, "change is True"),
        ({"amplitude": 1.1}, "amplitude is 1.1"),
        ({"means": [0.5, -1.5]}, r"means\[1\] is -1.5"),
        ({"means": [0.5, -0.5], "points": 3}, "leave points and change out"),
        ({"means": [0.5, -0.5], "change": 1}, "leave points and change out"),
        ({"loss": "hinge"}, "loss is 'hinge'"),
    ],
)
def test_what_is_no_world_is_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        catalog.make("thresholds", **params)
