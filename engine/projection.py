"""Projections onto a domain: the nearest point, by the Euclidean distance.

Cost: O(d) for balls and boxes; a simplex takes O(d) a pass, and a few passes.
Source: Michelot, "A finite algorithm for finding the projection of a point onto the canonical simplex of R^n", 1986.
"""

from __future__ import annotations

import math

from onearm.engine.domain import BALL, BOX, Region
from onearm.engine.kernel import kernel
from onearm.engine.vocabulary import Array


@kernel
def project(region: Region, x: Array) -> None:
    """Move `x`, float64[d], to the nearest point of the domain."""
    for part in range(len(region.kind)):
        first, stop = region.start[part], region.start[part + 1]
        kind = region.kind[part]
        if kind == BOX:
            for j in range(first, stop):
                x[j] = min(max(x[j], region.low[j]), region.high[j])
        elif kind == BALL:
            _to_ball(region.low, region.size[part], x, first, stop)
        else:
            _to_simplex(region.size[part], x, first, stop)


@kernel
def _to_ball(centre: Array, radius: float, x: Array, first: int, stop: int) -> None:
    square = 0.0
    for j in range(first, stop):
        square += (x[j] - centre[j]) * (x[j] - centre[j])
    if square <= radius * radius:
        return
    factor = radius / math.sqrt(square)
    for j in range(first, stop):
        x[j] = centre[j] + factor * (x[j] - centre[j])


@kernel
def _to_simplex(size: float, x: Array, first: int, stop: int) -> None:
    """Subtract the threshold at which the positive parts add up to `size`.

    The threshold of all coordinates is too low; those that fall below it leave, until none does: it only rises.
    """
    threshold = -math.inf
    count = stop - first + 1  # of the coordinates above the threshold; before the first pass more than there are
    while True:
        total = 0.0
        left = 0
        for j in range(first, stop):
            if x[j] > threshold:
                total += x[j]
                left += 1
        threshold = (total - size) / left
        if left == count:
            break
        count = left
    for j in range(first, stop):
        x[j] = max(x[j] - threshold, 0.0)
