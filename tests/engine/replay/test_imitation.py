"""Imitation: a policy learns its own decision, with a reward for agreeing, by steps worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.problem import fitted
from onearm.engine.replay.imitation import imitating
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key, Problem
from onearm.policies import catalog

NOTHING = np.zeros(0)


def taught(policy: object, state: object, number: int, action: int) -> None:
    """Let somebody else's action be learned, whose reward is 5."""
    instance = Instance(number, NOTHING, np.ones(3, np.bool_), np.uint64(0), 0)
    call = (policy.params, state, instance, Decision(action, float("nan")), Feedback(5.0, NOTHING))  # type: ignore[attr-defined]
    loop.learn.python(*call, Key(np.uint64(7), number))


def test_what_is_learned_is_the_own_decision_and_whether_it_was_the_others() -> None:
    policy = imitating(catalog.make("ucb1"))
    state = policy.init(policy.params, Problem(3))
    for number in range(3):
        taught(policy, state, number, 1)  # it tries 0, 1 and 2 in turn
    assert state.count.tolist() == [1, 1, 1]
    assert state.mean.tolist() == [0.0, 1.0, 0.0]


def test_where_rewards_have_another_range_agreement_is_the_largest_of_it() -> None:
    problem = Problem(3, reward_range=(-4.0, 0.0))
    policy = imitating(fitted(catalog.make("ucb1"), problem))
    assert (policy.params.agreed, policy.params.differed) == (0.0, -4.0)
    assert policy.spec["name"] == "ucb1"


def test_it_is_no_policy_of_the_catalogue() -> None:
    with pytest.raises(Exception, match="there is no policy 'imitating'"):
        catalog.make("imitating")
