"""Intervals of one estimate, at one moment: how far from the truth it may be.

They hold at a number of decisions that was chosen beforehand. Who looks again and again, and stops when it looks good,
needs `sequence.confidence_sequence`. Where an interval does not apply, its ends are NaN, and its note says why.

>>> terms = Terms("ips", np.array([0.0, 2.0, 2.0, 0.0, 2.0]), None, None, np.full(5, 2.0))
>>> [round(x, 3) for x in normal(terms)[1:3]]
[0.341, 2.059]
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import InvalidInput
from ..vocabulary import Array
from .blocks import summed
from .leaning import containing_dr
from .tails import normal_quantile
from .terms import Interval, Terms

Z95 = 1.959963984540054  # the 0.975 quantile of the normal distribution
_ROUNDING = 1e-14  # what is smaller than this, relative to the terms, is no spread


@containing_dr
def normal(terms: Terms, level: float = 0.95) -> Interval:
    """Return the interval by the normal distribution of the estimate, with the delta method's standard error.

    Source: the central limit theorem; van der Vaart 1998, chapter 3.
    Assumes: many decisions, none of which dominates: look at the diagnostics' effective sample size and weight tail.
    Refuses: terms without spread. Raises `InvalidInput` where the level is not in (0, 1).
    """
    z = normal_quantile(0.5 + check_level(level) / 2.0)
    spread, note = spread_of(terms)
    if note is not None:
        return unknown("normal", note)
    value = terms.value
    return Interval("normal", value - z * spread, value + z * spread)


@containing_dr
def empirical_bernstein(terms: Terms, low: float, high: float, level: float = 0.95) -> Interval:
    """Return an interval that holds at any number of decisions, of terms in [low, high].

    Source: Maurer, Pontil, "Empirical Bernstein bounds and sample variance penalization", 2009, theorem 4, on each side
    with half of what may go wrong.
    Assumes: independent terms, of which all that could have been seen lie in [low, high]: for weighted rewards in
    [0, 1] that is [0, the largest possible weight], for doubly robust terms [-largest weight, 1 + largest weight].
    Refuses: terms outside, fewer than two, and ratios, which are no mean of terms; but for `match`, whose matched
    rewards are a sample of their own.
    """
    missing = 1.0 - check_level(level)
    sample = sample_of(terms)
    if sample is None:
        return unknown(
            "empirical_bernstein",
            f"{terms.method} is a ratio of two means, and the bound is of one: use it on ips, or empirical likelihood",
        )
    n = len(sample)
    if n < 2:
        return unknown("empirical_bernstein", f"{n} terms show no spread: it takes two or more")
    if not (sample.min() >= low and sample.max() <= high):
        return unknown(
            "empirical_bernstein",
            f"the terms reach from {sample.min():g} to {sample.max():g}: all must be in [{low:g}, {high:g}]; state the "
            "range that any term can have, the largest weight included, or clip the weights",
        )
    width = high - low
    mean, log_term = float(np.mean(sample)), math.log(4.0 / missing)
    reach = math.sqrt(2.0 * float(np.var(sample, ddof=1)) * log_term / n) + 7.0 * width * log_term / (3.0 * (n - 1))
    return Interval("empirical_bernstein", max(low, mean - reach), min(high, mean + reach))


def sample_of(terms: Terms) -> Array | None:
    """Return the numbers whose plain mean the estimate is, float64[m]; None where it is a ratio of two means."""
    if terms.part is None or terms.share is None:
        return terms.base
    if terms.base is not None or not ((terms.share == 0.0) | (terms.share == 1.0)).all():
        return None
    chosen: Array = terms.part[terms.share == 1.0]
    return chosen


def spread_of(terms: Terms) -> tuple[float, str | None]:
    """Return the standard error by the delta method, and why it cannot be told where it cannot."""
    value = terms.value
    if not len(terms.weight) or math.isnan(value):
        return math.nan, "no decision tells anything of the policy: it never takes what the log took"
    n, influences = len(terms.weight), terms.influences
    spread = math.sqrt(summed(n, lambda rows: np.square(influences(rows)))) / n
    if not math.isfinite(spread):
        return math.nan, "a term is not a finite number"
    if spread * math.sqrt(n) <= _ROUNDING * max(abs(value), float(terms.weight.max())):
        return math.nan, "all terms are the same: they show no spread, and no interval"
    return spread, None


def unknown(method: str, note: str) -> Interval:
    """Return the interval that cannot be told, with the reason."""
    return Interval(method, math.nan, math.nan, note)


def check_level(level: float) -> float:
    """Return the level after a check that it is in (0, 1)."""
    if not 0.0 < level < 1.0:
        raise InvalidInput("level", f"the level is {level}: it must be in (0, 1), as 0.95")
    return level
