"""Plans: a world worked by hand, the river's printed numbers, all policies tried out, and plans made in parts."""

from __future__ import annotations

import numpy as np
import pytest
from support.compiled import compiled
from support.every_run import every_run
from support.small_states import (
    best_policy,
    boxes_of,
    gain_and_bias,
    kl_of,
    l1_of,
    merged,
    model_of,
    most_in_box,
    most_in_l1,
    planned,
    random_world,
    river_swim,
)

from onearm.engine.states import planning
from onearm.engine.states.planning import (
    IDLE,
    SWEEPING,
    SWEEPS_MAX,
    Model,
    begin,
    begin_shares,
    follow,
    greedy,
    mean_reward,
    no_plan,
    time_shares,
)
from onearm.engine.states.transitions import transitions_of
from onearm.engine.vocabulary import Array

sweep = compiled(planning.sweep)


def greedy_of(plan: planning.Plan, opened: Array) -> tuple[int, ...]:
    return tuple(greedy(plan.q[s], opened[s]) for s in range(len(opened)))


def test_a_world_worked_by_hand() -> None:
    """State 0: stay for .2, or go to 1 for 0. State 1: go back for .5, or stay with .75 for .3, else go back.

    There and back: gain .25. There, and stay: (.3 * 4 + 0) / (4 + 1) = .24. Stay at 0: .2. So there and back it is,
    which is periodic: h = (0, .25), as .25 + .25 = .5 + 0 and .25 + 0 = 0 + .25.
    q(0, stay) = .2 - .25 + 0 = -.05; q(1, stay) = .3 - .25 + .75 * .25 = .2375.
    """
    reward = np.array([[0.2, 0.0], [0.5, 0.3]])
    law = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.25, 0.75]]])
    plan = planned(model_of(reward, law))
    assert plan.gain[0] == pytest.approx(0.25, abs=1e-11)
    np.testing.assert_allclose(plan.bias, [0.0, 0.25, 0.0], atol=1e-10)
    np.testing.assert_allclose(plan.q, [[-0.05, 0.0], [0.25, 0.2375]], atol=1e-10)
    assert plan.made[0] == 1 and plan.stage[0] == IDLE


def test_the_river_has_the_bias_and_the_gaps_that_were_printed() -> None:
    reward, law = river_swim(6)
    plan = planned(model_of(reward, law))
    assert plan.gain[0] == pytest.approx(0.4286224338, abs=1e-10)
    bias = [0.0, 0.71437072, 2.04105921, 3.45522166, 4.88188039, 6.31032431]
    np.testing.assert_allclose(plan.bias[:6], bias, atol=6e-9)
    gaps = plan.bias[:6] - plan.q[:, 0]
    np.testing.assert_allclose(gaps, [0.423622, 1.142993, 1.755311, 1.842785, 1.855281, 1.857066], atol=6e-7)


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_no_policy_of_a_random_world_gains_more(seed: int, ends: bool) -> None:
    rng = np.random.default_rng(1000 + seed)
    states, n_arms = int(rng.integers(2, 6)), int(rng.integers(1, 4))
    reward, law = random_world(seed, states, n_arms, ends)
    opened = rng.random((states, n_arms)) < 0.7
    opened[np.arange(states), rng.integers(n_arms, size=states)] = True
    start = rng.dirichlet(np.ones(states)) if ends else None
    plan = planned(model_of(reward, law, opened=opened, start=start))
    gain, policy = best_policy(reward, merged(law, start), opened)
    assert plan.gain[0] == pytest.approx(gain, abs=1e-10)
    assert greedy_of(plan, opened) == policy
    bias = gain_and_bias(reward, merged(law, start), policy)[1]
    np.testing.assert_allclose(plan.bias[:states], bias, atol=1e-8)
    assert plan.bias[states] == pytest.approx(0.0 if start is None else start @ bias, abs=1e-8)
    ahead = np.append(bias, plan.bias[states])[: law.shape[2]]
    np.testing.assert_allclose(plan.q, reward + law @ ahead - gain, atol=1e-8)  # of what is closed as well


