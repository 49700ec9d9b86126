"""Hindsight: the fixed point of a domain that would have been best, as environments need it to tell regret.

>>> from onearm.engine.domain import box, simplex
>>> best_for_slope(box([-1.0, -1.0], [1.0, 2.0]), np.array([3.0, -0.5])).tolist()
[-1.0, 2.0]
>>> best_for_bowl(simplex(2), np.array([0.5, 0.0]), 1.0).tolist()
[0.25, 0.75]
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from onearm.engine.domain import Array, Domain
from onearm.engine.projection import project

STEPS_MAX = 100_000
TOLERANCE = 1e-12  # of a step, beside the diameter


def best_for_slope(domain: Domain, slope: Array) -> Array:
    """Return a point x of the domain where slope . x is least, float64[d]."""
    best = domain.start
    first = 0
    for part in domain.parts:
        stop = first + len(part.low)
        here, low, high = slope[first:stop], np.array(part.low), np.array(part.high)
        if part.kind == "box":
            best[first:stop] = np.where(here > 0.0, low, np.where(here < 0.0, high, best[first:stop]))
        elif part.kind == "simplex":
            best[first:stop] = np.where(np.arange(len(here)) == here.argmin(), part.size, 0.0)
        elif length := math.sqrt(float((here * here).sum())):
            best[first:stop] = low - part.size / length * here
        first = stop
    return best


def best_for_bowl(domain: Domain, slope: Array, curvature: float) -> Array:
    """Return the point x of the domain where slope . x + curvature |x|^2 / 2 is least, curvature >= 0."""
    if curvature == 0.0:
        return best_for_slope(domain, slope)
    best = -slope / curvature
    project(domain.region(), best)
    return best


def best_by_descent(domain: Domain, gradient: Callable[[Array], Array], smoothness: float) -> Array:
    """Return the point where a convex function is least, whose gradient changes by at most `smoothness` |x - y|.

    Source: Nesterov's accelerated projected descent, started anew where it goes uphill (O'Donoghue, Candes 2015). Ends
    where a step is shorter than 1e-12 of the diameter, or after 100,000 of them.
    """
    region, short = domain.region(), TOLERANCE * domain.diameter
    best, ahead, speed = domain.start, domain.start, 1.0
    for _ in range(STEPS_MAX):
        slope = gradient(ahead)
        following = ahead - slope / smoothness
        project(region, following)
        moved = following - best
        if float(np.abs(following - ahead).max()) <= short:
            return following
        if float((ahead - following) @ moved) > 0.0:
            ahead, speed = following.copy(), 1.0
        else:
            quicker = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * speed * speed))
            ahead, speed = following + (speed - 1.0) / quicker * moved, quicker
        best = following
    return best
