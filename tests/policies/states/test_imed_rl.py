"""IMED-RL: its first steps by hand, the same decisions as a program in NumPy and SciPy, and what it loses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from support.small_states import best_policy, gain_and_bias
from support.state_steps import Steps

from onearm.engine import loop
from onearm.engine.errors import InvalidInput
from onearm.engine.growth import grown
from onearm.engine.problem import state_problem
from onearm.engine.simulation import simulate
from onearm.engine.states.planning import IDLE, SWEEPING
from onearm.engine.vocabulary import Instance
from onearm.envs import catalog as envs
from onearm.policies import catalog
from onearm.policies.states import imed_rl as module


def test_the_first_steps_worked_by_hand() -> None:
    """Two states and two actions; a visit more of each pair earned 1/2 and led to either state.

    (0, 0) earned 1/2 and stayed, so every pair earns 1/2: gain 1/2, h = 0. Next comes (0, 1), never tried. It earned 0
    and went to 1: r = 1/4 against m = 1/2, and B = 1. Its X are 0 and 1/2, as likely, none above m, so x is at its end,
    2 - .01, and K = ln(1 + 1.99 / 2) / 2 = .3453, its index. That of action 0 is ln 1 = 0, so it is next; it earns 1/2
    and stays: ln 2 = .69, and action 1 is next.
    """
    steps = Steps(catalog.make("imed_rl"), 2, 2)
    plan, model = steps.state.plan, steps.state.model
    assert [steps.action(0), steps.action(1)] == [0, 0]
    steps.tell(0, 0, 0.5, 0)
    assert (plan.made[0], steps.action(0), steps.action(1)) == (1, 1, 0)
    steps.tell(0, 1, 0.0, 1)
    assert (plan.made[0], steps.action(0), steps.action(1)) == (2, 0, 0)
    assert model.reward.tolist() == [[0.5, 0.25], [0.5, 0.5]]
    assert model.laws.imagined.tolist() == [[0.5, 0.5], [1.0, 1.0]]
    assert model.laws.came.chance[0, :, 0].tolist() == [0.5, 0.5]
    assert (plan.gain[0], plan.bias.tolist()) == (pytest.approx(0.5, abs=1e-3), [0.0, 0.0, 0.0])
    steps.tell(0, 0, 0.5, 0)
    assert (plan.made[0], steps.action(0), steps.action(1)) == (3, 1, 0)


def test_a_skeleton_is_what_was_learned_at_least_ln_squared_times() -> None:
    """Of 20 visits to the other action: ln 20 = 2.996, squared 8.97. What is closed is left out."""
    steps = Steps(catalog.make("imed_rl"), 2, 3)
    is_open = steps.state.model.open
    for action, times, skeleton in ((0, 20, [1, 0, 0]), (1, 8, [1, 0, 0]), (1, 1, [1, 1, 0])):
        for _ in range(times):
            steps.tell(0, action, 0.5, 0)
        assert is_open[0].tolist() == skeleton
    assert is_open[1].tolist() == [1, 1, 1]
    steps.open[:] = [False, True, True]
    steps.tell(0, 1, 0.5, 0)
    assert is_open[0].tolist() == [0, 1, 0]


@pytest.mark.parametrize("with_bound", [True, False])
def test_decisions_are_those_of_a_program_in_numpy_and_scipy(with_bound: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index of each action by all that was told, with an exact plan; masks close some."""
    monkeypatch.setattr(module, "EPS", 1e-7)
    rng = np.random.default_rng(5)
    steps, told, moved = Steps(catalog.make("imed_rl", with_bound=with_bound), 3, 2), [], 0
    world = rng.dirichlet(np.full(3, 0.5), (3, 2))
    means = rng.random((3, 2))
    for _ in range(80):
        s = int(rng.integers(3))
        action, (by_bound, without) = steps.action(s), (_action(told, s, True), _action(told, s, False))
        moved += by_bound != without
        assert action == (by_bound if with_bound else without)
        told.append((s, action, float(rng.random() < means[s, action]), int(rng.choice(3, p=world[s, action]))))
        steps.tell(*told[-1])
    assert moved > 5


def _action(told: list[tuple[int, int, float, int]], s: int, with_bound: bool) -> int:
    """Return the action of the least index in a state, of three states and two actions."""
    n, reward, law = np.zeros((3, 2)), np.full((3, 2), 0.5), np.full((3, 2, 3), 1 / 3)
    for state, action, earned, after in told:
        n[state, action] += 1
        reward[state, action] += earned
        law[state, action, after] += 1
    if not n[s].all():
        return int(n[s].argmin())
    reward /= n + 1
    law /= n[:, :, np.newaxis] + 1
    skeleton = n >= np.log(np.maximum(n.max(axis=1, keepdims=True), 1)) ** 2
    _, bias = gain_and_bias(reward, law, best_policy(reward, law, skeleton)[1])
    q = reward[s] + law[s] @ bias
    most, mean = 1 + bias.max(), q.max()
    index = np.log(n[s])
    for a in np.flatnonzero(q < mean - 1e-9):
        rewards = np.array([0.5, *(r for state, action, r, _ in told if (state, action) == (s, a))])
        x = (rewards[:, np.newaxis] + bias).ravel()
        chance = np.tile(law[s, a], len(rewards)) / len(rewards)
        k = minimize_scalar(
            lambda y, x=x, chance=chance: -chance @ np.log1p(-y * (x - mean) / most),
            bounds=(0, most / (most - mean) - 0.01),
            method="bounded",
            options={"xatol": 1e-11},
        )
        index[a] += n[s, a] * (-k.fun + (math.log(most) if with_bound else 0.0))
    return int(np.flatnonzero(index <= index.min() + 1e-9)[0])


