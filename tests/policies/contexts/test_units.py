"""Rewards of any unit: no explorer decides otherwise where they are multiplied, or something is added to them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import explorers as x
from support.every_run import every_run, first_of_others

from onearm.engine import loop
from onearm.engine.vocabulary import Decision, Features, Policy, Problem
from onearm.policies import catalog

pytestmark = pytest.mark.usefixtures("few_cosines")

NUMBERS = ("linucb", "linear_thompson")  # read rows of numbers
ANY = ("bag", "fastcb", "linear_greedy", "regcb", "softmax", "squarecb")
BENDING = ("fourier_ucb",)  # expects of the unknown the lowest reward
PROBLEMS = {
    "dense": Problem(4, (3,)),
    "actions": Problem(4, (4, 3)),
    "named": Problem(4, (4, 64), None, 8),
    "none": Problem(4),
}
CASES = [
    (name, kind) for name in NUMBERS + ANY + BENDING for kind in PROBLEMS if name not in NUMBERS or kind != "named"
]
each_case = pytest.mark.parametrize(("name", "kind"), every_run(CASES, first_of_others(CASES, lambda case: case[0])))
UNITS = [  # in which rewards of 0 and 1 are exact, and so are their differences
    (2.0**-30, 0.0),
    (2.0**-30, 2.0**10),
    (4.0, -(2.0**20)),
    (2.0**30, 0.0),
    (2.0**30, 2.0**10),
]
STEPS = 60
CHEAP: dict[str, dict[str, Any]] = {"linear_thompson": {"propensities": False}, "bag": {"models": 3}}
NEW = ("origin", "noise", "second_order", "compared")  # params that came later


def policy_of(name: str, **params: Any) -> Policy:
    """Return a policy; Thompson sampling draws a score per action: its law takes long in Python, as do many models."""
    return catalog.make(name, **CHEAP.get(name, {}), **params)


def context_of(problem: Problem, rng: Any) -> Any:
    """Return a context; of named features one that is shared and one of each action's own."""
    if problem.context_kind != "named":
        return rng.normal(size=problem.context_shape)
    start = np.array([0, 1, 2, 3, 4, 5], np.int64)
    return Features(start, np.arange(5, dtype=np.uint32), np.array([1.0, *rng.normal(size=4)]))


def course(policy: Policy, problem: Problem, paid: Callable[[float], float]) -> list[Decision]:
    """Return the decisions where action a pays 0 or 1, more often 1 the higher its number, in another unit."""
    state, rng = policy.init(policy.params, problem), np.random.default_rng(5)
    decisions = []
    for t in range(STEPS):
        at = x.instance(t, context_of(problem, rng), 4)
        decisions.append(x.decide(policy, state, at))
        action = int(decisions[-1].action)
        x.learn(policy, state, at, action, paid(float(rng.random() < 0.2 + 0.2 * action)))
    return decisions


def same(found: list[Decision], known: list[Decision]) -> bool:
    """Tell whether actions and propensities are the same bits; NaN is NaN."""
    return bool(np.array_equal(np.array(found), np.array(known), equal_nan=True))


@pytest.mark.covering
@each_case
def test_no_unit_and_no_offset_changes_a_decision(name: str, kind: str) -> None:
    policy, problem = policy_of(name), PROBLEMS[kind]
    known = course(policy, problem, lambda reward: reward)
    assert len({decision.action for decision in known}) > 1
    for a, b in UNITS:
        assert same(course(policy, problem, lambda reward, a=a, b=b: a * reward + b), known), (a, b)  # type: ignore[misc]


@pytest.mark.covering
@each_case
def test_where_all_rewards_are_the_same_none_counts(name: str, kind: str) -> None:
    """There is no unit, so no action is better, whatever the reward is."""
    policy, problem = policy_of(name), PROBLEMS[kind]
    known = course(policy, problem, lambda _: 0.0)
    for reward in (-1e6, 0.3):
        assert same(course(policy, problem, lambda _, reward=reward: reward), known), reward  # type: ignore[misc]


def test_the_law_of_thompson_sampling_is_free_of_units_up_to_rounding() -> None:
    policy, problem = catalog.make("linear_thompson"), PROBLEMS["dense"]
    state = [policy.init(policy.params, problem) for _ in range(2)]
    rng = np.random.default_rng(2)
    for t in range(12):
        at = x.instance(t, rng.normal(size=3), 4)
        law = [x.law_of(policy, one, at) for one in state]
        assert law[1] == pytest.approx(law[0], rel=1e-9, abs=1e-12)
        action, reward = int(rng.integers(4)), float(rng.integers(2))
        for one, paid in zip(state, (reward, 2.0**-20 * reward - 2.0**10), strict=True):
            x.learn(policy, one, at, action, paid)


@pytest.mark.covering
@each_case
def test_what_was_stored_before_there_was_an_origin_still_compares_with_0(name: str, kind: str) -> None:
    """Stored specs lack `origin`, and of these two policies `noise`: they decide by rewards as they come."""
    spec = policy_of(name).spec
    stored = {"name": name, "params": {key: value for key, value in spec["params"].items() if key not in NEW}}
    earlier = catalog.from_stored(stored)
    meant = policy_of(name, origin=0.0, **({"noise": 1.0} if name in NUMBERS else {"second_order": False}))
    now = 2 if name in NUMBERS else 4
    assert (earlier.version, meant.version, catalog.from_spec(spec).version) == (1, 1, now)
    problem = PROBLEMS[kind]
    assert same(course(earlier, problem, float), course(meant, problem, float))
    assert type(earlier.init(earlier.params, problem)) is type(meant.init(meant.params, problem))


@pytest.mark.parametrize("unit", every_run([1e-9, 1.0, 1e9], [1e9]))
@pytest.mark.parametrize("name", NUMBERS + ANY)
def test_what_is_told_is_in_the_unit_of_the_rewards(name: str, unit: float) -> None:
    """Scores are rewards again, and their parts sum to them."""
    policy, problem = catalog.make(name), PROBLEMS["dense"]
    state, rng = policy.init(policy.params, problem), np.random.default_rng(3)
    for t in range(200):
        at = x.instance(t, rng.normal(size=3), 4)
        x.learn(policy, state, at, t % 4, unit * (1000.0 + float(t % 4) + 0.1 * float(rng.normal())))
    law, scores, widths, parts = np.zeros(4), np.zeros(4), np.zeros(4), np.zeros((4, 4))
    loop.explain(policy.params, state, at, law, scores, widths, parts)
    assert scores / unit == pytest.approx([1000.0, 1001.0, 1002.0, 1003.0], abs=0.3)
    assert widths.min() > 0.0
    assert np.isfinite(widths).all()
    assert parts.sum(axis=1) == pytest.approx(scores, rel=1e-12)
