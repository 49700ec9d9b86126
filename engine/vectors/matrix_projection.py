"""Steps in a domain by the norm of a matrix: the point x that makes |x - y|_H^2 / 2 - <push, x> least.

Where no limit takes part that is y + H^-1 push, with what holds the sums of simplices taken off: O(d^2) by the factors
of H, tried first. Else, in boxes and simplices, coordinates lie on a limit or are free; the free ones move to their
best values, as far as the limits let them, then those that pull inwards are freed, until none does. That ends at the
exact point however ill-conditioned H is (coordinate descent takes a number of sweeps in proportion to the condition),
and starts from where `x` lies, so that a limit which held before costs one pass. A move that gains less than what the
slope may be off by rounding is not made, so that every pass descends, and none comes twice.
Ball: the multiplier mu of |x - c| = R by Newton's method on 1 / |x - c| - 1 / R, which only rises, each step one
factorisation of H + mu I. H couples the parts of a product, so that all boxes and simplices are solved at once, within
Newton's method where there is a ball; a second ball would need a search over two multipliers, and is refused.

The step is asked for by y and the push, and not as the projection of y + H^-1 push: beside a push of 1e29 that sum
would hold nothing of y.

Source: Stark, Parker, "Bounded-variable least squares", 1995, with sums that are held; More, Sorensen, "Computing a
trust region step", 1983, for the ball. A bracket around mu, as limits may change on the way, is derived here.
Cost: O(d^2) where no limit takes part, times 1 + the number of simplices; O(n^3 + d^2), n of the coordinates free, for
each change of what is free, and for each step of mu (4 to 8 of them).

>>> from onearm.engine.domain import ball, simplex
>>> from onearm.engine.vectors.metric import metric_of
>>> metric, y, push = metric_of(np.array([[4.0, 1.0], [1.0, 1.0]])), np.array([2.0, 1.0]), np.zeros(2)
>>> x = ball(2).start
>>> step_by(metric, ball(2).region(), matrix_work(ball(2)), y, push, x)
>>> x.round(8).tolist()
[0.94317838, 0.33228683]
>>> x = simplex(2).start
>>> step_by(metric, simplex(2).region(), matrix_work(simplex(2)), y, push, x)
>>> x.round(8).tolist()
[1.0, 0.0]
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..domain import BALL, BOX, SIMPLEX, Domain, Region
from ..errors import InvalidInput
from ..kernel import kernel, routine
from ..vocabulary import Array
from .metric import Metric, factorise, solve

DIMENSION_MAX = 2000  # a matrix of so many rows takes 32 MB
_EPSILON = 2.0**-52
_NEWTON_MAX = 100  # steps of mu; the most that were seen are 9
_PASSES = 4  # for each coordinate, and 20: far more than were seen
_FREE, _LOW, _HIGH, _FIXED = 0, -1, 1, 2


class MatrixWork(NamedTuple):
    """Working space of a step in d dimensions, in a domain with m simplices."""

    factor: Array  # float64[d, d] the factors of H + mu I among the free coordinates
    pivot: Array  # float64[d]
    slope: Array  # float64[d] the gradient: H (x - y) - push + mu (x - c)
    rounding: Array  # float64[d] what of the slope may be rounding
    move: Array  # float64[d] of the free coordinates, in their order
    columns: Array  # float64[m, d] what a unit of each simplex' multiplier moves
    schur: Array  # float64[m, m]
    schur_pivot: Array  # float64[m]
    level: Array  # float64[m] the multiplier of each simplex' sum
    free: Array  # int64[d] the free coordinates
    side: Array  # int64[d] _FREE, or the limit that a coordinate lies on
    sum_of: Array  # int64[d] the simplex that a coordinate belongs to, -1 where to none
    ball: Array  # int64[1] the part that is a ball, -1 where none is


def matrix_work(domain: Domain) -> MatrixWork:
    """Return the working space for a domain; refuse what cannot be stepped in by a matrix."""
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
    m = kinds.count("simplex")
    sum_of = np.full(d, -1)
    region = domain.region()
    for number, part in enumerate(np.flatnonzero(region.kind == SIMPLEX).tolist()):
        sum_of[region.start[part] : region.start[part + 1]] = number
    return MatrixWork(
        factor=np.zeros((d, d)),
        pivot=np.zeros(d),
        slope=np.zeros(d),
        rounding=np.zeros(d),
        move=np.zeros(d),
        columns=np.zeros((m, d)),
        schur=np.zeros((m, m)),
        schur_pivot=np.zeros(m),
        level=np.zeros(m),
        free=np.zeros(d, np.int64),
        side=np.zeros(d, np.int64),
        sum_of=sum_of,
        ball=np.array([kinds.index("ball") if "ball" in kinds else -1]),
    )


@kernel
def step_by(metric: Metric, region: Region, work: MatrixWork, y: Array, push: Array, x: Array) -> None:
    """Move `x` to the point of the domain that makes |x - y|_H^2 / 2 - <push, x> least.

    `x`, float64[d], is a point of the domain to search from, the nearer the better; y, float64[d], may be any.
    """
    if not _step_freely(metric, region, work, y, push, x):
        _step_within(metric.matrix, region, work, y, push, x)


@routine
def shortfall(region: Region, slope: Array, x: Array) -> float:
    """Return how far below <slope, x> the least of <slope, u> lies over the points u of the domain.

    At the point of a step, with the gradient there as the slope, this is 0 up to rounding: what it is says how far a
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


