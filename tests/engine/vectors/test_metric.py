"""A matrix that grows, and its factors: against NumPy, and where an inverse would have lost everything."""

from __future__ import annotations

import numpy as np
import pytest

from onearm.engine.vectors.metric import Metric, factorise, halve, metric_of, solve, stretch
from onearm.engine.vocabulary import Array


def grown(rng: np.random.Generator, dimension: int, steps: int) -> tuple[Metric, Array]:
    """Return a metric after rank-one updates, and the same matrix as NumPy adds it up."""
    metric, plain = metric_of(0.5 * np.eye(dimension)), 0.5 * np.eye(dimension)
    for _ in range(steps):
        vector = rng.normal(size=dimension) * np.geomspace(1.0, 1e-2, dimension)
        stretch(metric, 0.3, vector, np.zeros(dimension))
        plain += 0.3 * np.outer(vector, vector)
    return metric, plain


def product_of(metric: Metric) -> Array:
    """Return L diag(pivot) L'."""
    lower = np.tril(metric.factor, -1) + np.eye(len(metric.pivot))
    return lower * metric.pivot @ lower.T


@pytest.mark.parametrize("dimension", [1, 2, 7, 20])
def test_factors_follow_rank_one_updates(dimension: int) -> None:
    metric, plain = grown(np.random.default_rng(dimension), dimension, 300)
    assert np.abs(metric.matrix - plain).max() < 1e-13 * np.trace(plain)
    assert (metric.matrix == metric.matrix.T).all()
    assert np.abs(product_of(metric) - plain).max() < 1e-13 * np.trace(plain)
    assert (np.triu(metric.factor, 1) == np.tril(metric.factor, -1).T).all()


@pytest.mark.parametrize("dimension", [1, 2, 7, 20])
def test_factors_made_at_once_are_those_of_cholesky(dimension: int) -> None:
    _, plain = grown(np.random.default_rng(dimension), dimension, 30)
    metric = metric_of(plain)
    root = np.linalg.cholesky(plain)
    assert np.abs(metric.pivot - np.diag(root) ** 2).max() < 1e-13 * np.trace(plain)
    assert np.abs(np.tril(metric.factor, -1) - np.tril(root / np.diag(root), -1)).max() < 1e-12
    assert (np.triu(metric.factor, 1) == np.tril(metric.factor, -1).T).all()
    assert (metric.matrix == plain).all()


def test_only_the_first_rows_are_made_and_solved() -> None:
    rng = np.random.default_rng(5)
    _, plain = grown(rng, 6, 30)
    factor, pivot, x = np.triu(plain), np.full(6, 7.0), rng.normal(size=6)
    factorise(factor, pivot, 4)
    solution, half = x.copy(), x.copy()
    solve(factor, pivot, 4, solution)
    halve(factor, 4, half)
    assert np.abs(solution[:4] - np.linalg.solve(plain[:4, :4], x[:4])).max() < 1e-12
    assert abs(half[:4] ** 2 @ (1.0 / pivot[:4]) - x[:4] @ np.linalg.solve(plain[:4, :4], x[:4])) < 1e-12
    assert (solution[4:] == x[4:]).all() and (half[4:] == x[4:]).all() and (pivot[4:] == 7.0).all()


def test_one_gradient_of_any_size_leaves_the_other_directions_as_they_were() -> None:
    metric, direction = metric_of(np.eye(3)), np.array([2.0, -1.0, 2.0]) / 3.0
    stretch(metric, 1.0, 1e29 * direction, np.zeros(3))
    for across in (np.array([1.0, 2.0, 0.0]), np.array([0.0, 2.0, 1.0])):  # H^-1 leaves these as they are
        x = across.copy()
        solve(metric.factor, metric.pivot, 3, x)
        assert np.abs(x - across).max() < 1e-14
    along = direction.copy()
    solve(metric.factor, metric.pivot, 3, along)
    assert np.abs(along).max() < 1e-14  # 1e-58, and what rounding of the direction leaves


def test_a_pivot_that_is_rounding_alone_is_raised() -> None:
    metric = metric_of(np.full((3, 3), 1e40))
    assert metric.pivot.tolist() == [1e40, 2.0**-52 * 1e40, 2.0**-52 * 1e40]
