"""Intervals of what leans on a model, or on categories: they contain that of `dr`, which knows how wrong these are.

Where a model is taken without a correction, as by `dm`, the terms are predictions. These may hardly vary while all of
them are wrong by the same amount: at 2,000 decisions the 95 % interval of their spread alone held the truth in 4 of 60
logs. `dr` takes the same model and corrects it by rewards, so its interval covers, whatever the model is. What contains
it covers as often, and where it cannot be had there is no interval.

>>> terms = Terms("dm", np.array([0.4, 0.6]), None, None, np.ones(2), np.array([-0.5, 1.9]))
>>> containing_dr(lambda terms: Interval("range", terms.base.min(), terms.base.max()))(terms)
Interval(method='range', low=-0.5, high=1.9, note=None)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

import numpy as np

from ..vocabulary import Array
from .terms import Interval, Terms

Ends = float | Array
P = ParamSpec("P")
UNCORRECTED = (
    "{} is as wrong as what it assumes, and only dr can tell how wrong that is: dr needs the propensity of every "
    "decision, which is not known here"
)


def containing_dr(interval: Callable[Concatenate[Terms, P], Interval]) -> Callable[Concatenate[Terms, P], Interval]:
    """Return an interval that also contains that of `dr`, where terms lean on a model."""

    @wraps(interval)
    def of_both(terms: Terms, /, *args: P.args, **kwargs: P.kwargs) -> Interval:
        if not terms.leans:
            return interval(terms, *args, **kwargs)
        by_dr = terms.by_dr
        sure = interval(by_dr, *args, **kwargs)
        if by_dr.base is not None and not np.isfinite(by_dr.base).all():
            return Interval(sure.method, np.nan, np.nan, UNCORRECTED.format(terms.method))
        if np.isnan(sure.low):
            return sure
        own = interval(terms, *args, **kwargs)
        low, high = widened(np.array(terms.value), (own.low, own.high), (sure.low, sure.high))
        return sure._replace(low=float(low), high=float(high))

    return of_both


def widened(value: Array, own: tuple[Ends, Ends], by_dr: tuple[Ends, Ends]) -> tuple[Array, Array]:
    """Return low and high ends that hold values, their own ends where there are some, and those of `dr`.

    They are NaN where those of `dr` are. A model that predicts the same everywhere has no ends of its own.

    >>> widened(np.array([0.5, 0.5]), (np.array([0.4, np.nan]), np.array([0.6, np.nan])), (0.45, 0.7))
    (array([0.4 , 0.45]), array([0.7, 0.7]))
    """
    low, high = np.fmin(own[0], np.fmin(value, by_dr[0])), np.fmax(own[1], np.fmax(value, by_dr[1]))
    return np.where(np.isnan(by_dr[0]), np.nan, low), np.where(np.isnan(by_dr[1]), np.nan, high)