@kernel
def _step_freely(metric: Metric, region: Region, work: MatrixWork, y: Array, push: Array, x: Array) -> bool:
    """Step by the factors of H, with the sums of simplices held; where a limit is broken leave x alone."""
    d = len(x)
    for j in range(d):
        work.move[j] = push[j]
    solve(metric.factor, metric.pivot, d, work.move)
    if len(work.level) > 0:
        for j in range(d):
            work.free[j] = j
        _hold_sums(metric.factor, metric.pivot, region, work, d, y)
    for part in range(len(region.kind)):
        first, stop = region.start[part], region.start[part + 1]
        if region.kind[part] == BALL:
            square = 0.0
            for j in range(first, stop):
                away = y[j] + work.move[j] - region.low[j]
                square += away * away
            if not square <= region.size[part] * region.size[part]:
                return False
        else:
            for j in range(first, stop):
                if not region.low[j] <= y[j] + work.move[j] <= region.high[j]:
                    return False
    for j in range(d):
        x[j] = y[j] + work.move[j]
    return True


@routine
def _step_within(matrix: Array, region: Region, work: MatrixWork, y: Array, push: Array, x: Array) -> None:
    """Step where limits take part."""
    _take_sides(region, work, x)
    _settle(matrix, region, work, 0.0, y, push, x)
    if work.ball[0] >= 0:
        _shrink(matrix, region, work, y, push, x)


@routine
def _shrink(matrix: Array, region: Region, work: MatrixWork, y: Array, push: Array, x: Array) -> None:
    """Move x from where it would be without the ball into it."""
    ball = work.ball[0]
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
        fall = _fall(region, work, ball, x)
        following = multiplier + (length - radius) / radius * (length / fall * length) if fall > 0.0 else math.nan
        if not low < following < high:  # rounding, or what is free has changed
            following = 0.5 * (low + high)
        if following == multiplier or not following < math.inf:
            break
        multiplier = following
        if not _settle(matrix, region, work, multiplier, y, push, x):
            break
        length = _length(region, ball, x)
    if length > radius:
        for j in range(region.start[ball], region.start[ball + 1]):
            x[j] = region.low[j] + radius / length * (x[j] - region.low[j])


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
def _settle(
    matrix: Array, region: Region, work: MatrixWork, multiplier: float, y: Array, push: Array, x: Array
) -> bool:
    """Move x to the best point of boxes and simplices, where a point of the ball costs mu |x - c|^2 / 2.

    Return whether it moved.
    """
    d, ever = len(x), False
    for made in range(_PASSES * d + 20):
        moved = made == 0  # a vertex cannot move before anything is freed
        for _ in range(2 * d + 2):  # each time something lands on a limit, until nothing does
            _slopes(matrix, region, work, multiplier, y, push, x)
            n = _gather(matrix, region, work, multiplier)
            for i in range(n):
                work.move[i] = -work.slope[work.free[i]]
            solve(work.factor, work.pivot, n, work.move)
            if len(work.level) > 0:
                _hold_sums(work.factor, work.pivot, region, work, n, x)
            if _drop(region, work, n, x):
                continue
            blocked, moving = _walk(region, work, n, x)
            moved |= moving
            ever |= moving
            if not blocked:
                break
        _slopes(matrix, region, work, multiplier, y, push, x)
        if not _release(matrix, region, work) or not moved:
            break
    return ever


