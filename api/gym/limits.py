"""The limits of a domain: whether points that were handed in lie within, and what to say where they do not.

A point may lie outside by rounding: 1e-9 of the size of the part, which is 1 in the unit ball and the unit simplex.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from onearm.engine.domain import BALL, BOX, SIMPLEX, Region
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Array

ROUNDING = 1e-9


def numbers(name: str, given: Any, shape: tuple[int, ...]) -> Array:
    """Return what was handed in as `name`, an "action" for one, as a float64 copy of this shape; it may be anything."""
    try:
        array = np.asarray(given)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.dtype.kind not in "fiu":
        raise InvalidInput(f"bad_{name}", f"the {name} is {given!r}: it must hold numbers, of the shape {list(shape)}")
    if array.shape != shape:
        raise InvalidInput(f"bad_{name}", f"the {name} has the shape {list(array.shape)}: it must have {list(shape)}")
    return array.astype(np.float64)


def check_points(region: Region, points: Array, asked: Array, decisions: Array) -> None:
    """Refuse the points of n decisions, float64[n, m, d], of which those count that are `asked`, bool[n].

    `decisions`, int64[n], are their numbers.
    """
    n, m, d = points.shape
    wrong = asked[:, None] & ~within(region, points.reshape(-1, d)).reshape(n, m)
    for i, j in np.argwhere(wrong)[:1]:
        raise InvalidInput(
            "point_outside",
            f"the point of decision {decisions[i]} is outside the domain: {_why_outside(region, points[i, j])}",
        )


def within(region: Region, points: Array) -> Array:
    """Tell which of n points, float64[n, d], lie in a domain, but for rounding, bool[n]."""
    inside = np.ones(len(points), np.bool_)
    for part, place in places(region):
        inside &= _excess(region, part, points[:, place]) <= _rounding(region, part)  # never, where one is NaN
    return np.asarray(inside)


def limits(region: Region) -> tuple[Array, Array]:
    """Return the least and the largest value of each coordinate, float64[d] each."""
    low, high = region.low.copy(), region.high.copy()
    for part, place in places(region):
        if region.kind[part] == BALL:
            low[place] -= region.size[part]
            high[place] += region.size[part]
    return low, high


def places(region: Region) -> Iterator[tuple[int, slice]]:
    """Yield each part's number and where its coordinates are."""
    for part in range(len(region.kind)):
        yield part, slice(int(region.start[part]), int(region.start[part + 1]))


def _why_outside(region: Region, point: Array) -> str:
    """Say which limit a point, float64[d], breaks, by how much, and what to do."""
    remedy = "clip it (np.clip, or the wrapper ClipAction)"
    if (region.kind != BOX).any():
        remedy = "move it to the nearest point (action_space.project)"
    for bad in np.flatnonzero(~np.isfinite(point)):
        return f"coordinate {bad} is {point[bad]}; all must be finite"
    for part, place in places(region):
        x, low, high, size = point[place], region.low[place], region.high[place], region.size[part]
        excess = float(_excess(region, part, x[None])[0])
        if excess <= _rounding(region, part):
            continue
        if region.kind[part] == BALL:
            return f"it lies {excess:.3g} farther from the centre of the ball than its radius {size:g}; {remedy}"
        j = int(_beyond(low, x, high).argmax())
        if _beyond(low, x, high)[j] < excess:
            return f"the coordinates of the simplex add up to {x.sum():g}, {excess:.3g} off {size:g}; {remedy}"
        limit = f"its limits {low[j]:g} and {high[j]:g}"
        return f"coordinate {place.start + j} is {x[j]:g}, {excess:.3g} beyond {limit}; {remedy}"
    raise AssertionError("the point is within")


def _excess(region: Region, part: int, x: Array) -> Array:
    """Return by how much n points of a part, float64[n, m], break its limits, float64[n]."""
    place = slice(region.start[part], region.start[part + 1])
    low, high, size = region.low[place], region.high[place], region.size[part]
    with np.errstate(over="ignore", invalid="ignore"):
        if region.kind[part] == BALL:
            return np.asarray(np.linalg.norm(x - low, axis=1) - size)
        excess = _beyond(low, x, high).max(axis=1)
        if region.kind[part] == SIMPLEX:
            excess = np.maximum(excess, np.abs(x.sum(axis=1) - size))
        return np.asarray(excess)


def _beyond(low: Array, x: Array, high: Array) -> Array:
    return np.maximum(low - x, x - high)


def _rounding(region: Region, part: int) -> float:
    """Return how far outside of a part a point may lie."""
    place = slice(region.start[part], region.start[part + 1])
    largest = max(np.abs(region.low[place]).max(), np.abs(region.high[place]).max(), region.size[part])
    return ROUNDING * float(largest)
