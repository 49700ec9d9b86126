"""Projections onto a domain: the nearest point, by the Euclidean distance.

Cost: O(d) for balls and boxes; a simplex takes O(d) a pass. Passes number 3 to 8 on normal draws of up to 1000
coordinates. To leave one by one, coordinates must lie apart by distances that grow like factorials (derived here), so
at most 20 passes come from numbers that 52 bits tell apart; 18 were reached on purpose.
Source: Michelot, "A finite algorithm for finding the projection of a point onto the canonical simplex of R^n", 1986.

>>> import numpy as np
>>> from onearm.engine.domain import simplex
>>> x = np.array([0.9, 0.5, -0.2, 0.4])
>>> project(simplex(4).region(), x)
>>> x.round(8).tolist()
[0.63333333, 0.23333333, 0.0, 0.13333333]
"""

from __future__ import annotations

import math

from ..domain import BALL, BOX, Region
from ..kernel import kernel, loop
from ..vocabulary import Array

_FAR = 16.0  # sizes


@kernel
def project(region: Region, x: Array) -> None:
    """Move `x`, float64[d], to the nearest point of the domain."""
    for part in range(len(region.kind)):
        # Views: numba knows that their indices are not negative, and vectorises.
        first, stop = region.start[part], region.start[part + 1]
        own, low, high = x[first:stop], region.low[first:stop], region.high[first:stop]
        kind = region.kind[part]
        if kind == BOX:
            for j in range(len(own)):
                own[j] = min(max(own[j], low[j]), high[j])
        elif kind == BALL:
            _to_ball(low, region.size[part], own)
        else:
            to_simplex(region.size[part], own)


@loop
def project_all(region: Region, points: Array) -> None:
    """Move each of n points, float64[n, d], to the nearest point of the domain: what Python calls."""
    for i in range(len(points)):
        project(region, points[i])


@kernel
def inside(region: Region, x: Array) -> bool:
    """Tell whether `x` lies in a domain of balls and boxes; of a simplex nothing does, as rounding moves its sum."""
    for part in range(len(region.kind)):
        first, stop = region.start[part], region.start[part + 1]
        kind = region.kind[part]
        if kind == BALL:
            square = 0.0
            for j in range(first, stop):
                square += (x[j] - region.low[j]) * (x[j] - region.low[j])
            if not square <= region.size[part] * region.size[part]:
                return False
        elif kind == BOX:
            for j in range(first, stop):
                if not region.low[j] <= x[j] <= region.high[j]:
                    return False
        else:
            return False
    return True


@kernel
def _to_ball(centre: Array, radius: float, x: Array) -> None:
    square = 0.0
    for j in range(len(x)):
        square += (x[j] - centre[j]) * (x[j] - centre[j])
    if square <= radius * radius:
        return
    if square == math.inf:
        _to_ball_from_afar(centre, radius, x)
        return
    factor = radius / math.sqrt(square)
    for j in range(len(x)):
        x[j] = centre[j] + factor * (x[j] - centre[j])


@kernel
def _to_ball_from_afar(centre: Array, radius: float, x: Array) -> None:
    """Do the same where the square of the length is infinite, and the length is not: in units of the largest."""
    unit, square = 0.0, 0.0
    for j in range(len(x)):
        unit = max(unit, abs(x[j] - centre[j]))
    for j in range(len(x)):
        square += ((x[j] - centre[j]) / unit) * ((x[j] - centre[j]) / unit)
    factor = radius / math.sqrt(square)
    for j in range(len(x)):
        x[j] = centre[j] + factor * ((x[j] - centre[j]) / unit)


@kernel
def to_simplex(size: float, x: Array) -> None:
    """Subtract the threshold at which the positive parts add up to `size`.

    The threshold of any set that holds the positive ones is too low; those that fall below it leave, until none does:
    it only rises. It lies at most `size` below the largest coordinate, so what lies lower leaves before.
    """
    largest = -math.inf
    for j in range(len(x)):
        largest = max(largest, x[j])
    if abs(largest) > _FAR * size:  # the sum would lose what tells coordinates apart: measure from the largest
        for j in range(len(x)):
            x[j] -= largest
        largest = 0.0
    threshold = largest - size
    count = len(x) + 1  # of the coordinates above the threshold; before the first pass more than there are
    while True:
        total = 0.0
        left = 0
        for j in range(len(x)):
            if x[j] > threshold:
                total += x[j]
                left += 1
        if left == count or left == 0:
            break
        threshold = max(threshold, (total - size) / left)
        count = left
    for j in range(len(x)):
        x[j] = max(x[j] - threshold, 0.0)
