"""The exact interval of a share: of rewards that have two values, how many are the larger one.

>>> rewards = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0])
>>> found = clopper_pearson(Terms("match", None, rewards, np.ones(10), np.ones(10)))
>>> round(found.low, 6), round(found.high, 6)
(0.347547, 0.93326)
"""

from __future__ import annotations

import numpy as np

from .interval import check_level, sample_of, unknown
from .tails import beta_quantile
from .terms import Interval, Terms


def clopper_pearson(terms: Terms, level: float = 0.95) -> Interval:
    """Return the exact interval of the mean of terms that have two values.

    Source: Clopper, Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", 1934.
    Assumes: independent terms that have no third value. Where all matched rewards are 0, or all are 1, the other value
    is taken to be 1, or 0: the note says so. It covers at least as often as it says, at any number of terms.
    Refuses: terms of more values, of one value other than that, and ratios that are not `match`.
    """
    missing = 1.0 - check_level(level)
    sample = sample_of(terms)
    if sample is None:
        return unknown(
            "clopper_pearson", f"{terms.method} weights its rewards: use it on match, or empirical likelihood"
        )
    n = len(sample)
    if n == 0:
        return unknown("clopper_pearson", "no decision tells anything of the policy: it never takes what the log took")
    low, high = float(sample.min()), float(sample.max())
    between = int(np.count_nonzero((sample != low) & (sample != high)))
    if between:
        return unknown(
            "clopper_pearson",
            f"{between} of {n} terms are neither {low:g} nor {high:g}: it takes two values; use empirical Bernstein or "
            "empirical likelihood",
        )
    note = None
    if low == high:
        if terms.share is None or low not in (0.0, 1.0):
            return unknown("clopper_pearson", f"all {n} terms are {low:g}: the second value was never seen")
        low, high, note = 0.0, 1.0, f"all {n} rewards are {low:g}: it is assumed that they can be 0 or 1 only"
    hits = int(np.count_nonzero(sample == high))
    first = 0.0 if hits == 0 else beta_quantile(missing / 2.0, hits, n - hits + 1)
    last = 1.0 if hits == n else beta_quantile(1.0 - missing / 2.0, hits + 1, n - hits)
    return Interval("clopper_pearson", low + (high - low) * first, low + (high - low) * last, note)
