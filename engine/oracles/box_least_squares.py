"""Least squares within a box: k systems of m coefficients, exact on all past rows at a cost flat in their number.

    theta = argmin sum (row' theta - y)^2   where |theta_j| <= bound_j.

A system is a triangle R and a vector q with |R theta - q|^2 + rest = the sum above, which Givens rotations keep up to
date (`take_in`). The rows' Gram matrix would hold the same, but square its condition: where the rows hardly differ, as
Chebyshev features of contexts in a narrow range do, its solutions are off by more than the targets.

`fit_within` solves without bounds first. Where that leaves the box, it walks from the last solution through feasible
ones, each better than the one before: coefficients lie on a bound (`side` -1 or 1) or are free (0); the free ones take
their best values, as far as the box lets them; then the one on a bound that pulls inwards hardest is freed, until none
does. With the last sides to begin with, one or two passes are enough.

R begins as _PRIOR times the identity, and whenever the number of rows doubles so does what that adds to the squares.
So what the rows leave open is settled for ever, as the smallest coefficients that fit best, and R is never singular. A
prediction moves by no more than _PRIOR / 2 times the coefficients, and that where the rows hardly determine it. Rows
would outgrow a fixed prior: the rounding of n equal rows moves what they leave open by 1e-16 n / _PRIOR^2 of an error.

Source: Stark and Parker, "Bounded-variable least squares: an algorithm and applications", 1995; Golub and Van Loan,
"Matrix computations", 4th ed. 2013, sections 5.1 and 6.5.3.
Cost: O(m^2) to take a row in, and to solve where no bound holds; O(m^3) per pass where one does.

>>> fit = box_fit(1, 2)
>>> for x, y in ((0.0, 1.0), (1.0, 3.0), (2.0, 5.0)):
...     take_in(fit, 0, np.array([1.0, x]), y)
>>> fit_within(fit, 0, np.array([10.0, 10.0])), fit.theta[0].round(9).tolist()
(False, [1.0, 2.0])
>>> fit_within(fit, 0, np.array([10.0, 1.5])), fit.theta[0].round(9).tolist(), float(round(residual_square(fit, 0), 9))
(True, [1.5, 1.5], 0.5)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel
from ..vocabulary import Array

_PRIOR = 1e-6  # of a row's length; its square is well above the rounding of the sum of squares, 1e-16
_PASSES = 10  # for each coefficient, at the most; the worst that was seen is 3


class BoxFit(NamedTuple):
    """k systems of least squares over m coefficients, and working space."""

    factor: Array  # float64[k, m, m] R, upper triangles
    image: Array  # float64[k, m] q, which R theta is to hit
    rest: Array  # float64[k] what no theta can take away from the sum of squares
    theta: Array  # float64[k, m] the solutions
    rows: Array  # int64[k] taken in
    side: Array  # int64[k, m] the bound that a coefficient lies on: -1, 1, or 0 where it is free
    scratch_row: Array  # float64[m]
    scratch_columns: Array  # float64[m, m] a row for each free column of R
    scratch_aim: Array  # float64[m] what the free columns are to hit
    scratch_best: Array  # float64[m] best values of the free coefficients, in their order
    scratch_free: Array  # int64[m] which they are
    scratch_barred: Array  # bool[m] what was freed for a pull of rounding, since theta moved


def box_fit(k: int, m: int) -> BoxFit:
    """Return k systems without any rows, whose solutions are 0."""
    factor = np.zeros((k, m, m))
    factor[:, np.arange(m), np.arange(m)] = _PRIOR
    return BoxFit(
        factor,
        np.zeros((k, m)),
        np.zeros(k),
        np.zeros((k, m)),
        np.zeros(k, np.int64),
        np.zeros((k, m), np.int64),
        np.zeros(m),
        np.zeros((m, m)),
        np.zeros(m),
        np.zeros(m),
        np.zeros(m, np.int64),
        np.zeros(m, np.bool_),
    )


@kernel
def value_of(fit: BoxFit, i: int, row: Array) -> float:
    """Return row' theta of system i."""
    total = 0.0
    for j in range(len(row)):
        total += fit.theta[i, j] * row[j]
    return total


