"""Plans by turns: the same as by sweeps over all actions, for less work."""

from __future__ import annotations

import numpy as np
import pytest
from support.small_states import model_of, planned, random_world

from onearm.engine.states.planning import SWEEPING, SWEEPS_MAX, Model, Plan, begin, no_plan, sweep
from onearm.engine.states.turns import TURNS, sweep_by_turns, turns
from onearm.engine.states.world import tables_of
from onearm.envs import catalog as envs


def planned_by_turns(model: Model, eps: float = 1e-12, span: float = np.inf, work: int = 10**9) -> Plan:
    """Return the finished plan of a model, made in calls of so much work."""
    plan, by = no_plan(*model.reward.shape), turns(len(model.reward))
    begin(plan, eps, span, SWEEPS_MAX)
    while plan.stage[0] == SWEEPING:
        sweep_by_turns(plan, model, by, work)
    return plan


@pytest.mark.parametrize("seed", range(6))
def test_a_plan_by_turns_is_the_plan(seed: int) -> None:
    """With closed actions, units that end, and a span that cuts what is above it."""
    reward, law = random_world(seed, 5, 3, ends=seed % 2 == 1)
    opened = np.random.default_rng(seed).random((5, 3)) < 0.7
    opened[:, 1] = True
    start = np.full(5, 0.2) if seed % 2 else None
    model = model_of(reward, law, opened=opened, start=start)
    span = float(planned(model).bias.max())
    for most in (np.inf, 0.6 * span):
        plan, by_turns = planned(model, span=most), planned_by_turns(model, span=most)
        assert by_turns.gain[0] == pytest.approx(plan.gain[0], abs=1e-11)
        np.testing.assert_allclose(by_turns.bias, plan.bias, atol=1e-9)
        np.testing.assert_allclose(by_turns.q, plan.q, atol=1e-9)
        assert by_turns.swept[0] < plan.swept[0]


def test_a_plan_in_parts_is_the_same_plan() -> None:
    model = model_of(*random_world(3, 6, 2))
    whole, parts = planned_by_turns(model), planned_by_turns(model, work=5)
    assert all((a == b).all() for a, b in zip(whole, parts, strict=True))


def test_where_what_is_decided_is_soon_known_turns_take_less_than_half_of_the_work() -> None:
    law, reward, _ = tables_of(envs.make("service"))
    model, done, most = model_of(reward, law), [], 10**8
    for by in (None, turns(20)):
        plan = no_plan(20, 4)
        begin(plan, 1e-3, np.inf, SWEEPS_MAX)
        done.append(most - (sweep(plan, model, most) if by is None else sweep_by_turns(plan, model, by, most)))
    assert 0 < 2 * done[1] < done[0]


def test_turns_come_once_a_sweep_has_changed_no_decision() -> None:
    model = model_of(*random_world(2, 4, 3))
    plan, by = no_plan(4, 3), turns(4)
    begin(plan, 1e-9, np.inf, SWEEPS_MAX)
    held, kept = by.action.copy(), set()
    while plan.stage[0] == SWEEPING:
        swept = plan.swept[0]
        sweep_by_turns(plan, model, by, 1)
        if plan.swept[0] > swept:
            kept.add(bool((by.action == held).all()))
            assert by.left[0] == (TURNS if (by.action == held).all() else 0)
            held = by.action.copy()
    assert kept == {True, False}
