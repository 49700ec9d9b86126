"""How hard an instance is: closed forms, invariances, the bound over the exact number, gradients."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from support.rho_star import rho_star

from onearm.engine.hardness.allocation import least_cost
from onearm.engine.hardness.complexity import difficulty, difficulty_gradient
from onearm.engine.task import Task, best_arm, hypotheses, thresholds

RNG = np.random.default_rng(0)
TABLE = hypotheses(RNG.integers(0, 2, (12, 8)))
REAL = hypotheses(RNG.normal(size=(7, 4)))
TASKS = {"arms": best_arm(6), "thresholds": thresholds(9), "table": TABLE, "real numbers": REAL}


def harmonic(m: int) -> float:
    return sum(1.0 / i for i in range(1, m + 1))


def turn_at(points: int, cut: int, size: float = 1.0) -> np.ndarray:
    return np.where(np.arange(points) < cut, size, -size)


@pytest.mark.parametrize(("arms", "gap"), list(product([2, 3, 5, 10], [1.0, 0.3])))
def test_equal_gaps_have_closed_forms(arms: int, gap: float) -> None:
    means = 7.0 + gap * np.eye(arms)[1]
    task = best_arm(arms)
    assert rho_star(task, means) * gap**2 == pytest.approx((1.0 + math.sqrt(arms - 1)) ** 2, abs=1e-9)
    assert difficulty(task, means) * gap**2 == pytest.approx(arms, abs=1e-9)


@pytest.mark.parametrize(("points", "cut"), [(5, 2), (10, 5), (10, 0), (10, 10), (1, 1)])
def test_equally_loud_points_have_harmonic_numbers(points: int, cut: int) -> None:
    found = difficulty(thresholds(points), turn_at(points, cut, 0.5)) * 0.25
    assert found == pytest.approx(harmonic(cut) + harmonic(points - cut), abs=1e-9)


@pytest.mark.parametrize(
    ("points", "cut", "value"), [(5, 2, 10.0 / 3.0), (10, 5, 4.566666666667), (10, 0, 2.928968253968)]
)
def test_the_golden_numbers_of_thresholds(points: int, cut: int, value: float) -> None:
    assert difficulty(thresholds(points), turn_at(points, cut)) == pytest.approx(value, abs=1e-9)


def test_two_arms_need_twice_as_many_answers_of_each() -> None:
    assert rho_star(best_arm(2), np.array([[0.5, 0.0], [0.0, 2.0]])) == pytest.approx([16.0, 1.0], abs=1e-9)


def test_the_hypotheses_of_thresholds_as_a_table_have_the_same_bound() -> None:
    line, table = thresholds(9), hypotheses(np.tri(10, 9, -1))
    means = RNG.uniform(-1.0, 1.0, (50, 9))
    for found, other in zip(difficulty_gradient(line, means), difficulty_gradient(table, means), strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-9, atol=1e-9 * np.abs(other).max())


def test_the_arms_as_a_table_have_twice_the_hardness() -> None:
    means = RNG.normal(size=(20, 5))
    found = difficulty(hypotheses(np.eye(5)), means)
    np.testing.assert_allclose(found, 2.0 * difficulty(best_arm(5), means), rtol=1e-9)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_means_twice_as_large_are_four_times_easier(task: Task) -> None:
    means = RNG.uniform(-1.0, 1.0, (6, task.n_queries))
    for function in (rho_star, difficulty):
        np.testing.assert_allclose(function(task, 2.0 * means), function(task, means) / 4.0, rtol=1e-9)


def test_a_line_read_from_its_other_end_is_as_hard() -> None:
    task, means = thresholds(9), RNG.uniform(-1.0, 1.0, (20, 9))
    np.testing.assert_allclose(difficulty(task, -means[:, ::-1]), difficulty(task, means), rtol=1e-9)


def test_arms_in_another_order_or_shifted_are_as_hard() -> None:
    task, means = best_arm(5), RNG.normal(size=(20, 5))
    found = difficulty(task, means[:, [3, 1, 4, 0, 2]] + 1.0)
    np.testing.assert_allclose(found, difficulty(task, means), rtol=1e-9)


def test_the_bound_is_at_least_rho_star_and_near_it_for_thresholds() -> None:
    task = thresholds(6)
    means = RNG.uniform(-1.0, 1.0, (20, 6))
    ratio = difficulty(task, means) / rho_star(task, means)
    assert ratio.min() >= 1.0 - 1e-9
    assert ratio.max() <= 1.5


@pytest.mark.parametrize("task", [TABLE, REAL], ids=["0 and 1", "real numbers"])
def test_the_bound_is_at_least_rho_star_for_tables(task: Task) -> None:
    means = RNG.uniform(-1.0, 1.0, (10, task.n_queries))
    assert (difficulty(task, means) >= rho_star(task, means) * (1.0 - 1e-9)).all()


def test_no_shares_near_the_optimum_cost_less() -> None:
    costs = RNG.exponential(size=(6, 4)) * (RNG.random((6, 4)) < 0.7) + 0.01
    value, shares = least_cost(costs)
    assert shares.sum() == pytest.approx(1.0)
    assert (costs / shares).sum(axis=1).max() == pytest.approx(value, rel=1e-6)
    for scale in (0.3, 0.01):
        others = shares * np.exp(scale * RNG.normal(size=(500, 4)))
        others /= others.sum(axis=1, keepdims=True)
        assert (costs[None] / others[:, None]).sum(axis=2).max(axis=1).min() >= value * (1.0 - 1e-9)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_gradient_is_that_of_differences(task: Task) -> None:
    means = RNG.uniform(-1.0, 1.0, (10, task.n_queries))
    hard, slope = difficulty_gradient(task, means)
    for j in range(task.n_queries):
        step = 1e-7 * np.eye(task.n_queries)[j]
        found = (difficulty(task, means + step) - difficulty(task, means - step)) / 2e-7
        assert (np.abs(found - slope[:, j]) <= 1e-6 * (hard + np.abs(slope).max(axis=1))).all()


@pytest.mark.parametrize(
    ("task", "means"),
    [
        (best_arm(3), [1.0, 0.0, 1.0]),
        (thresholds(3), [1.0, 0.0, -1.0]),
        (hypotheses([[0, 1], [1, 0], [0, 0]]), [1.0, 1.0]),
    ],
    ids=["arms", "thresholds", "table"],
)
def test_ties_for_the_best_are_infinitely_hard(task: Task, means: list[float]) -> None:
    for function in (rho_star, difficulty):
        assert function(task, np.array(means)) == math.inf
    assert difficulty_gradient(task, np.array(means))[1].tolist() == [0.0] * len(means)


def test_a_single_arm_is_no_question() -> None:
    for function in (rho_star, difficulty):
        assert function(best_arm(1), np.array([0.3])) == 0.0


def test_any_leading_shape_is_kept() -> None:
    means = RNG.uniform(-1.0, 1.0, (2, 3, 9))
    for function in (rho_star, difficulty):
        found = function(TASKS["thresholds"], means)
        assert found.shape == (2, 3)
        assert found[1, 2] == pytest.approx(float(function(TASKS["thresholds"], means[1, 2])))