def test_a_ring_of_one_way_is_planned_although_it_is_periodic() -> None:
    states = 5
    law = np.zeros((states, 1, states))
    law[np.arange(states), 0, (np.arange(states) + 1) % states] = 1.0
    reward = np.array([[1.0], [0.0], [0.0], [0.0], [0.0]])
    plan = planned(model_of(reward, law))
    assert plan.gain[0] == pytest.approx(0.2, abs=1e-11)
    np.testing.assert_allclose(plan.bias[:states], [0.8, 0.0, 0.2, 0.4, 0.6], atol=1e-9)


@pytest.mark.covering
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shape", ["l1", "box"])
def test_extended_value_iteration_solves_the_optimistic_equation(shape: str, seed: int) -> None:
    """gain + h(s) = max over a and the set of r + p h, the inner maximum by a linear programme."""
    rng = np.random.default_rng(seed)
    reward, law = random_world(seed, 5, 3)
    size = rng.uniform(0.0, 0.6, (5, 3))
    make, solve = {"l1": (l1_of, most_in_l1), "box": (boxes_of, most_in_box)}[shape]
    model = model_of(reward, law)
    plan = planned(model._replace(laws=make(model.laws, size)))
    h = plan.bias[:5]
    right = [[reward[s, a] + solve(law[s, a], h, size[s, a]) for a in range(3)] for s in range(5)]
    np.testing.assert_allclose(np.max(right, axis=1), plan.gain[0] + h, atol=1e-8)
    np.testing.assert_allclose(right - plan.gain[0], plan.q, atol=1e-8)
    assert plan.gain[0] >= planned(model).gain[0]


def _two_rivers() -> Model:
    """Two rivers without a way from one to the other, of which the second pays half as much."""
    reward, law = river_swim(4)
    both = np.zeros((8, 2, 8))
    both[:4, :, :4], both[4:, :, 4:] = law, law
    return model_of(np.vstack([reward, 0.5 * reward]), both)


def test_a_cut_span_ends_the_sweeps_in_a_world_of_two_parts() -> None:
    """The values of the better part run away from those of the other one until the cut holds them."""
    plan = planned(_two_rivers(), span=20.0)
    assert plan.swept[0] < 2000
    assert np.ptp(plan.bias[:8]) == pytest.approx(20.0)
    assert plan.gain[0] == pytest.approx(0.5 * planned(model_of(*river_swim(4))).gain[0], abs=1e-9)


def test_a_wide_span_cuts_nothing() -> None:
    reward, law = random_world(3, 5, 2)
    free = planned(model_of(reward, law))
    cut = planned(model_of(reward, law), span=float(np.ptp(free.bias[:5])) + 1e-6)
    assert cut.gain[0] == pytest.approx(free.gain[0], abs=1e-11)
    np.testing.assert_allclose(cut.bias, free.bias, atol=1e-9)


def test_sweeps_end_at_their_most() -> None:
    plan, model = no_plan(8, 2), _two_rivers()
    begin(plan, 1e-9, np.inf, 50)
    assert sweep(plan, model, 10**9) > 0
    assert (plan.stage[0], plan.swept[0], plan.made[0]) == (IDLE, 50, 1)


@pytest.mark.parametrize("work", [1, 7, 40, 500])
def test_a_plan_made_in_parts_is_the_same_plan(work: int) -> None:
    reward, law = random_world(4, 6, 3)
    model = model_of(reward, law)
    whole, parts = planned(model, 1e-6), no_plan(6, 3)
    begin(parts, 1e-6, np.inf, SWEEPS_MAX)
    calls = 0
    while parts.stage[0] == SWEEPING:
        assert parts.made[0] == 0 and not parts.q.any() and not parts.bias.any()  # what is held is the last one
        left = sweep(parts, model, work)
        assert left == 0 or parts.stage[0] == IDLE
        calls += 1
    for name, one, other in zip(whole._fields, whole, parts, strict=True):
        assert one.tolist() == other.tolist(), name
    assert calls > 3