@routine
def _slopes(
    matrix: Array, region: Region, work: MatrixWork, multiplier: float, y: Array, push: Array, x: Array
) -> None:
    """Write the gradient at x, and how much of it may be rounding."""
    d = len(x)
    for j in range(d):
        work.slope[j] = 0.0
        work.rounding[j] = 0.0
    for i in range(d):
        row, away = matrix[i], x[i] - y[i]
        for j in range(d):
            term = row[j] * away
            work.slope[j] += term
            work.rounding[j] += abs(term)
    for j in range(d):
        work.slope[j] -= push[j]
        work.rounding[j] = _EPSILON * (d * work.rounding[j] + abs(push[j]))
    if work.ball[0] >= 0:
        for j in range(region.start[work.ball[0]], region.start[work.ball[0] + 1]):
            inwards = multiplier * (x[j] - region.low[j])
            work.slope[j] += inwards
            work.rounding[j] += _EPSILON * abs(inwards)


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
        row = matrix[work.free[i]]
        for j in range(i, n):
            work.factor[i, j] = row[work.free[j]]
        if first <= work.free[i] < stop:
            work.factor[i, i] += multiplier
    factorise(work.factor, work.pivot, n)
    return n


@routine
def _hold_sums(factor: Array, pivot: Array, region: Region, work: MatrixWork, n: int, x: Array) -> None:
    """Correct the move of the n free coordinates from x so that each simplex has its sum at the end of it."""
    simplices = 0
    for part in range(len(region.kind)):
        if region.kind[part] == SIMPLEX:
            total = 0.0
            for j in range(region.start[part], region.start[part + 1]):
                total += x[j]
            work.level[simplices] = total - region.size[part]
            simplices += 1
    _balance(factor, pivot, work, n, simplices)


@routine
def _balance(factor: Array, pivot: Array, work: MatrixWork, n: int, simplices: int) -> None:
    """Correct a move so that it takes each `level` off the sum of its simplex."""
    for p in range(simplices):
        column = work.columns[p]
        for i in range(n):
            column[i] = 1.0 if work.sum_of[work.free[i]] == p else 0.0
            if work.sum_of[work.free[i]] == p:
                work.level[p] += work.move[i]
        solve(factor, pivot, n, column)
        for q in range(p + 1):
            total = 0.0
            for i in range(n):
                if work.sum_of[work.free[i]] == q:
                    total += column[i]
            work.schur[q, p] = total
    if simplices > 0:
        factorise(work.schur, work.schur_pivot, simplices)
        solve(work.schur, work.schur_pivot, simplices, work.level)
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
    gain, doubt = 0.0, 0.0
    for i in range(n):
        j = work.free[i]
        level = work.level[work.sum_of[j]] if work.sum_of[j] >= 0 else 0.0  # what mends a sum is no loss
        gain -= (work.slope[j] + level) * work.move[i]
        doubt += work.rounding[j] * abs(work.move[i])
        if work.sum_of[j] < 0 and region.low[j] == region.high[j]:
            continue
        room, towards = math.inf, _LOW
        if work.move[i] < 0.0:
            room = (region.low[j] - x[j]) / work.move[i]
        elif work.move[i] > 0.0 and work.sum_of[j] < 0:
            room, towards = (region.high[j] - x[j]) / work.move[i], _HIGH
        if room < part:
            part, met, side = room, j, towards
    if not gain > doubt:  # nor where H times the size of the domain is more than a float holds: x stays finite
        return False, False
    moved = False
    for i in range(n):
        j = work.free[i]
        following = x[j] + part * work.move[i]
        if region.low[j] < region.high[j]:  # not of a ball
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
    n, simplices = 0, len(work.level)
    first, stop = region.start[ball], region.start[ball + 1]
    for j in range(len(x)):
        if work.side[j] == _FREE:
            work.free[n] = j
            work.move[n] = x[j] - region.low[j] if first <= j < stop else 0.0
            n += 1
    solve(work.factor, work.pivot, n, work.move)
    for p in range(simplices):
        work.level[p] = 0.0
    _balance(work.factor, work.pivot, work, n, simplices)
    total = 0.0
    for i in range(n):
        j = work.free[i]
        if first <= j < stop:
            total += (x[j] - region.low[j]) * work.move[i]
    return total
