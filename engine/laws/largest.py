"""The law of the largest of k independent variables: p[a] = P(X[a] > X[b] for all b != a), by quadrature.

Two families: Beta(a, b) and normal variables, in any mix of shapes and widths. Unavailable arms have probability 0.
`workspace(k)` makes the arrays that the kernels write into; `beta_law` and `normal_law` fill its `law`.

Method: p[a] is the integral of f[a] times the product of the other arms' F. Beta variables are taken on the logit
scale, where their densities are log-concave and smooth as normal ones are. The line is cut into panels from left to
right, each so short that no logarithm of a density changes by more than `CHANGE` in it. A panel has 16 Gauss-Legendre
nodes; F at the nodes is F at its left end plus the integral of the polynomial through the densities. An arm that lies
below the panel (F = 1) costs nothing. Below the highest of the arms' lower ends none is the largest: there they begin.

Accuracy: relative error below 1e-6 where p >= 1e-12 (seen: 3e-8 up to 34 arms, 4e-7 at 5000), absolute below 1e-14
elsewhere, for shapes from 0.05 to 1e8; beyond, the error grows as 1e-15 times the shape.
Cost: O(K x panels), ten panels where the arms' widths are alike, about three more for each halving of the narrowest.
On one core of a Xeon, us: K = 2: 5, 10: 15-25, 34: 60-80, 100: 200, 1000: 2000 (with every width from 1 to 1e-8 in one
problem, 34: 390, 1000: 13000). No limit of K but this; the working space is 500 bytes an arm.
Of a Beta variable whose shape changes with every law there is nothing to keep here, as all panels follow from it:
`largest_beta.py` has the law in which there is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..elementary import exp, exp_of_each, log, log1p, log_gamma, stirling_rest
from ..errors import InvalidInput
from ..kernel import kernel, kernel_beside, routine
from ..vocabulary import Array
from .gauss_legendre import NODES, PLACE, WEIGHT, fill_mass, mass_of_each, weighted, weighted_of_each

ARMS_MAX = 2000
CHANGE = 10.0  # most that ln f may change in a panel: the polynomial is then within 1e-9 of its largest value
GROWTH = 1e14  # most that the product of all F may grow in a panel
NOTHING = 1e-25  # a product of all F below this is not worth resolving
_DROP = 42.0  # an arm ends where ln f has fallen by this much: exp(-42) = 6e-19 of its mass lies beyond
_HALF_LOG_TWO_PI = 0.9189385332046727


def check_arms(k: int) -> None:
    """Refuse more arms than a decision should wait for: it takes about 2.5 us an arm."""
    if k > ARMS_MAX:
        raise InvalidInput(
            "too_many_arms",
            f"there are {k} arms: exact propensities are computed for up to {ARMS_MAX}; take propensities=false",
        )


class MaximumWorkspace(NamedTuple):
    """Working space of the quadrature and its result. The density of arm a on the line is given by

    ln f = top + slope du + curve du^2 + tilt dv, du = u(y) - u0, dv = v(y) - v0,

    with u = ln x and v = ln(1 - x) at x = logistic(y) for Beta variables, and u = y, v = 0 for normal ones.
    """

    logit: Array  # bool[1] whether the line is the logit scale of Beta variables
    law: Array  # float64[k] the result
    low: Array  # float64[k] lower end of the arm on the line
    high: Array  # float64[k] upper end; -inf where the arm is not available
    top: Array  # float64[k]
    u0: Array  # float64[k]
    v0: Array  # float64[k]
    slope: Array  # float64[k]
    curve: Array  # float64[k]
    tilt: Array  # float64[k]
    below: Array  # float64[k] F at the left end of the panel
    above: Array  # float64[k] F at the right end
    ratio: Array  # float64[k, 16] f / F at the nodes
    mass: Array  # float64[k, 16] F at the nodes
    node: Array  # float64[3, 16] u, v, and the product of all F


def workspace(k: int) -> MaximumWorkspace:
    """Return the working space for k arms."""
    columns = [np.zeros(k) for _ in range(11)]
    nodes = np.zeros((k, NODES)), np.zeros((k, NODES)), np.zeros((3, NODES))
    return MaximumWorkspace._make([np.zeros(1, np.bool_), *columns, *nodes])


@routine
def beta_law(work: MaximumWorkspace, a: Array, b: Array, available: Array) -> None:
    """Write into `work.law` the law of the largest of Beta(a[i], b[i]), float64[k] > 0, over the available i."""
    work.logit[0] = True
    start = -math.inf
    for i in range(len(a)):
        work.high[i] = -math.inf
        if available[i]:
            place_beta(work, i, a[i], b[i])
            start = max(start, work.low[i])
    _integrate(work, start)


@routine
def normal_law(work: MaximumWorkspace, mean: Array, sd: Array, available: Array) -> None:
    """Write into `work.law` the law of the largest of N(mean[i], sd[i]^2), sd float64[k] > 0, over the available i.

    The origin of the line is moved to its start, so that a narrow arm far from 0 is resolved.
    """
    work.logit[0] = False
    reach = math.sqrt(2.0 * _DROP)
    start = -math.inf
    for i in range(len(mean)):
        if available[i]:
            start = max(start, mean[i] - reach * sd[i])
    for i in range(len(mean)):
        work.high[i] = -math.inf
        if available[i]:
            centre = mean[i] - start
            work.low[i] = centre - reach * sd[i]
            work.high[i] = centre + reach * sd[i]
            work.top[i] = -log(sd[i]) - _HALF_LOG_TWO_PI
            work.u0[i] = centre
            work.v0[i] = 0.0
            work.slope[i] = 0.0
            work.curve[i] = -0.5 / (sd[i] * sd[i])
            work.tilt[i] = 0.0
    _integrate(work, 0.0)


@kernel
def place_beta(work: MaximumWorkspace, i: int, a: float, b: float) -> None:
    """Write the density of arm i on the logit scale, x^a (1 - x)^b / B(a, b), and its ends.

    Its value at the mode x = a / (a + b) has a form in which nothing of the size of ln Gamma cancels.
    """
    mode = log(a / b)
    u0, v0 = logit_coordinates(mode)
    work.u0[i] = u0
    work.v0[i] = v0
    work.slope[i] = a
    work.curve[i] = 0.0
    work.tilt[i] = b
    work.top[i] = 0.5 * log(a / (a + b) * b) - _HALF_LOG_TWO_PI + _gamma_rest(a + b) - _gamma_rest(a) - _gamma_rest(b)
    # ln f lies below its asymptotes and below the curve whose curvature falls off as fast as it can, e^-|y|: the nearer
    # of the two crossings is a start outside the end.
    fall = _DROP / (a / (a + b) * b)
    distance = 0.5 * (fall + math.sqrt(fall * fall + 8.0 * fall))
    rest = _DROP - a * u0 - b * v0
    work.high[i] = _end(work, i, min(mode + distance, rest / b))
    work.low[i] = _end(work, i, max(mode - distance, -rest / a))


@kernel
def _end(work: MaximumWorkspace, i: int, y: float) -> float:
    """Return where ln f of arm i has fallen by about `_DROP`, from y outside.

    Newton's method, on the fall while it is far (no step then leads inside), then on its root (nearly a straight line).
    """
    for _ in range(40):
        u, v = logit_coordinates(y)
        fall = -(work.slope[i] * (u - work.u0[i]) + work.tilt[i] * (v - work.v0[i]))
        if abs(fall - _DROP) < 1.0:
            break
        slope = work.slope[i] * exp(v) - work.tilt[i] * exp(u)
        if fall > 2.0 * _DROP:
            y += (fall - _DROP) / slope
        else:
            y += 2.0 * (fall - math.sqrt(_DROP * fall)) / slope
    return y


@kernel
def _gamma_rest(x: float) -> float:
    """Return ln Gamma(x) - ((x - 1/2) ln x - x + ln(2 pi) / 2), x > 0."""
    if x >= 10.0:
        return stirling_rest(x)
    return log_gamma(x) - ((x - 0.5) * log(x) - x + _HALF_LOG_TWO_PI)


@kernel
def logit_coordinates(y: float) -> tuple[float, float]:
    """Return ln x and ln(1 - x) of x = 1 / (1 + exp(-y))."""
    rest = log1p(exp(-abs(y)))
    return min(y, 0.0) - rest, -max(y, 0.0) - rest


@kernel
def logit_derivatives(y: float) -> tuple[float, float]:
    """Return how fast ln x and ln(1 - x) of x = 1 / (1 + exp(-y)) grow with y."""
    small = exp(-abs(y))
    return (small if y > 0.0 else 1.0) / (1.0 + small), -(1.0 if y > 0.0 else small) / (1.0 + small)


@kernel
def _integrate(work: MaximumWorkspace, start: float) -> None:
    """Write the law: go through the panels from `start`, below which no arm is the largest, to the highest end."""
    k = len(work.law)
    stop = -math.inf
    for a in range(k):
        work.law[a] = 0.0
        stop = max(stop, work.high[a])
        if work.high[a] > start:
            work.below[a] = mass_below(work, a, start)
    y = start
    while y < stop:
        width = _panel_width(work, 0, k, y, stop, steepest(work, 0, k, y, y))
        while not _fill_panel(work, y, width):
            width *= 0.5
        _add_panel(work, y)
        y += width
    total = 0.0
    for a in range(k):
        total += work.law[a]
    for a in range(k):
        work.law[a] /= total


@kernel
def mass_below(work: MaximumWorkspace, a: int, stop: float) -> float:
    """Return F of arm a at `stop`, with panels of its own; at its lower end it's as good as 0, but not 0."""
    y = work.low[a]
    total = 1e-19
    while y < stop:
        width = _panel_width(work, a, a + 1, y, stop, steepest(work, a, a + 1, y, y))
        total += _mass_in(work, a, y, width)
        y += width
    return total


