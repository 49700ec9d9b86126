"""SOR for many right-hand sides of one matrix: as many at once as there are lanes, each with an omega of its own.

A row waits for the row before it (`engine/solvers/sor.py`), and a processor can do more meanwhile: a number of the
matrix is read once, and used in every lane by vector instructions. A lane whose solve has ended takes the next
right-hand side. Every solve has the bits that `sor` gives it alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel, loop
from ..vocabulary import Array
from .sor import Half, residual
from .stopping import GROWTH_MAX, RUNNING, WINDOW, Monitor, Windows, advance, begin, confirm, judge

_1 = np.uint64(1)


class LanesWork(NamedTuple):
    """Working space of L lanes; it may hold anything before a solve."""

    x: Array  # float64[n, L]
    r: Array  # float64[n, L]
    d: Array  # float64[n, L]
    omega: Array  # float64[L]
    scale: Array  # float64[L] omega / diagonal of the row at hand
    left: Array  # float64[L] (1 / omega - 1) diagonal: what residual the row at hand keeps of a step
    norm: Array  # float64[L] |r|
    squares: Array  # float64[4, L]
    number: Array  # int64[L] which right-hand side is in the lane, -1 where none is left
    monitor: Array  # float64[L, 11] the fields of `Monitor`, but for those of conjugate gradients


def lanes_work(n: int, lanes: int) -> LanesWork:
    """Return working space for n unknowns; 16 lanes or more use the processor well.

    >>> lanes_work(100, 16).x.shape
    (100, 16)
    """
    x, r, d = np.zeros((3, n, lanes))
    omega, scale, left, norm = np.zeros((4, lanes))
    squares, number, monitor = np.zeros((4, lanes)), np.full(lanes, -1), np.zeros((lanes, 11))
    return LanesWork(x, r, d, omega, scale, left, norm, squares, number, monitor)


@loop
def solve_lanes(
    half: Half,
    b: Array,
    x: Array,
    omega: Array,
    tolerance: Array,
    iterations_max: int,
    work: LanesWork,
    iterations: Array,
    reasons: Array,
    norms: Array,
) -> None:
    """Solve A x[s] = b[s] for each row s of `b` and `x`, float64[m, n], with omega[s] and tolerance[s], float64[m].

    `x` holds where to start and becomes the solutions; the outcomes are written to `iterations` and `reasons`,
    int64[m], and `norms`, float64[m].
    """
    lanes = len(work.omega)
    following = 0
    running = 0
    for lane in range(lanes):
        work.number[lane] = -1
        work.omega[lane] = 1.0
        following = refill(
            half, b, x, omega, tolerance, iterations_max, work, lane, following, iterations, reasons, norms
        )
        running += work.number[lane] >= 0
    while running > 0:
        sweep_lanes(half, work)
        norms_of_lanes(work)
        for lane in range(lanes):
            s = work.number[lane]
            if s < 0:
                continue
            monitor = advance(recall(work, lane), work.norm[lane], False, 0.0, 0.0)
            monitor = settle(half, b[s], tolerance[s], iterations_max, work, lane, monitor)
            keep(work, lane, monitor)
            if monitor.reason != RUNNING:
                finish(x, work, lane, monitor, iterations, reasons, norms)
                following = refill(
                    half, b, x, omega, tolerance, iterations_max, work, lane, following, iterations, reasons, norms
                )
                running -= work.number[lane] < 0


@kernel
def refill(
    half: Half,
    b: Array,
    x: Array,
    omega: Array,
    tolerance: Array,
    iterations_max: int,
    work: LanesWork,
    lane: int,
    following: int,
    iterations: Array,
    reasons: Array,
    norms: Array,
) -> int:
    """Put the next right-hand side that needs a sweep into a lane, or zeros; return the number of the one behind it."""
    while following < len(b):
        s = following
        following += 1
        for i in range(x.shape[1]):
            work.x[i, lane] = x[s, i]
        monitor = begin(residual(half, b[s], work.x[:, lane], work.r[:, lane]), GROWTH_MAX, WINDOW)
        monitor = settle(half, b[s], tolerance[s], iterations_max, work, lane, monitor)
        work.number[lane] = s
        if monitor.reason == RUNNING:
            work.omega[lane] = omega[s]
            keep(work, lane, monitor)
            return following
        finish(x, work, lane, monitor, iterations, reasons, norms)
    for i in range(x.shape[1]):
        work.r[i, lane] = 0.0  # not a residual that sweeps make ever smaller: subnormal numbers are slow
    return following


@kernel
def settle(
    half: Half, b: Array, tolerance: float, iterations_max: int, work: LanesWork, lane: int, monitor: Monitor
) -> Monitor:
    """Judge a lane's monitor, and confirm with the true residual where it ends."""
    monitor = judge(monitor, tolerance, iterations_max)
    while monitor.reason != RUNNING and not monitor.exact:
        monitor = confirm(monitor, residual(half, b, work.x[:, lane], work.r[:, lane]), tolerance)
        monitor = judge(monitor, tolerance, iterations_max)
    return monitor


