"""The grid of relaxation factors: n arms equally spaced from omega_min to omega_max; one arm alone is omega_min.

>>> import numpy as np
>>> mask = np.ones(20, np.bool_)
>>> [nearest_arm(omega, 1.0, 1.95, mask) for omega in (1.0, 1.56, 1.95)]
[0, 11, 19]
"""

from __future__ import annotations

import math

from ..errors import InvalidInput
from ..kernel import kernel
from ..problem import check_param
from ..vocabulary import Array


def check_omegas(omega_min: float, omega_max: float) -> tuple[float, float]:
    """Return the ends of a grid, 0 < omega_min < omega_max < 2: at 0 and at 2 no sweep converges."""
    low = check_param("omega_min", omega_min, low=0.0, high=2.0, low_open=True, high_open=True)
    high = check_param("omega_max", omega_max, low=0.0, high=2.0, low_open=True, high_open=True)
    if not low < high:
        raise InvalidInput("bad_param", f"omega_min is {low:g} and omega_max {high:g}: the grid must rise")
    return low, high


@kernel
def omega_of(arm: int, n_arms: int, omega_min: float, omega_max: float) -> float:
    """Return the omega of an arm."""
    return omega_min + (omega_max - omega_min) * (arm / max(n_arms - 1, 1))


@kernel
def nearest_arm(omega: float, omega_min: float, omega_max: float, available: Array) -> int:
    """Return the available arm, of bool[k], whose omega is nearest; the lower one of two."""
    least = math.inf
    nearest = -1
    for a in range(len(available)):
        if available[a]:
            distance = abs(omega_of(a, len(available), omega_min, omega_max) - omega)
            if distance < least:
                least = distance
                nearest = a
    return nearest
