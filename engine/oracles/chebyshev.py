"""Chebyshev polynomials of one number: a function that bends smoothly over a range needs few of them.

Source: Trefethen, "Approximation theory and approximation practice", 2013: the j-th coefficient of a function on
[-1, 1] whose slope is at most L is of the order L / j.

>>> import numpy as np
>>> features = np.zeros(4)
>>> chebyshev(place(30.0, 0.0, 40.0), features)
>>> features
array([ 1. ,  0.5, -0.5, -1. ])
"""

from __future__ import annotations

from ..errors import InvalidInput, as_seen
from ..kernel import kernel
from ..problem import check_param
from ..vocabulary import Array

FEATURES_MAX = 32
FARTHEST = 1e100  # of a context


def check_range(low: float, high: float) -> tuple[float, float]:
    """Return the range of a context, low < high."""
    low = check_param("low", low, low=-FARTHEST, high=FARTHEST)
    high = check_param("high", high, low=-FARTHEST, high=FARTHEST)
    if not low < high:
        raise InvalidInput("bad_param", f"low is {low:g} and high {high:g}: low must be below high")
    return low, high


def check_features(features: int, usual: int) -> int:
    """Return a number of polynomials, m."""
    if isinstance(features, bool) or not isinstance(features, int) or not 1 <= features <= FEATURES_MAX:
        raise InvalidInput(
            "bad_param",
            f"features is {as_seen(features)}: it must be a whole number from 1 to {FEATURES_MAX}; {usual} is usual",
        )
    return features


@kernel
def place(value: float, low: float, high: float) -> float:
    """Return where a value lies in [low, high], as -1 to 1; one that lies outside counts as the end next to it."""
    z = 2.0 * ((value - low) / (high - low)) - 1.0
    return min(max(z, -1.0), 1.0)


@kernel
def describe(context: Array, low: float, high: float, features: Array) -> bool:
    """Write the features of a context of up to one number, 0 without one, and return whether it lies outside."""
    z, outside = 0.0, False
    if len(context) > 0:
        z = place(context[0], low, high)
        outside = not low <= context[0] <= high
    chebyshev(z, features)
    return outside


@kernel
def chebyshev(z: float, features: Array) -> None:
    """Write T_0(z), T_1(z) .. T_{m-1}(z) into float64[m], m >= 1: 1, z, 2 z^2 - 1 and so on."""
    before, now = z, 1.0  # T_{-1} = T_1
    for j in range(len(features)):
        features[j] = now
        before, now = now, 2.0 * z * now - before
