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

from onearm.engine.kernel import kernel
from onearm.engine.vocabulary import Array


@kernel
def place(value: float, low: float, high: float) -> float:
    """Return where a value lies in [low, high], as -1 to 1; one that lies outside counts as the end next to it."""
    z = 2.0 * ((value - low) / (high - low)) - 1.0
    return min(max(z, -1.0), 1.0)


@kernel
def chebyshev(z: float, features: Array) -> None:
    """Write T_0(z), T_1(z) .. T_{m-1}(z) into float64[m], m >= 1: 1, z, 2 z^2 - 1 and so on."""
    before, now = z, 1.0  # T_{-1} = T_1
    for j in range(len(features)):
        features[j] = now
        before, now = now, 2.0 * z * now - before
