"""SOR, SSOR and conjugate gradients with SciPy's conventions: x, info = ssor_cg(A, b, omega=1.6).

>>> import numpy as np
>>> A = 4.0 * np.eye(100) - np.eye(100, k=1) - np.eye(100, k=-1)
>>> solution = sor(A, np.ones(100), omega=1.1)
>>> solution.iterations, solution.converged, solution.residual_norm < 1e-7
(14, True, True)
>>> x, info = ssor_cg(A, np.ones(100), omega=1.1)
>>> info, float(np.abs(A @ x - 1.0).max()) < 1e-7
(0, True)

All end where |b - A x| <= max(rtol |b|, atol), and the residual at the end is the true one. They take `x0`, where to
start (it is not changed), at most `maxiter` iterations, and `callback(xk)`, called after each of them with a copy.
`relative_to="start"` makes rtol a share of |b - A x0|, as the literature on sweeps has it: warm starts then take more.
A matrix that is solved with again is better prepared once: `prepare`. Then a call costs, beside its sweeps, 10 us.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine.vocabulary import Array
from .matrices import prepare
from .methods import CG, ROWS, SOR, SSOR, SSOR_CG, Callback, Method, norm_of_vector, residual_norm, run
from .preconditioned import operator_of, preconditioned_cg
from .solution import Solution
from .systems import (
    ITERATIONS_MAX,
    RTOL,
    RelativeTo,
    Stop,
    check_omega,
    check_scale,
    check_vector,
    stop_of,
)


def sor(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    omega: float = 1.0,
    rtol: float = RTOL,
    atol: float = 0.0,
    maxiter: int = ITERATIONS_MAX,
    callback: Callback | None = None,
    relative_to: RelativeTo = "rhs",
) -> Solution:
    """Solve A x = b by successive over-relaxation; omega = 1 is Gauss-Seidel.

    Converges for every symmetric positive definite A; others are tried, and their divergence is told. One iteration is
    one sweep in the order of the rows: 1.6 ns per stored entry, twice that where A is not symmetric.
    Raises `InvalidInput`, before anything is done, for what cannot be right: see `prepare` for A.
    """
    matrix = prepare(A, symmetric=False)
    stop, knob = stop_of(rtol, atol, maxiter, relative_to), (check_omega(omega),)
    if matrix.half is None:
        return _solve(ROWS, matrix.rows, matrix.n, knob, b, x0, stop, callback)
    return _solve(SOR, matrix.half, matrix.n, knob, b, x0, stop, callback)


def ssor(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    omega: float = 1.0,
    rtol: float = RTOL,
    atol: float = 0.0,
    maxiter: int = ITERATIONS_MAX,
    callback: Callback | None = None,
    relative_to: RelativeTo = "rhs",
) -> Solution:
    """Solve A x = b by symmetric over-relaxation: a sweep forward and one backward make one iteration.

    A must be symmetric. Depends less on omega than `sor`, and is rarely faster.
    """
    matrix = prepare(A)
    stop, knob = stop_of(rtol, atol, maxiter, relative_to), (check_omega(omega),)
    return _solve(SSOR, matrix.symmetric_half(), matrix.n, knob, b, x0, stop, callback)


def ssor_cg(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    omega: float = 1.0,
    rtol: float = RTOL,
    atol: float = 0.0,
    maxiter: int = ITERATIONS_MAX,
    callback: Callback | None = None,
    relative_to: RelativeTo = "rhs",
) -> Solution:
    """Solve A x = b by conjugate gradients with SSOR as the preconditioner, for A symmetric positive definite.

    What to take where you have no better preconditioner: a step costs twice that of `cg`, and there are several times
    fewer. A that is not positive definite ends as "not positive definite", with info -5.
    """
    matrix = prepare(A)
    stop, knob = stop_of(rtol, atol, maxiter, relative_to), (check_omega(omega),)
    return _solve(SSOR_CG, matrix.symmetric_half(), matrix.n, knob, b, x0, stop, callback)


def cg(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    M: Any = None,
    rtol: float = RTOL,
    atol: float = 0.0,
    maxiter: int = ITERATIONS_MAX,
    callback: Callback | None = None,
    relative_to: RelativeTo = "rhs",
) -> Solution:
    """Solve A x = b by conjugate gradients, for A symmetric positive definite.

    `M` is a preconditioner, as SciPy takes it: anything that returns an approximation of A^-1 r when it is called with
    r, or through `matvec` or `@`. It must be symmetric positive definite, and the same at every step.
    """
    matrix = prepare(A)
    stop = stop_of(rtol, atol, maxiter, relative_to)
    half = matrix.symmetric_half()
    if M is None:
        return _solve(CG, half, matrix.n, (), b, x0, stop, callback)
    apply = operator_of(M, matrix.n)
    b, x, tolerance = _start(CG, half, matrix.n, (), b, x0, stop)
    return preconditioned_cg(half, b, x, apply, tolerance, stop.iterations_max, callback)


def _solve(
    method: Method,
    entries: Any,
    n: int,
    knob: tuple[float, ...],
    b: Any,
    x0: Any,
    stop: Stop,
    callback: Callback | None,
) -> Solution:
    b, x, tolerance = _start(method, entries, n, knob, b, x0, stop)
    return run(method, entries, b, x, knob, tolerance, stop.iterations_max, callback)


def _start(
    method: Method, entries: Any, n: int, knob: tuple[float, ...], b: Any, x0: Any, stop: Stop
) -> tuple[Array, Array, float]:
    """Return b, where to start, and the tolerance of the residual; b = 0 starts, and ends, at x = 0, as in SciPy."""
    b, x = check_vector("b", b, n), np.zeros(n)
    start = x if x0 is None else np.array(check_vector("x0", x0, n))
    norm = check_scale(b, norm_of_vector(b))
    if start is not x and norm > 0.0:
        x = start
        if stop.relative_to == "start":
            norm = residual_norm(method, entries, b, x, knob)
    return b, x, stop.tolerance(norm)
