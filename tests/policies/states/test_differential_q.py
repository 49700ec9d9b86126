"""Differential Q-learning: steps worked by hand, masks, units that end, its law, and what it tells people."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support.state_steps import KEY, Steps

import onearm
from onearm.engine import loop
from onearm.engine.errors import InvalidInput
from onearm.engine.growth import grown
from onearm.engine.problem import state_problem
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Decision, Feedback, Instance
from onearm.envs import catalog as envs
from onearm.policies import catalog


def fresh(n_arms: int = 2, **params: Any) -> Steps:
    return Steps(catalog.make("differential_q", **{"alpha": 0.5, "eta": 0.5} | params), 2, n_arms)


def test_steps_worked_by_hand() -> None:
    """Of two states and two actions, by alpha 1/2 and eta 1/2: d is reward - gain + max Q(s') - Q(s, a)."""
    steps = fresh()
    q, gain = steps.state.q, steps.state.gain
    for s, a, reward, after, off in (
        (0, 0, 1.0, 1, 1.0),
        (1, 1, 0.5, 0, 0.5 - 0.25 + 0.5),
        (0, 1, 0.0, 0, 0.0 - 0.4375 + 0.5),
    ):
        before, was = q[s, a], gain[0]
        steps.tell(s, a, reward, after)
        assert (q[s, a] - before, gain[0] - was) == (off / 2, off / 4)
    assert q.tolist() == [[0.5, 0.03125], [0.0, 0.375]]
    assert gain[0] == 0.453125


@pytest.mark.parametrize(
    ("begun", "worth"),
    [([], (0.5 + 0.375) / 2), ([1], 0.375), ([1, 0], (0.5 + 0.375) / 2), ([1, 0, 0, 0], 0.75 * 0.5 + 0.25 * 0.375)],
)
def test_after_an_end_comes_a_state_in_which_units_begin(begun: list[int], worth: float) -> None:
    """In the mean; where that was never told it is any that was met."""
    steps = fresh(eta=0.0)
    for s in begun:
        steps.tell(s, 0, 0.0, 0, begins=True)
    steps.tell(1, 0, 0.0, 0)
    steps.state.q[:] = [[0.5, 0.0], [0.0, 0.375]]
    steps.tell(0, 1, 0.125, 2)
    assert steps.state.q[0, 1] == (0.125 + worth) / 2


def test_what_was_closed_in_the_next_state_is_not_hoped_for() -> None:
    steps = fresh()
    closed = Instance(0, np.array([1.0, 0.0]), np.array([True, False]))
    loop.learn(steps.policy.params, steps.state, closed, Decision(0, 1.0), Feedback(0.0, np.array([0.0])), KEY)
    steps.state.q[1] = [0.25, 8.0]
    steps.tell(0, 0, 1.0, 1)
    assert steps.state.q[0, 0] == (1.0 + 0.25) / 2


def test_a_transition_without_a_next_state_teaches_nothing() -> None:
    steps = fresh()
    steps.tell(0, 0, 1.0, math.nan)  # type: ignore[arg-type]
    assert not steps.state.q.any()
    assert (steps.state.gain[0], steps.state.seen.learned[0]) == (0.0, 0)


def test_the_best_is_taken_and_any_now_and_then() -> None:
    steps = fresh(3, epsilon=0.3)
    steps.state.q[1] = [0.5, 0.75, 0.75]
    params, law = steps.policy.params, np.zeros(3)
    instance = Instance(0, np.array([1.0, 0.0]), np.ones(3, np.bool_))
    loop.explain(params, steps.state, instance, law, np.zeros(3), np.zeros(3), np.zeros((3, 1)))
    np.testing.assert_allclose(law, [0.1, 0.8, 0.1])
    decided = [loop.decide(params, steps.state, instance, KEY._replace(t=t)) for t in range(1000)]
    counts = np.bincount([action for action, _ in decided], minlength=3)
    assert all(propensity == law[action] for action, propensity in decided)
    assert abs(counts - 1000 * law).max() < 4 * math.sqrt(1000 * 0.16)


def test_an_arm_that_joins_begins_at_0() -> None:
    steps = fresh()
    steps.tell(0, 0, 1.0, 1)
    more = grown(steps.policy, steps.state, state_problem(2, 3))
    assert more.q.tolist() == [[0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert more.seen.open.all()


def test_people_are_told_the_gain_and_q_in_rewards() -> None:
    """Rewards from -2 to 2: a part of .75 is 1. Each transition makes Q anew."""
    policy = {"name": "differential_q", "params": {"alpha": 0.5, "eta": 0.5, "epsilon": 0.0}}
    world = onearm.open(policy, ["left", "right"], states=2, reward_range=(-2.0, 2.0), seed=1)
    assert world.plan.gain is None
    world.learn(world.decide(state=0), 1.0, next_state=1)
    plan = world.plan
    assert (plan.gain, plan.plans, plan.learned_since) == (-2.0 + 4.0 * 0.75 / 4, 1, 0)
    assert [(one.state, one.action_id, one.worth, one.q) for one in plan.states] == [(0, "left", 0.0, {"left": 0.0})]
    world.learn(world.decide(state=1), -2.0, next_state=1)
    assert [(one.action_id, one.worth) for one in world.plan.states] == [
        ("left", 4.0 * 0.375),
        ("right", 0.0),
    ]
    assert world.explain(state=0)["ranking"][0]["score"] == world.plan.gain


@pytest.mark.parametrize("params", [{"epsilon": 1.5}, {"alpha": 0.0}, {"alpha": 2.0}, {"eta": -1.0}, {"eta": None}])
def test_params_out_of_their_range_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        catalog.make("differential_q", **params)
    assert refusal.value.code == "bad_param"


@pytest.mark.jit
@pytest.mark.parametrize(
    ("env", "regret"), [("four_rooms", 7668.0), ("garnet", 4744.0), ("inventory", 505.0), ("backoff", 4809.0)]
)
def test_regret_is_that_of_an_independent_program(env: str, regret: float) -> None:
    curves = simulate(catalog.make("differential_q"), envs.make(env), horizon=100_000, replications=4, seed=1)
    assert curves.regret[:, -1].mean() == pytest.approx(regret, rel=0.05)
