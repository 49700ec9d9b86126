"""Intervals of one estimate, at one moment: how far from the truth it may be.

Source: the delta method (normal).
"""

from __future__ import annotations

import math

import numpy as np

from onearm.engine.estimate.terms import Interval, Terms

Z95 = 1.959963984540054  # the 0.975 quantile of the normal distribution


def normal(terms: Terms) -> Interval:
    """Return the 95 % interval by the normal distribution."""
    influence = terms.influence
    n = len(influence)
    spread = math.sqrt(float(np.dot(influence, influence)) / n / n) if n else math.nan
    if not spread > 0.0:
        return Interval("normal", math.nan, math.nan, "all terms are the same: they show no spread, and no interval")
    return Interval("normal", terms.value - Z95 * spread, terms.value + Z95 * spread)
