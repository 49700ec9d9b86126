"""Conjugate gradients with a preconditioner from outside: steps in NumPy, since what M does is not compiled here.

Source: Hestenes, Stiefel 1952, in the form that SciPy's `cg` has; the iterations are the same. Each step costs a pass
over the lower half, a few over the vectors, and whatever M costs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.solvers.sor import Half
from ...engine.solvers.stopping import (
    CG_GROWTH_MAX,
    FRESH,
    INDEFINITE,
    NOT_FINITE,
    REASONS,
    RUNNING,
    WINDOW,
    Monitor,
    begin,
    confirm,
    fail,
    judged,
)
from ...engine.vocabulary import Array
from .methods import Callback, residual_of
from .solution import Solution
from .systems import check_real

Apply = Callable[[Array], Array]


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
    """Solve; `x` is where to start and becomes the solution. It ends by the rules of the compiled solvers."""
    r, norm = residual_of(half, b, x)
    p = np.zeros(len(x))
    monitor = begin(norm, CG_GROWTH_MAX, len(x) + WINDOW)
    judge = _judge_entry()
    while True:
        monitor = judge(monitor, tolerance, iterations_max)
        if monitor.reason == RUNNING:
            r, p, monitor = _step(half, x, apply, r, p, monitor)
            if callback is not None and monitor.reason == RUNNING:
                callback(x.copy())
        elif monitor.exact:
            return Solution(x, monitor.iterations, REASONS[monitor.reason], monitor.residual_norm)
        else:
            r, norm = residual_of(half, b, x)
            monitor = confirm(monitor, norm, tolerance)


def _step(half: Half, x: Array, apply: Apply, r: Array, p: Array, monitor: Monitor) -> tuple[Array, Array, Monitor]:
    """Move x; return its residual, a new array since M may have kept the old one, the direction, and the monitor.

    From a residual that was computed anew the directions begin anew.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite ends the solve, and is told
        z = apply(r)
        rz = float((r * z).sum())
        p = z + (0.0 if monitor.exact else rz / monitor.rz) * p
        ap = -residual_of(half, np.zeros(len(x)), p)[0]
        pap = float((p * ap).sum())
        if not (rz > 0.0 and pap > 0.0):
            return r, p, fail(monitor, INDEFINITE if rz <= 0.0 or pap <= 0.0 else NOT_FINITE)
        x += (rz / pap) * p
        r = r - (rz / pap) * ap
        norm = math.sqrt(float((r * r).sum()))
        return r, p, monitor._replace(iterations=monitor.iterations + 1, residual_norm=norm, exact=False, rz=rz)


@functools.cache
def _judge_entry() -> Callable[..., Monitor]:
    return judged.compiled(FRESH, 1.0, 1)
