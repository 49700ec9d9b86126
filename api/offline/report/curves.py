"""What is drawn, as arrays: estimates as the log went on, shares of actions, how weights spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ....engine.estimate.leaning import widened
from ....engine.estimate.tails import normal_quantile
from ....engine.estimate.terms import Terms
from ....engine.vocabulary import Array

FIRST = 10  # decisions before the first moment: fewer tell nothing
MOMENTS = 80  # of each spacing
BINS = 8  # of weights in a decade


class Curve(NamedTuple):
    """An estimate at m moments, of all decisions before each."""

    at: Array  # int64[m], decisions
    value: Array  # float64[m], NaN where nothing is told yet
    low: Array  # float64[m], NaN where there is no spread yet
    high: Array  # float64[m]


class Spread(NamedTuple):
    """How weights spread: a histogram over edges that ascend by the same factor."""

    edges: Array  # float64[m + 1]
    share: Array  # float64[m], of all decisions
    zeros: float  # the share of decisions that do not count
    largest: float
    effective_sample_size: float


def moments(n: int) -> Array:
    """Return numbers of decisions up to n, int64[m] and ascending: some at equal steps, some at equal factors.

    >>> moments(12)
    array([10, 11, 12])
    """
    first = min(FIRST, n)
    both = np.concatenate([np.geomspace(first, n, MOMENTS), np.linspace(first, n, MOMENTS)]) if n else np.zeros(0)
    return np.unique(np.rint(both).astype(np.int64))


def running(terms: Terms, at: Array, level: float = 0.95) -> Curve:
    """Estimate at moments, int64[m] from 1 to n and ascending, with the normal interval of each: in one pass.

    Where terms lean on a model, these intervals contain those of `dr`.

    >>> ones = np.ones(4)
    >>> running(Terms("match", None, np.array([1.0, 0.0, 0.0, 1.0]), ones, ones), np.array([2, 4])).value
    array([0.5, 0.5])
    """
    own = _running(terms, at, level)
    if not terms.leans:
        return own
    by_dr = _running(terms.by_dr, at, level)
    low, high = widened(own.value, (own.low, own.high), (by_dr.low, by_dr.high))
    return own._replace(low=low, high=high)


def _running(terms: Terms, at: Array, level: float) -> Curve:
    if not len(at):
        return Curve(at, *np.zeros((3, 0)))
    n, z = at.astype(np.float64), normal_quantile(0.5 + level / 2.0)
    starts = np.concatenate([[0], at[:-1]])

    def sums(column: Array) -> Array:
        return np.cumsum(np.add.reduceat(column[: at[-1]], starts))

    # What is constant is taken off first, so that the squares cancel little.
    centre = 0.0 if terms.base is None else float(np.mean(terms.base))
    base = np.zeros(len(terms.weight)) if terms.base is None else terms.base - centre
    base_sum = sums(base)
    value = centre + base_sum / n
    square = sums(base * base) - base_sum**2 / n
    if terms.part is not None and terms.share is not None:
        share = terms.share
        rate = float(terms.part.sum()) / whole if (whole := float(share.sum())) > 0.0 else 0.0
        part = terms.part - rate * share
        total = sums(share)
        total[total <= 0.0] = math.nan
        over, scale = sums(part) / total, n / total
        value = value + rate + over
        square = square + 2.0 * scale * (sums(base * part) - over * sums(base * share))
        square = square + scale**2 * (sums(part * part) - 2.0 * over * sums(part * share) + over**2 * sums(share**2))
    spread = np.sqrt(np.where(square > 0.0, square, math.nan)) / n
    return Curve(at, value, value - z * spread, value + z * spread)


def shares(action: Array, n_actions: int) -> Array:
    """Return how often each action was taken, float64[n_actions] with the sum 1; zeros of no decisions.

    >>> shares(np.array([0, 2, 2, 2]), 4)
    array([0.25, 0.  , 0.75, 0.  ])
    """
    return np.bincount(action, minlength=n_actions) / max(len(action), 1)


def largest(table: Array, count: int) -> list[int]:
    """Return the columns of a table, float64[r, k], with the largest sums, at most `count`, largest first.

    >>> largest(np.array([[0.1, 0.5, 0.4], [0.1, 0.9, 0.0]]), 2)
    [1, 2]
    """
    total = table.sum(axis=0)
    order = np.argsort(-total, kind="stable")[:count]
    return [int(column) for column in order if total[column] > 0.0]


def weight_edges(weights: Sequence[Array]) -> Array:
    """Return the edges, float64[m + 1], that hold all positive weights and at least [0.1, 10], 8 bins in a decade.

    >>> weight_edges([np.array([0.0, 1.0, 9.9])])[[0, 8, 16]].tolist()
    [0.1, 1.0, 10.0]
    """
    ends = [(positive.min(), positive.max()) for weight in weights if len(positive := weight[weight > 0.0])]
    low = min((math.floor(math.log10(end[0]) * BINS) for end in ends), default=0)
    high = max((math.floor(math.log10(end[1]) * BINS) + 1 for end in ends), default=0)
    return 10.0 ** (np.arange(min(low, -BINS), max(high, BINS) + 1) / BINS)


def spread(weight: Array, edges: Array) -> Spread:
    """Return how n weights, float64[n] >= 0, spread over `edges`.

    >>> spread(np.array([0.0, 1.0, 1.0, 8.0]), np.array([0.5, 5.0, 50.0])).share
    array([0.5 , 0.25])
    """
    n = max(len(weight), 1)
    count, _ = np.histogram(weight, edges)
    zeros = np.count_nonzero(weight == 0.0)
    size = Terms("", None, None, None, weight).effective_sample_size
    return Spread(edges, count / n, zeros / n, float(weight.max(initial=0.0)), size)
