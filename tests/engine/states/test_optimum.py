"""The best policy in the long run, against all policies of small worlds; what it costs to stay in part of a world."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from onearm.engine.states.optimum import closed_classes, diameter, gain_from, gain_myopic, gain_stateless, optimum

EVERY = np.ones((3, 2), np.bool_)


@pytest.mark.parametrize("seed", range(12))
def test_no_policy_has_a_larger_gain(seed: int) -> None:
    rng = np.random.default_rng(seed)
    transitions = rng.dirichlet(np.full(4, 0.4), (4, 3))
    transitions = 0.98 * transitions + 0.02 / 4
    reward, is_open = rng.random((4, 3)), rng.random((4, 3)) < 0.8
    is_open[:, 0] = True
    best = optimum(transitions, reward, is_open)
    gains = {
        policy: gain_from(transitions, reward, np.array(policy), 0)
        for policy in itertools.product(range(3), repeat=4)
        if is_open[range(4), policy].all()
    }
    assert max(gains.values()) == pytest.approx(best.gain, abs=1e-12)
    assert gains[tuple(best.policy.tolist())] == pytest.approx(best.gain, abs=1e-12)
    assert (np.nan_to_num(best.gaps) >= 0.0).all()
    assert np.isnan(best.gaps[~is_open]).all()


def test_a_circle_settles_too() -> None:
    """All states in turn, of which one pays: the gain is a third, and the bias grows toward the one that pays."""
    transitions = np.roll(np.eye(3), 1, axis=1)[:, np.newaxis]
    best = optimum(transitions, np.array([[0.0], [0.0], [1.0]]), np.ones((3, 1), np.bool_))
    assert best.gain == pytest.approx(1 / 3, abs=1e-14)
    assert np.allclose(best.bias, [0.0, 1 / 3, 2 / 3], rtol=0, atol=1e-13)
    assert diameter(transitions, np.ones((3, 1), np.bool_)) == 2.0


def test_where_a_gain_depends_on_the_start_it_is_that_of_the_start() -> None:
    transitions = np.array([[[1.0, 0, 0]], [[0.25, 0, 0.75]], [[0, 0, 1.0]]])
    reward = np.array([[0.2], [0.0], [1.0]])
    only = np.zeros(3, np.int64)
    gains = [gain_from(transitions, reward, only, start) for start in range(3)]
    assert gains == pytest.approx([0.2, 0.25 * 0.2 + 0.75, 1.0], abs=1e-12)


def test_the_best_arm_and_the_greedy_policy_may_lose() -> None:
    transitions = np.array([[[1.0, 0, 0], [0, 1, 0]], [[0, 1, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0]]])
    reward = np.array([[0.3, 0.0], [0.0, 0.0], [0.8, 0.0]])
    assert gain_stateless(transitions, reward, EVERY, 0) == pytest.approx(0.3, abs=1e-12)
    assert gain_myopic(transitions, reward, EVERY, 0) == pytest.approx(0.3, abs=1e-12)
    assert optimum(transitions, reward, EVERY).gain == pytest.approx(0.8, abs=1e-12)


def test_two_parts_of_a_world_are_found() -> None:
    stay = np.repeat(np.eye(3)[:, np.newaxis], 2, axis=1)
    assert [states.tolist() for states in closed_classes(stay, EVERY)] == [[0], [1], [2]]
    way = stay.copy()
    way[0, 1], way[1, 1], way[2, 1] = np.roll(np.eye(3), 1, axis=1)
    assert [states.tolist() for states in closed_classes(way, EVERY)] == [[0, 1, 2]]
    one_way = way.copy()
    one_way[2, 1] = [0, 1, 0]  # nothing leads back to state 0, where one may stay
    assert [states.tolist() for states in closed_classes(one_way, EVERY)] == [[1, 2], [0]]
    must_leave = np.array([[False, True], [True, True], [True, True]])
    assert [states.tolist() for states in closed_classes(one_way, must_leave)] == [[1, 2]]