def test_no_call_does_more_than_a_state_beyond_its_work() -> None:
    reward, law = random_world(5, 30, 2)
    plan, model = no_plan(30, 2), model_of(reward, law)
    begin(plan, 1e-9, np.inf, SWEEPS_MAX)
    sweep(plan, model, 1000)  # the ends of units are 30, then each state is 2 * (30 + 2)
    assert (plan.swept[0], plan.at[0]) == (0, 16)


def test_a_plan_begins_from_the_values_of_the_one_before() -> None:
    reward, law = river_swim(6)
    model = model_of(reward, law)
    plan = planned(model, 1e-6)
    cold = plan.swept[0]
    begin(plan, 1e-6, np.inf, SWEEPS_MAX)
    sweep(plan, model, 10**9)
    assert plan.swept[0] == 1 < cold
    assert plan.sweeps[0] == cold + 1
    assert plan.made[0] == 2


def test_of_actions_that_are_as_good_the_lowest_is_taken() -> None:
    q = np.array([0.1, 0.5, 0.5 + 5e-13, 0.5 + 3e-12])
    assert [greedy(q[:n], np.ones(n, np.bool_)) for n in (1, 2, 3, 4)] == [0, 1, 1, 3]
    assert greedy(q, np.array([True, False, True, False])) == 2
    assert greedy(np.full(3, -np.inf), np.array([False, True, True])) == 1


@pytest.mark.parametrize("ends", [False, True])
def test_time_shares_are_those_of_a_linear_system(ends: bool) -> None:
    reward, law = random_world(6, 5, 2, ends)
    start = np.array([0.0, 0.5, 0.5, 0.0, 0.0])
    action = np.array([0, 1, 1, 0, 1])
    p = merged(law, start)[np.arange(5), action]
    system = np.vstack([np.eye(5) - p.T, np.ones(5)])
    exact = np.linalg.lstsq(system, np.append(np.zeros(5), 1.0), rcond=None)[0]
    for work in (10**9, 10):
        shares = time_shares(5)
        begin_shares(shares, 3, 400)
        while shares.rounds[0] >= 0:
            compiled(follow)(shares, action, start, transitions_of(law), work)
        np.testing.assert_allclose(shares.share, exact, atol=1e-8)
        gain = gain_and_bias(reward, merged(law, start), tuple(action))[0]
        assert mean_reward(shares, action, reward) == pytest.approx(gain, abs=1e-8)


def test_time_shares_of_a_ring_are_even() -> None:
    law = np.roll(np.eye(4), 1, axis=1)[:, np.newaxis]
    shares = time_shares(4)
    begin_shares(shares, 0, 400)
    assert compiled(follow)(shares, np.zeros(4, np.int64), np.zeros(4), transitions_of(law), 10**9) > 0
    np.testing.assert_allclose(shares.share, 0.25, atol=1e-8)


@pytest.mark.jit
@pytest.mark.parametrize("shape", every_run(["known", "l1", "box", "kl"], ["box", "kl"]))  # the others: test_tiers.py
def test_compiled_sweeps_have_the_bits_of_python(shape: str) -> None:
    reward, law = random_world(7, 6, 2)
    law = np.where(law < 0.1, 0.0, law)
    model = model_of(reward, law / law.sum(axis=2, keepdims=True))
    make = {"l1": l1_of, "box": boxes_of, "kl": kl_of}.get(shape, lambda laws, size: laws)
    model = model._replace(laws=make(model.laws, np.full((6, 2), 0.2)))
    slow, fast = planned(model, 1e-9), no_plan(6, 2)
    begin(fast, 1e-9, np.inf, SWEEPS_MAX)
    while fast.stage[0] == SWEEPING:
        sweep(fast, model, 300)
    for name, one, other in zip(slow._fields, slow, fast, strict=True):
        assert one.tolist() == other.tolist(), name