@kernel
def take_in(fit: BoxFit, i: int, row: Array, y: float) -> None:
    """Add a row float64[m] and its target to system i; the solution stays what it was."""
    x = fit.scratch_row
    m = len(x)
    for j in range(m):
        x[j] = row[j]
    _rotate(fit, i, 0, y)
    fit.rows[i] += 1
    n = fit.rows[i]
    if n > 1 and n & (n - 1) == 0:
        for first in range(m):
            for j in range(m):
                x[j] = 0.0
            x[first] = _PRIOR * math.sqrt(0.5 * n)
            _rotate(fit, i, first, 0.0)


@kernel
def fit_within(fit: BoxFit, i: int, bound: Array) -> bool:
    """Write the solution of system i with |theta_j| <= bound[j], float64[m] > 0; return whether a bound holds it."""
    theta = fit.theta[i]
    side = fit.side[i]
    m = len(theta)
    if _inside(fit, i, bound):
        for j in range(m):
            theta[j] = fit.scratch_best[j]
            side[j] = 0
        return False
    for j in range(m):
        theta[j] = side[j] * bound[j] if side[j] != 0 else min(max(theta[j], -bound[j]), bound[j])
        fit.scratch_barred[j] = False
    freed, freed_side = -1, 0
    for _ in range(_PASSES * m):
        count = _solve_free(fit, i)
        if freed >= 0 and not _goes_inwards(fit, count, freed, freed_side, bound):
            side[freed] = freed_side
            fit.scratch_barred[freed] = True  # it was freed for a pull that is no more than rounding
        elif _step(fit, i, count, bound):
            freed = -1
            continue
        freed = _pulled_inwards(fit, i)
        if freed < 0:
            break
        freed_side = side[freed]
        side[freed] = 0
    return True


@kernel
def residual_square(fit: BoxFit, i: int) -> float:
    """Return the sum of squares that the solution of system i leaves."""
    total = fit.rest[i]
    m = len(fit.scratch_row)
    for j in range(m):
        miss = fit.image[i, j]
        for e in range(j, m):
            miss -= fit.factor[i, j, e] * fit.theta[i, e]
        total += miss * miss
    return total


@kernel
def _rotate(fit: BoxFit, i: int, first: int, y: float) -> None:
    """Rotate the row in `scratch_row`, which is 0 before `first`, into R and q by Givens rotations."""
    r = fit.factor[i]
    q = fit.image[i]
    x = fit.scratch_row
    m = len(x)
    for j in range(first, m):
        if x[j] != 0.0:
            length = math.sqrt(r[j, j] * r[j, j] + x[j] * x[j])
            c, s = r[j, j] / length, x[j] / length
            r[j, j] = length
            for e in range(j + 1, m):
                above = r[j, e]
                r[j, e] = c * above + s * x[e]
                x[e] = c * x[e] - s * above
            above = q[j]
            q[j] = c * above + s * y
            y = c * y - s * above
    fit.rest[i] += y * y


@kernel
def _inside(fit: BoxFit, i: int, bound: Array) -> bool:
    """Write the solution without bounds into `scratch_best`, last coefficient first; stop where one leaves the box."""
    r = fit.factor[i]
    best = fit.scratch_best
    m = len(best)
    for j in range(m - 1, -1, -1):
        s = fit.image[i, j]
        for e in range(j + 1, m):
            s -= r[j, e] * best[e]
        best[j] = s / r[j, j]
        if not abs(best[j]) <= bound[j]:
            return False
    return True


