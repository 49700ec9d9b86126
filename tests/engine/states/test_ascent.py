"""The plan of LOOP, compared with the printed one of an independent program, and with all policies of small worlds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.every_run import every_run
from support.small_states import random_world, river_swim

from onearm.engine.kernel import loop
from onearm.engine.states.ascent import ENDED, Ascent, ascend, begin_ascent, no_ascent
from onearm.engine.states.noise import known_noise, seen_noise
from onearm.engine.states.planning import greedy
from onearm.engine.states.transitions import transitions_of
from onearm.engine.states.world import tables_of
from onearm.engine.vocabulary import Array
from onearm.envs import catalog as envs

VISITS = np.array([[40.0 + 10.0 * s, 10.0 + 2.0 * s] for s in range(6)])  # of the printed plan
ANY = 10**9  # as much work as it takes


def believed(reward: Array, law: Array, visits: Array, beta: float, seen: bool = False) -> Ascent:
    """Return what is believed of a world in which each pair was learned so often, with variances of 1."""
    states, n_arms = reward.shape
    up = no_ascent(states, n_arms, (seen_noise if seen else known_noise)(states, n_arms))
    up = up._replace(model=up.model._replace(laws=transitions_of(law)))
    up.met[:] = (visits > 0).any(axis=1)
    up.believed.visits[:] = visits
    up.believed.reward[:] = np.where(visits > 0, reward, 1.0)
    up.believed.beta[0] = beta
    return up


@loop
def run(up: Ascent, eps: float, span: float, work: int) -> int:
    """Plan, in calls of so much work; return how many there were."""
    begin_ascent(up, eps, span)
    calls = 0
    while up.stage[0] != ENDED:
        ascend(up, work)
        calls += 1
    return calls


def gains(reward: Array, law: Array, weight: Array, beta: float) -> Array:
    """Return the gain of every policy with its best bonuses, from its time shares by linear equations."""
    states, n_arms = reward.shape
    policies = np.array(list(itertools.product(range(n_arms), repeat=states)))
    each = np.arange(states)
    equations = np.transpose(np.eye(states) - law[each, policies], (0, 2, 1)).copy()
    equations[:, -1] = 1.0
    ones = np.zeros((len(policies), states, 1))
    ones[:, -1] = 1.0
    shares = np.linalg.solve(equations, ones)[:, :, 0]
    bonus = np.sqrt(beta * (shares**2 / weight[each, policies]).sum(axis=1))
    return np.asarray((shares * reward[each, policies]).sum(axis=1) + bonus)


def bonuses(up: Ascent) -> Array:
    return np.asarray(up.model.reward - up.believed.reward)


def test_the_printed_plan() -> None:
    up = believed(*river_swim(6), VISITS, 4.0)
    run(up, 1e-12, np.inf, ANY)
    assert up.plan.gain[0] == pytest.approx(0.73081568, abs=1e-7)
    assert up.plan.q.argmax(axis=1).tolist() == [1] * 6
    b = [0.00015753, 0.00157531, 0.00945188, 0.05789274, 0.36022145, 0.28367439]
    np.testing.assert_allclose(bonuses(up)[:, 1], b, atol=1e-7)
    assert (bonuses(up)[:, 0] == 0.0).all()
    h = [0.0, 1.21776359, 3.47527373, 5.85881463, 8.12195747, 9.50410425]
    np.testing.assert_allclose(up.plan.bias[:6], h, atol=1e-7)
    assert (VISITS * bonuses(up) ** 2).sum() == pytest.approx(4.0, abs=1e-7)


@pytest.mark.parametrize(("beta", "gain"), [(1.0, 0.57971906), (16.0, 1.03300893), (64.0, 1.63744713)])
def test_printed_gains(beta: float, gain: float) -> None:
    """With 64 the best policy turns back, which the ascent from an even start does not find."""
    up = believed(*river_swim(6), VISITS, beta)
    run(up, 1e-10, np.inf, ANY)
    assert up.plan.gain[0] == pytest.approx(gain, abs=1e-7)


@pytest.mark.parametrize(("seeds", "most"), every_run([(4, 11), (30, 85)], [(4, 11)]))
def test_the_plan_is_the_best_of_all_policies_in_most_worlds(seeds: int, most: int) -> None:
    """In 85 and more of 90. As Python: an ascent takes .05 s, and 14 s to compile."""
    rng = np.random.default_rng(0)
    found = 0
    for seed, beta in itertools.product(range(1, seeds + 1), (1.0, 10.0, 100.0)):
        law, reward, _ = tables_of(envs.make("garnet", states=6, arms=3, branches=3, seed=seed))
        law = 0.98 * law + 0.02 / 6
        visits = rng.integers(5, 200, reward.shape).astype(float)
        up = believed(reward, law, visits, beta)
        run(up, 1e-9, np.inf, ANY)
        best = gains(reward, law, visits, beta).max()
        assert up.plan.gain[0] < best + 1e-6
        found += up.plan.gain[0] > best - 1e-6
    assert found >= most


@pytest.mark.parametrize("seed", range(3))
def test_nothing_within_the_budget_beats_the_bonuses_of_a_policy(seed: int) -> None:
    """Ten thousand directions of bonuses, each as long as the budget allows, on the pairs of the plan's policy."""
    reward, law = random_world(seed, 4, 2)
    visits = np.random.default_rng(seed).integers(5, 50, reward.shape).astype(float)
    up = believed(reward, law, visits, 3.0)
    run(up, 1e-10, np.inf, ANY)
    each, action = np.arange(4), up.plan.q.argmax(axis=1)
    shares = np.linalg.matrix_power(law[each, action], 1000)[0]
    drawn = np.random.default_rng(9).normal(size=(10_000, 4))
    drawn *= np.sqrt(3.0 / (drawn**2 * visits[each, action]).sum(axis=1, keepdims=True))
    assert (drawn @ shares).max() <= bonuses(up)[each, action] @ shares + 1e-7


