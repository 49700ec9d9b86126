"""The law of the largest of k Beta variables, which goes on from the law before it.

p[a] = P(X[a] > X[b] for all b != a), as `largest.beta_law` has it and as exact. Between two decisions one arm learns a
reward, and the others are as they were. So the panels lie on grids: each ends at a multiple of a power of 2, of the
largest that its accuracy allows. The ends of arms and how steep their densities are move a little with every reward,
and the panels hardly ever. Each arm's part in each panel, F and f / F at its nodes, is kept, and computed where the arm
or the panel is another one.

What is kept never shows: a part depends on the arm, the panels from the first one to its own, and on nothing else. So
a law that goes on has the bits of one that begins anew, as after a restart, in `verify` or through another interface.

Accuracy: that of `largest.beta_law`.
Cost: O(K x panels), about twenty panels where the arms' widths are alike. On one core of an EPYC, us, where one arm
changed: K = 2: 2, 10: 2-5, 34: 5-9, 100: 13-23, 1000: 110-210; where all did 2: 10-13, 10: 14-38, 100: 77-193,
1000: 700-1920. The working space is 11 kB an arm, and at most 20 MB.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..elementary import exp, log
from ..kernel import kernel, kernel_beside, routine
from ..vocabulary import Array
from .gauss_legendre import NODES, WEIGHT, fill_mass, mass_of_each, weighted, weighted_of_each
from .largest import (
    CHANGE,
    MaximumWorkspace,
    density_of_each,
    fill_coordinates,
    fill_density,
    logit_coordinates,
    logit_derivatives,
    mass_below,
    place_beta,
    widest,
    workspace,
)

_PANELS = 40  # that are kept, of not too many arms
_PARTS = 2**16  # of an arm in a panel: 18 MB
_ROOM, _NOWHERE = 32.23619130191664, -57.564627324851145  # ln GROWTH and ln NOTHING, in bits that no C library picks


class KeptLaw(NamedTuple):
    """Working space, what the last law left in it for the next one, and the law. The last panel's place is free."""

    line: MaximumWorkspace  # where the arms lie; its `law` is the result
    shape: Array  # float64[2, k] a and b by which the arm lies on the line; NaN for none
    available: Array  # bool[k]
    fresh: Array  # bool[k] whether the arm comes otherwise than to the law before
    end: Array  # float64[k] upper end of the arm, also where it is not available
    start: Array  # float64[k] F at the left end of the first panel
    kept: Array  # int64[1] how many panels are kept; -1 where there is no law
    panel: Array  # float64[p, 6] its ends, u and v at the left one, and their derivatives at the right one
    node: Array  # float64[p, 2, 16] u and v at the nodes
    rate: Array  # float64[p, k] f / F at the left end
    above: Array  # float64[p, k] F at the right end
    ratio: Array  # float64[p, k, 16] f / F at the nodes
    mass: Array  # float64[p, k, 16] F at the nodes


