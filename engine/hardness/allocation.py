"""The shares of queries that make the worst of several costs the least.

Given costs a >= 0, float64[m, n], the least value of max_z sum_i a_zi / lambda_i over shares lambda, whose sum is 1.
Its dual is smooth: it is the largest of (sum_i sqrt(sum_z mu_z a_zi))^2 over weights mu of sum 1, and since roots
scale, the largest of 2 sum_i sqrt((a' mu)_i) - sum mu over all mu >= 0. That is found by Newton steps along a barrier;
every mu gives shares, and so a bound from above beside its own from below: it is done when the two meet.

>>> value, shares = least_cost(np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]]))
>>> round(value, 9) == round((1 + 2**0.5) ** 2, 9), shares.round(3).tolist()
(True, [0.414, 0.293, 0.293])
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

CLOSE = 1e-11  # of the value: how far the two bounds may be apart
_FALL = 0.1  # of the barrier, from one step to the next
_STEPS_MAX = 500
_LEVELS = 60


def least_cost(costs: Array) -> tuple[float, Array]:
    """Return the least worst cost and the shares that reach it, float64[n]; columns of zeros get no share.

    Every row must hold a number above 0. Exact to 1e-10 of the value where its rows differ by less than 1e8 in size.
    """
    used = costs.max(axis=0) > 0.0
    scale = float(costs.max())
    rows = costs[:, used] / scale
    lower, upper, shares = _climb(rows)
    full = np.zeros(costs.shape[1])
    full[used] = shares
    return math.sqrt(lower * upper) * scale, full


def _climb(rows: Array) -> tuple[float, float, Array]:
    """Follow the barrier `t sum ln mu` down until the bounds meet; return them and the shares."""
    m, n = rows.shape
    mu = np.full(m, 1.0)
    mu *= np.sqrt(rows.sum(axis=0)).sum() ** 2 / m**2  # the best multiple of equal weights
    t = float(mu.sum()) / m
    lower, upper, shares = 0.0, math.inf, np.full(n, 1.0 / n)
    for _ in range(_LEVELS):
        mu = _centre(rows, mu, t)
        root = np.sqrt(mu @ rows)
        below = float(root.sum()) ** 2 / float(mu.sum())
        above = float((rows / root).sum(axis=1).max() * root.sum())
        lower = max(lower, below)
        if above < upper:
            upper, shares = above, root / root.sum()
        if upper - lower <= CLOSE * upper:
            break
        t *= _FALL
    return lower, upper, shares


def _centre(rows: Array, mu: Array, t: float) -> Array:
    """Return the mu > 0 that makes sum mu - 2 sum sqrt(rows' mu) - t sum ln mu the least, by damped Newton steps."""
    for _ in range(_STEPS_MAX):
        load = mu @ rows
        slope = 1.0 - (rows / np.sqrt(load)).sum(axis=1) - t / mu
        step = _newton(rows, 0.5 * load**-1.5, mu, t, slope)
        decrement = float(-slope @ step)
        if decrement <= 1e-6 * t:
            return mu
        stretch = float((-step / mu).max())
        mu = mu + _length(rows, mu, t, step, slope, 1.0 if stretch < 0.99 else 0.99 / stretch) * step
    return mu


def _length(rows: Array, mu: Array, t: float, step: Array, slope: Array, length: float) -> float:
    """Return how far to go: half as far as before until it goes down by a tenth of what the slope says."""

    def height(at: Array) -> float:
        return float(at.sum() - 2.0 * np.sqrt(at @ rows).sum() - t * np.log(at).sum())

    start, fall = height(mu), float(slope @ step)
    rounding = 1e-15 * (abs(start) + float(mu.sum()))
    for _ in range(50):
        if height(mu + length * step) <= start + 0.1 * length * fall + rounding:
            break
        length *= 0.5
    return length


def _newton(rows: Array, bend: Array, mu: Array, t: float, slope: Array) -> Array:
    """Return the Newton step: the curvature is a diagonal, t / mu^2, and rows bend rows', whichever is the smaller."""
    m, n = rows.shape
    spread = mu / math.sqrt(t)  # its square is the inverse of the diagonal
    scaled = spread[:, None] * rows * np.sqrt(bend)
    right = -spread * slope
    if m <= n:
        return spread * np.linalg.solve(np.eye(m) + scaled @ scaled.T, right)
    inner = np.linalg.solve(np.eye(n) + scaled.T @ scaled, scaled.T @ right)
    return spread * (right - scaled @ inner)
