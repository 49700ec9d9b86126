"""Bernoulli: rewards of 0 and 1 with the given means."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine.draws import NATURE, run_key, uniform
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import regret, respond
from onearm.engine.vocabulary import Instance, Key
from onearm.envs import catalog

MEANS = [0.0, 0.25, 1.0]
RUN = run_key(1, 0, NATURE)


def test_an_arm_pays_1_where_the_draw_is_below_its_mean() -> None:
    env = catalog.make("bernoulli", mean=MEANS)
    state = env.init(env.params, env.problem, RUN)
    for t in range(200):
        instance = Instance(t, np.zeros(0), np.ones(3, np.bool_))
        for arm, mean in enumerate(MEANS):
            answer = respond(env.params, state, instance, arm, np.zeros(0), Key(RUN, t))
            assert answer == (float(uniform(Key(RUN, t), 0) < mean), 0)
            assert regret(env.params, state, instance, arm) == 1.0 - mean


@pytest.mark.parametrize("mean", [[], [0.1, 1.1], [-0.1], [float("nan")], "0.5", [[0.5]]])
def test_means_that_are_no_probabilities_are_refused(mean: list[float]) -> None:
    with pytest.raises(InvalidInput, match="mean"):
        catalog.make("bernoulli", mean=mean)