def test_a_large_plan_is_made_over_many_updates_with_what_was_known_when_it_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is learned meanwhile is in the next one, which begins at the feedback after it; indices count it at once."""
    monkeypatch.setattr(module, "WORK", 20)
    steps, rng = Steps(catalog.make("imed_rl"), 8, 3), np.random.default_rng(2)
    seen, plan, epoch = steps.state.seen, steps.state.plan, steps.state.epoch
    waits = 0
    for _ in range(60):
        made, learned, was = plan.made[0], epoch.learned[0], plan.stage[0]
        steps.tell(int(rng.integers(8)), int(rng.integers(3)), float(rng.random()), int(rng.integers(8)))
        if was == IDLE:
            assert epoch.learned[0] == seen.learned[0]
            assert (epoch.visits == seen.visits).all()
        else:
            waits += 1
            assert epoch.learned[0] == learned
            assert (epoch.visits != seen.visits).any()
        assert plan.made[0] <= made + 1
    assert waits > 20
    assert plan.made[0] > 0
    while plan.stage[0] == SWEEPING:
        unknown(steps)
    made = plan.made[0]
    assert epoch.learned[0] < seen.learned[0]
    while plan.made[0] == made:
        unknown(steps)
    assert epoch.learned[0] == seen.learned[0]
    for _ in range(30):
        unknown(steps)
    assert plan.made[0] == made + 1


def unknown(steps: Steps) -> None:
    """Tell of a decision whose next state nobody knows: nothing is learned, and a plan goes on."""
    feedback = module.Feedback(0.0, np.array([np.nan]))
    instance = Instance(0, np.zeros(2), steps.open)
    loop.learn(
        steps.policy.params, steps.state, instance, module.Decision(0, 1.0), feedback, module.Key(np.uint64(1), 0)
    )


def test_where_units_end_it_learns_what_pays_a_decision_and_not_a_unit() -> None:
    """Units begin in 0. Action 0 ends one at once for .4; action 1 leads on, and in the last state it ends it for 1."""
    for length, gain, actions in ((3, 0.4, [0]), (2, 0.5, [1, 1])):
        steps, s, begins, counts = Steps(catalog.make("imed_rl"), 3, 2), 0, True, np.zeros(2)
        for _ in range(250):
            a = steps.action(s)
            counts[a] += s == 0
            last = a == 0 or s == length - 1
            steps.tell(s, a, (0.4 if a == 0 else 1.0) if last else 0.0, 3 if last else s + 1, begins)
            s, begins = (0, True) if last else (s + 1, False)
        assert steps.state.model.begin.tolist() == [1.0, 0.0, 0.0]
        assert steps.state.plan.gain[0] == pytest.approx(gain, abs=0.05)
        assert counts[actions[0]] > 5 * counts[1 - actions[0]]


def test_an_arm_that_joins_is_tried_first_and_then_in_the_skeleton() -> None:
    steps = Steps(catalog.make("imed_rl"), 3, 2)
    for n in range(12):
        steps.tell(n % 2, n // 2 % 2, 0.5, 1 - n % 2)
    steps.state = grown(steps.policy, steps.state, state_problem(3, 3))
    steps.open = np.ones(3, np.bool_)
    assert steps.state.model.open.tolist() == [[1, 1, 0]] * 3
    assert [steps.action(0), steps.action(1)] == [2, 2]
    steps.tell(0, 2, 1.0, 0)
    assert steps.state.model.open.tolist() == [[1, 1, 0], [1, 1, 0], [1, 1, 1]]  # ln 3 squared is 1.2
    steps.tell(0, 2, 1.0, 0)
    assert steps.state.model.open.tolist() == [[1, 1, 1], [1, 1, 0], [1, 1, 1]]
    assert steps.state.model.reward[1].tolist() == [0.5, 0.5, 0.5]


def test_bad_params_are_refused() -> None:
    with pytest.raises(InvalidInput, match="with_bound is 1: it must be true or false"):
        catalog.make("imed_rl", with_bound=1)


@pytest.mark.jit
@pytest.mark.parametrize(("env", "most"), [("four_rooms", 40.0), ("inventory", 19.0)])
def test_regret_is_as_small_as_that_of_the_released_code(env: str, most: float) -> None:
    curves = simulate(catalog.make("imed_rl"), envs.make(env), horizon=3000, replications=4, seed=1)
    assert 10.0 < curves.regret[:, -1].mean() < most


@pytest.mark.slow
@pytest.mark.jit
def test_without_the_bound_every_action_is_tried_for_ever() -> None:
    """With it a world of large values is given up after a while: half of the seeds lose for ever."""
    found = {}
    for with_bound in (True, False):
        policy = catalog.make("imed_rl", with_bound=with_bound)
        found[with_bound] = simulate(policy, envs.make("admission"), horizon=20_000, replications=4, seed=1)
    assert found[True].regret[:, -1].mean() > 1000.0
    assert found[False].regret[:, -1].mean() < 250.0
