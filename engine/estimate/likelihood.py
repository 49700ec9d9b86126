"""Empirical likelihood: which values are plausible for laws over the very decisions that were logged.

>>> terms = Terms("ips", np.array([0.0, 2.0, 2.0, 0.0, 2.0, 0.0, 0.0, 2.0]), None, None, np.tile([0.0, 2.0], 4))
>>> [round(x, 3) for x in empirical_likelihood(terms)[1:3]]
[0.291, 1.709]
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..elementary import log
from ..kernel import kernel, loop
from ..vocabulary import Array
from .interval import check_level, spread_of, unknown
from .leaning import containing_dr
from .tails import t_quantile
from .terms import Interval, Terms

_STEPS = 60  # of Newton's method, inside and outside; both end after 3 to 8
_CLOSE = 1e-10  # of the statistic, which is near 4
_NO_COLUMN = np.zeros(0)


@containing_dr
def empirical_likelihood(terms: Terms, level: float = 0.95) -> Interval:
    """Return the values v that some law over the decisions makes true and that is not much less likely than the log's.

    The law p maximises the product of n p_i where the sum of p_i (part_i - v share_i) is 0; of a plain mean, where the
    sum of p_i base_i is v. An estimate with a base and a ratio is taken by its influences, to first order.

    Source: Owen, "Empirical likelihood", 2001, chapters 2 and 3: duality, the logarithm continued by a parabola, and
    F in place of chi-square, which at 100 decisions differs by 1 % of the width.
    Assumes: independent decisions. The interval stays in the hull of the terms, needs no range, and is not symmetric.
    Refuses: terms without spread.
    """
    check_level(level)
    spread, note = spread_of(terms)
    if note is not None:
        return unknown("empirical_likelihood", note)
    equations = _equations(terms, _NO_COLUMN)
    return _interval("empirical_likelihood", equations, terms.value, spread, level)


def weighted_likelihood(terms: Terms, level: float = 0.95) -> Interval:
    """Return the values by empirical likelihood among the laws under which the weights average 1.

    That is known of the weights target / propensity, and makes the interval shorter where weights vary: rewards that
    move with the weights are corrected for it. It lies around the likeliest value, which is not the terms' own.

    Source: Karampatziakis, Langford, Mineiro, "Empirical likelihood for contextual bandits", 2020.
    Assumes: what `empirical_likelihood` does, true propensities, and weights that were not clipped.
    Refuses: weights whose mean is more than 5 standard errors from 1, and those that are all on one side of 1.
    """
    check_level(level)
    spread, note = spread_of(terms)
    if note is not None:
        return unknown("weighted_likelihood", note)
    n, mean = len(terms.weight), float(np.mean(terms.weight))
    error = float(np.std(terms.weight)) / math.sqrt(n)
    if error == 0.0 and mean == 1.0:
        return empirical_likelihood(terms, level)._replace(method="weighted_likelihood")
    if abs(mean - 1.0) > 5.0 * error or not terms.weight.min() < 1.0 < terms.weight.max():
        return unknown(
            "weighted_likelihood",
            f"the weights average {mean:.3g} +- {error:.2g} and not 1: they were clipped, or the propensities are not "
            "true; use empirical likelihood",
        )
    equations = _equations(terms, terms.weight - 1.0)
    free = _solve(equations, terms.value, np.zeros(2), False)
    centre = free.mean_part / free.mean_share
    return _interval("weighted_likelihood", equations, centre, spread, level)


class Equations(NamedTuple):
    """The columns of the estimating equations: sums of p (part - v share), and of p side, are 0."""

    part: Array  # float64[n]
    share: Array  # float64[n], or of no length: all are 1
    side: Array  # float64[n], or of no length: there is no second equation


class Solution(NamedTuple):
    """The likeliest law at one value."""

    fall: float  # n times the mean of ln(1 + a (part - v share) + b side): by how much its likelihood is less
    slope: float  # of `fall` by v
    mean_part: float  # under that law
    mean_share: float
    dual: Array  # float64[2] a, b


def _equations(terms: Terms, side: Array) -> Equations:
    if terms.part is None or terms.share is None:
        return Equations(np.ascontiguousarray(terms.base, np.float64), _NO_COLUMN, side)
    if terms.base is None:
        return Equations(np.ascontiguousarray(terms.part), np.ascontiguousarray(terms.share), side)
    return Equations(terms.influence + terms.value, _NO_COLUMN, side)


def _interval(method: str, equations: Equations, centre: float, spread: float, level: float) -> Interval:
    """Return the interval around `centre`, on whose two sides 2 `fall` reaches the quantile of F(1, n - 1)."""
    n = len(equations.part)
    limit = t_quantile(0.5 + level / 2.0, n - 1) ** 2 / 2.0
    least = _solve(equations, centre, np.zeros(2), True).fall
    if len(equations.share):
        inside = equations.share > 0.0
        values = equations.part[inside] / equations.share[inside]
    else:
        values = equations.part
    low = _end(equations, centre, least + limit, -spread, float(values.min()))
    high = _end(equations, centre, least + limit, spread, float(values.max()))
    return Interval(method, low, high)


def _end(equations: Equations, centre: float, limit: float, spread: float, edge: float) -> float:
    """Return the v beyond `centre`, on the side of `spread`, at which `fall` is `limit`; it is inf at `edge`.

    Newton's method on the square root of `fall`, which is nearly a straight line, inside a bracket.
    """
    inner, outer = centre, edge
    v, dual = centre + spread * math.sqrt(2.0 * limit), np.zeros(2)
    for _ in range(_STEPS):
        if not min(inner, outer) < v < max(inner, outer):
            v = (inner + outer) / 2.0
        found = _solve(equations, v, dual, True)
        dual = found.dual
        inner, outer = (v, outer) if found.fall < limit else (inner, v)
        if abs(found.fall - limit) < _CLOSE or abs(outer - inner) <= 1e-15 * abs(v):
            break
        root = math.sqrt(max(found.fall, 1e-300))
        v -= (root - math.sqrt(limit)) * 2.0 * root / found.slope if found.slope != 0.0 else math.inf
    return float(v)


def _solve(equations: Equations, v: float, dual: Array, both: bool) -> Solution:
    """Return the likeliest law at `v` by Newton's method on its convex dual, from `dual` on.

    Without `both` only the side equation holds: that is the likeliest law of all.
    """
    n = len(equations.part)
    sums, a, b = np.empty(9), float(dual[0]) if both else 0.0, float(dual[1])
    add = add_up.compiled(*equations, v, a, b, sums)
    add(*equations, v, a, b, sums)
    for _ in range(_STEPS):
        gradient, hessian = sums[1:3].copy(), np.array([[sums[3], sums[4]], [sums[4], sums[5]]])
        used = np.array([both, len(equations.side) > 0])
        if not used.any():
            break
        step = np.zeros(2)
        step[used] = np.linalg.lstsq(hessian[np.ix_(used, used)], gradient[used], rcond=None)[0]
        gain = float(step @ gradient)
        if gain < _CLOSE * 1e-2:
            break
        before, size = float(sums[0]), 1.0
        while True:
            to_a, to_b = a + size * float(step[0]), b + size * float(step[1])
            add(*equations, v, to_a, to_b, sums)
            if sums[0] >= before + 1e-4 * size * gain or size < 1e-6:
                break
            size /= 2.0
        a, b = to_a, to_b
    return Solution(float(sums[0]), -a * float(sums[7]), float(sums[6]) / n, float(sums[7]) / n, np.array([a, b]))


@loop
def add_up(part: Array, share: Array, side: Array, v: float, a: float, b: float, sums: Array) -> None:
    """Write the sums over all decisions that a Newton step needs into `sums`, float64[9].

    Of t = 1 + a z + b y, z = part - v share, y = side: 0 ln t; 1, 2 z / t, y / t; 3, 4, 5 zz / tt, zy / tt, yy / tt;
    6, 7 part / t, share / t. Below 1 / n the logarithm is continued by its parabola, so that any a and b may be tried.
    """
    n = len(part)
    has_share, has_side = len(share) > 0, len(side) > 0
    for j in range(len(sums)):
        sums[j] = 0.0
    value = grad_a = grad_b = curve_aa = curve_ab = curve_bb = parts = shares = 0.0
    for i in range(n):
        s = share[i] if has_share else 1.0
        y = side[i] if has_side else 0.0
        z = part[i] - v * s
        logarithm, first, second = _log_and_slopes(1.0 + a * z + b * y, 1.0 / n)
        value += logarithm
        grad_a += z * first
        grad_b += y * first
        curve_aa += z * z * second
        curve_ab += z * y * second
        curve_bb += y * y * second
        parts += part[i] * first
        shares += s * first
    sums[0], sums[1], sums[2], sums[3], sums[4], sums[5] = value, grad_a, grad_b, curve_aa, curve_ab, curve_bb
    sums[6], sums[7] = parts, shares


@kernel
def _log_and_slopes(t: float, least: float) -> tuple[float, float, float]:
    """Return ln t, its slope, and its curvature's size; below `least` those of its parabola there."""
    if t >= least:
        return log(t), 1.0 / t, 1.0 / (t * t)
    u = t / least
    return log(least) - 1.5 + 2.0 * u - 0.5 * u * u, (2.0 - u) / least, 1.0 / (least * least)
