"""One linear system as a solver takes it: every number that a caller hands in, checked once."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any, Literal, NamedTuple

import numpy as np

from ...engine.errors import InvalidInput, as_seen
from ...engine.solvers.solve_cost import CAP_MAX
from ...engine.vocabulary import Array

ITERATIONS_MAX = 10_000
RTOL = 1e-8
NORM_MIN = 1e-140  # of b: squares of residuals that are smaller by 1e-14 are still normal numbers
RelativeTo = Literal["rhs", "start"]


class Stop(NamedTuple):
    """When a solve ends."""

    rtol: float
    atol: float
    iterations_max: int
    relative_to: RelativeTo

    def tolerance(self, norm: float) -> float:
        """Return how large |b - A x| may be at the end, for the norm that `rtol` is a share of."""
        return max(self.rtol * norm, self.atol)


def stop_of(rtol: Any, atol: Any, maxiter: Any, relative_to: Any) -> Stop:
    """Return when a solve ends; raises `InvalidInput` for tolerances below 0, for two of 0, and for a cap below 0."""
    relative, absolute = _tolerance("rtol", rtol), _tolerance("atol", atol)
    if relative == 0.0 and absolute == 0.0:
        raise InvalidInput(
            "bad_tolerance",
            "rtol and atol are both 0: rounding leaves a residual, so nothing would end but by its cap; "
            "ask for something above 0, such as rtol=1e-8",
        )
    if relative_to not in ("rhs", "start"):
        raise InvalidInput(
            "bad_relative_to",
            f"relative_to is {as_seen(relative_to)}: rtol is a share of |b| ('rhs') or of |b - A x0| ('start')",
        )
    try:
        iterations_max = operator.index(maxiter)
    except TypeError:
        iterations_max = -1
    if iterations_max < 0:
        raise InvalidInput(
            "bad_maxiter",
            f"maxiter is {as_seen(maxiter)}: it must be a whole number, and 0 at least; {ITERATIONS_MAX} is usual",
        )
    return Stop(relative, absolute, min(iterations_max, CAP_MAX), relative_to)


def check_omega(omega: Any) -> float:
    """Return omega; raises `InvalidInput` outside (0, 2)."""
    number = _number(omega)
    if not 0.0 < number < 2.0:
        raise InvalidInput(
            "bad_omega",
            f"omega is {as_seen(omega)}: it must lie between 0 and 2, both excluded, since every sweep diverges "
            "elsewhere; 1 is Gauss-Seidel, and 1 to 1.95 is what is usually tried",
        )
    return number


def check_number(name: str, value: Any) -> float:
    """Return a finite number as a float; raises `InvalidInput` for what is none."""
    number = _number(value)
    if not math.isfinite(number):
        raise InvalidInput("bad_number", f"{name} is {as_seen(value)}: it must be a finite real number")
    return number


def check_vector(name: str, vector: Any, n: int) -> Array:
    """Return a vector of n finite numbers, float64[n]; one of shape (n, 1) is taken too. May share its memory.

    Raises `InvalidInput` for other shapes, for what is not real, and for NaN and infinity.
    """
    array = check_real(name, vector)
    if array.shape != (n,):
        if array.shape != (n, 1):
            raise InvalidInput(
                "bad_shape", f"{name} has the shape {array.shape}: the matrix has {n} rows, so it must be ({n},)"
            )
        array = array.reshape(n)
    return check_finite(name, array if array.flags.carray else array.copy())


def check_real(name: str, given: Any) -> Array:
    """Return an array of float64 of any shape; raises `InvalidInput` for complex numbers and for what is no number."""
    if type(given) is np.ndarray and given.dtype == np.float64:
        return given
    array = np.asarray(given)
    if array.dtype.kind == "c":
        raise InvalidInput(
            "complex",
            f"{name} is complex: these solvers are for real systems; with a real matrix solve once for b.real and once "
            "for b.imag",
        )
    if array.dtype.kind not in "fiub":
        raise InvalidInput("bad_dtype", f"{name} holds {array.dtype}: it must hold real numbers")
    return array.astype(np.float64, copy=False)


def check_finite(name: str, array: Array) -> Array:
    """Return an array of any shape as it is; raises `InvalidInput` for the first entry that is NaN or infinite."""
    if not np.isfinite(array).all():
        bad = np.argwhere(~np.isfinite(array))
        place = tuple(int(i) for i in bad[0])
        raise InvalidInput(
            "not_finite",
            f"{name}[{', '.join(map(str, place))}] is {array[place]}, and {len(bad)} of {array.size} entries are not "
            "finite: all must be; look for what divided by zero before",
        )
    return array


def check_scale(b: Array, norm: float) -> float:
    """Return |b|; raises `InvalidInput` where its square, or that of a residual, is more or less than a float64 holds.

    >>> check_scale(np.array([3.0, 4.0]), 5.0)
    5.0
    """
    if not math.isfinite(norm) or (norm < NORM_MIN and bool(b.any())):
        raise InvalidInput(
            "bad_scale",
            f"the largest entry of b is {np.abs(b).max():.3g}: norms of residuals would be infinite, or lost in "
            "what is no normal float64; scale the system: solve for b / s, and multiply x by s",
        )
    return norm


def _tolerance(name: str, value: Any) -> float:
    number = _number(value)
    if not 0.0 <= number < math.inf:
        raise InvalidInput("bad_tolerance", f"{name} is {as_seen(value)}: it must be a number, finite and 0 at least")
    return number


def _number(value: Any) -> float:
    """Return a real number as a float, NaN for what is none."""
    return float(value) if isinstance(value, numbers.Real) else math.nan
