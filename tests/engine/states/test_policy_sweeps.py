"""Plans with sweeps over the policy: the same as by sweeps over all actions, for less work."""

from __future__ import annotations

import numpy as np
import pytest
from support.small_states import model_of, planned, random_world

from onearm.engine.states.planning import SWEEPING, SWEEPS_MAX, Model, Plan, begin, no_plan, sweep
from onearm.engine.states.policy_sweeps import POLICY_SWEEPS, policy_sweeps, sweep_with_policy
from onearm.engine.states.world import tables_of
from onearm.envs import catalog as envs


def planned_with_policy(model: Model, eps: float = 1e-12, span: float = np.inf, work: int = 10**9) -> Plan:
    """Return the finished plan of a model, made in calls of so much work."""
    plan, by = no_plan(*model.reward.shape), policy_sweeps(len(model.reward))
    begin(plan, eps, span, SWEEPS_MAX)
    while plan.stage[0] == SWEEPING:
        sweep_with_policy(plan, model, by, work)
    return plan


@pytest.mark.parametrize("seed", range(6))
def test_a_plan_with_policy_sweeps_is_the_plan(seed: int) -> None:
    """With closed actions, units that end, and a span that cuts what is above it."""
    reward, law = random_world(seed, 5, 3, ends=seed % 2 == 1)
    opened = np.random.default_rng(seed).random((5, 3)) < 0.7
    opened[:, 1] = True
    start = np.full(5, 0.2) if seed % 2 else None
    model = model_of(reward, law, opened=opened, start=start)
    span = float(planned(model).bias.max())
    for most in (np.inf, 0.6 * span):
        plan, with_policy = planned(model, span=most), planned_with_policy(model, span=most)
        assert with_policy.gain[0] == pytest.approx(plan.gain[0], abs=1e-11)
        np.testing.assert_allclose(with_policy.bias, plan.bias, atol=1e-9)
        np.testing.assert_allclose(with_policy.q, plan.q, atol=1e-9)
        assert with_policy.swept[0] < plan.swept[0]


def test_a_plan_in_parts_is_the_same_plan() -> None:
    model = model_of(*random_world(3, 6, 2))
    whole, parts = planned_with_policy(model), planned_with_policy(model, work=5)
    assert all((a == b).all() for a, b in zip(whole, parts, strict=True))


def test_where_what_is_decided_is_soon_known_turns_take_less_than_half_of_the_work() -> None:
    law, reward, _ = tables_of(envs.make("service"))
    model, done, most = model_of(reward, law), [], 10**8
    for by in (None, policy_sweeps(20)):
        plan = no_plan(20, 4)
        begin(plan, 1e-3, np.inf, SWEEPS_MAX)
        done.append(most - (sweep(plan, model, most) if by is None else sweep_with_policy(plan, model, by, most)))
    assert 0 < 2 * done[1] < done[0]


def test_turns_come_once_a_sweep_has_changed_no_decision() -> None:
    model = model_of(*random_world(2, 4, 3))
    plan, by = no_plan(4, 3), policy_sweeps(4)
    begin(plan, 1e-9, np.inf, SWEEPS_MAX)
    held, kept = by.action.copy(), set()
    while plan.stage[0] == SWEEPING:
        swept = plan.swept[0]
        sweep_with_policy(plan, model, by, 1)
        if plan.swept[0] > swept:
            kept.add(bool((by.action == held).all()))
            assert by.left[0] == (POLICY_SWEEPS if (by.action == held).all() else 0)
            held = by.action.copy()
    assert kept == {True, False}
