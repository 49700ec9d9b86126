"""Proximal steps: minimise a loss phi(a . x, b) plus |x - y|^2 / (2 eta) over a domain, to the last bits.

"absolute"  |z - b|
"square"    (z - b)^2 / 2
"hinge"     max(0, 1 - b z), b the label -1 or 1
"logistic"  ln(1 + exp(-b z)), b the label -1 or 1

The minimiser is P(y - s a) for a number s with s = eta phi'(a . P(y - s a)) (derived: the conditions of both problems
are the same). As a projection onto any convex set is monotone, a . P(y - s a) never rises with s; phi' never falls, so
s - eta phi'(...) rises and has one root between 0 and eta phi'(a . P(y)). Where phi has a kink, the root is where
a . x crosses it. Newton's method finds it on balls, boxes, simplices and products of them alike, kept in a bracket:
a . P(y - s a) is piecewise linear, or curved on a sphere, and its slope follows from what the projection left free.
Where no limit is met on the way the first pass is the closed form, and the second only sees that it was right.
Ends where what is missing is less than a . x may be wrong by.
Source: Chen, Zhang, Tu, Zhao, Zhang, JMLR 2024, for the steps; Parikh and Boyd, "Proximal algorithms", 2014.
"""

from __future__ import annotations

import math

from ..domain import BALL, BOX, Region
from ..elementary import exp, log1p
from ..errors import InvalidInput, as_seen
from ..kernel import kernel
from ..vocabulary import Array
from .projection import project

LOSSES = ("absolute", "square", "hinge", "logistic")
ABSOLUTE, SQUARE, HINGE = 0, 1, 2
_PASSES_MAX = 200  # 2 to 6 are enough, but where s is close to 0
_FAR = 1e200  # of s: with features of up to 1e100 the way stays finite, and it ends at a limit long before
_ROUNDING = 2.0**-50  # of a sum, relative to the sum of the sizes; of exp and what follows from it


def check_loss(loss: str) -> int:
    """Return the number of a loss.

    >>> check_loss("hinge") == HINGE
    True
    """
    if loss not in LOSSES:
        raise InvalidInput("bad_param", f"loss is {as_seen(loss)}: it must be one of {', '.join(LOSSES)}")
    return LOSSES.index(loss)


@kernel
def loss_at(loss: int, z: float, b: float) -> float:
    """Return phi(z, b).

    >>> loss_at(ABSOLUTE, 0.5, 2.0), loss_at(SQUARE, 0.5, 2.0), loss_at(HINGE, 0.5, -1.0)
    (1.5, 1.125, 1.5)
    """
    if loss == ABSOLUTE:
        return abs(z - b)
    if loss == SQUARE:
        return 0.5 * (z - b) * (z - b)
    if loss == HINGE:
        return max(0.0, 1.0 - b * z)
    return max(-b * z, 0.0) + log1p(exp(-abs(b * z)))


@kernel
def slope_at(loss: int, z: float, b: float) -> float:
    """Return the derivative of phi in z; at a kink a number between those of both sides."""
    if loss == ABSOLUTE:
        return 1.0 if z > b else (-1.0 if z < b else 0.0)
    if loss == SQUARE:
        return z - b
    if loss == HINGE:
        return -b if b * z < 1.0 else 0.0
    small = exp(-abs(b * z))
    return -b * (small if b * z > 0.0 else 1.0) / (1.0 + small)