@kernel
def finish(
    x: Array, work: LanesWork, lane: int, monitor: Monitor, iterations: Array, reasons: Array, norms: Array
) -> None:
    """Write a lane's solution and how it ended, and free the lane."""
    s = work.number[lane]
    for i in range(x.shape[1]):
        x[s, i] = work.x[i, lane]
    iterations[s] = monitor.iterations
    reasons[s] = monitor.reason
    norms[s] = monitor.residual_norm
    work.number[lane] = -1


@kernel
def sweep_lanes(half: Half, work: LanesWork) -> None:
    """Make one forward sweep in every lane: what `sor.sweep` does, but for the norm."""
    x, r, d, omega, scale, left = work.x, work.r, work.d, work.omega, work.scale, work.left
    index, value = half.index, half.value
    diagonal = 0.0  # of no row
    first = np.uint64(half.start[0])
    for i in range(len(x)):
        stop = np.uint64(half.start[i + 1])
        if half.diagonal[i] != diagonal:
            diagonal = half.diagonal[i]
            for lane in range(len(omega)):
                scale[lane] = omega[lane] / diagonal
                left[lane] = (1.0 / omega[lane] - 1.0) * diagonal
        step, rest = d[i], r[i]
        last = stop - _1 if stop > first else stop
        for e in range(first, last):
            subtract(rest, value[e], d[np.uint64(index[e])])
        if last < stop and np.uint64(index[last]) + _1 == np.uint64(i):
            step_after_lanes(step, rest, scale, value[last], d[np.uint64(index[last])])
        else:
            for e in range(last, stop):
                subtract(rest, value[e], d[np.uint64(index[e])])
            for lane in range(len(step)):
                step[lane] = rest[lane] * scale[lane]
        move_lanes(x[i], rest, step, left)
        for e in range(first, stop):
            subtract(r[np.uint64(index[e])], value[e], step)
        first = stop


@kernel
def subtract(to: Array, factor: float, of: Array) -> None:
    """Subtract factor * of."""
    for lane in range(len(to)):
        to[lane] -= factor * of[lane]


@kernel
def step_after_lanes(step: Array, rest: Array, scale: Array, value: float, before: Array) -> None:
    """Write the step of a row that waits for the step `before`, in the order of `sor.step_after`."""
    for lane in range(len(step)):
        step[lane] = rest[lane] * scale[lane] - value * scale[lane] * before[lane]


@kernel
def move_lanes(x: Array, rest: Array, step: Array, left: Array) -> None:
    """Move x by the step, and write what residual the row keeps."""
    for lane in range(len(x)):
        x[lane] += step[lane]
    for lane in range(len(x)):
        rest[lane] = left[lane] * step[lane]


@kernel
def norms_of_lanes(work: LanesWork) -> None:
    """Write the norms of the residuals, added up as `sor.norm_of` does."""
    r, squares = work.r, work.squares
    for part in range(4):
        for lane in range(r.shape[1]):
            squares[part, lane] = 0.0
    whole = len(r) - len(r) % 4
    for i in range(len(r)):
        add_squares(squares[i % 4 if i < whole else 0], r[i])
    for lane in range(r.shape[1]):
        work.norm[lane] = math.sqrt((squares[0, lane] + squares[1, lane]) + (squares[2, lane] + squares[3, lane]))


@kernel
def add_squares(to: Array, of: Array) -> None:
    """Add the squares."""
    for lane in range(len(to)):
        to[lane] += of[lane] * of[lane]


@kernel
def keep(work: LanesWork, lane: int, monitor: Monitor) -> None:
    """Store a lane's monitor."""
    row, windows = work.monitor[lane], monitor.windows
    row[0], row[1], row[2], row[3] = monitor.iterations, monitor.reason, monitor.residual_norm, monitor.exact
    row[4], row[5] = monitor.worst, monitor.claimed
    row[6], row[7], row[8] = windows.end, windows.lowest, windows.highest
    row[9], row[10] = windows.lowest_before, windows.highest_before


@kernel
def recall(work: LanesWork, lane: int) -> Monitor:
    """Return a lane's monitor."""
    row = work.monitor[lane]
    windows = Windows(int(row[6]), row[7], row[8], row[9], row[10])
    return Monitor(int(row[0]), int(row[1]), row[2], row[3] != 0.0, row[4], row[5], windows, 0.0, 0.0)
