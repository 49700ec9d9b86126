"""SquareCB: hand-worked steps, the textbook's gamma, and its regret falling as the feedbacks grow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support import explorers as x

from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Problem
from onearm.policies.contexts.squarecb import squarecb

THREE = Problem(3)


def test_three_feedbacks_by_hand() -> None:
    """Without contexts a score is total / (count + regularisation); errors are those before each feedback."""
    policy = squarecb(gamma=2.0, regularisation=1.0, origin=0.0)
    state = policy.init(policy.params, THREE)
    assert x.law_of(policy, state, x.instance(0)) == pytest.approx([1 / 3] * 3, rel=1e-15)
    for t, (arm, reward) in enumerate([(0, 4.0), (0, 1.0), (2, 3.0)]):
        x.learn(policy, state, x.instance(t), arm, reward)
    scores = np.array([5 / 3, 0.0, 3 / 2])
    sd = math.sqrt((4.0**2 + (1.0 - 2.0) ** 2 + 3.0**2) / 3)
    gamma = 2.0 * math.sqrt(3.0) / sd
    shares = 1.0 / (3.0 + gamma * (5 / 3 - scores))
    law = x.law_of(policy, state, x.instance(3))
    assert law == pytest.approx([1.0 - shares[1] - shares[2], shares[1], shares[2]], rel=1e-12)
    without_best = x.law_of(policy, state, x.instance(3, available=np.array([False, True, True])))
    share = 1.0 / (2.0 + gamma * 1.5)
    assert without_best == pytest.approx([0.0, share, 1.0 - share], rel=1e-12)


def test_with_noise_given_gamma_is_the_textbooks() -> None:
    policy = squarecb(gamma=5.0, exponent=1.0, noise=1.0, regularisation=1.0, origin=0.0)
    state = policy.init(policy.params, THREE)
    for t in range(4):
        x.learn(policy, state, x.instance(t), 1, 1.0)
    share = 1.0 / (3.0 + 5.0 * 4.0 * 0.8)
    assert x.law_of(policy, state, x.instance(4)) == pytest.approx([share, 1.0 - 2.0 * share, share], rel=1e-12)


def test_nothing_but_zeros_leaves_the_law_uniform() -> None:
    policy = squarecb()
    state = policy.init(policy.params, THREE)
    for t in range(5):
        x.learn(policy, state, x.instance(t), t % 3, 0.0)
    assert x.law_of(policy, state, x.instance(5)) == pytest.approx([1 / 3] * 3, rel=1e-15)


def test_with_a_half_life_exploration_goes_on() -> None:
    """n stays below 1 / (1 - 2^(-1/10)) = 14.9, so the law does not narrow for ever."""
    policy = squarecb(half_life=10.0)
    state = policy.init(policy.params, THREE)
    for t in range(300):
        x.learn(policy, state, x.instance(t), t % 3, 0.5 + 0.5 * (t % 2) * (t % 3 == 0))
    assert state.errors.weight[0] == pytest.approx(1.0 / (1.0 - 0.5 ** (1 / 10)), rel=1e-6)
    assert x.law_of(policy, state, x.instance(300)).min() > 0.01


@pytest.mark.parametrize(
    "params", [{"gamma": 0.0}, {"exponent": 1.5}, {"noise": 0.0}, {"regularisation": 0.0}, {"half_life": 0.5}]
)
def test_params_out_of_range_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(params))):
        squarecb(**params)