@kernel
def _mass_in(work: MaximumWorkspace, a: int, y: float, width: float) -> float:
    """Return how much F of arm a grows in a panel."""
    fill_coordinates(work.node, work.logit[0], y, width)
    fill_density(work, a, work.node, width, work.ratio[a])
    return weighted(work.ratio[a], WEIGHT)


@kernel
def widest(y: float) -> float:
    """Return how wide a panel on the logit scale may be: ln x has its singularities at y = +- i pi, it stays short."""
    return 2.5 + (y if y > 0.0 else -0.5 * y)


@kernel
def _panel_width(work: MaximumWorkspace, first: int, last: int, y: float, stop: float, steep: float) -> float:
    """Return a width in which no ln f of the arms `first` <= a < `last` changes by more than `CHANGE`.

    ln f is concave, so its slope is largest at one of the ends; at y it is `steep`.
    """
    width = stop - y
    if work.logit[0]:
        width = min(width, widest(y))
    if width * steep > CHANGE:
        width = CHANGE / steep
    while True:
        end = steepest(work, first, last, y, y + width)
        if width * end <= 1.01 * CHANGE:
            return width
        bend = max(end - steep, 0.0) / width
        width = min(0.9 * width, 2.0 * CHANGE / (steep + math.sqrt(steep * steep + 4.0 * CHANGE * bend)))