def kept_law(k: int) -> KeptLaw:
    """Return the working space for k arms."""
    p = min(_PANELS, _PARTS // k)
    return KeptLaw(
        line=workspace(k),
        shape=np.full((2, k), np.nan),
        available=np.zeros(k, np.bool_),
        fresh=np.zeros(k, np.bool_),
        end=np.zeros(k),
        start=np.zeros(k),
        kept=np.full(1, -1),
        panel=np.zeros((p, 6)),
        node=np.zeros((p, 2, NODES)),
        rate=np.zeros((p, k)),
        above=np.zeros((p, k)),
        ratio=np.zeros((p, k, NODES)),
        mass=np.zeros((p, k, NODES)),
    )


@routine
def largest_beta_law(work: KeptLaw, a: Array, b: Array, available: Array) -> None:
    """Write into `work.line.law` the law of the largest of Beta(a[i], b[i]), float64[k] > 0, over the available i."""
    line = work.line
    line.logit[0] = True
    same = work.kept[0] >= 0
    start = -math.inf
    for i in range(len(a)):
        work.fresh[i] = available[i] != work.available[i]
        work.available[i] = available[i]
        line.high[i] = -math.inf
        if available[i]:
            if a[i] != work.shape[0, i] or b[i] != work.shape[1, i]:
                place_beta(line, i, a[i], b[i])
                work.shape[0, i] = a[i]
                work.shape[1, i] = b[i]
                work.end[i] = line.high[i]
                work.fresh[i] = True
            line.high[i] = work.end[i]
            start = max(start, line.low[i])
        same &= not work.fresh[i]
    if not same:
        _integrate(work, start)


@kernel
def _integrate(work: KeptLaw, start: float) -> None:
    """Write the law: go through the panels from that of `start`, below which no arm is the largest, to the last end."""
    line = work.line
    y = _first(line, start)
    du, dv = logit_derivatives(y)
    kept = work.kept[0] if work.panel[0, 0] == y else 0
    stop = _begin(work, y, kept <= 0)
    last = len(work.panel) - 1
    panel = 0
    while y < stop:
        place = min(panel, last)
        limit = _limit(work, place, y, _steepest(line, y, du, dv), panel >= kept)
        end, du, dv = _end(work, place, y, limit, panel >= kept)
        if panel < kept and end != work.panel[place, 1]:
            kept = panel
        _fill_panel(work, place, y, end, panel >= kept)
        _add_panel(work, place, y)
        y = end
        panel += 1
    work.kept[0] = min(panel, last)
    _normalise(line.law)


@kernel
def _first(line: MaximumWorkspace, start: float) -> float:
    """Return where the first panel begins, in which `start` lies: at a multiple of the width that it has at most."""
    grid = _power_of_2(_flat(widest(start), _steepest(line, start, *logit_derivatives(start))))
    y = math.floor(start / grid) * grid
    while (start - y) * _steepest(line, y, *logit_derivatives(y)) > CHANGE:
        grid *= 0.5
        y = math.floor(start / grid) * grid
    return y


@kernel
def _begin(work: KeptLaw, y: float, anew: bool) -> float:
    """Write F at the left end of the first panel; return the highest end."""
    line = work.line
    stop = -math.inf
    for a in range(len(line.law)):
        line.law[a] = 0.0
        stop = max(stop, line.high[a])
        if line.high[a] > y:
            if anew or work.fresh[a]:
                work.start[a] = mass_below(line, a, y)
            line.below[a] = work.start[a]
    return stop


@kernel
def _limit(work: KeptLaw, place: int, y: float, steep: float, anew: bool) -> float:
    """Return how wide the panel that begins at y may be by what is known there: how steep all ln f and ln F are.

    As in `largest.py` the product of all F may grow by GROWTH, or to NOTHING. Its logarithm is concave, so in no panel
    it grows by more than its slope at the left end times the width.
    """
    line = work.line
    panel = work.panel[place]
    if anew:
        panel[0] = y
        panel[2], panel[3] = logit_coordinates(y)
    rate = work.rate[place]
    product = 1.0
    growth = 0.0
    for a in range(len(rate)):
        if line.high[a] > y:
            if anew or work.fresh[a]:
                fall = line.slope[a] * (panel[2] - line.u0[a]) + line.tilt[a] * (panel[3] - line.v0[a])
                rate[a] = exp(line.top[a] + fall) / line.below[a]
            product *= line.below[a]
            growth += rate[a]
    limit = _flat(widest(y), steep)
    if limit * growth > _ROOM:
        room = max(_ROOM, _NOWHERE - log(product))
        limit = limit if limit * growth <= room else room / growth
    return limit


@kernel
def _flat(limit: float, steep: float) -> float:
    """Return `limit`, or the width in which a slope of `steep` comes to CHANGE."""
    return limit if limit * steep <= CHANGE else CHANGE / steep


@kernel
def _steepest(line: MaximumWorkspace, start: float, du: float, dv: float) -> float:
    """Return the largest |d ln f / dy| of the arms that reach beyond `start`, where u and v have those derivatives."""
    steepest = 0.0
    for a in range(len(line.high)):
        if line.high[a] > start:
            steepest = max(steepest, abs(line.slope[a] * du + line.tilt[a] * dv))
    return steepest


@kernel
def _end(work: KeptLaw, place: int, y: float, limit: float, anew: bool) -> tuple[float, float, float]:
    """Return where a panel ends, and the derivatives of u and v there.

    It does at the next multiple of a power of 2: of the largest which is no more than `limit`, and by which no ln f
    changes by more than CHANGE.
    """
    panel = work.panel[place]
    grid = _power_of_2(limit)
    while True:
        end = (math.floor(y / grid) + 1) * grid
        du, dv = panel[4], panel[5]
        if anew or end != panel[1]:
            du, dv = logit_derivatives(end)
        if (end - y) * _steepest(work.line, y, du, dv) <= CHANGE:
            return end, du, dv
        grid *= 0.5


@kernel
def _power_of_2(x: float) -> float:
    """Return the largest power of 2 that is no more than x > 0."""
    return math.ldexp(0.5, math.frexp(x)[1])


def _fill_panel_in_python(work: KeptLaw, place: int, y: float, end: float, anew: bool) -> None:
    line = work.line
    node = work.node[place]
    if anew:
        work.panel[place, 1] = end
        work.panel[place, 4], work.panel[place, 5] = logit_derivatives(end)
        fill_coordinates(node, line.logit[0], y, end - y)
    arms = np.flatnonzero((work.fresh | anew) & (line.high > y))
    if len(arms):
        below = line.below[arms]
        density = density_of_each(line, arms, node, end - y)
        mass = mass_of_each(density, below)
        work.above[place, arms] = below + weighted_of_each(density, WEIGHT)
        work.mass[place, arms] = mass
        work.ratio[place, arms] = density / mass


@kernel_beside(_fill_panel_in_python)
def _fill_panel(work: KeptLaw, place: int, y: float, end: float, anew: bool) -> None:
    """Write f / F and F at the nodes, and F at the right end, of the arms of which this is not kept."""
    line = work.line
    node = work.node[place]
    if anew:
        work.panel[place, 1] = end
        work.panel[place, 4], work.panel[place, 5] = logit_derivatives(end)
        fill_coordinates(node, line.logit[0], y, end - y)
    for a in range(len(line.law)):
        if (anew or work.fresh[a]) and line.high[a] > y:
            mass = work.mass[place, a]
            ratio = work.ratio[place, a]
            fill_density(line, a, node, end - y, ratio)
            fill_mass(mass, ratio, line.below[a])
            work.above[place, a] = line.below[a] + weighted(ratio, WEIGHT)
            for i in range(len(ratio)):
                ratio[i] /= mass[i]


@kernel
def _add_panel(work: KeptLaw, place: int, y: float) -> None:
    """Add a panel to the law, and move F to its right end."""
    line = work.line
    product = line.node[2]
    for i in range(len(product)):
        product[i] = WEIGHT[i]
    for a in range(len(line.law)):
        if line.high[a] > y:
            mass = work.mass[place, a]
            for i in range(len(product)):  # not NODES, as LLVM makes no vectors of 16 lines
                product[i] *= mass[i]
    for a in range(len(line.law)):
        if line.high[a] > y:
            line.law[a] += weighted(work.ratio[place, a], product)
            line.below[a] = work.above[place, a]


@kernel
def _normalise(law: Array) -> None:
    """Divide the law by its sum."""
    total = 0.0
    for a in range(len(law)):
        total += law[a]
    for a in range(len(law)):
        law[a] /= total
