"""SOR for many right-hand sides of one matrix, as many at once as a processor has lanes.

>>> import numpy as np
>>> A = 4.0 * np.eye(100) - np.eye(100, k=1) - np.eye(100, k=-1)
>>> solutions = sor_many(A, np.eye(100)[:, :3], omega=[1.0, 1.1, 1.5])
>>> solutions.iterations.tolist(), solutions.x.shape
([11, 7, 24], (100, 3))
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.solvers.sor import Half, Rows, laplacian
from ...engine.solvers.sor_lanes import lanes_work, solve_lanes
from ...engine.vocabulary import Array
from .matrices import prepare
from .methods import ROWS, norm_of_vector, residual_norm, run
from .solution import Solutions, solutions_of
from .systems import (
    ITERATIONS_MAX,
    RTOL,
    RelativeTo,
    Stop,
    check_finite,
    check_omega,
    check_real,
    check_scale,
    stop_of,
)

LANES = 16  # of float64: two vectors of 512 bits, or four of 256, of which none waits for another


def sor_many(
    A: Any,
    B: Any,
    X0: Any = None,
    *,
    omega: Any = 1.0,
    rtol: float = RTOL,
    atol: float = 0.0,
    maxiter: int = ITERATIONS_MAX,
    relative_to: RelativeTo = "rhs",
) -> Solutions:
    """Solve A x = b by SOR for each column b of B, float64[n, k]; `omega` is a number, or float64[k], one a column.

    Each column ends by itself, as `sor` does and with its bits, and makes room for the next one. For a symmetric A a
    solve of many costs a third of one alone, from 16 columns on; for others, which are taken too, it costs the same.
    Returns the pair (X, info) of arrays, with `iterations`, `reason`, `residual_norm` and `converged`, for each column.
    """
    matrix = prepare(A, symmetric=False)
    stop = stop_of(rtol, atol, maxiter, relative_to)
    b = check_columns("B", B, matrix.n)
    omegas = omegas_of_columns(omega, len(b))
    x = np.zeros(b.shape) if X0 is None else np.array(check_columns("X0", X0, matrix.n, len(b)))
    norms = np.array([check_scale(column, norm_of_vector(column)) for column in b])
    x[norms == 0.0] = 0.0
    if matrix.half is not None:
        return _in_lanes(matrix.half, b, x, omegas, stop, norms)
    return _one_by_one(matrix.rows, b, x, omegas, stop, norms)


def check_columns(name: str, given: Any, n: int, columns: int | None = None) -> Array:
    """Return the columns of float64[n, k] as rows, float64[k, n]; raises `InvalidInput` for other shapes."""
    array = check_real(name, given)
    if array.ndim != 2 or array.shape[0] != n or columns not in (None, array.shape[1]):
        wanted = "k" if columns is None else columns
        raise InvalidInput(
            "bad_shape",
            f"{name} has the shape {array.shape}: the matrix has {n} rows, so it must be ({n}, {wanted}), a "
            "column for each right-hand side",
        )
    return np.ascontiguousarray(check_finite(name, array).T)


def omegas_of_columns(omega: Any, k: int) -> Array:
    """Return an omega for each of k columns, float64[k]; raises `InvalidInput` for any outside (0, 2)."""
    if np.ndim(omega) == 0:
        return np.full(k, check_omega(omega))
    omegas = check_real("omega", omega)
    if omegas.shape != (k,):
        raise InvalidInput(
            "bad_shape", f"omega has the shape {omegas.shape}: it must be a number, or ({k},), one a column"
        )
    return np.array([check_omega(number) for number in omegas.tolist()])


def _in_lanes(half: Half, b: Array, x: Array, omegas: Array, stop: Stop, norms: Array) -> Solutions:
    k, n = b.shape
    solve, work = _entry(), lanes_work(n, min(LANES, max(k, 1)))
    iterations, reasons, left = np.zeros(k, np.int64), np.zeros(k, np.int64), np.zeros(k)
    if stop.relative_to == "start":
        solve(half, b, x, omegas, np.full(k, math.inf), 0, work, iterations, reasons, left)
        norms = left.copy()
    tolerance = np.array([stop.tolerance(norm) for norm in norms.tolist()])
    solve(half, b, x, omegas, tolerance, stop.iterations_max, work, iterations, reasons, left)
    return solutions_of(x.T, iterations, reasons, left)


def _one_by_one(rows: Rows | None, b: Array, x: Array, omegas: Array, stop: Stop, norms: Array) -> Solutions:
    solved = []
    for i, omega in enumerate(omegas.tolist()):
        knob = (omega,)
        norm = float(norms[i]) if stop.relative_to == "rhs" else residual_norm(ROWS, rows, b[i], x[i], knob)
        solved.append(run(ROWS, rows, b[i], x[i], knob, stop.tolerance(norm), stop.iterations_max, None))
    return Solutions(
        x.T,
        np.array([solution.iterations for solution in solved], np.int64),
        tuple(solution.reason for solution in solved),
        np.array([solution.residual_norm for solution in solved]),
    )


@functools.cache
def _entry() -> Callable[..., None]:
    grid, one, whole = np.zeros((2, 4)), np.zeros(2), np.zeros(2, np.int64)
    return solve_lanes.compiled(laplacian(2), grid, grid, one, one, 1, lanes_work(4, 2), whole, whole, one)
