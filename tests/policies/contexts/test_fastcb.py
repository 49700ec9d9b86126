"""FastCB: its law by hand from the paper's form, and what stands in for the best reward."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support import explorers as x

from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Array, Problem
from onearm.policies.contexts.fastcb import fastcb

FEEDBACKS = [(0, 0.5), (0, 1.0), (2, 0.75), (1, 0.25)]
SCORES = np.array([1.5 / 3, 0.25 / 2, 0.75 / 2])


def papers_law(loss: Array, gamma: float) -> Array:
    best = int(loss.argmin())
    law = loss[best] / (len(loss) * loss[best] + gamma * (loss - loss[best]))
    law[best] = 0.0
    law[best] = 1.0 - law.sum()
    return law


@pytest.mark.parametrize(("reward_max", "top"), [(None, 1.0), (2.0, 2.0)])
def test_the_law_is_the_papers(reward_max: float | None, top: float) -> None:
    policy = fastcb(gamma=1.5, reward_max=reward_max, regularisation=1.0, origin=0.0)
    state = policy.init(policy.params, Problem(3))
    for t, (arm, reward) in enumerate(FEEDBACKS):
        x.learn(policy, state, x.instance(t), arm, reward)
    expected = papers_law(top - SCORES, 1.5 * math.sqrt(4.0))
    assert x.law_of(policy, state, x.instance(4)) == pytest.approx(expected, rel=1e-12)


def test_the_nearer_to_the_best_reward_the_less_is_explored() -> None:
    shares = []
    for reward_max in (1.0, 2.0, 10.0):
        policy = fastcb(reward_max=reward_max)
        state = policy.init(policy.params, Problem(3))
        for t, (arm, reward) in enumerate(FEEDBACKS):
            x.learn(policy, state, x.instance(t), arm, reward)
        shares.append(x.law_of(policy, state, x.instance(4)).min())
    assert shares == sorted(shares)
    assert shares[0] < shares[1] < shares[2]


def test_a_score_above_the_best_reward_leaves_a_law() -> None:
    policy = fastcb(reward_max=0.1)
    state = policy.init(policy.params, Problem(3))
    for t, (arm, reward) in enumerate(FEEDBACKS):
        x.learn(policy, state, x.instance(t), arm, reward)
    law = x.law_of(policy, state, x.instance(4))
    assert law.sum() == pytest.approx(1.0, abs=1e-12)
    assert (law > 0.0).all()


def test_params_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidInput, match="reward_max"):
        fastcb(reward_max=math.nan)
    with pytest.raises(InvalidInput, match="gamma"):
        fastcb(gamma=-1.0)