@kernel
def steepest(work: MaximumWorkspace, first: int, last: int, start: float, y: float) -> float:
    """Return the largest |d ln f / dy| at y among the arms `first` <= a < `last` that reach beyond `start`."""
    du, dv = logit_derivatives(y) if work.logit[0] else (1.0, 0.0)
    steepest = 0.0
    for a in range(first, last):
        if work.high[a] > start:
            slope = (work.slope[a] + 2.0 * work.curve[a] * (y - work.u0[a])) * du + work.tilt[a] * dv
            steepest = max(steepest, abs(slope))
    return steepest


@kernel
def fill_coordinates(node: Array, logit: bool, y: float, width: float) -> None:
    """Write u and v at the nodes of the panel [y, y + width] into the first two rows."""
    u = node[0]
    v = node[1]
    for i in range(NODES):
        u[i] = y + width * PLACE[i]
        v[i] = 0.0
    if logit:
        for i in range(NODES):
            rest = log1p(exp(-abs(u[i])))
            v[i] = -max(u[i], 0.0) - rest
            u[i] = min(u[i], 0.0) - rest


@kernel
def fill_density(work: MaximumWorkspace, a: int, node: Array, width: float, density: Array) -> None:
    """Write f of arm a at the nodes, times the panel's width, into `density`, float64[16]."""
    u = node[0]
    v = node[1]
    top = work.top[a]
    u0 = work.u0[a]
    v0 = work.v0[a]
    slope = work.slope[a]
    curve = work.curve[a]
    tilt = work.tilt[a]
    for i in range(NODES):
        du = u[i] - u0
        density[i] = exp(top + du * (slope + curve * du) + tilt * (v[i] - v0)) * width


