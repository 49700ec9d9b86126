"""The limits of what is decided and revealed of vectors: points lie in their domain, details are small numbers.

All interfaces ask here. A point may lie outside by rounding: 1e-9 of the largest number that limits it, which is 1 in
the unit ball and the unit simplex; in a box each coordinate has limits of its own. Cost: O(d).

>>> from onearm.engine.domain import ball, simplex
>>> limits = Limits(ball(2))
>>> limits.within(np.array([[0.6, 0.8], [0.6, 0.9]])).tolist()
[True, False]
>>> limits.why_outside(np.array([3.0, 4.0]))
'it lies 4 farther from the centre of the ball than its radius 1'
>>> Limits(simplex(4)).why_outside(np.full(4, 5.0))
'the coordinates of the simplex add up to 20, 19 off 1'
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .choices import Vectors
from .domain import BALL, BOX, Domain, Region
from .errors import InvalidInput, OnearmError
from .kernel import kernel, loop
from .problem import REWARD_MAX
from .vocabulary import Array, Problem

ROUNDING = 1e-9


class Limits:
    """A domain, ready to be asked whether points lie in it."""

    def __init__(self, domain: Domain, points: int = 1) -> None:
        self.domain = domain
        self.points = points  # of one decision, one behind the other
        self.dimension = domain.dimension
        self.region = domain.region()
        self._found = np.zeros(points, np.bool_)
        self._mark = mark_within.entry(self.region, np.zeros((points, self.dimension)), self._found)

    def __reduce__(self) -> tuple[type[Limits], tuple[Domain, int]]:
        """Copy and pickle what it is made of: compiled code is neither."""
        return Limits, (self.domain, self.points)

    def within(self, points: Array) -> Array:
        """Tell which of n points, float64[n, d], lie in the domain, but for rounding, bool[n]."""
        points = np.require(points, np.float64, ["C", "A", "W"])  # the entry takes no others, and would not say so
        found = np.empty(len(points), np.bool_)
        self._mark(self.region, points, found)
        return found

    def why_outside(self, point: Array) -> str:
        """Say which limit a point outside, float64[d], breaks, and by how much."""
        for bad in np.flatnonzero(~np.isfinite(point)):
            return f"coordinate {bad} is {point[bad]}; all must be finite"
        region = self.region
        with np.errstate(over="ignore"):
            part, j, excess = breach(region, np.array(point))
        assert part >= 0, "the point is within"
        size = region.size[part]
        if j >= 0:
            limits = f"its limits {region.low[j]:g} and {region.high[j]:g}"
            return f"coordinate {j} is {point[j]:g}, {excess:.3g} beyond {limits}"
        if region.kind[part] == BALL:
            return f"it lies {excess:.3g} farther from the centre of the ball than its radius {size:g}"
        total = point[region.start[part] : region.start[part + 1]].sum()
        return f"the coordinates of the simplex add up to {total:g}, {excess:.3g} off {size:g}"

    def check_decided(self, policy: str, action: Array, number: int) -> None:
        """Refuse what a policy decided where it does not lie in the domain: before anything is written."""
        length = self.points * self.dimension
        if action.dtype != np.float64 or action.shape != (length,):
            why = f"it is {action.dtype}{list(action.shape)}, and must be float64[{length}]"
        else:
            points = np.ascontiguousarray(action).reshape(self.points, self.dimension)
            if self._mark(self.region, points, self._found) == 0:  # and not `within`: this takes 2 us, and that 5
                return
            why = self.why_outside(points[self._found.argmin()])
        raise OnearmError(
            "impossible_point",
            f"policy {policy!r} decided a point that is not in the domain at decision {number}: {why}; mend its file",
        )


def limits_of(problem: Problem) -> Limits:
    """Return the limits of a problem whose decisions are vectors."""
    vectors = problem.choice
    assert isinstance(vectors, Vectors)
    return Limits(vectors.domain, vectors.n_points)


@loop
def mark_within(region: Region, points: Array, found: Array) -> int:
    """Write which of n points, float64[n, d], lie in a domain, but for rounding, bool[n]; return how many do not."""
    outside = 0
    for row in range(len(points)):
        part, _, _ = breach(region, points[row])
        found[row] = part < 0
        outside += part >= 0
    return outside


@kernel
def breach(region: Region, x: Array) -> tuple[int, int, float]:
    """Return the first part whose limits `x`, float64[d], breaks, the coordinate that does so most, and by how much.

    The coordinate is -1 where it is the whole that does: the distance of a ball, the sum of a simplex. The part is -1
    where the point lies within, but for rounding.
    """
    for part in range(len(region.kind)):
        first, stop = region.start[part], region.start[part + 1]
        size = region.size[part]
        if region.kind[part] == BALL:
            largest = size
            for j in range(first, stop):
                largest = max(largest, abs(region.low[j]))
            excess = _distance(region.low, x, first, stop) - size
            if not excess <= ROUNDING * largest:  # so NaN, too
                return part, -1, excess
            continue
        worst, most, total = -1, 0.0, 0.0
        for j in range(first, stop):
            low, high = region.low[j], region.high[j]
            excess = max(low - x[j], x[j] - high)
            total += float(x[j])  # and not NumPy's, which with the JIT off warns where a sum overflows
            if not excess <= ROUNDING * max(abs(low), abs(high)) and not excess <= most:
                worst, most = j, excess
        off = abs(total - size)
        if region.kind[part] != BOX and not off <= ROUNDING * size and not off <= most:
            worst, most = -1, off
        if most != 0.0:
            return part, worst, most
    return -1, -1, 0.0


@kernel
def _distance(centre: Array, x: Array, first: int, stop: int) -> float:
    """Return the distance of coordinates from a centre; in units of the largest no square is too large or small."""
    unit = 0.0
    for j in range(first, stop):
        unit = max(unit, float(abs(x[j] - centre[j])))
    if unit == math.inf:
        return unit
    if unit == 0.0:
        unit = 1.0  # and not returned: one that is NaN is not above 0, either
    square = 0.0
    for j in range(first, stop):
        share = (x[j] - centre[j]) / unit
        square += share * share
    return unit * math.sqrt(square)


def are_small(numbers: Array) -> Array:
    """Tell which numbers can be learned from, bool[...]: finite ones of at most 1e100 in size."""
    return np.asarray(np.abs(numbers) <= REWARD_MAX)  # never, where one is NaN


def check_detail(name: str, values: Any, length: int) -> Array:
    """Return what was revealed as `name`, a list of `length` numbers: float64[length], a copy, all finite and small."""
    try:
        array = np.array(values)
        if array.dtype.kind not in "iufO":
            raise TypeError  # text would be read as numbers, and complex numbers cut
        array = array.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput("bad_detail", f"{name} is not a list of numbers: it must be one, of {length}") from None
    if array.shape != (length,):
        raise InvalidInput("bad_detail", f"{name} has the shape {list(array.shape)}: it must have [{length}]")
    for j in np.flatnonzero(~are_small(array)):
        raise InvalidInput(
            "bad_detail", f"{name}[{j}] is {array[j]:g}: it must be finite, and at most {REWARD_MAX:g} in size"
        )
    return array
