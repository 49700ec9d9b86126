"""How hard an instance of a task is: about how many answers it takes until the best hypothesis shows.

Of arms it is H = 1 / D_min^2 + sum 1 / D_i^2 over the arms that are not the best, D_i being how much they are behind.
Of other tasks it is rho~ = sum_i max_z |z_i - z*_i| |z - z*|_1 / <z* - z, theta>^2, which is never below rho*, the
number in the lower bound for queries that are coordinates, and has a gradient; of arms that would be 2 H. Classes of
difficulty are nested: the class of level r holds all means with `difficulty` <= r. Ties for the best are infinitely
hard, and a difficulty is that of means twice as large four times.

>>> from onearm.engine.task import best_arm, thresholds
>>> difficulty(best_arm(5), np.array([1.0, 0.0, 0.0, 0.0, 0.0])).item()
5.0
>>> round(difficulty(thresholds(5), np.array([1.0, 1.0, -1.0, -1.0, -1.0])).item(), 6)
3.333333

Cost: O(n) for arms and thresholds, O(m n) for a table.

Source: H of Audibert, Bubeck, Munos, "Best arm identification in multi-armed bandits", 2010; rho* of Fiez, Jain,
Jamieson, Ratliff, "Sequential experimental design for transductive linear bandits", 2019; rho~ of Zhang, Jain,
Jamieson, arXiv 2010.15382, stated there for tables of 0 and 1.
"""

from __future__ import annotations

import math

import numpy as np

from ..task import Array, Task

_ROUND = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def difficulty(task: Task, means: Array) -> Array:
    """Return what levels are counted in, float64[...] of means float64[..., n]: H for arms, rho~ for other tasks."""
    return difficulty_gradient(task, means)[0]


def difficulty_gradient(task: Task, means: Array) -> tuple[Array, Array]:
    """Return the difficulty, float64[...], and its gradient by the means, float64[..., n]; 0 where it is infinite.

    Where two hypotheses are equally near to the best one the gradient is that of one of them.
    """
    if task.kind == "arms":
        return _hardness(means)
    return _bound(task, means)


def default_levels(task: Task, budget: int) -> tuple[float, ...]:
    """Return four levels, from where few mistakes are made to where guessing is nearly as good.

    Of arms the first one is T / 5 and each next one 2.5 times that, to one or two digits; of other tasks 2 T / 5, and
    twice that each. Of arms, bits tell a quarter as much of a mean as signs and normal answers do.

    >>> from onearm.engine.task import best_arm
    >>> default_levels(best_arm(5), 15)
    (3.0, 8.0, 20.0, 50.0)
    """
    first, ratio = (0.2, 2.5) if task.kind == "arms" else (0.4, 2.0)
    first *= 4.0 if task.answers == "bits" and not task.is_shifted else 1.0
    levels = [first * budget * ratio**k for k in range(4)]
    return tuple(_rounded(level) for level in levels) if task.kind == "arms" else tuple(levels)


def _rounded(value: float) -> float:
    """Return the nearest number like 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten."""
    power = 10.0 ** (len(str(int(value))) - 1) if value >= 1.0 else 0.1
    return min((power * digit for digit in _ROUND), key=lambda candidate: abs(candidate - value))


def _hardness(means: Array) -> tuple[Array, Array]:
    k = means.shape[-1]
    if k == 1:
        return np.zeros(means.shape[:-1]), np.zeros_like(means)
    best = means.argmax(axis=-1)[..., None]
    behind = np.take_along_axis(means, best, -1) - means
    np.put_along_axis(behind, best, np.inf, -1)
    nearest = behind.argmin(axis=-1)[..., None]
    times = np.ones_like(means)
    np.put_along_axis(times, nearest, 2.0, -1)  # the nearest counts for the best as well
    with np.errstate(divide="ignore", over="ignore"):
        total = (times / behind**2).sum(axis=-1)
        slope = 2.0 * times / behind**3
    slope = np.where(np.isfinite(total)[..., None], slope, 0.0)
    np.put_along_axis(slope, best, -slope.sum(axis=-1, keepdims=True), -1)
    return total, slope


def _bound(task: Task, means: Array) -> tuple[Array, Array]:
    """Return rho~ and its gradient, by way of the gradient by the hypotheses' values, float64[..., m]."""
    signed, inner = task.signed(means), 2.0 if task.is_shifted else 1.0
    if task.kind == "thresholds":
        total, by_value = _bound_of_cuts(signed)
        return total, inner * np.flip(np.cumsum(np.flip(by_value[..., 1:], -1), -1), -1)
    flat = signed.reshape(-1, task.n_queries)
    found = [_bound_of_rows(task.table, theta) for theta in flat]
    totals = np.array([total for total, _ in found]).reshape(means.shape[:-1])
    return totals, inner * np.array([slope @ task.table for _, slope in found]).reshape(means.shape)


def _bound_of_rows(table: Array, theta: Array) -> tuple[float, Array]:
    value = table @ theta
    best = int(value.argmax())
    apart = np.abs(table - table[best])
    gap = value[best] - value
    gap[best] = np.inf
    slope = np.zeros(len(table))
    if gap.min() <= 0.0:
        return math.inf, slope
    size = apart.sum(axis=1)
    with np.errstate(over="ignore"):
        terms = apart * (size / gap**2)[:, None]
    worst = terms.argmax(axis=0)
    term = terms[worst, np.arange(table.shape[1])]
    total = float(term.sum())
    if math.isfinite(total):
        np.add.at(slope, worst, 2.0 * term / gap[worst])
        slope[best] = -slope.sum()
    return total, slope


def _bound_of_cuts(means: Array) -> tuple[Array, Array]:
    """Return rho~ of thresholds and its gradient by the cuts' values: two cumulative maxima from the ends inwards."""
    n = means.shape[-1]
    cut = np.arange(n + 1)
    value = np.concatenate([np.zeros((*means.shape[:-1], 1)), np.cumsum(means, axis=-1)], axis=-1)
    best = value.argmax(axis=-1)[..., None]
    gap = np.where(cut == best, 1.0, np.take_along_axis(value, best, -1) - value)
    with np.errstate(divide="ignore", over="ignore"):
        ratio = np.abs(cut - best) / gap**2
    # Of a point before the best cut: the worst cut before the point. Of one after it: the worst cut after the point.
    before = _running_argmax(np.where(cut < best, ratio, -1.0))[..., :-1]
    after = n - np.flip(_running_argmax(np.flip(np.where(cut > best, ratio, -1.0), -1)), -1)[..., 1:]
    worst = np.where(cut[:-1] < best, before, after)
    term = np.take_along_axis(ratio, worst, -1)
    total = term.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        rise = np.where(np.isfinite(total)[..., None], 2.0 * term / np.take_along_axis(gap, worst, -1), 0.0)
    slope = (rise[..., None] * (worst[..., None] == cut)).sum(axis=-2)
    np.put_along_axis(slope, best, -rise.sum(axis=-1, keepdims=True), -1)
    return total, slope


def _running_argmax(rows: Array) -> Array:
    """Return where the largest number so far stood, int64[..., k]: the first of equals."""
    top = np.maximum.accumulate(rows, axis=-1)
    fresh = np.ones(rows.shape, np.bool_)
    fresh[..., 1:] = top[..., 1:] > top[..., :-1]
    return np.maximum.accumulate(np.where(fresh, np.arange(rows.shape[-1]), 0), axis=-1)