def test_a_plan_in_pieces_has_the_same_bits() -> None:
    whole, pieces = (believed(*river_swim(6), VISITS, 16.0, seen=True) for _ in range(2))
    for up in (whole, pieces):
        up.believed.noise.rewards[:] = 0.1
    assert run(whole, 1e-4, 6.3, ANY) == 1
    assert run(pieces, 1e-4, 6.3, 100) > 100
    assert whole.plan.q.tobytes() == pieces.plan.q.tobytes()
    assert whole.weight.tobytes() == pieces.weight.tobytes()


@pytest.mark.parametrize("beta", [1.0, 16.0, 64.0])
def test_no_two_ascents_end_at_the_same_policy(beta: float) -> None:
    up = believed(*river_swim(6), VISITS, beta)
    run(up, 1e-8, np.inf, ANY)
    ends = [tuple(policy) for policy in up.ends[: up.counts[3]].tolist()]
    assert len(set(ends)) == len(ends)
    assert tuple(greedy(q, up.model.open[0]) for q in up.plan.q) in ends


def test_bonuses_are_weighed_by_the_values_of_their_own_plan() -> None:
    up = believed(*river_swim(6), VISITS, 4.0, seen=True)
    up.believed.noise.rewards[:] = 0.1
    up.believed.noise.most[0] = 4.0
    run(up, 1e-6, 6.3, ANY)
    _, law = river_swim(6)
    spread = law @ up.plan.bias[:6] ** 2 - (law @ up.plan.bias[:6]) ** 2
    variance = (VISITS * (0.1 + spread) + 4.0) / (VISITS + 1.0)
    np.testing.assert_allclose(up.weight, VISITS / variance, rtol=1e-9)
    assert (up.weight * bonuses(up) ** 2).sum() == pytest.approx(4.0, rel=0.05)


def test_no_pair_takes_more_than_its_cap_and_all_of_the_budget_is_spent_where_caps_allow() -> None:
    up = believed(*river_swim(6), VISITS, 4.0)
    up.believed.cap[:] = 1.5
    run(up, 1e-10, np.inf, ANY)
    taken = VISITS * bonuses(up) ** 2
    assert taken.max() == pytest.approx(1.5, abs=1e-9)
    assert taken.sum() == pytest.approx(4.0, abs=1e-6)
    assert 0.57971906 < up.plan.gain[0] < 0.73081568
    up.believed.cap[:] = 0.1
    run(up, 1e-10, np.inf, ANY)
    np.testing.assert_allclose((VISITS * bonuses(up) ** 2)[:, 1], 0.1, atol=1e-9)


def test_a_pair_that_was_never_tried_is_heaven() -> None:
    """Where one comes to it there is no bonus; state 5, which nobody has met, and what leads to it, changes nothing."""
    reward, law = river_swim(6)
    visits = VISITS.copy()
    visits[4:] = 0.0
    visits[3, 1] = 0.0
    law[visits == 0.0] = 0.0
    up = believed(reward, law, visits, 4.0)
    run(up, 1e-9, np.inf, ANY)
    assert up.plan.gain[0] == pytest.approx(1.0, abs=1e-8)
    assert greedy(up.plan.q[3], up.model.open[3]) == 1
    assert bonuses(up)[:4].any() == np.False_
    up.model.open[3, 1] = False
    run(up, 1e-9, np.inf, ANY)
    assert up.plan.gain[0] < 0.9
    assert bonuses(up)[:4].any()


@pytest.mark.parametrize("span", [0.2, 1.0, 4.0])
def test_the_policy_of_a_cut_plan_gains_what_the_plan_says(span: float) -> None:
    """Trap of the cut: the plan may never promise more than its own policy has in the same model."""
    for seed in range(3):
        reward, law = random_world(seed, 5, 3)
        visits = np.random.default_rng(seed).integers(1, 30, reward.shape).astype(float)
        up = believed(reward, law, visits, 3.0)
        run(up, 1e-9, span, ANY)
        each, action = np.arange(5), up.plan.q.argmax(axis=1)
        shares = np.linalg.matrix_power(law[each, action], 10_000)[0]
        assert shares @ up.model.reward[each, action] >= up.plan.gain[0] - 1e-8
        assert np.ptp(up.plan.bias[:5]) <= span + 1e-9