@kernel
def _solve_free(fit: BoxFit, i: int) -> int:
    """Write which coefficients are free, and their best values with the others where they are; return their number."""
    r = fit.factor[i]
    side = fit.side[i]
    columns, aim, best = fit.scratch_columns, fit.scratch_aim, fit.scratch_best
    m = len(aim)
    for j in range(m):
        aim[j] = fit.image[i, j]
    count = 0
    for j in range(m):
        if side[j] != 0:
            for e in range(j + 1):
                aim[e] -= r[e, j] * fit.theta[i, j]
        else:
            for e in range(j + 1):
                columns[count, e] = r[e, j]
            fit.scratch_free[count] = j
            count += 1
    for p in range(count):
        if fit.scratch_free[p] > p:
            _reflect(fit, p, count)
    for p in range(count - 1, -1, -1):
        s = aim[p]
        for e in range(p + 1, count):
            s -= columns[e, p] * best[e]
        best[p] = s / columns[p, p]
    return count


@kernel
def _reflect(fit: BoxFit, p: int, count: int) -> None:
    """Make free column p end at row p, by a Householder reflection of the rows p to the column's last."""
    columns, aim = fit.scratch_columns, fit.scratch_aim
    last = fit.scratch_free[p]
    column = columns[p]
    square = 0.0
    for e in range(p, last + 1):
        square += column[e] * column[e]
    length = math.sqrt(square)
    half = length * (length + abs(column[p]))  # half the square of the reflecting vector
    pivot = -length if column[p] > 0.0 else length
    column[p] -= pivot
    for o in range(p + 1, count):
        other = columns[o]
        s = 0.0
        for e in range(p, last + 1):
            s += column[e] * other[e]
        s /= half
        for e in range(p, last + 1):
            other[e] -= s * column[e]
    s = 0.0
    for e in range(p, last + 1):
        s += column[e] * aim[e]
    s /= half
    for e in range(p, last + 1):
        aim[e] -= s * column[e]
    column[p] = pivot


@kernel
def _goes_inwards(fit: BoxFit, count: int, freed: int, side: int, bound: Array) -> bool:
    """Tell whether the best value of a coefficient that was freed lies on the inner side of its bound."""
    for p in range(count):
        if fit.scratch_free[p] == freed:
            return side * fit.scratch_best[p] < bound[freed]
    return False


@kernel
def _step(fit: BoxFit, i: int, count: int, bound: Array) -> bool:
    """Move the free coefficients to their best values, or as far as the box lets all; return whether one was held.

    That one lies on its bound from then on.
    """
    theta = fit.theta[i]
    share = 1.0
    held = -1
    for p in range(count):
        j = fit.scratch_free[p]
        best = fit.scratch_best[p]
        if abs(best) > bound[j]:
            room = (bound[j] if best > 0.0 else -bound[j]) - theta[j]
            part = room / (best - theta[j])
            if held < 0 or part < share:
                share, held = part, p
    for p in range(count):
        j = fit.scratch_free[p]
        best = fit.scratch_best[p]
        if held < 0:
            theta[j] = best
        else:
            theta[j] = min(max(theta[j] + share * (best - theta[j]), -bound[j]), bound[j])
    if held >= 0:
        j = fit.scratch_free[held]
        fit.side[i, j] = 1 if fit.scratch_best[held] > 0.0 else -1
        theta[j] = fit.side[i, j] * bound[j]
    if share > 0.0:
        for j in range(len(theta)):
            fit.scratch_barred[j] = False
    return held >= 0


@kernel
def _pulled_inwards(fit: BoxFit, i: int) -> int:
    """Return the coefficient on a bound that the residual pulls inwards hardest, -1 where none is pulled."""
    r = fit.factor[i]
    theta = fit.theta[i]
    miss = fit.scratch_row
    m = len(theta)
    for j in range(m):
        miss[j] = fit.image[i, j]
        for e in range(j, m):
            miss[j] -= r[j, e] * theta[e]
    hardest, found = 0.0, -1
    for j in range(m):
        if fit.side[i, j] != 0 and not fit.scratch_barred[j]:
            pull = 0.0
            for e in range(j + 1):
                pull -= r[e, j] * miss[e] * fit.side[i, j]
            if pull > hardest:
                hardest, found = pull, j
    return found
