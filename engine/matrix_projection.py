"""Projections onto a domain by the norm of a matrix: the point x that makes (x - y)' H (x - y) least.

Box and simplex: coordinates lie on a limit or are free; the free ones move to their best values, as far as the limits
let them, then those that pull inwards are freed, until none does. That ends at the exact point however ill-conditioned
H is (coordinate descent takes a number of sweeps in proportion to the condition), and starts from where `x` lies, so
that a limit which held before costs one pass.
Ball: the multiplier mu of |x - c| = R by Newton's method on 1 / |x - c| - 1 / R, which only rises, each step one
factorisation of H + mu I. H couples the parts of a product, so that all boxes and simplices are solved at once, within
Newton's method where there is a ball; a second ball would need a search over two multipliers, and is refused.

Source: Stark, Parker, "Bounded-variable least squares", 1995, with sums that are held; More, Sorensen, "Computing a
trust region step", 1983, for the ball. A bracket around mu, as limits may change on the way, is derived here.
Cost: O(d^3) for each change of what is free, and for each step of mu (4 to 8 of them).

>>> from onearm.engine.domain import ball, simplex
>>> x, h = np.zeros(2), np.array([[4.0, 1.0], [1.0, 1.0]])
>>> project_by(h, ball(2).region(), matrix_work(ball(2)), np.array([2.0, 1.0]), x)
>>> x.round(8).tolist()
[0.94317838, 0.33228683]
>>> x = simplex(2).start
>>> project_by(h, simplex(2).region(), matrix_work(simplex(2)), np.array([2.0, 1.0]), x)
>>> x.round(8).tolist()
[1.0, 0.0]
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from onearm.engine.domain import BALL, BOX, SIMPLEX, Domain, Region
from onearm.engine.errors import InvalidInput
from onearm.engine.kernel import kernel, routine
from onearm.engine.vocabulary import Array

DIMENSION_MAX = 2000  # a matrix of so many rows takes 32 MB
_EPSILON = 2.0**-52
_NEWTON_MAX = 100  # steps of mu; the most that were seen are 9
_PASSES = 4  # for each coordinate, and 20: far more than were seen
_FREE, _LOW, _HIGH, _FIXED = 0, -1, 1, 2


class MatrixWork(NamedTuple):
    """Working space of a projection in d dimensions, onto a domain with m simplices."""

    factor: Array  # float64[d, d] the lower triangle L of H + mu I among the free coordinates
    offset: Array  # float64[d] x - y
    slope: Array  # float64[d] half the gradient: H (x - y) + mu (x - c)
    rounding: Array  # float64[d] what of the slope may be rounding
    move: Array  # float64[d] of the free coordinates, in their order
    columns: Array  # float64[m, d] what a unit of each simplex' multiplier moves
    schur: Array  # float64[m, m]
    level: Array  # float64[m] the multiplier of each simplex' sum
    free: Array  # int64[d] the free coordinates
    side: Array  # int64[d] _FREE, or the limit that a coordinate lies on
    sum_of: Array  # int64[d] the simplex that a coordinate belongs to, -1 where to none
    ball: Array  # int64[1] the part that is a ball, -1 where none is


def matrix_work(domain: Domain) -> MatrixWork:
    """Return the working space for a domain; refuse what cannot be projected onto by a matrix."""
    d = domain.dimension
    if d > DIMENSION_MAX:
        raise InvalidInput(
            "policy_does_not_fit",
            f"the domain has {d} dimensions, and a matrix of {d} rows is kept: take up to {DIMENSION_MAX}, or a policy "
            "that keeps none, like optimistic_omd",
        )
    kinds = [part.kind for part in domain.parts]
    if kinds.count("ball") > 1:
        raise InvalidInput(
            "policy_does_not_fit",
            f"the domain is a product with {kinds.count('ball')} balls: projections by a matrix are onto one ball at "
            "the most; take boxes, one ball over all their coordinates, or a policy like optimistic_omd",
        )
    m = max(kinds.count("simplex"), 1)
    sum_of = np.full(d, -1)
    region = domain.region()
    for number, part in enumerate(np.flatnonzero(region.kind == SIMPLEX).tolist()):
        sum_of[region.start[part] : region.start[part + 1]] = number
    return MatrixWork(
        np.zeros((d, d)),
        np.zeros(d),
        np.zeros(d),
        np.zeros(d),
        np.zeros(d),
        np.zeros((m, d)),
        np.zeros((m, m)),
        np.zeros(m),
        np.zeros(d, np.int64),
        np.zeros(d, np.int64),
        sum_of,
        np.array([kinds.index("ball") if "ball" in kinds else -1]),
    )


@routine
def project_by(matrix: Array, region: Region, work: MatrixWork, y: Array, x: Array) -> None:
    """Move `x` to the point of the domain that is nearest to `y`, both float64[d], by the norm of a matrix.

    `x` is a point of the domain to start from, the nearer the better; `matrix`, float64[d, d], is symmetric and
    positive definite.
    """
    _take_sides(region, work, x)
    _settle(matrix, region, work, 0.0, y, x)
    ball = work.ball[0]
    if ball < 0:
        return
    radius = region.size[ball]
    multiplier, low, high = 0.0, 0.0, math.inf
    length = _length(region, ball, x)
    for _ in range(_NEWTON_MAX):
        if length <= radius if multiplier == 0.0 else abs(length - radius) <= 4.0 * _EPSILON * radius:
            break
        if length > radius:
            low = multiplier
        else:
            high = multiplier
        # As mu grows |x - c| falls, by this much
        fall = _fall(region, work, ball, x) / length
        following = multiplier + (length - radius) / radius * (length / fall)
        if not low < following < high:
            following = 0.5 * (low + high) if high < math.inf else 2.0 * low
        if following == multiplier or not following < math.inf:
            break
        multiplier = following
        _settle(matrix, region, work, multiplier, y, x)
        length = _length(region, ball, x)
    if length > radius:
        for j in range(region.start[ball], region.start[ball + 1]):
            x[j] = region.low[j] + radius / length * (x[j] - region.low[j])


@routine
def shortfall(region: Region, slope: Array, x: Array) -> float:
    """Return how far below <slope, x> the least of <slope, u> lies over the points u of the domain.

    At a projection, with half the gradient there as the slope, this is 0 up to rounding: what it is says how far a
    computed point can be from optimal.
    """
    total = 0.0
    for part in range(len(region.kind)):
        first, stop = region.start[part], region.start[part + 1]
        if region.kind[part] == BOX:
            for j in range(first, stop):
                total += slope[j] * (x[j] - (region.low[j] if slope[j] > 0.0 else region.high[j]))
        elif region.kind[part] == BALL:
            square = 0.0
            for j in range(first, stop):
                total += slope[j] * (x[j] - region.low[j])
                square += slope[j] * slope[j]
            total += region.size[part] * math.sqrt(square)
        else:
            least = math.inf
            for j in range(first, stop):
                total += slope[j] * x[j]
                least = min(least, slope[j])
            total -= region.size[part] * least
    return total


@routine
def invert(matrix: Array, factor: Array, inverse: Array) -> None:
    """Write the inverse of a positive definite matrix, all float64[d, d]; `factor` is working space. O(d^3)."""
    d = len(matrix)
    for i in range(d):
        for j in range(i + 1):
            factor[i, j] = matrix[i, j]
    _factorise(factor, d)
    for column in range(d):
        row = inverse[column]  # the inverse is symmetric: a column is a row
        for i in range(d):
            row[i] = 1.0 if i == column else 0.0
        _solve(factor, d, row)
    for i in range(d):
        for j in range(i):
            inverse[i, j] = inverse[j, i]


@routine
def _take_sides(region: Region, work: MatrixWork, x: Array) -> None:
    """Say which coordinates of x lie on a limit."""
    for part in range(len(region.kind)):
        for j in range(region.start[part], region.start[part + 1]):
            side = _FREE
            if region.kind[part] == BOX:
                side = _HIGH if x[j] >= region.high[j] else side
                side = _LOW if x[j] <= region.low[j] else side
                side = _FIXED if region.low[j] == region.high[j] else side
            elif region.kind[part] == SIMPLEX and x[j] <= 0.0:
                side = _LOW
            work.side[j] = side


@routine
def _settle(matrix: Array, region: Region, work: MatrixWork, multiplier: float, y: Array, x: Array) -> None:
    """Move x to the best point of boxes and simplices, where a point of the ball costs mu |x - c|^2 / 2."""
    d = len(x)
    for made in range(_PASSES * d + 20):
        moved = made == 0  # a vertex cannot move before anything is freed
        for _ in range(2 * d + 2):  # each time something lands on a limit, until nothing does
            _slopes(matrix, region, work, multiplier, y, x)
            n = _gather(matrix, region, work, multiplier)
            _best_move(region, work, n, x)
            if _drop(region, work, n, x):
                continue
            blocked, moving = _walk(region, work, n, x)
            moved |= moving
            if not blocked:
                break
        _slopes(matrix, region, work, multiplier, y, x)
        if not _release(matrix, region, work) or not moved:
            break


@routine
def _slopes(matrix: Array, region: Region, work: MatrixWork, multiplier: float, y: Array, x: Array) -> None:
    """Write half the gradient at x, and how much of it may be rounding."""
    d = len(x)
    for j in range(d):
        work.offset[j] = x[j] - y[j]
    for i in range(d):
        total, size = 0.0, 0.0
        for j in range(d):
            term = matrix[i, j] * work.offset[j]
            total += term
            size += abs(term)
        work.slope[i] = total
        work.rounding[i] = _EPSILON * d * size
    if work.ball[0] >= 0:
        for j in range(region.start[work.ball[0]], region.start[work.ball[0] + 1]):
            work.slope[j] += multiplier * (x[j] - region.low[j])


@routine
def _gather(matrix: Array, region: Region, work: MatrixWork, multiplier: float) -> int:
    """List and count the free coordinates, and factorise H + mu I among them."""
    n = 0
    for j in range(len(matrix)):
        if work.side[j] == _FREE:
            work.free[n] = j
            n += 1
    ball = work.ball[0]
    first, stop = (region.start[ball], region.start[ball + 1]) if ball >= 0 else (0, 0)
    for i in range(n):
        row = work.free[i]
        for j in range(i + 1):
            work.factor[i, j] = matrix[row, work.free[j]]
        if first <= row < stop:
            work.factor[i, i] += multiplier
    _factorise(work.factor, n)
    return n


@kernel
def _best_move(region: Region, work: MatrixWork, n: int, x: Array) -> None:
    """Write how the free coordinates move to their best values, with the sums of simplices held."""
    for i in range(n):
        work.move[i] = -work.slope[work.free[i]]
    _solve(work.factor, n, work.move)
    simplices = 0
    for part in range(len(region.kind)):
        if region.kind[part] == SIMPLEX:
            total = 0.0
            for j in range(region.start[part], region.start[part + 1]):
                total += x[j]
            work.level[simplices] = total - region.size[part]
            simplices += 1
    _hold_sums(work, n, simplices)


@routine
def _hold_sums(work: MatrixWork, n: int, simplices: int) -> None:
    """Correct a move so that it takes each `level` off the sum of its simplex."""
    for p in range(simplices):
        column = work.columns[p]
        for i in range(n):
            column[i] = 1.0 if work.sum_of[work.free[i]] == p else 0.0
            if work.sum_of[work.free[i]] == p:
                work.level[p] += work.move[i]
        _solve(work.factor, n, column)
        for q in range(p + 1):
            total = 0.0
            for i in range(n):
                if work.sum_of[work.free[i]] == q:
                    total += column[i]
            work.schur[p, q] = total
    if simplices > 0:
        _factorise(work.schur, simplices)
        _solve(work.schur, simplices, work.level)
    for p in range(simplices):
        for i in range(n):
            work.move[i] -= work.level[p] * work.columns[p, i]


@routine
def _drop(region: Region, work: MatrixWork, n: int, x: Array) -> bool:
    """Put back what was freed and would leave at once; at least one of those that were freed goes inwards."""
    dropped = False
    for i in range(n):
        j = work.free[i]
        if work.sum_of[j] < 0 and region.low[j] == region.high[j]:
            continue  # of a ball
        if x[j] <= region.low[j] and work.move[i] < 0.0:
            work.side[j] = _LOW
            dropped = True
        elif work.sum_of[j] < 0 and x[j] >= region.high[j] and work.move[i] > 0.0:
            work.side[j] = _HIGH
            dropped = True
    return dropped


@routine
def _walk(region: Region, work: MatrixWork, n: int, x: Array) -> tuple[bool, bool]:
    """Move as far as the limits allow; tell whether one was met, and whether anything moved."""
    part, met, side = 1.0, -1, _FREE
    for i in range(n):
        j = work.free[i]
        if work.sum_of[j] < 0 and region.low[j] == region.high[j]:
            continue
        room, towards = math.inf, _LOW
        if work.move[i] < 0.0:
            room = (region.low[j] - x[j]) / work.move[i]
        elif work.move[i] > 0.0 and work.sum_of[j] < 0:
            room, towards = (region.high[j] - x[j]) / work.move[i], _HIGH
        if room < part:
            part, met, side = room, j, towards
    moved = False
    for i in range(n):
        j = work.free[i]
        following = x[j] + part * work.move[i]
        if work.sum_of[j] >= 0:
            following = max(following, 0.0)
        elif region.low[j] < region.high[j]:
            following = min(max(following, region.low[j]), region.high[j])
        moved |= following != x[j]
        x[j] = following
    if met >= 0:
        x[met] = region.low[met] if side == _LOW else region.high[met]
        work.side[met] = side
    return met >= 0, moved


@routine
def _release(matrix: Array, region: Region, work: MatrixWork) -> bool:
    """Free all coordinates on a limit that pull inwards by more than rounding; tell whether there are any."""
    freed = False
    for part in range(len(region.kind)):
        if region.kind[part] == BALL:
            continue
        first, stop = region.start[part], region.start[part + 1]
        level, doubt, count = 0.0, 0.0, 0
        if region.kind[part] == SIMPLEX:  # free coordinates have one slope, the level of their sum
            for j in range(first, stop):
                if work.side[j] == _FREE:
                    level += work.slope[j]
                    doubt = max(doubt, work.rounding[j])
                    count += 1
            level /= max(count, 1)
        for j in range(first, stop):
            side = work.side[j]
            if side in (_LOW, _HIGH) and side * (work.slope[j] - level) > 2.0 * (work.rounding[j] + doubt):
                work.side[j] = _FREE
                freed = True
    return freed


@kernel
def _length(region: Region, ball: int, x: Array) -> float:
    """Return the distance from the centre of the ball."""
    square = 0.0
    for j in range(region.start[ball], region.start[ball + 1]):
        square += (x[j] - region.low[j]) * (x[j] - region.low[j])
    return math.sqrt(square)


@routine
def _fall(region: Region, work: MatrixWork, ball: int, x: Array) -> float:
    """Return by how much |x - c|^2 / 2 falls per unit of mu, while what is free stays free."""
    n, simplices = 0, 0
    first, stop = region.start[ball], region.start[ball + 1]
    for j in range(len(x)):
        if work.side[j] == _FREE:
            work.free[n] = j
            work.move[n] = x[j] - region.low[j] if first <= j < stop else 0.0
            n += 1
            simplices = max(simplices, work.sum_of[j] + 1)
    _solve(work.factor, n, work.move)
    for p in range(simplices):
        work.level[p] = 0.0
    _hold_sums(work, n, simplices)
    total = 0.0
    for i in range(n):
        j = work.free[i]
        if first <= j < stop:
            total += (x[j] - region.low[j]) * work.move[i]
    return total


@routine
def _factorise(matrix: Array, n: int) -> None:
    """Overwrite the lower triangle of the first n rows by L, where L L' is the matrix (Cholesky).

    A pivot that is rounding alone is raised to what rounding there may be, so that no root is of a negative number.
    """
    for i in range(n):
        diagonal = matrix[i, i]
        for j in range(i):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = total / matrix[j, j]
        pivot = diagonal
        for k in range(i):
            pivot -= matrix[i, k] * matrix[i, k]
        matrix[i, i] = math.sqrt(max(pivot, _EPSILON * diagonal))


@routine
def _solve(factor: Array, n: int, x: Array) -> None:
    """Overwrite the first n of x by the solution of L L' z = x."""
    for i in range(n):
        total = x[i]
        for k in range(i):
            total -= factor[i, k] * x[k]
        x[i] = total / factor[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= factor[i, i]
        for k in range(i):
            x[k] -= factor[i, k] * x[i]
