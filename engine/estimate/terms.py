"""What every estimate is made of: terms, one for each logged decision, whose mean it is.

An estimator says what a policy would have earned per decision, and nothing of how sure that is; an interval takes any
estimator's terms. The two meet here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..vocabulary import Array
from .blocks import summed


class Terms(NamedTuple):
    """An estimate of n decisions, mean(base) + sum(part) / sum(share); what is None is left out.

    >>> ones = np.ones(4)
    >>> Terms("match", None, np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0, 1.0]), ones).value
    0.6666666666666666
    """

    method: str
    base: Array | None  # float64[n]
    part: Array | None  # float64[n], together with
    share: Array | None  # float64[n], >= 0
    weight: Array  # float64[n], by which the reward of each decision counts; those of pseudo_inverse may be negative
    corrected: Array | None = None  # float64[n], the base of `dr` where this leans on a model; NaN where none is had

    @property
    def value(self) -> float:
        """Reward per decision; NaN where no decision tells anything of the policy."""
        total = 0.0 if self.base is None else float(np.mean(self.base)) if len(self.base) else math.nan
        if self.part is None or self.share is None:
            return total
        whole = float(self.share.sum())
        return total + float(self.part.sum()) / whole if whole > 0.0 else math.nan

    @property
    def leans(self) -> bool:
        """Whether a model or categories are taken without a correction: these terms don't show how wrong that is."""
        return self.corrected is not None and (self.base is None or not np.array_equal(self.base, self.corrected))

    @property
    def by_dr(self) -> Terms:
        """Return the terms of `dr`, with the model corrected everywhere; these themselves where they lean on none."""
        return self._replace(base=self.corrected, part=None, share=None, corrected=None) if self.leans else self

    @property
    def influence(self) -> Array:
        """How far each decision moves the value, float64[n] with mean 0, or NaN: the delta method's linear part."""
        return self.influences(slice(0, len(self.weight)))

    @property
    def influences(self) -> Callable[[slice], Array]:
        """What returns the influence of some decisions, float64[rows]: logs may be long."""
        base, part, share, n = self.base, self.part, self.share, len(self.weight)
        if part is None or share is None:
            if base is None or not n:
                return lambda rows: np.zeros(len(self.weight[rows]))
            mean = np.mean(base)
            return lambda rows: base[rows] - mean
        whole = float(share.sum())
        if not whole > 0.0:
            return lambda rows: np.full(len(self.weight[rows]), math.nan)
        slope, scale = -float(part.sum()) / whole, n / whole

        def of_ratio(rows: slice) -> Array:
            found = share[rows] * slope
            found += part[rows]
            found *= scale
            return found

        if base is None:
            return of_ratio
        centre = summed(n, lambda rows: of_ratio(rows) + base[rows]) / n
        return lambda rows: of_ratio(rows) + base[rows] - centre

    @property
    def matched(self) -> int:
        """Return the number of decisions that tell something of the policy."""
        return int(np.count_nonzero(self.weight))

    @property
    def effective_sample_size(self) -> float:
        """Return how many equally weighted decisions would tell as much, in [0, matched]; Kish 1965."""
        square = summed(len(self.weight), lambda rows: np.square(self.weight[rows]))  # np.dot would start threads
        return float(self.weight.sum()) ** 2 / square if square > 0.0 else 0.0


class Interval(NamedTuple):
    """Between which two values the truth lies, with a confidence of `level`; NaN where it cannot be told."""

    method: str
    low: float
    high: float
    note: str | None = None  # why it cannot be told, or what to know of it
