"""SOR for any square matrix without zeros on the diagonal: a plain sweep, then the residual.

The entries are read twice a sweep; a symmetric matrix is swept in half the time by `engine/solvers/sor.py`.
"""

from __future__ import annotations

from ..kernel import kernel, loop
from ..vocabulary import Array
from .sor import Rows, norm_of
from .stopping import (
    FRESH,
    GROWTH_MAX,
    RUNNING,
    WINDOW,
    Monitor,
    Outcome,
    advance,
    begin,
    judge,
    outcome_of,
)


@loop
def solve_rows(
    rows: Rows, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, r: Array
) -> Outcome:
    """Sweep until |b - A x| is at most `tolerance`; `x` float64[n] is where to start and becomes the solution.

    `r`, float64[n], becomes the residual.
    """
    return outcome_of(rows_on(rows, b, x, omega, tolerance, iterations_max, r, iterations_max, FRESH))


@loop
def go_on_rows(
    rows: Rows,
    b: Array,
    x: Array,
    omega: float,
    tolerance: float,
    iterations_max: int,
    r: Array,
    until: int,
    monitor: Monitor,
) -> Monitor:
    """Go on from where `monitor` stands, FRESH at first, until it ends or `until` sweeps are done in all."""
    return rows_on(rows, b, x, omega, tolerance, iterations_max, r, until, monitor)


@kernel
def rows_on(
    rows: Rows,
    b: Array,
    x: Array,
    omega: float,
    tolerance: float,
    iterations_max: int,
    r: Array,
    until: int,
    monitor: Monitor,
) -> Monitor:
    """Sweep until the monitor ends or `until` sweeps are done. The residual is always the true one."""
    if monitor.iterations < 0:
        monitor = begin(rows_residual(rows, b, x, r), GROWTH_MAX, WINDOW)
    while True:
        monitor = judge(monitor, tolerance, iterations_max)
        if monitor.reason != RUNNING or monitor.iterations >= until:
            return monitor
        rows_sweep(rows, b, omega, x)
        monitor = advance(monitor, rows_residual(rows, b, x, r), True, 0.0, 0.0)


@kernel
def rows_sweep(rows: Rows, b: Array, omega: float, x: Array) -> None:
    """Make one forward sweep of x."""
    for i in range(len(x)):
        s = b[i]
        for e in range(rows.start[i], rows.start[i + 1]):
            s -= rows.value[e] * x[rows.index[e]]
        x[i] += omega * (s / rows.diagonal[i] - x[i])


@kernel
def rows_residual(rows: Rows, b: Array, x: Array, r: Array) -> float:
    """Write b - A x into `r`, and return its norm."""
    for i in range(len(x)):
        s = b[i] - rows.diagonal[i] * x[i]
        for e in range(rows.start[i], rows.start[i + 1]):
            s -= rows.value[e] * x[rows.index[e]]
        r[i] = s
    return norm_of(r)
