"""SSOR: a forward sweep of SOR, then a backward one.

Source: Sheldon, "On the numerical solution of elliptic difference equations", 1955. With (D / omega + L^T) e = r a
backward sweep moves x by e, and leaves the residual (1 / omega - 1) D e - L e.
An iteration reads the lower half of the matrix three times, which costs about two sweeps of `engine/solvers/sor.py`.
"""

from __future__ import annotations

from ..kernel import kernel, loop
from ..vocabulary import Array
from .sor import Half, norm_of, residual, sweep
from .stopping import (
    FRESH,
    GROWTH_MAX,
    RUNNING,
    WINDOW,
    Monitor,
    Outcome,
    advance,
    begin,
    confirm,
    judge,
    outcome_of,
)


@loop
def solve_ssor(
    half: Half, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, r: Array, d: Array
) -> Outcome:
    """Iterate until |b - A x| is at most `tolerance`; `x` float64[n] is where to start and becomes the solution.

    `r` and `d`, float64[n], are working space.
    """
    return outcome_of(ssor_on(half, b, x, omega, tolerance, iterations_max, r, d, iterations_max, FRESH))


@loop
def go_on_ssor(
    half: Half,
    b: Array,
    x: Array,
    omega: float,
    tolerance: float,
    iterations_max: int,
    r: Array,
    d: Array,
    until: int,
    monitor: Monitor,
) -> Monitor:
    """Go on from where `monitor` stands, FRESH at first, until it ends or `until` iterations are done in all."""
    return ssor_on(half, b, x, omega, tolerance, iterations_max, r, d, until, monitor)


@kernel
def ssor_on(
    half: Half,
    b: Array,
    x: Array,
    omega: float,
    tolerance: float,
    iterations_max: int,
    r: Array,
    d: Array,
    until: int,
    monitor: Monitor,
) -> Monitor:
    """Iterate until the monitor ends or `until` iterations are done, as `sor_on` does."""
    if monitor.iterations < 0:
        monitor = begin(residual(half, b, x, r), GROWTH_MAX, WINDOW)
    while True:
        monitor = judge(monitor, tolerance, iterations_max)
        if monitor.reason == RUNNING:
            if monitor.iterations >= until:
                return monitor
            sweep(half, omega, x, r, d)
            monitor = advance(monitor, sweep_back(half, omega, x, r, d), False, 0.0, 0.0)
        elif monitor.exact:
            return monitor
        else:
            monitor = confirm(monitor, residual(half, b, x, r), tolerance)


@kernel
def sweep_back(half: Half, omega: float, x: Array, r: Array, d: Array) -> float:
    """Make one backward sweep: move `x`, make `r` its residual again, write the step into `d`; return |r|."""
    n = len(x)
    rest = 1.0 / omega - 1.0
    for i in range(n - 1, -1, -1):
        step = r[i] * (omega / half.diagonal[i])
        d[i] = step
        x[i] += step
        for e in range(half.start[i], half.start[i + 1]):
            r[half.index[e]] -= half.value[e] * step
    for i in range(n):
        s = rest * half.diagonal[i] * d[i]
        for e in range(half.start[i], half.start[i + 1]):
            s -= half.value[e] * d[half.index[e]]
        r[i] = s
    return norm_of(r)