def density_of_each(work: MaximumWorkspace, arms: Array, node: Array, width: float) -> Array:
    """Return what `fill_density` writes, of several arms, float64[n, 16]: all at once in NumPy, to the same bits."""
    top, u0, v0, slope, curve, tilt = (
        column[arms, None] for column in (work.top, work.u0, work.v0, work.slope, work.curve, work.tilt)
    )
    du = node[0] - u0
    return exp_of_each(top + du * (slope + curve * du) + tilt * (node[1] - v0)) * width


def _fill_panel_in_python(work: MaximumWorkspace, y: float, width: float) -> bool:
    fill_coordinates(work.node, work.logit[0], y, width)
    arms = np.flatnonzero(work.high > y)
    below = work.below[arms]
    density = density_of_each(work, arms, work.node, width)
    mass = mass_of_each(density, below)
    above = below + weighted_of_each(density, WEIGHT)
    product = work.node[2]
    product[:] = 1.0
    for row in mass:
        product *= row
    work.above[arms] = above
    work.ratio[arms] = density / mass
    left, right = math.prod(below.tolist()), math.prod(above.tolist())
    return right < NOTHING or right <= GROWTH * left


@kernel_beside(_fill_panel_in_python)
def _fill_panel(work: MaximumWorkspace, y: float, width: float) -> bool:
    """Write f / F, the product of all F and F at the right end; return False where that product grows too fast."""
    fill_coordinates(work.node, work.logit[0], y, width)
    product = work.node[2]
    for i in range(len(product)):
        product[i] = 1.0
    for a in range(len(work.law)):
        if work.high[a] > y:
            fill_density(work, a, work.node, width, work.ratio[a])
    for a in range(len(work.law)):
        if work.high[a] > y:
            fill_mass(work.mass[a], work.ratio[a], work.below[a])
            work.above[a] = work.below[a] + weighted(work.ratio[a], WEIGHT)
    left = 1.0
    right = 1.0
    for a in range(len(work.law)):
        if work.high[a] > y:
            density = work.ratio[a]
            mass = work.mass[a]
            left *= work.below[a]
            right *= work.above[a]
            for i in range(len(product)):  # not 16, which LLVM would spell out: no vectors, and 11 ns more an arm
                product[i] *= mass[i]
            for i in range(len(density)):
                density[i] /= mass[i]
    return right < NOTHING or right <= GROWTH * left


@kernel
def _add_panel(work: MaximumWorkspace, y: float) -> None:
    """Add the panel that begins at y to the law, and move F to its right end."""
    product = work.node[2]
    for i in range(len(product)):
        product[i] *= WEIGHT[i]
    for a in range(len(work.law)):
        if work.high[a] > y:
            work.law[a] += weighted(work.ratio[a], product)
            work.below[a] = work.above[a]
