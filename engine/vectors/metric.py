"""A metric: |x|_H^2 = x' H x, of a matrix H that only grows, kept beside its factors.

H = L diag(pivot) L', the diagonal of L being 1. A rank-one update of the factors takes O(d^2), as one of an inverse
does, and loses nothing: beside a gradient of 1e29 the factors still hold what the identity began with, in the
directions that this gradient leaves alone, where an inverse, and H itself, hold rounding. L lies below the diagonal of
`factor` and L' above it, so that every inner loop runs along a row: solving reads L, and what changes it writes L'.

Source: Gill, Golub, Murray, Saunders, "Methods for modifying matrix factorizations", 1974, method C1.

>>> metric = metric_of(np.array([[4.0, 2.0], [2.0, 2.0]]))
>>> metric.factor[1, 0].item(), metric.pivot.tolist()
(0.5, [4.0, 1.0])
>>> stretch(metric, 2.0, np.array([1.0, 0.0]), np.zeros(2))
>>> x = np.array([8.0, 4.0])
>>> solve(metric.factor, metric.pivot, 2, x)
>>> metric.matrix.tolist(), x.round(12).tolist()
([[6.0, 2.0], [2.0, 2.0]], [1.0, 1.0])
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array

_EPSILON = 2.0**-52


class Metric(NamedTuple):
    """H, and its factors."""

    matrix: Array  # float64[d, d] H
    factor: Array  # float64[d, d] L below the diagonal, L' above it; what lies on it is not looked at
    pivot: Array  # float64[d]


def metric_of(matrix: Array) -> Metric:
    """Return the metric of a symmetric, positive definite matrix, float64[d, d]. O(d^3)."""
    factor, pivot = matrix.copy(), np.zeros(len(matrix))
    factorise(factor, pivot, len(matrix))
    return Metric(matrix.copy(), factor, pivot)


@routine
def stretch(metric: Metric, weight: float, vector: Array, spare: Array) -> None:
    """Add weight > 0 times v v' to H. O(d^2); `spare`, float64[d], is working space."""
    d = len(vector)
    for i in range(d):
        row, here = metric.matrix[i], vector[i]
        for j in range(d):
            row[j] += weight * (here * vector[j])  # in this order it stays symmetric
        spare[i] = here
    left = weight
    for j in range(d):
        along, before = spare[j], metric.pivot[j]
        after = before + left * along * along
        turn = left * along / after
        left *= before / after
        metric.pivot[j] = after
        row, rest = metric.factor[j, j + 1 :], spare[j + 1 :]
        for i in range(d - j - 1):
            rest[i] -= along * row[i]
            row[i] += turn * rest[i]
    _mirror(metric.factor, d)


@routine
def factorise(factor: Array, pivot: Array, n: int) -> None:
    """Overwrite the first n rows of a matrix, of which the upper triangle is read, by its factors. O(n^3).

    A pivot that is rounding alone is raised to what rounding there may be, so that none is 0 or less.
    """
    for i in range(n):
        row = factor[i, i:n]
        rounding = _EPSILON * row[0]
        for k in range(i):
            above = factor[k, i:n]
            part = above[0] / pivot[k]
            for j in range(n - i):
                row[j] -= part * above[j]
        pivot[i] = max(row[0], rounding)
    for i in range(n):
        row = factor[i, i:n]
        for j in range(n - i):
            row[j] /= pivot[i]
    _mirror(factor, n)


@kernel
def _mirror(factor: Array, n: int) -> None:
    """Write L below the diagonal as L' lies above it."""
    for i in range(n):
        row = factor[i]
        for j in range(i):
            row[j] = factor[j, i]


@routine
def solve(factor: Array, pivot: Array, n: int, x: Array) -> None:
    """Overwrite the first n numbers of x by H^-1 x. O(n^2)."""
    halve(factor, n, x)
    for i in range(n):
        x[i] /= pivot[i]
    for i in range(n - 1, 0, -1):
        row, there = factor[i], x[i]
        for j in range(i):
            x[j] -= row[j] * there


@kernel
def halve(factor: Array, n: int, x: Array) -> None:
    """Overwrite the first n numbers of x by z = L^-1 x; the sum of z_i^2 / pivot_i is x' H^-1 x. O(n^2)."""
    for i in range(n):
        row, total = factor[i], x[i]
        for j in range(i):
            total -= row[j] * x[j]
        x[i] = total
