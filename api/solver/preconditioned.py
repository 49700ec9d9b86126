"""Conjugate gradients with a preconditioner from outside: steps in NumPy, since what M does is not compiled here.

Source: Hestenes, Stiefel 1952, in the form that SciPy's `cg` has; the iterations are the same. Each step costs a pass
over the lower half, a few over the vectors, and whatever M costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from onearm.api.solver.methods import Callback, residual_of
from onearm.api.solver.solution import Solution
from onearm.api.solver.systems import check_real
from onearm.engine.errors import InvalidInput
from onearm.engine.sor import Half
from onearm.engine.sor_course import (
    CAPPED,
    CONVERGED,
    DIVERGED,
    GROWTH_MAX,
    INDEFINITE,
    NOT_FINITE,
    REASONS,
    RUNNING,
    STAGNATED,
)
from onearm.engine.vocabulary import Array

Apply = Callable[[Array], Array]
PATIENCE = 100  # steps without a new lowest residual that are allowed, beside n


def operator_of(M: Any, n: int) -> Apply:
    """Return a function that applies a preconditioner to float64[n]: of a function, an operator, or a matrix."""
    apply = getattr(M, "matvec", None) or (M if callable(M) else getattr(M, "__matmul__", None))
    if apply is None:
        raise InvalidInput(
            "bad_preconditioner",
            f"M is a {type(M).__name__}: it must be a function of r, or have matvec or @, and return about A^-1 r",
        )
    if tuple(getattr(M, "shape", (n, n))) != (n, n):
        raise InvalidInput("bad_preconditioner", f"M has the shape {M.shape}: A has {n} rows, so it must be ({n}, {n})")

    def checked(r: Array) -> Array:
        z = check_real("M r", apply(r))
        if z.size != n:
            raise InvalidInput("bad_preconditioner", f"M r has the shape {z.shape}: r has {n} entries, and so must it")
        return z.reshape(n)

    return checked


def preconditioned_cg(
    half: Half, b: Array, x: Array, apply: Apply, tolerance: float, iterations_max: int, callback: Callback | None
) -> Solution:
    """Solve; `x` is where to start and becomes the solution."""
    r, norm = residual_of(half, b, x)
    worst, lowest, lowest_at = GROWTH_MAX * norm, norm, 0
    claimed = before = math.inf
    p = np.zeros(len(x))
    k, reason = 0, RUNNING
    while True:
        if norm <= tolerance:
            r, norm = residual_of(half, b, x)
            reason = CONVERGED if norm <= tolerance else STAGNATED if norm > 0.5 * claimed else RUNNING
            claimed, before = norm, math.inf  # where it was claimed too early, it begins anew
        if norm < lowest:
            lowest, lowest_at = norm, k
        if reason == RUNNING:
            reason = _judged(k, norm, worst, lowest_at, iterations_max, len(x))
        if reason != RUNNING:
            return Solution(x, k, REASONS[reason], residual_of(half, b, x)[1])
        z = apply(r)
        rz = float((r * z).sum())
        p = z + (rz / before) * p
        ap = -residual_of(half, np.zeros(len(x)), p)[0]
        pap = float((p * ap).sum())
        if not (rz > 0.0 and pap > 0.0):
            reason = INDEFINITE if rz <= 0.0 or pap <= 0.0 else NOT_FINITE
            return Solution(x, k, REASONS[reason], residual_of(half, b, x)[1])
        x += (rz / pap) * p
        r = r - (rz / pap) * ap  # a new array: M may have kept the old one
        norm, before = math.sqrt(float((r * r).sum())), rz
        k += 1
        if callback is not None:
            callback(x.copy())


def _judged(k: int, norm: float, worst: float, lowest_at: int, iterations_max: int, n: int) -> int:
    """Return the reason to end after k steps, or RUNNING: the rules of the compiled solvers."""
    if not math.isfinite(norm):
        return NOT_FINITE
    if k >= iterations_max:
        return CAPPED
    if norm > worst:
        return DIVERGED
    return STAGNATED if k - lowest_at > lowest_at + n + PATIENCE else RUNNING
