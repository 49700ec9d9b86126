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
from onearm.envs import catalog as envs
from onearm.policies import catalog


def test_the_first_plans_worked_by_hand() -> None:
    """Two states and two actions; before anything is known the best state is 0, and so on.

    After (0, 0) earned 1 and stayed: 1.5 visits that earned 1.5 and all stayed; no bonus, as ln 1 = 0. Everything earns
    1 and leads to 0, so the gain is 1 and nothing is better than action 0.
    After it earned 0 and went to 1: 2.5 visits that earned 1.5, of which 1.5 stayed. Variance of 1 and 0: 1/4, and so
    is that of the imagined visit. Bonus sqrt(.15 ln 2 / 4 / 2.5) = .101967. Of other pairs, of half a visit each:
    sqrt(.15 ln 2 / 4 / .5) = .228004. So the gain is 1.228004 by action 1; both states are as good.
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
    np.testing.assert_allclose(model.reward, [[0.6 + 0.101967, 1.228004], [1.228004, 1.228004]], atol=1e-6)
    assert model.laws.successor[0, 0, :2].tolist() == [0, 1]
    np.testing.assert_allclose(model.laws.chance[0, 0, :2], [1.5 / 2.5, 1 / 2.5])
    assert plan.gain[0] == pytest.approx(1.228004, abs=1e-4)
    np.testing.assert_allclose(plan.q, [[0.701967 - 1.228004, 0.0], [0.0, 0.0]], atol=1e-4)


def test_the_imagined_visit_leads_to_the_state_of_the_largest_bias() -> None:
    """In its place among the successors, before them, between them, behind them, or as one of them."""
    steps = Steps(catalog.make("half_visit"), 5, 1)
    for best, successors, chances in (
        (0, [0, 1, 3], [0.5, 1.0, 1.0]),
        (1, [1, 3], [1.5, 1.0]),
        (2, [1, 2, 3], [1.0, 0.5, 1.0]),
        (3, [1, 3], [1.0, 1.5]),
        (4, [1, 3, 4], [1.0, 1.0, 0.5]),
    ):
        steps = Steps(catalog.make("half_visit"), 5, 1)
        steps.tell(2, 0, 0.0, 3)
        steps.state.seen.met[best] = True
        steps.state.plan.bias[best] = 9.0
        steps.tell(2, 0, 0.0, 1)
        laws = steps.state.model.laws
        assert steps.state.best[0] == best
        assert laws.successor[2, 0, : laws.successors[2, 0]].tolist() == successors
        np.testing.assert_allclose(laws.chance[2, 0, : laws.successors[2, 0]], np.array(chances) / 2.5)


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
    bias = np.zeros(states)
    for _ in range(80):
        s, a, reward = int(rng.integers(states)), int(rng.integers(n_arms)), float(rng.integers(5)) / 4
        after = int(rng.choice(states, p=law[s, a]))
        told.append((s, a, reward, after))
        steps.tell(*told[-1])
        if (now := int(steps.state.plan.made[0])) > made:
            made = now
            met = np.isin(np.arange(states), [s for s, _, _, _ in told])
            model = _model(told, bias, int(np.where(met, bias, -1.0).argmax()), n_arms)
            exact = planned(model, 1e-11)
            eps = max(1e-4, 0.1 / math.sqrt(len(told)))
            assert steps.state.plan.gain[0] == pytest.approx(exact.gain[0], abs=eps)
            np.testing.assert_allclose(steps.state.model.reward, model.reward, atol=1e-12)
            bias = steps.state.plan.bias[:states].copy()
    assert made > 10


def _model(told: list[tuple[int, int, float, int]], bias: np.ndarray, best: int, n_arms: int) -> Model:
    states = len(bias)
    reward, law = np.zeros((states, n_arms)), np.zeros((states, n_arms, states))
    for s, a in np.ndindex(states, n_arms):
        rewards = np.array([r for s_, a_, r, _ in told if (s_, a_) == (s, a)])
        after = np.array([k for s_, a_, _, k in told if (s_, a_) == (s, a)], np.int64)
        n = len(rewards)
        spread = rewards.var() + bias[after].var() if n else 0.0
        variance = (n * spread + 0.25) / (n + 1)
        bonus = math.sqrt(0.15 * math.log(len(told)) * variance / (n + 0.5))
        reward[s, a] = (rewards.sum() + 0.5) / (n + 0.5) + bonus
        law[s, a] = (np.bincount(after, minlength=states) + 0.5 * np.eye(states)[best]) / (n + 0.5)
    return Model(reward, np.ones((states, n_arms), np.bool_), np.zeros(states), transitions_of(law))


@pytest.mark.jit
@pytest.mark.parametrize(
    ("env", "most"),
    [
        ("river_swim", 40.0),
        ("four_rooms", 95.0),
        ("admission", 200.0),
        ("inventory", 80.0),
    ],
)
def test_regret_is_as_small_as_it_was_measured(env: str, most: float) -> None:
    curves = simulate(catalog.make("half_visit"), envs.make(env), horizon=20_000, replications=5, seed=1)
    assert 0.0 < curves.regret[:, -1].mean() < most
