"""Hindsight: the best fixed points are those that SciPy finds, or no point near them is better."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, linprog, lsq_linear, minimize

from onearm.engine.domain import ball, box, product, simplex
from onearm.engine.hindsight import best_by_descent, best_for_bowl, best_for_slope
from onearm.engine.projection import project

RNG = np.random.default_rng(4)


def test_a_slope_is_lowest_at_a_corner_or_at_the_rim() -> None:
    domain = product(box([-1.0, 0.0, 2.0], [1.0, 0.5, 4.0]), simplex(3, 2.0), ball(2, 0.5, [1.0, 1.0]))
    slope = np.array([1.0, -2.0, 0.0, 0.3, -0.1, 5.0, 3.0, 4.0])
    assert best_for_slope(domain, slope) == pytest.approx([-1.0, 0.5, 3.0, 0.0, 2.0, 0.0, 0.7, 0.6])
    assert best_for_slope(ball(2), np.zeros(2)).tolist() == [0.0, 0.0]
    for _ in range(20):
        slope = RNG.normal(size=4)
        found = linprog(slope, A_eq=[[1.0] * 4], b_eq=[1.0])
        assert slope @ best_for_slope(simplex(4), slope) == pytest.approx(found.fun)


def test_a_bowl_is_lowest_at_the_projection_of_its_middle() -> None:
    slope = np.array([3.0, -0.4])
    for domain in (box([-1.0, -1.0], [1.0, 1.0]), ball(2)):
        best = best_for_bowl(domain, slope, 2.0)
        value = slope @ best + best @ best
        for _ in range(200):
            x = best + 0.1 * RNG.normal(size=2)
            project(domain.region(), x)
            assert slope @ x + x @ x >= value - 1e-12
    assert best_for_bowl(ball(2), np.array([0.1, 0.2]), 2.0).tolist() == [-0.05, -0.1]


def test_descent_finds_the_least_squares_of_a_box() -> None:
    a, b = RNG.normal(size=(30, 5)) * [1.0, 3.0, 0.1, 1.0, 1.0], RNG.normal(size=30)
    square, right = a.T @ a, a.T @ b
    found = best_by_descent(box([-0.05] * 5, [0.05] * 5), lambda x: square @ x - right, np.linalg.eigvalsh(square)[-1])
    assert found == pytest.approx(lsq_linear(a, b, (-0.05, 0.05), tol=1e-14).x, abs=1e-8)


def test_descent_finds_the_best_portfolio() -> None:
    returns = np.exp(0.1 * RNG.normal(size=(200, 4)))

    def gradient(x: np.ndarray) -> np.ndarray:
        return np.asarray(-(returns / (returns @ x)[:, None]).sum(axis=0))

    found = best_by_descent(simplex(4), gradient, float((returns**2).sum() / returns.min() ** 2))
    other = minimize(
        lambda x: -np.log(returns @ x).sum(),
        np.full(4, 0.25),
        jac=gradient,
        bounds=[(0.0, 1.0)] * 4,
        constraints=LinearConstraint(np.ones(4), 1.0, 1.0),
        method="SLSQP",
        options={"ftol": 1e-14},
    )
    assert np.log(returns @ found).sum() >= -other.fun - 1e-9
    assert found == pytest.approx(other.x, abs=1e-5)
