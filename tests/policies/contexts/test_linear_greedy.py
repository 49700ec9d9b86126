"""Linear epsilon-greedy: its law by hand, and the same decisions as epsilon-greedy where there is no context."""

from __future__ import annotations

import numpy as np
import pytest
from support import explorers as x

from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Problem
from onearm.policies.contexts.linear_greedy import linear_greedy


def test_the_law_by_hand() -> None:
    policy = linear_greedy(epsilon=0.3)
    state = policy.init(policy.params, Problem(3, (1,)))
    for t, (arm, z, reward) in enumerate([(0, 1.0, 1.0), (1, -1.0, 1.0), (0, -1.0, -1.0), (1, 1.0, -1.0)]):
        x.learn(policy, state, x.instance(t, np.array([z])), arm, reward)
    right = x.instance(4, np.array([1.0]))
    left = x.instance(5, np.array([-1.0]))
    assert x.law_of(policy, state, right) == pytest.approx([0.8, 0.1, 0.1], rel=1e-12)
    assert x.law_of(policy, state, left) == pytest.approx([0.1, 0.8, 0.1], rel=1e-12)
    masked = x.instance(6, np.array([1.0]), available=np.array([False, True, True]))
    assert x.law_of(policy, state, masked) == pytest.approx([0.0, 0.15, 0.85], rel=1e-12)


def test_without_epsilon_the_best_is_taken_for_sure() -> None:
    policy = linear_greedy(epsilon=0.0)
    state = policy.init(policy.params, Problem(3))
    x.learn(policy, state, x.instance(0), 0, 0.0)
    x.learn(policy, state, x.instance(1), 2, 1.0)
    assert [x.decide(policy, state, x.instance(t)) for t in range(2, 51)] == [(2, 1.0)] * 49


def test_params_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidInput, match="epsilon"):
        linear_greedy(epsilon=1.1)
