"""Lists in Python: what is decided, learned and refused."""

from __future__ import annotations

from typing import Any

import golden
import numpy as np
import pytest

import onearm
from onearm.engine.errors import InvalidInput, OnearmError

RANDOM = {"name": "epsilon_greedy", "params": {"epsilon": 0.5}}


def test_nothing_is_learned_while_a_list_is_filled_and_each_action_stands_once() -> None:
    engine = onearm.open(RANDOM, 6, slots=4, seed=2)
    digest = engine.digest()
    shelf = engine.decide(["top", "left", "right"])
    assert engine.digest() == digest
    assert list(shelf.slots) == ["top", "left", "right"] and len(set(shelf.action_ids)) == 3
    assert [slot.number for slot in shelf.slots.values()] == [0, 1, 2]
    engine.learn(shelf, {"left": 1.0})
    engine.learn(shelf, {"right": 0.0, "top": 0.5})
    assert engine.rewards == 3 and engine.decide().slots["0"].number == 3


@pytest.mark.usefixtures("few_cosines")
def test_the_default_policy_learns_by_slot_which_arm_pays() -> None:
    engine = onearm.open(arms=["a", "b", "c"], slots=2, reward_range=(0.0, 1.0), seed=1)
    paid = {("0", "c"), ("1", "a")}
    for _ in range(80):
        shelf = engine.decide()
        engine.learn(shelf, {key: float((key, slot.action_id) in paid) for key, slot in shelf.slots.items()})
    found = [engine.decide().action_ids for _ in range(20)]
    assert found.count(["c", "a"]) >= 12


@pytest.mark.parametrize(
    ("rewards", "code"),
    [
        ({"nobody": 1.0}, "unknown_slot"),
        ({}, "no_slots"),
        ({"0": 1.0, "1": float("nan")}, "bad_reward"),
        ({"0": 1.0, "1": 2.0}, "bad_reward"),
        (None, "bad_reward"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_learned(rewards: Any, code: str) -> None:
    engine = onearm.open("ucb1", 4, slots=2, reward_range=(0.0, 1.0))
    shelf, digest = engine.decide(), engine.digest()
    with pytest.raises(OnearmError) as refused:
        engine.learn(shelf, rewards)
    assert (refused.value.code, engine.digest()) == (code, digest)


def test_a_slot_has_one_reward() -> None:
    engine = onearm.open("ucb1", 4, slots=2)
    shelf = engine.decide()
    engine.learn(shelf, {"1": 1.0})
    digest = engine.digest()
    with pytest.raises(OnearmError, match="decision 1 already has feedback"):
        engine.learn(shelf, 1.0)
    assert engine.digest() == digest


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"slots": "x"}, "bad_slot"),
        ({"slots": [{"name": "x"}]}, "bad_slot"),
        ({"slots": ["x", "x"]}, "duplicate_slot"),
        ({"slots": ["x", "y", "z"]}, "too_many_slots"),
        ({"eligible": ["1"]}, "too_few_actions"),
        ({"actions": [{"id": "x"}]}, "bad_actions"),
        ({"context": [1.0]}, "bad_context"),
    ],
)
def test_a_list_that_cannot_be_filled_is_not_decided(call: dict[str, Any], code: str) -> None:
    engine = onearm.open("uniform", 4, slots=2)
    with pytest.raises(OnearmError) as refused:
        engine.decide(**call)
    assert (refused.value.code, engine.number) == (code, 0)


def test_slots_beside_what_has_none_are_refused() -> None:
    with pytest.raises(OnearmError, match="slots are given, and a domain"):
        onearm.open(domain={"kind": "ball", "dimension": 2}, slots=2)  # type: ignore[call-overload]
    with pytest.raises(OnearmError, match="a task is given, and slots"):
        onearm.open(task=onearm.thresholds(3), horizon=4, slots=2)  # type: ignore[call-overload]


def test_actions_may_come_with_the_list() -> None:
    engine = onearm.open("linucb", actions=1, slots={"max": 2, "length": 1}, context=1)
    offer = [{"id": f"n{j}", "features": [j / 2]} for j in range(4)]
    shelf = engine.decide([{"id": "x", "features": [0.5]}, {"id": "y", "features": [1.0]}], [2.0], actions=offer)
    assert len(set(shelf.action_ids)) == 2
    seen = shelf.slots["y"].instance.context
    assert seen.tolist() == [[2.0, 1.0, 0.0, 1.0, j / 2] for j in range(4)]


@pytest.mark.usefixtures("few_cosines", "coarse_quadrature")
@pytest.mark.parametrize("name", golden.names("arm"))
def test_every_policy_of_arms_fills_lists_or_says_that_it_does_not_fit(name: str) -> None:
    spec = golden.specimen(name).spec
    try:
        engine = onearm.open(spec, 5, slots=3, seed=1)
    except OnearmError as refused:
        assert refused.code == "policy_does_not_fit", str(refused)
        return
    for t in range(6):
        shelf = engine.decide()
        assert len(set(shelf.action_ids)) == 3
        assert all(not slot.propensity <= 0.0 and not slot.propensity > 1.0 for slot in shelf.slots.values())
        engine.learn(shelf, t % 2)
    assert engine.rewards == 18


def test_features_of_slots_may_be_arrays() -> None:
    made = [onearm.open(RANDOM, ["a", "b"], slots={"max": 1, "length": 2}, seed=1) for _ in range(2)]
    shown = [
        engine.decide([{"id": "top", "features": features}])
        for engine, features in zip(made, ([0.5, 2.0], np.array([0.5, 2.0])), strict=True)
    ]
    assert shown[0].action_ids == shown[1].action_ids
    for engine, one in zip(made, shown, strict=True):
        engine.learn(one, 1.0)
    assert made[0].digest() == made[1].digest()
    with pytest.raises(InvalidInput) as bad:
        made[0].decide([{"id": "top", "features": object()}])
    assert bad.value.code == "bad_slot"


@pytest.mark.parametrize(
    ("slots", "says"),
    [
        (["x", "y", "z", "w"], "the 4 slots x, y, z, w may get 3 actions (a, b, c)"),
        (
            ["free", {"id": "x", "eligible_actions": ["b"]}, {"id": "y", "eligible_actions": ["b"]}],
            "the 2 slots x, y may get 1 action (b)",
        ),
        (
            [
                {"id": "x", "eligible_actions": ["a", "b"]},
                {"id": "y", "eligible_actions": ["a", "b"]},
                {"id": "free"},
                {"id": "z", "excluded_actions": ["c"]},
            ],
            "the 3 slots x, y, z may get 2 actions (a, b)",
        ),
    ],
)
def test_a_list_that_cannot_be_filled_says_for_which_slots_there_are_too_few_actions(slots: Any, says: str) -> None:
    engine = onearm.open("uniform", ["a", "b", "c"], slots=4)
    with pytest.raises(InvalidInput) as refused:
        engine.decide(slots)
    assert refused.value.code == "too_few_actions" and says in str(refused.value)
