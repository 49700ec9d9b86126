"""Limits on weights, chosen from the log itself: as much bias as the spread can hide, and no more.

Source: Su, Srinath, Krishnamurthy 2020, "Adaptive estimator selection for off-policy evaluation" (SLOPE), with the
narrower test of Tucker, Lee 2021, "Improved estimator selection for off-policy evaluation". It was taken, rather than
the least bound of bias and variance of Wang, Agarwal, Dudik 2017, as it asks for no range of the rewards, and is one
rule for all estimators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from onearm.engine.estimate.interval import Z95
from onearm.engine.estimate.terms import Terms
from onearm.engine.vocabulary import Array

STEPS = 21  # limits between two quantiles of the weights: as in Wang, Agarwal, Dudik 2017
_STRICTNESS = math.sqrt(6.0) - 1.0  # Tucker, Lee 2021


class Tuned(NamedTuple):
    """A limit that was chosen, and the estimate with it. An interval of its terms knows nothing of the choice."""

    limit: float
    terms: Terms


def slope(make: Callable[[float], Terms], candidates: Sequence[float]) -> Tuned:
    """Return the last estimate that agrees with all before it, `candidates` ascending in bias, falling in spread.

    Two agree where they differ by at most the later one's half-width plus 1.45 times the earlier one's, at 95 %.

    >>> terms = {9.0: np.array([0.0, 4.0]), 3.0: np.array([1.0, 2.0]), 1.0: np.array([8.0, 8.0])}
    >>> slope(lambda limit: Terms("ips", terms[limit], None, None, np.ones(2)), [9.0, 3.0, 1.0]).limit
    3.0
    """
    best = Tuned(candidates[0], make(candidates[0]))
    before = [(best.terms.value, _half_width(best.terms))]
    for limit in candidates[1:]:
        terms = make(limit)
        value, width = terms.value, _half_width(terms)
        if not all(abs(value - other) <= width + _STRICTNESS * wider for other, wider in before):
            return best
        best = Tuned(limit, terms)
        before.append((value, width))
    return best


def limits(weight: Array) -> list[float]:
    """Return inf, and up to 21 limits from the 0.95 quantile of the positive weights down to their 0.05 quantile.

    >>> [round(limit, 3) for limit in limits(np.array([0.0, 1.0, 2.0, 4.0]))[:3]]
    [inf, 3.8, 3.572]
    """
    positive = weight[weight > 0.0]
    if len(positive) == 0:
        return [math.inf]
    low, high = np.quantile(positive, [0.05, 0.95])
    return [math.inf, *falling(low, high, STEPS)]


def falling(low: float, high: float, steps: int) -> list[float]:
    """Return `steps` numbers from `high` down to `low`, both positive, each the same part of the one before."""
    return [high] if low == high else [float(x) for x in np.geomspace(high, low, steps)]


def _half_width(terms: Terms) -> float:
    influence = terms.influence
    n = len(influence)
    # Not np.dot, whose threads wait for a busy core: 12 ms for 1e6 rows instead of 0.6.
    return Z95 * math.sqrt(float(np.square(influence).sum())) / n if n else math.nan
