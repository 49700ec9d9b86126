"""Hindsight: the points of a domain that would have been best, as environments and reports need them to tell regret.

>>> from onearm.engine.domain import box, simplex
>>> best_for_slope(box([-1.0, -1.0], [1.0, 2.0]), np.array([3.0, -0.5])).tolist()
[-1.0, 2.0]
>>> best_for_bowl(simplex(2), np.array([0.5, 0.0]), 1.0).tolist()
[0.25, 0.75]
>>> losses = LinearLosses(simplex(2), segments=2, rounds=4)
>>> losses.add(np.full((4, 2), 0.5), np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 3.0]]))
>>> losses.lost, losses.regret, losses.regret_by_segment
(3.0, 1.0, 3.0)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..domain import Array, Domain
from ..errors import InvalidInput, as_seen
from .projection import project_all

STEPS_MAX = 100_000
TOLERANCE = 1e-12  # of a step, beside the diameter
NUMBERS_MAX = 1_000_000  # of all segments' slopes


class Losses(NamedTuple):
    """Linear losses slope . x as they add up."""

    rounds: Array  # int64[1] that were added
    lost: Array  # float64[1] at the points that were decided
    slope: Array  # float64[d] the sum of all: the bits of the regret do not depend on segments


def no_losses(dimension: int) -> Losses:
    """Return the losses of no rounds."""
    return Losses(np.zeros(1, np.int64), np.zeros(1), np.zeros(dimension))


class LinearLosses:
    """Losses slope . x as they add up, round by round: what was lost, and what would have been lost at the best points.

    Segments are k parts of `rounds` rounds, as equal as can be: round i is in part i k // rounds, and what comes beyond
    `rounds` is in the last. Where slopes are gradients of convex losses at the points, the regret of the losses
    themselves is at most this one. Memory: O(k d). The bits do not depend on how many rounds are added at once.
    Where there is a `total` they are added to it, in place. Raises `InvalidInput` where k is not from 1 to a million
    divided by d.
    """

    def __init__(self, domain: Domain, *, segments: int = 1, rounds: int = 0, total: Losses | None = None) -> None:
        most = max(1, NUMBERS_MAX // domain.dimension)
        if isinstance(segments, bool) or not isinstance(segments, int) or not 1 <= segments <= most:
            raise InvalidInput(
                "bad_segments", f"segments is {as_seen(segments)}: it must be a whole number from 1 to {most}"
            )
        self.domain = domain
        self._expected = max(rounds, 1)
        self._total = no_losses(domain.dimension) if total is None else total
        self._slopes = np.zeros((segments, domain.dimension))  # of one segment not used: that is the total

    def add(self, points: Array, slopes: Array) -> None:
        """Add rounds: `points` that were decided and `slopes` of the losses, float64[n, d] each."""
        last = len(self._slopes) - 1
        rounds, lost, total = self._total
        for point, slope in zip(points, slopes, strict=True):
            if last:
                self._slopes[min(int(rounds[0]) * (last + 1) // self._expected, last)] += slope
            total += slope
            lost += float((slope * point).sum())
            rounds += 1

    @property
    def rounds(self) -> int:
        """How many were added."""
        return int(self._total.rounds[0])

    @property
    def lost(self) -> float:
        """What was lost at the points that were decided."""
        return float(self._total.lost[0])

    @property
    def best(self) -> Array:
        """The best fixed point of each segment, float64[k, d]."""
        return np.array([best_for_slope(self.domain, slope) for slope in self._parts])

    @property
    def regret(self) -> float:
        """How much more was lost than at the best fixed point."""
        slope = self._total.slope
        return self.lost - float((slope * best_for_slope(self.domain, slope)).sum())

    @property
    def regret_by_segment(self) -> float:
        """How much more was lost than at the best fixed point of each segment: never less than `regret`."""
        return self.lost - float((self._parts * self.best).sum())

    @property
    def _parts(self) -> Array:
        return self._slopes if len(self._slopes) > 1 else self._total.slope[np.newaxis]


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
    project_all(domain.region(), best[None])
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
        project_all(region, following[None])
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
