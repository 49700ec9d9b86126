"""Optimistic Q-learning: steps worked by hand, what it needs to be told, and what it tells people."""

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
from onearm.engine.states.optimum import optimum
from onearm.engine.states.world import tables_of
from onearm.engine.vocabulary import Decision, Feedback, Instance
from onearm.envs import catalog as envs
from onearm.policies import catalog

SPAN, T = 0.09, 100
H = math.sqrt(SPAN * T / 4)  # 1.5, below (25 / ln(400 / .9))^(1/3)


def fresh(scale: float = 0.0, **params: Any) -> Steps:
    return Steps(
        catalog.make("optimistic_q", **{"horizon": T, "span": SPAN, "delta": 0.9, "scale": scale} | params), 2, 2
    )


@pytest.mark.parametrize(
    ("horizon", "span", "length"),
    [
        (100_000, 1e-3, math.sqrt(1e-3 * 25_000)),
        (100_000, 5.0, (25_000 / math.log(400_000 / 0.9)) ** (1 / 3)),
        (3, 5.0, 1.0),
    ],
)
def test_how_many_decisions_count(horizon: int, span: float, length: float) -> None:
    state = fresh(horizon=horizon, span=span).state
    np.testing.assert_allclose([*state.length, *state.q.flat, *state.value.flat], length, rtol=1e-14)


def test_steps_worked_by_hand_without_a_bonus() -> None:
    """Everything is worth H, and H - 1 after a discount. The second of two visits counts (H + 1) / (H + 2) = 5/7."""
    steps = fresh(span=0.04)  # H is 1, so what comes next is worth nothing
    steps.tell(0, 0, 0.25, 1)
    assert steps.state.q.tolist() == [[0.25, 1.0], [1.0, 1.0]]
    steps = fresh()
    value, q = steps.state.value, steps.state.q
    assert (H, q[0, 0]) == (1.5, pytest.approx(1.5))
    steps.tell(0, 0, 0.5, 1)
    assert (value[0, 0], q[0, 0]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert steps.action(0) == 1
    steps.tell(0, 0, 0.0, 0)
    assert (value[0, 0], q[0, 0]) == (pytest.approx(1.0 - 2.5 / 3.5 * 0.5), value[0, 0])
    low = q[0, 0]
    steps.tell(0, 0, 1.0, 1)  # it rises, and Q does not
    assert (value[0, 0], q[0, 0]) == (pytest.approx(low + 2.5 / 4.5 * (1.5 - low)), low)
    np.testing.assert_allclose(q.flat[1:], 1.5)


def test_each_visit_has_a_bonus_that_shrinks() -> None:
    steps, scale = fresh(0.02), 0.02
    bonus = scale * 4 * SPAN * math.sqrt(H * math.log(2 * T / 0.9))
    steps.tell(0, 0, 0.5, 1)
    first = 1.0 + bonus
    assert steps.state.q[0, 0] == pytest.approx(first)
    steps.tell(0, 0, 0.5, 1)
    assert steps.state.q[0, 0] == pytest.approx(first + 2.5 / 3.5 * (1.0 + bonus / math.sqrt(2) - first))


def test_with_the_published_bonus_nothing_falls_at_first() -> None:
    steps = fresh(1.0, horizon=100_000, span=5.0)
    before = steps.state.q.tolist()
    for _ in range(100):
        steps.tell(0, 0, 0.0, 0)
    assert steps.state.q.tolist() == before


def test_what_is_closed_is_not_hoped_for_and_after_an_end_a_unit_begins() -> None:
    steps = fresh()
    closed = Instance(0, np.array([1.0, 1.0]), np.array([True, False]))
    loop.learn(steps.policy.params, steps.state, closed, Decision(0, 1.0), Feedback(0.0, np.array([0.0])), KEY)
    worth = (1 - 1 / H) * H
    assert steps.state.q[1, 0] == pytest.approx(worth)
    steps.tell(0, 0, 0.25, 1)
    steps.tell(0, 1, 0.25, 2)  # units begin in state 1 alone
    np.testing.assert_allclose(steps.state.q[0], 0.25 + (1 - 1 / H) * worth)
    before = steps.state.q.copy()
    steps.tell(0, 1, 0.0, math.nan)  # type: ignore[arg-type]
    assert steps.state.q.tolist() == before.tolist()


def test_an_arm_that_joins_is_worth_what_others_were() -> None:
    steps = fresh()
    steps.tell(0, 0, 0.5, 1)
    more = grown(steps.policy, steps.state, state_problem(2, 3))
    np.testing.assert_allclose(more.q, [[1.0, H, H], [H, H, H]])
    np.testing.assert_allclose(more.value, more.q)
    assert more.length.tolist() == steps.state.length.tolist()


def test_people_are_told_the_gain_and_q_in_rewards() -> None:
    """Rewards from -2 to 2. Both arms of state 0 are worth 1 after a visit that paid 0, 1 / 1.5 of the range."""
    policy = {"name": "optimistic_q", "params": {"horizon": T, "span": SPAN, "delta": 0.9, "scale": 0.0}}
    world = onearm.open(policy, ["left", "right"], states=2, reward_range=(-2.0, 2.0), seed=1)
    for state in (0, 0):
        world.learn(world.decide(state=state), 0.0, next_state=1)
    assert world.plan.gain == pytest.approx(-2 + 4 * 1.0 / H)
    assert (world.plan.plans, world.plan.learned_since) == (2, 0)
    assert world.explain(state=0)["ranking"][0]["score"] == pytest.approx(world.plan.gain)


@pytest.mark.parametrize(
    ("params", "code", "said"),
    [
        ({"span": 1.0}, "missing_param", "'optimistic_q' needs the param 'horizon'"),
        ({"horizon": 100}, "missing_param", "'optimistic_q' needs the param 'span'"),
        ({"horizon": 0, "span": 1.0}, "bad_param", "horizon is 0: it must be a whole number from 1 to"),
        ({"horizon": 1e5, "span": 1.0}, "bad_param", "horizon is 100000.0"),
        ({"horizon": True, "span": 1.0}, "bad_param", "horizon is True"),
        ({"horizon": 100, "span": 0.0}, "bad_param", "span is 0"),
        ({"horizon": 100, "span": 1.0, "delta": 1.0}, "bad_param", "delta is 1"),
        ({"horizon": 100, "span": 1.0, "scale": -1.0}, "bad_param", "scale is -1"),
    ],
)
def test_params_that_are_missing_or_out_of_their_range_are_refused(
    params: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as refusal:
        catalog.make("optimistic_q", **params)
    assert refusal.value.code == code


@pytest.mark.jit
@pytest.mark.parametrize(("env", "regret"), [("four_rooms", 755.0), ("admission", 15326.0), ("service", 39714.0)])
def test_regret_is_that_of_an_independent_program(env: str, regret: float) -> None:
    """With a hundredth of the published bonus, and the true span."""
    world, horizon = envs.make(env), 100_000
    policy = catalog.make("optimistic_q", horizon=horizon, span=optimum(*tables_of(world)).span, scale=0.01)
    curves = simulate(policy, world, horizon=horizon, replications=4, seed=1)
    assert curves.regret[:, -1].mean() == pytest.approx(regret, rel=0.05)
