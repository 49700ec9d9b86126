"""SOR and SSOR: iterative solvers of A x = b with one knob, omega in (0, 2), over raw arrays of a sparse matrix.

Source: Young, "Iterative methods for solving partial difference equations of elliptic type", 1954. With A = D + L + L^T
and (D / omega + L) d = r, a sweep moves x by d, and the residual that it leaves is (1 / omega - 1) D d - L^T d. That
needs the entries that the sweep has just read, and A x is never formed.
An entry of the lower half costs two multiplications; a row waits for the row before it. See benchmarks/solver_speed.py.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel, loop
from ..vocabulary import Array
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

_1 = np.uint64(1)  # unsigned numbers are not looked at for being negative, which would mean "from the end"


class Half(NamedTuple):
    """A symmetric matrix of n rows: what lies strictly below the diagonal, row by row, and the diagonal."""

    start: Array  # int32[n + 1]: row i is start[i] <= j < start[i + 1]
    index: Array  # int32[m] column of an entry, below the row's number, rising within a row
    value: Array  # float64[m]
    diagonal: Array  # float64[n], none is 0


class Rows(NamedTuple):
    """Any square matrix of n rows: what lies beside the diagonal, row by row, and the diagonal."""

    start: Array  # int32[n + 1]
    index: Array  # int32[m]
    value: Array  # float64[m]
    diagonal: Array  # float64[n], none is 0


def half_of(start: Array, index: Array, value: Array) -> Half:
    """Return the lower half of a symmetric matrix in CSR form, whose rows are sorted and have a diagonal entry.

    >>> half = half_of(np.array([0, 2, 4]), np.array([0, 1, 0, 1]), np.array([4.0, -1.0, -1.0, 4.0]))
    >>> half.start.tolist(), half.index.tolist(), half.value.tolist(), half.diagonal.tolist()
    ([0, 0, 1], [0], [-1.0], [4.0, 4.0])
    """
    row = np.repeat(np.arange(len(start) - 1), np.diff(start))
    return Half(*_parted(row, index, value, index < row))


def rows_of(start: Array, index: Array, value: Array) -> Rows:
    """Return any square matrix in CSR form, whose rows have a diagonal entry, with the diagonal apart."""
    row = np.repeat(np.arange(len(start) - 1), np.diff(start))
    return Rows(*_parted(row, index, value, index != row))


def _parted(row: Array, index: Array, value: Array, kept: Array) -> tuple[Array, Array, Array, Array]:
    """Return start, index and value of the entries that are `kept`, bool[m], and the diagonal."""
    diagonal = value[index == row]
    count = np.bincount(row[kept], minlength=len(diagonal))
    start = np.concatenate(([0], np.cumsum(count)))
    return (
        start.astype(np.int32),
        index[kept].astype(np.int32),
        value[kept].astype(np.float64),
        diagonal.astype(np.float64),
    )


def laplacian(side: int) -> Half:
    """Return the five-point Laplacian of a grid of side x side points: 4 on the diagonal, -1 for each neighbour.

    >>> laplacian(2).index.tolist()
    [0, 0, 1, 2]
    """
    point = np.arange(side * side)
    above, left = point >= side, point % side > 0
    index = np.stack((point - side, point - 1), axis=1)[np.stack((above, left), axis=1)]
    start = np.concatenate(([0], np.cumsum(above.astype(np.int64) + left)))
    return Half(start.astype(np.int32), index.astype(np.int32), np.full(len(index), -1.0), np.full(side * side, 4.0))


@kernel
def sor(
    half: Half, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, r: Array, d: Array
) -> Outcome:
    """Sweep until |b - A x| is at most `tolerance`; `x` float64[n] is where to start and becomes the solution.

    `r` and `d`, float64[n], are working space. The residual of the sweeps drifts by rounding: the true one is computed
    at the end, and sweeps go on from there while that helps.
    """
    return outcome_of(sor_on(half, b, x, omega, tolerance, iterations_max, r, d, iterations_max, FRESH))


@kernel
def sor_on(
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
    """Go on with `sor` from where `monitor` stands, FRESH at first, until it ends or `until` sweeps are done in all.

    Solving in parts gives the bits of solving at once, where all else is handed in as it was left.
    """
    if monitor.iterations < 0:
        monitor = begin(residual(half, b, x, r), GROWTH_MAX, WINDOW)
    while True:
        monitor = judge(monitor, tolerance, iterations_max)
        if monitor.reason == RUNNING:
            if monitor.iterations >= until:
                return monitor
            monitor = advance(monitor, sweep(half, omega, x, r, d), False, 0.0, 0.0)
        elif monitor.exact:
            return monitor
        else:
            monitor = confirm(monitor, residual(half, b, x, r), tolerance)


@kernel
def sweep(half: Half, omega: float, x: Array, r: Array, d: Array) -> float:
    """Make one forward sweep: move `x`, make `r` its residual again, write the step into `d`; return |r|.

    The last two entries of a row stand outside the loops: rows of structured grids have few, and a loop that ends at
    once costs more than its body.
    """
    rest = 1.0 / omega - 1.0
    index, value = half.index, half.value
    before = 0.0
    first = np.uint64(half.start[0])
    for i in range(len(x)):
        stop = np.uint64(half.start[i + 1])
        scale = omega / half.diagonal[i]
        s, was = r[i], x[i]
        if stop - first > _1:
            last = stop - _1
            last_but_one = last - _1
            for e in range(first, last_but_one):
                s -= value[e] * d[np.uint64(index[e])]
            j, k = np.uint64(index[last_but_one]), np.uint64(index[last])
            s -= value[last_but_one] * d[j]
            step = step_after(i, before, s, scale, value[last], k, d)
            for e in range(first, last_but_one):
                r[np.uint64(index[e])] -= value[e] * step
            r[j] -= value[last_but_one] * step
            r[k] -= value[last] * step
        elif stop > first:
            k = np.uint64(index[first])
            step = step_after(i, before, s, scale, value[first], k, d)
            r[k] -= value[first] * step
        else:
            step = s * scale
        d[i] = before = step
        x[i] = was + step
        r[i] = rest * half.diagonal[i] * step
        first = stop
    return norm_of(r)


@kernel
def step_after(i: int, before: float, s: float, scale: float, value: float, k: np.uint64, d: Array) -> float:
    """Return (s - value * d[k]) * scale, where the step `before`, of row i - 1, is the last to be known.

    Row i waits for nothing but that step: here it is not read from memory, and it takes one product and one difference.
    """
    if k + _1 == np.uint64(i):
        return s * scale - value * scale * before
    return (s - value * d[k]) * scale


@kernel
def residual(half: Half, b: Array, x: Array, r: Array) -> float:
    """Write b - A x into `r`, and return its norm."""
    index, value = half.index, half.value
    first = np.uint64(half.start[0])
    for i in range(len(x)):
        stop = np.uint64(half.start[i + 1])
        xi = x[i]
        s = b[i] - half.diagonal[i] * xi
        for e in range(first, stop):
            j = np.uint64(index[e])
            s -= value[e] * x[j]
            r[j] -= value[e] * xi
        r[i] = s
        first = stop
    return norm_of(r)


@kernel
def norm_of(r: Array) -> float:
    """Return the Euclidean norm."""
    s0 = s1 = s2 = s3 = 0.0
    n = len(r)
    whole = n - n % 4
    for i in range(0, whole, 4):
        s0 += r[i] * r[i]
        s1 += r[i + 1] * r[i + 1]
        s2 += r[i + 2] * r[i + 2]
        s3 += r[i + 3] * r[i + 3]
    for i in range(whole, n):
        s0 += r[i] * r[i]
    return math.sqrt((s0 + s1) + (s2 + s3))


@kernel
def clear(values: Array) -> None:
    """Fill with zeros."""
    for i in range(len(values)):
        values[i] = 0.0


@loop
def norm(r: Array) -> float:
    """Run `norm_of` from Python: the tolerance of a solve is a share of it, the same in all interfaces to the bit."""
    return norm_of(r)


@loop
def solve_sor(
    half: Half, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, r: Array, d: Array
) -> Outcome:
    """Run `sor` from Python."""
    return sor(half, b, x, omega, tolerance, iterations_max, r, d)


@loop
def go_on_sor(
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
    """Run `sor_on` from Python."""
    return sor_on(half, b, x, omega, tolerance, iterations_max, r, d, until, monitor)
