"""`engine.scores`: the numbers that `explain` tells, as arrays in the order of the actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onearm
from onearm.engine.errors import InvalidInput

ARMS = ["cat", "dog", "fox"]
LISTED: dict[str, Any] = {"policy": "linucb", "actions": {"length": 2}}


def taught(engine: Any, context: list[float] | None = None) -> Any:
    for t in range(12):
        decision = engine.decide(context)
        engine.learn(decision, float((t * decision.action) % 3))
    return engine


@pytest.mark.parametrize("policy", [None, "ucb1", "thompson_normal", "epsilon_greedy", "linucb", "fourier_softmax"])
def test_they_are_those_of_an_explanation_and_nothing_is_changed(policy: str | None) -> None:
    context = [2.0] if policy in ("linucb", "fourier_softmax") else None
    asked: dict[str, Any] = {} if policy is None else {"policy": policy}
    asked |= {} if context is None else {"context": 1}
    engine = taught(onearm.open(arms=ARMS, reward_range=(0, 2), seed=1, **asked), context)
    before = engine.digest()
    found, told = engine.scores(context), engine.explain(context)["explanation"]
    assert engine.digest() == before
    assert found.action_ids == ARMS
    of = {one["action_id"]: one for one in told}
    for name, column in zip(("score", "width", "probability"), found[1:], strict=True):
        said = [np.nan if of[arm][name] is None else of[arm][name] for arm in ARMS]
        np.testing.assert_array_equal(column, said)
    assert np.isfinite(found.score).all() and found.probability.sum() == pytest.approx(1.0)


def test_what_cannot_be_chosen_has_none() -> None:
    engine = taught(onearm.open("linucb", arms=ARMS, context=1), [2.0])
    found = engine.scores([2.0], eligible=["cat", "fox"])
    assert np.isnan(found.score).tolist() == np.isnan(found.width).tolist() == [False, True, False]
    assert found.probability[1] == 0.0


def test_actions_of_a_call_are_in_its_order() -> None:
    engine = onearm.open(**LISTED)
    offers = [{"id": "b", "features": [0.0, 1.0]}, {"id": "a", "features": [1.0, 0.0]}]
    for reward in (1.0, 0.0, 1.0):
        engine.learn(engine.decide(actions=offers), reward)
    found = engine.scores(actions=offers)
    assert found.action_ids == ["b", "a"]
    assert engine.decide(actions=offers).action == int(np.argmax(found.score + found.width))


@pytest.mark.parametrize("policy", ["exp3_ix", "uniform"])
def test_a_policy_that_expects_nothing_says_so(policy: str) -> None:
    engine = onearm.open(policy, arms=ARMS)
    with pytest.raises(
        InvalidInput, match="the policy expects nothing of its actions: take one with a model of the rewards"
    ):
        engine.scores()
    with pytest.raises(InvalidInput, match="the policy cannot say why it decides: take one with a model"):
        engine.explain()
