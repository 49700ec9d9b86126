"""Limits on weights, chosen from the log itself: those with which the estimate is expected to be least far off.

The error of an estimate is its variance plus its bias squared. Without a limit there is no bias, so the bias is how far
an estimate is from the one without (Wang, Agarwal, Dudik 2017, "Optimal and adaptive off-policy evaluation in
contextual bandits"; Su, Dimakopoulou, Krishnamurthy, Dudik 2020, "Doubly robust off-policy evaluation with shrinkage").
Departs from both: of that distance squared its own variance is taken off, as it is there without any bias too, and no
range of the rewards is asked for, which would bound the bias. SLOPE (Su, Srinath, Krishnamurthy 2020), which takes the
last estimate that agrees with all before it, was tried: its errors came to be up to 4 times those without a limit,
where these stay within 1.2. So was to count the distance whole, as the terms of a model don't show how the model itself
varies: with models fitted on the log, errors of `switch_dr` and `dros` changed by factors from 0.9 to 1.08, but where
weights are heavy and the model is good they were 9 times as large.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..vocabulary import Array
from .terms import Terms

STEPS = 21  # limits between two quantiles of the weights, as in Wang, Agarwal, Dudik 2017


class Tuned(NamedTuple):
    """A limit that was chosen, and the estimate with it. An interval of its terms knows nothing of the choice."""

    limit: float
    terms: Terms


def least_error(make: Callable[[float], Terms], candidates: Sequence[float]) -> Tuned:
    """Return the estimate of the least expected error; the first of the `candidates` must have no bias.

    >>> terms = {9.0: np.array([0.0, 8.0]), 3.0: np.array([2.0, 5.0]), 0.0: np.array([-9.0, -9.0])}
    >>> least_error(lambda limit: Terms("ips", terms[limit], None, None, np.ones(2)), [9.0, 3.0, 0.0]).limit
    3.0
    """
    best = Tuned(candidates[0], make(candidates[0]))
    if len(best.terms.weight) == 0:
        return best
    unbiased, influence = best.terms.value, best.terms.influence
    least = _variance(influence)
    for limit in candidates[1:]:
        terms = make(limit)
        own = terms.influence
        error = _variance(own) + max((terms.value - unbiased) ** 2 - _variance(own - influence), 0.0)
        if error < least:
            best, least = Tuned(limit, terms), error
    return best


def limits(weight: Array) -> list[float]:
    """Return 21 limits from the 0.95 quantile of the positive weights down to their 0.05 quantile, or fewer.

    >>> [round(limit, 3) for limit in limits(np.array([0.0, 1.0, 2.0, 4.0]))[:3]]
    [3.8, 3.572, 3.357]
    """
    positive = weight[weight > 0.0]
    return falling(*np.quantile(positive, [0.05, 0.95])) if len(positive) else []


def falling(low: float, high: float) -> list[float]:
    """Return 21 numbers from `high` down to `low`, both positive, each the same part of the one before.

    >>> falling(2.0, 2.0)
    [2.0]
    """
    return [float(high)] if low == high else [float(x) for x in np.geomspace(high, low, STEPS)]


def _variance(influence: Array) -> float:
    """Return the variance of an estimate."""
    # Not np.dot, whose threads wait for a busy core: 12 ms for 1e6 rows instead of 0.6.
    return float(np.square(influence).sum()) / len(influence) ** 2
