"""States in Python: said with decisions and rewards, alone and many at once, and refused where they do not belong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onearm
from onearm.engine.errors import InvalidInput
from onearm.engine.storage.log import header_of, read_header
from onearm.engine.vocabulary import Columns


def engine(states: Any = 4, policy: Any = "ucb1", **more: Any) -> Any:
    return onearm.open(policy, ["left", "right"], states=states, **more)


def columns_of(decision: Any, world: Any) -> Columns:
    row: Columns = decision.row(world.problem)
    return row


def test_a_decision_holds_its_state_and_a_reward_leads_on() -> None:
    world = engine({"row": 2, "column": 2})
    decision = world.decide(state={"row": 1, "column": 0}, begins=True)
    assert columns_of(decision, world).context.tolist() == [[2.0, 1.0]]
    world.learn(decision, 0.5, next_state=3)
    world.learn(world.decide(state=3), 0.5, ended=True)
    assert world.rewards == 2


def test_many_states_are_learned_as_one_by_one() -> None:
    one, many = engine(), engine()
    held = [one.decide(state=s, begins=s == 0) for s in (0, 1, 3)]
    batch = many.decide_many(states=[0, 1, 3], begins=[True, False, False])
    for decision, told in zip(held, ({"next_state": 1}, {"ended": True}, {"next_state": 0}), strict=True):
        one.learn(decision, 0.25, **told)
    many.learn_many(batch, [0.25] * 3, next_states=[1, None, 0], ended=[False, True, False])
    assert one.digest() == many.digest()
    assert [decision.action for decision in held] == batch.action.tolist()


def test_arrays_of_states_are_as_lists() -> None:
    lists, arrays = engine(), engine()
    lists.learn_many(lists.decide_many(states=[0, 3]), [0.25] * 2, next_states=[1, 2])
    arrays.learn_many(arrays.decide_many(states=np.array([0, 3])), [0.25] * 2, next_states=np.array([1, 2]))
    assert lists.digest() == arrays.digest()


def test_who_reads_no_state_plays_as_without_any() -> None:
    plain, told = onearm.open("ucb1", ["left", "right"]), engine()
    for n in range(20):
        plain.learn(plain.decide(), n % 3 / 2)
        told.learn(told.decide(state=n % 4), n % 3 / 2, next_state=0)
    assert plain.digest() == told.digest()


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda world: world.decide(), "missing_state"),
        (lambda world: world.decide([1.0, 0.0]), "unexpected_context"),
        (lambda world: world.decide(state=4), "unknown_state"),
        (lambda world: world.decide(state=np.float64(1.0)), "bad_state"),
        (lambda world: world.decide_many([[1.0, 0.0]]), "bad_state"),
        (lambda world: world.decide_many(states=[1, 2], begins=[True]), "bad_state"),
        (lambda world: world.learn(world.decide(state=0), 1.0), "missing_next_state"),
        (lambda world: world.learn(world.decide(state=0), 1.0, next_state=1, ended=True), "bad_next_state"),
        (lambda world: world.learn(world.decide(state=0), 1.0, 2.0, next_state=1), "unexpected_cost"),
        (lambda world: world.learn_many(world.decide_many(states=[0]), [1.0], next_states=[1, 2]), "bad_next_state"),
        (lambda world: world.learn_many(world.decide_many(states=[0]), [1.0]), "missing_next_state"),
    ],
)
def test_what_does_not_belong_is_refused_and_nothing_is_learned(ask: Any, code: str) -> None:
    world = engine()
    before = world.digest()
    with pytest.raises(InvalidInput) as refusal:
        ask(world)
    assert refusal.value.code == code
    assert world.digest() == before


def test_who_learns_states_is_told_how_to_say_them() -> None:
    with pytest.raises(InvalidInput, match=r"say what the states are \(problem.states; in Python states\)"):
        onearm.open("half_visit", ["left", "right"])


def test_states_where_there_are_none_are_refused() -> None:
    world = onearm.open("ucb1")
    for code, ask in (
        ("unexpected_state", lambda: world.decide(state=1)),
        ("unexpected_state", lambda: world.decide(begins=True)),
        ("unexpected_state", lambda: world.decide_many(states=None, begins=[True])),
        ("unexpected_next_state", lambda: world.learn(world.decide(), 1.0, next_state=1)),
        ("unexpected_next_state", lambda: world.learn_many(world.decide_many(1), [1.0], ended=[True])),
    ):
        with pytest.raises(InvalidInput) as refusal:
            ask()
        assert refusal.value.code == code
    with pytest.raises(InvalidInput, match="a domain"):
        onearm.open(domain={"kind": "ball", "dimension": 2}, states=3)  # type: ignore[call-overload]


def test_the_header_of_a_log_says_how_many_states_there_are() -> None:
    problem = engine().problem
    text = json.dumps(header_of(problem, {})).encode()
    assert read_header(Path("log.jsonl"), text)[0].choice == problem.choice


@pytest.mark.parametrize(
    "policy", ["half_visit", {"name": "floor", "params": {"policy": "half_visit", "minimum": 0.2}}]
)
def test_the_plan_is_told_through_wrappers(policy: Any) -> None:
    """Under constraints each policy is in a wrapper, in which it learns as outside."""
    world = engine(["idle", "busy"], policy, constraints={"floors": {"left": 0.1}}, seed=1)
    for t in range(40):
        world.learn(world.decide(state=t % 2), float(t % 2), next_state=(t + 1) % 2)
    assert [(one.state, sum(one.decisions.values())) for one in world.plan.states] == [("idle", 20), ("busy", 20)]
    assert world.plan.states[0].worth < world.plan.states[1].worth


def test_loop_tells_what_speaks_against_its_plan() -> None:
    """At most three budgets do; a new plan is made with about one: what it spends is weighed by its own values."""
    world, before = engine(["idle", "busy"], "loop", seed=1), 0
    for t in range(60):
        decision = world.decide(state=t % 2)
        world.learn(decision, float(t % 2), next_state=(t + decision.action + 1) % 2)
        plan = world.plan
        assert 0.0 <= plan.error <= plan.error_max
        if plan.plans > before:
            assert plan.error <= plan.error_max / 3 * 1.25
        before = plan.plans
    assert before > 1
    held = world.explain(state=0)["plan"]
    assert (held["error"], held["error_max"]) == (plan.error, plan.error_max)
    assert "error" not in engine(policy="half_visit").explain(state=0)["plan"]