@kernel
def prox(region: Region, loss: int, example: Array, eta: float, y: Array, x: Array) -> None:
    """Write the minimiser of phi(a . x, b) + |x - y|^2 / (2 eta) into `x`, float64[d].

    `example` is a and b, float64[d + 1]. Cost: 2 projections where no limit is met on the way, else mostly 3 to 6.
    """
    b = example[len(y)]
    z, noise = _reached(region, example, 0.0, y, x)
    end = min(max(eta * slope_at(loss, z, b), -_FAR), _FAR)
    near, far = 0.0, 2.0 * end  # the root may be the end itself
    s, step, earlier = 0.0, math.inf, math.inf
    for _ in range(_PASSES_MAX):
        slope = slope_at(loss, z, b)
        bend = _bend(loss, z, b, slope, noise)
        beyond = s - eta * slope
        if beyond == 0.0 or bend == math.inf or abs(beyond) <= _ROUNDING * abs(s) + eta * bend * noise:
            return
        if (beyond < 0.0) == (end > 0.0):
            near = s
        else:
            far = s
        middle = near + 0.5 * (far - near)
        if middle in (near, far):
            return
        fall = _fall(region, example, s, end, y, x)
        if loss not in (ABSOLUTE, HINGE):
            following = s - beyond / (1.0 + eta * bend * fall)
        elif fall > 0.0:
            following = s + (z - _kink(loss, b)) / fall
            following = min(max(following, min(end, 0.0)), max(end, 0.0))
        else:
            following = end
        if not (min(near, far) < following < max(near, far) and abs(following - s) <= 0.5 * earlier):
            following = middle
        s, step, earlier = following, abs(following - s), step
        z, noise = _reached(region, example, s, y, x)


@kernel
def _kink(loss: int, b: float) -> float:
    """Return where the slope of phi jumps; a hinge whose label is 0 has none, and no slope either."""
    if loss == ABSOLUTE:
        return b
    return 1.0 / b if b != 0.0 else 0.0


@kernel
def _bend(loss: int, z: float, b: float, slope: float, noise: float) -> float:
    """Return the second derivative of phi in z; infinite where a kink is as close to z as its digits tell."""
    if loss == SQUARE:
        return 1.0
    if loss in (ABSOLUTE, HINGE):
        return math.inf if abs(z - _kink(loss, b)) <= noise else 0.0
    return max(-slope * (b + slope), 0.0)


@kernel
def _reached(region: Region, example: Array, s: float, y: Array, x: Array) -> tuple[float, float]:
    """Write P(y - s a) into `x`; return a . x, and what that may be wrong by."""
    for j in range(len(y)):
        x[j] = y[j] - s * example[j]
    project(region, x)
    z, size = 0.0, 0.0
    for j in range(len(y)):
        z += example[j] * x[j]
        size += abs(example[j] * x[j])
    return z, _ROUNDING * size


@kernel
def _fall(region: Region, example: Array, s: float, end: float, y: Array, x: Array) -> float:
    """Return how fast a . P(y - s a) falls as s goes towards `end`, where x = P(y - s a)."""
    fall = 0.0
    for part in range(len(region.kind)):
        first, stop = region.start[part], region.start[part + 1]
        if region.kind[part] == BOX:
            for j in range(first, stop):
                there = y[j] - s * example[j]
                way = -example[j] if end > 0.0 else example[j]
                ahead = region.high[j] if way > 0.0 else region.low[j]
                behind = region.low[j] if way > 0.0 else region.high[j]
                free = ((ahead - there) * way > 0.0) & (
                    (there - behind) * way >= 0.0
                )  # no branch: it is 4 times as fast
                fall += example[j] * example[j] if free else 0.0
        elif region.kind[part] == BALL:
            fall += _fall_of_ball(region.low, region.size[part], example, s, y, first, stop)
        else:
            fall += _fall_of_simplex(example, x, first, stop)
    return fall


@kernel
def _fall_of_ball(centre: Array, radius: float, a: Array, s: float, y: Array, first: int, stop: int) -> float:
    """Return |a|^2, or on the sphere what it leaves of that: the part along the sphere, drawn in from outside."""
    square, along, size = 0.0, 0.0, 0.0
    for j in range(first, stop):
        away = y[j] - s * a[j] - centre[j]
        square += away * away
        along += a[j] * away
        size += a[j] * a[j]
    if square <= radius * radius:
        return size
    return radius / math.sqrt(square) * max(size - along / square * along, 0.0)


@kernel
def _fall_of_simplex(a: Array, x: Array, first: int, stop: int) -> float:
    """Return the spread of a over the coordinates above 0, which share what each loses."""
    mean, count = 0.0, 0
    for j in range(first, stop):
        if x[j] > 0.0:
            mean += a[j]
            count += 1
    mean /= max(count, 1)
    fall = 0.0
    for j in range(first, stop):
        if x[j] > 0.0:
            fall += (a[j] - mean) * (a[j] - mean)
    return fall
