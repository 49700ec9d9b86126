"""Epochs: when a plan is due, where units begin, work in parts, and what an action is said to be worth."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from onearm.engine import loop
from onearm.engine.kernel import KERNELS
from onearm.engine.problem import state_problem
from onearm.engine.protocol import update
from onearm.engine.states.counts import learn
from onearm.engine.states.planning import DESCRIBING, IDLE, SWEEPING
from onearm.engine.states.replanning import Planner, begin_epoch, described, is_due, planner
from onearm.engine.vocabulary import Decision, Feedback, Instance, Key
from onearm.policies import catalog

KEY = Key(np.uint64(1), 0)


def fresh(states: int = 3, n_arms: int = 2) -> Planner:
    return planner(state_problem(states, n_arms), None)


@pytest.mark.parametrize(
    ("factor", "before", "due"), [(2.0, 0, 1), (2.0, 1, 2), (2.0, 7, 14), (1.25, 0, 1), (1.25, 3, 4), (1.25, 10, 13)]
)
def test_a_plan_is_due_when_a_pair_has_grown_by_the_factor_and_at_least_by_one(
    factor: float, before: int, due: int
) -> None:
    state = fresh()
    state.epoch.visits[1, 0] = before
    found = []
    for visits in range(before, 2 * before + 3):
        state.seen.visits[1, 0] = visits
        found.append(is_due(state.epoch, state.seen, state.plan, 1, 0, factor))
    assert before + found.index(True) == due
    assert all(found[due - before :])
    for stage in (DESCRIBING, SWEEPING):  # one after another
        state.plan.stage[0] = stage
        assert not is_due(state.epoch, state.seen, state.plan, 1, 0, factor)


def test_units_begin_where_they_were_seen_to() -> None:
    state = fresh()
    for begun, met, ended, law in (
        ([3, 0, 1], [1, 1, 1], True, [0.75, 0.0, 0.25]),
        ([0, 0, 0], [0, 1, 1], True, [0.0, 0.5, 0.5]),  # nobody said so
        ([3, 0, 1], [1, 1, 1], False, [0.0, 0.0, 0.0]),
    ):
        state.seen.begun[:], state.seen.met[:], state.seen.ended[0] = begun, met, ended
        begin_epoch(state.epoch, state.seen, state.plan, state.model, 1e-3, math.inf)
        assert state.model.begin.tolist() == law


def test_a_plan_is_described_state_by_state_and_then_swept() -> None:
    state = fresh()
    state.seen.visits[:] = [[1, 2], [3, 4], [5, 6]]
    state.seen.learned[0] = 21
    state.seen.open[1] = [False, True]
    begin_epoch(state.epoch, state.seen, state.plan, state.model, 1e-3, 2.5)
    state.seen.visits[0, 0] = 9
    assert state.epoch.visits.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert (state.epoch.learned[0], state.plan.eps[0], state.plan.span[0]) == (21, 1e-3, 2.5)
    for s in range(3):
        assert (state.plan.stage[0], state.plan.at[0]) == (DESCRIBING, s)
        described(state.seen, state.plan, state.model)
    assert (state.plan.stage[0], state.plan.at[0]) == (SWEEPING, 0)
    assert state.model.open.tolist() == [[True, True], [False, True], [True, True]]


@pytest.mark.parametrize(
    ("name", "work"),
    [("half_visit", 60), ("kl_ucrl", 60), ("psrl", 2000), ("ucrl2", 60), ("ucrl2b", 60), ("ucrl3_box", 60)],
)
def test_a_large_plan_is_made_over_many_updates_and_the_last_one_is_followed_meanwhile(
    name: str, work: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, rng = catalog.make(name), np.random.default_rng(2)
    monkeypatch.setattr(sys.modules[KERNELS[type(policy.params)]["update"].__module__], "WORK", work)
    state, stages = policy.init(policy.params, state_problem(12, 3)), set()
    for t in range(60):
        held, made = state.plan.q.copy(), state.plan.made[0]
        context = np.array([float(rng.integers(12)), float(t % 9 == 0)])
        feedback = Feedback(float(rng.random() < 0.4), np.array([float(rng.integers(13))]))
        instance = Instance(t, context, np.ones(3, np.bool_))
        update(policy.params, state, instance, Decision(int(rng.integers(3)), 1.0), feedback, KEY)
        stages.add(int(state.plan.stage[0]))
        assert state.plan.made[0] > made or state.plan.q.tolist() == held.tolist()
    assert stages == {IDLE, DESCRIBING, SWEEPING}
    assert 0 < state.plan.made[0] < 30


def test_an_action_is_worth_what_was_counted_and_the_plan_believes_more() -> None:
    """Three visits, rewards 1 and 0 and 1, to states of bias 2 and 2 and 5, from one of bias 1.5."""
    policy = catalog.make("half_visit")
    state = policy.init(policy.params, state_problem(3, 3))
    instance = Instance(0, np.array([1.0, 0.0]), np.array([True, True, False]))
    state.plan.stage[0] = SWEEPING  # so that none is made
    for reward, after in ((1.0, 0.0), (0.0, 0.0), (1.0, 2.0)):
        learn(state.seen, instance, Decision(0, 1.0), Feedback(reward, np.array([after])), policy.params.rewards)
    state.plan.bias[:3], state.plan.gain[0] = [2.0, 1.5, 5.0], 0.5
    state.plan.q[1] = [4.0, 7.0, 9.0]
    scores, widths, law, parts = np.zeros(3), np.zeros(3), np.zeros(3), np.zeros((3, 1))
    loop.explain(policy.params, state, instance, law, scores, widths, parts)
    np.testing.assert_allclose(scores[:2], [2 / 3 + 3 - 1.5, np.nan])
    np.testing.assert_allclose(widths[:2], [4.0 + 0.5 - (2 / 3 + 3), np.nan])
    assert law[:2].tolist() == [0.0, 1.0]  # the best that is available
