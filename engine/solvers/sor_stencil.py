"""SOR on a structured grid in red-black order, matrix free: every point has one equation with constant coefficients.

Source: Young 1954, as `engine/solvers/sor.py`; a point is red where row + column is even, and has black neighbours
only. So all red points can be swept at once, then all black ones: 8 in one instruction, where the rows of a natural
order wait for each other. The rate is the same.
The points of a colour lie side by side in memory, with a border of zeros. One pass over memory sweeps red row i, black
row i - 1, and computes the residual of red row i - 2; a black point keeps 1 - omega of the residual that it was swept
with.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel, loop
from ..vocabulary import Array
from .sor import clear
from .stopping import (
    GROWTH_MAX,
    RUNNING,
    WINDOW,
    Outcome,
    advance,
    begin,
    confirm,
    judge,
    outcome_of,
)


class Stencil(NamedTuple):
    """The equation of a point: centre * x + beside * (left + right) + above * (up + down) = b; 0 beyond the grid."""

    centre: float
    beside: float
    above: float


class StencilWork(NamedTuple):
    """Working space of a solve on a grid of `rows` x `columns` points. The borders of x stay 0."""

    red: Array  # float64[rows + 2, (columns + 1) // 2 + 2], x at red points: (i, j) at [i + 1, j // 2 + 1]
    black: Array  # of the same shape, x at black points
    b_red: Array  # of the same shape
    b_black: Array  # of the same shape
    squares: Array  # float64[(columns + 1) // 2 + 2], squared residuals by column


def stencil_work(rows: int, columns: int) -> StencilWork:
    """Return working space for a grid.

    >>> stencil_work(3, 4).red.shape
    (5, 4)
    """
    width = (columns + 1) // 2 + 2
    red, black, b_red, b_black = np.zeros((4, rows + 2, width))
    return StencilWork(red, black, b_red, b_black, np.zeros(width))


@loop
def solve_stencil(
    stencil: Stencil, b: Array, x: Array, omega: float, tolerance: float, iterations_max: int, work: StencilWork
) -> Outcome:
    """Sweep until |b - A x| is at most `tolerance`; `x` is where to start and becomes the solution.

    `b` and `x` are float64[rows, columns]. Nothing but x goes from one sweep to the next: calls of one sweep each move
    x through the bits of one call of many.
    """
    split(b, work.b_red, work.b_black)
    split(x, work.red, work.black)
    columns = b.shape[1]
    monitor = begin(stencil_residual(stencil, columns, work), GROWTH_MAX, WINDOW)
    while True:
        monitor = judge(monitor, tolerance, iterations_max)
        if monitor.reason == RUNNING:
            monitor = advance(monitor, stencil_sweep(stencil, omega, columns, work), False, 0.0, 0.0)
        elif monitor.exact:
            join(work.red, work.black, x)
            return outcome_of(monitor)
        else:
            monitor = confirm(monitor, stencil_residual(stencil, columns, work), tolerance)


@kernel
def split(whole: Array, red: Array, black: Array) -> None:
    """Part a grid by the colour of its points."""
    for i in range(whole.shape[0]):
        for j in range(whole.shape[1]):
            if (i + j) % 2 == 0:
                red[i + 1, j // 2 + 1] = whole[i, j]
            else:
                black[i + 1, j // 2 + 1] = whole[i, j]


@kernel
def join(red: Array, black: Array, whole: Array) -> None:
    """Put a grid together again."""
    for i in range(whole.shape[0]):
        for j in range(whole.shape[1]):
            whole[i, j] = red[i + 1, j // 2 + 1] if (i + j) % 2 == 0 else black[i + 1, j // 2 + 1]


@kernel
def stencil_sweep(stencil: Stencil, omega: float, columns: int, work: StencilWork) -> float:
    """Sweep all red points, then all black ones; return the norm of the residual."""
    rows = work.red.shape[0] - 2
    squares = work.squares
    clear(squares)
    kept = 1.0 - omega
    for i in range(1, rows + 3):
        if i <= rows:
            relax(stencil, omega, 0.0, i, (i - 1) % 2, columns, work.b_red, work.red, work.black, squares)
        if 1 <= i - 1 <= rows:
            relax(stencil, omega, kept, i - 1, (i - 1) % 2, columns, work.b_black, work.black, work.red, squares)
        if i >= 3:
            square(stencil, i - 2, (i - 3) % 2, columns, work.b_red, work.red, work.black, squares)
    return root_of_sum(squares)


@kernel
def stencil_residual(stencil: Stencil, columns: int, work: StencilWork) -> float:
    """Return the norm of b - A x."""
    clear(work.squares)
    for i in range(1, work.red.shape[0] - 1):
        square(stencil, i, (i - 1) % 2, columns, work.b_red, work.red, work.black, work.squares)
        square(stencil, i, i % 2, columns, work.b_black, work.black, work.red, work.squares)
    return root_of_sum(work.squares)


@kernel
def relax(
    stencil: Stencil,
    omega: float,
    kept: float,
    i: int,
    first: int,
    columns: int,
    b: Array,
    own: Array,
    other: Array,
    squares: Array,
) -> None:
    """Sweep the points of one colour in row i, whose first column is `first`; add the squares of `kept` residuals."""
    # The neighbours in the row are at the same place and at the next one, or at the one before.
    begins = 1 if first == 1 else 0
    left, right = other[i, begins:], other[i, begins + 1 :]
    up, down, row, want = other[i - 1, 1:], other[i + 1, 1:], own[i, 1:], b[i, 1:]
    scale = omega / stencil.centre
    for c in range((columns - first + 1) // 2):
        s = left_over(stencil, want[c], row[c], left[c] + right[c], up[c] + down[c])
        row[c] += scale * s
        rest = kept * s
        squares[c] += rest * rest


@kernel
def square(
    stencil: Stencil, i: int, first: int, columns: int, b: Array, own: Array, other: Array, squares: Array
) -> None:
    """Add the squares of the residuals of one colour in row i, whose first column is `first`."""
    begins = 1 if first == 1 else 0
    left, right = other[i, begins:], other[i, begins + 1 :]
    up, down, row, want = other[i - 1, 1:], other[i + 1, 1:], own[i, 1:], b[i, 1:]
    for c in range((columns - first + 1) // 2):
        s = left_over(stencil, want[c], row[c], left[c] + right[c], up[c] + down[c])
        squares[c] += s * s


@kernel
def left_over(stencil: Stencil, want: float, own: float, along: float, across: float) -> float:
    """Return the residual of a point from its value and the sums of its neighbours in the row and in the column."""
    return want - stencil.centre * own - stencil.beside * along - stencil.above * across


@kernel
def root_of_sum(squares: Array) -> float:
    """Return the square root of the sum."""
    total = 0.0
    for i in range(len(squares)):
        total += squares[i]
    return math.sqrt(total)
