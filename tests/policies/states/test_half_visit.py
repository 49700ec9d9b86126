"""Half a visit: its first plans worked by hand, and what it loses in worlds that others lose much more in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.small_states import planned, random_world
from support.state_steps import Steps

from onearm.engine.simulation import simulate
from onearm.engine.states.planning import Model
from onearm.engine.states.transitions import transitions_of
from onearm.engine.vocabulary import Array
from onearm.envs import catalog as envs
from onearm.policies import catalog


def test_the_first_plans_worked_by_hand() -> None:
    """Two states and two actions, of which nothing is known.

    After (0, 0) earned 1 and stayed: 1.25 visits that earned 1.25; everything earns 1 and leads to 0, so the gain is 1.
    After it earned 0 and went to 1: 2.25 visits that earned 1.25, .5556 each, of which 1.25 stayed. Action 1 earns 1.
    After (0, 1) earned .5 and went to 1: 1.25 visits that earned .75, of which .25 stayed. Of three visits its share is
    1.5, so L = ln 1.5. The variance of the model before, of one pair with 1 and 0, was 1/4, and so is the typical one:
    that of this pair is 1/8, its bonus sqrt(.8 L / 8 / 1.25) + .06 L / 1.25 = .199565. From 1 one goes to 0 for 1, so
    gain + h(1) = 1 and gain = .799565 + .8 h(1): gain = 1.599565 / 1.8.
    """
    steps = Steps(catalog.make("half_visit"), 2, 2)
    plan, model = steps.state.plan, steps.state.model
    assert [steps.action(0), steps.action(1)] == [0, 0]
    steps.tell(0, 0, 1.0, 0, begins=True)
    assert (plan.made[0], steps.action(0), steps.action(1)) == (1, 0, 0)
    assert plan.gain[0] == pytest.approx(1.0, abs=1e-9)
    assert model.reward.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    steps.tell(0, 0, 0.0, 1)
    assert (plan.made[0], steps.action(0), steps.action(1)) == (2, 1, 0)
    np.testing.assert_allclose(model.reward, [[1.25 / 2.25, 1.0], [1.0, 1.0]])
    assert model.laws.successor[0, 0, :2].tolist() == [0, 1]
    np.testing.assert_allclose(model.laws.chance[0, 0, :2], [1.25 / 2.25, 1 / 2.25])
    np.testing.assert_allclose(plan.q, [[1.25 / 2.25 - 1.0, 0.0], [0.0, 0.0]], atol=1e-4)
    steps.tell(0, 1, 0.5, 1)
    assert (plan.made[0], steps.action(0), steps.action(1)) == (3, 1, 0)
    np.testing.assert_allclose(model.reward, [[1.25 / 2.25, 0.799565], [1.0, 1.0]], atol=1e-6)
    np.testing.assert_allclose(model.laws.chance[0, 1, :2], [0.2, 0.8])
    assert plan.gain[0] == pytest.approx(1.599565 / 1.8, abs=0.05)  # 1 / 10 of 1 / sqrt 3


def test_the_imagined_visit_leads_to_the_best_state_of_which_all_was_tried() -> None:
    """In its place among the successors, before them, between them, behind them, or as one of them."""
    for best, successors, chances in (
        (0, [0, 1, 3], [0.25, 1.0, 1.0]),
        (1, [1, 3], [1.25, 1.0]),
        (2, [1, 2, 3], [1.0, 0.25, 1.0]),
        (3, [1, 3], [1.0, 1.25]),
        (4, [1, 3, 4], [1.0, 1.0, 0.25]),
    ):
        steps = Steps(catalog.make("half_visit"), 6, 1)
        for s in {best, 2}:
            steps.tell(s, 0, 0.0, 3)
        steps.state.plan.bias[best] = 9.0
        steps.state.plan.bias[5] = 99.0  # where nobody was yet
        steps.tell(2, 0, 0.0, 1)
        laws = steps.state.model.laws
        assert steps.state.best[0] == best
        assert laws.successor[2, 0, : laws.successors[2, 0]].tolist() == successors
        np.testing.assert_allclose(laws.chance[2, 0, : laws.successors[2, 0]], np.array(chances) / 2.25)


def test_a_state_that_never_comes_is_no_hope() -> None:
    """Of five states two come: both are learned, and the others change nothing, though nothing is known of them."""
    wide, narrow = (Steps(catalog.make("half_visit"), states, 2) for states in (5, 2))
    for steps in (wide, narrow):
        for n in range(40):
            s = n % 2
            steps.tell(s, n // 2 % 2, float(s), 1 - s)
    assert wide.state.plan.gain[0] == pytest.approx(narrow.state.plan.gain[0], abs=0.02)
    assert wide.state.plan.gain[0] < 0.7


@pytest.mark.parametrize("seed", range(4))
def test_a_plan_is_the_optimum_of_the_model_as_numpy_makes_it(seed: int) -> None:
    """Whatever was learned: rewards, variances and laws from all transitions, and the best policy of these."""
    states, n_arms, policy = 4, 2, catalog.make("half_visit")
    rng = np.random.default_rng(seed)
    _, law = random_world(seed, states, n_arms)
    steps, told, made = Steps(policy, states, n_arms), [], 0
    bias, typical = np.zeros(states), 0.25
    for _ in range(120):
        s, a, reward = int(rng.integers(states)), int(rng.random() < 0.2), 0.5 + float(rng.integers(3)) / 16
        after = int(rng.choice(states, p=law[s, a]))
        told.append((s, a, reward, after))
        steps.tell(*told[-1])
        if (now := int(steps.state.plan.made[0])) > made:
            made = now
            model, variances = _model(told, bias, typical, states, n_arms)
            np.testing.assert_allclose(steps.state.model.reward, model.reward, atol=1e-12)
            exact = planned(model, 1e-11)
            assert steps.state.plan.gain[0] == pytest.approx(exact.gain[0], abs=max(1e-4, 0.1 / math.sqrt(len(told))))
            bias, typical = steps.state.plan.bias[:states].copy(), min(1.5 * float(np.mean(variances)), 0.25)
    assert made > 10
    assert typical < 0.25


def _model(
    told: list[tuple[int, int, float, int]], bias: Array, typical: float, states: int, n_arms: int
) -> tuple[Model, list[float]]:
    """Return the model of what was told by the bias of the plan before, and the variances of the pairs in it."""
    reward, law, variances = np.zeros((states, n_arms)), np.zeros((states, n_arms, states)), []
    visits = np.zeros((states, n_arms))
    for s, a, _, _ in told:
        visits[s, a] += 1
    tried = (visits > 0).all(axis=1)
    best = int(np.where(tried, bias, -np.inf).argmax()) if tried.any() else 0
    for s, a in np.ndindex(states, n_arms):
        rewards = np.array([r for s_, a_, r, _ in told if (s_, a_) == (s, a)])
        after = np.array([k for s_, a_, _, k in told if (s_, a_) == (s, a)], np.int64)
        n = len(rewards)
        spread = rewards.var() + bias[after].var() if n else 0.0
        variances += [(n * min(spread, 0.25) + 0.25) / (n + 1)] if n else []
        over = math.log(max(visits[s].sum() / n_arms / max(n, 1), 1.0))
        variance = (n * spread + typical) / (n + 1)
        bonus = math.sqrt(0.8 * over * variance / (n + 0.25)) + 0.06 * over / (n + 0.25)
        reward[s, a] = (rewards.sum() + 0.25) / (n + 0.25) + bonus
        law[s, a] = (np.bincount(after, minlength=states) + 0.25 * np.eye(states)[best]) / (n + 0.25)
    return Model(reward, np.ones((states, n_arms), np.bool_), np.zeros(states), transitions_of(law)), variances


def test_where_units_end_it_learns_what_pays_a_decision_and_not_a_unit() -> None:
    """Units begin in 0. Action 0 ends one at once for .4; action 1 leads on, and in state 2 it ends it for 1.

    A whole unit earns 1 in three decisions, so .3333 each: to end at once is better, though a unit earns more.
    Once the end is worth 1 only in state 1, it is two decisions, .5 each, and to go on is better.
    """
    for length, gain, actions in ((3, 0.4, [0]), (2, 0.5, [1, 1])):
        steps, s, begins = Steps(catalog.make("half_visit"), 3, 2), 0, True
        for _ in range(400):
            a = steps.action(s)
            last = a == 0 or s == length - 1
            steps.tell(s, a, (0.4 if a == 0 else 1.0) if last else 0.0, 3 if last else s + 1, begins)
            s, begins = (0, True) if last else (s + 1, False)
        assert steps.state.model.begin.tolist() == [1.0, 0.0, 0.0]
        assert steps.state.plan.gain[0] == pytest.approx(gain, abs=0.05)
        assert [steps.action(s) for s in range(len(actions))] == actions


@pytest.mark.jit
@pytest.mark.parametrize(
    ("env", "most"),
    [
        ("river_swim", 45.0),
        ("four_rooms", 60.0),
        ("admission", 110.0),
        ("inventory", 75.0),
        ("backoff", 90.0),
    ],
)
def test_regret_is_as_small_as_it_was_measured(env: str, most: float) -> None:
    curves = simulate(catalog.make("half_visit"), envs.make(env), horizon=20_000, replications=5, seed=1)
    assert 0.0 < curves.regret[:, -1].mean() < most
