"""A chain of regressions: one per arm where arms lie on a scale, each drawn towards what its neighbours know.

Arm a expects f' theta_a of what has the features f, float64[m]. Before any feedback, in units of the noise's variance,
coefficient j of each arm has the mean 0 and the variance `variance[j]`, and two arms that lie s arms apart have the
correlation rho^s with rho = e^(-1 / (k - 1)): 1 / e from end to end, however many arms there are. So arms close by
share what they learn, arms far away hardly, and a finer scale is not learned more slowly. What comes out is the exact
posterior, that of all k m coefficients at once.

An arm only has to hear from its two neighbours: `low` is what all arms below know of it and `high` what all above
know, each a matrix and a vector like those of the feedbacks of its own. A feedback is passed on outwards from its arm.
The sums are kept, not the solution, so rounding does not pile up.

Source: the prior is the first-order autoregression of Rue and Held, "Gaussian Markov random fields", 2005, chapter 1;
the two messages are the two filters of Fraser and Potter, "The optimum linear smoother as a combination of two optimum
linear filters", 1969.
Cost: k m^3 / 2 multiplications to take a feedback in, m^3 / 6 + m^2 to ask an arm; memory 3 k m (m + 1) numbers.

>>> links = chain(3, np.ones(1))
>>> take_in(links, 0, np.ones(1), 6.0)
>>> [tuple(round(float(x), 4) for x in expect(links, arm, np.ones(1))) for arm in range(3)]
[(3.0, 0.5), (1.8196, 0.8161), (1.1036, 0.9323)]
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel, routine
from ..vocabulary import Array

_ROUNDING = 1e-14  # of a pivot, relative to the sum that it comes from: above that of m products, 1e-16 each


class Links(NamedTuple):
    """What is known of each arm by itself and by the others, and working space. Matrices are lower triangles."""

    gram: Array  # float64[k, m, m] sum of f f'
    moment: Array  # float64[k, m] sum of f y
    low_gram: Array  # float64[k, m, m] what the arms below know
    low_moment: Array  # float64[k, m]
    high_gram: Array  # float64[k, m, m] what the arms above know
    high_moment: Array  # float64[k, m]
    precision: Array  # float64[m] 1 / variance of a coefficient before any feedback
    rho: Array  # float64[1] correlation of two neighbours before any feedback
    scratch_root: Array  # float64[m, m]
    scratch_inverse: Array  # float64[m, m]
    scratch_row: Array  # float64[2, m]


def chain(k: int, variance: Array) -> Links:
    """Return k regressions over m coefficients before any feedback; `variance` float64[m] > 0, in units of the noise's.

    One arm alone has no neighbour, and is a ridge regression.
    """
    m = len(variance)
    return Links(
        np.zeros((k, m, m)),
        np.zeros((k, m)),
        np.zeros((k, m, m)),
        np.zeros((k, m)),
        np.zeros((k, m, m)),
        np.zeros((k, m)),
        1.0 / variance,
        np.full(1, math.exp(-1.0 / max(k - 1, 1))),
        np.zeros((m, m)),
        np.zeros((m, m)),
        np.zeros((2, m)),
    )


@routine
def take_in(links: Links, arm: int, f: Array, y: float) -> None:
    """Learn that an arm had the value `y` where the features were `f`, float64[m], and tell all arms."""
    for i in range(len(f)):
        for j in range(i + 1):
            links.gram[arm, i, j] += f[i] * f[j]
        links.moment[arm, i] += y * f[i]
    for a in range(arm + 1, len(links.gram)):
        _tell(links, links.low_gram, links.low_moment, a - 1, a)
    for a in range(arm - 1, -1, -1):
        _tell(links, links.high_gram, links.high_moment, a + 1, a)


@routine
def expect(links: Links, arm: int, f: Array) -> tuple[float, float]:
    """Return what an arm is expected to have at the features `f`, and the variance of that in units of the noise's."""
    root = links.scratch_root
    u, v = links.scratch_row[0], links.scratch_row[1]
    m = len(f)
    for i in range(m):
        for j in range(i + 1):
            root[i, j] = links.gram[arm, i, j] + links.low_gram[arm, i, j] + links.high_gram[arm, i, j]
        root[i, i] += links.precision[i]
    _factorise(root, links.precision)
    value, variance = 0.0, 0.0
    for i in range(m):
        u[i] = f[i]
        v[i] = links.moment[arm, i] + links.low_moment[arm, i] + links.high_moment[arm, i]
        for j in range(i):
            u[i] -= root[i, j] * u[j]
            v[i] -= root[i, j] * v[j]
        u[i] *= root[i, i]
        v[i] *= root[i, i]
        value += u[i] * v[i]
        variance += u[i] * u[i]
    return value, variance


@kernel
def _tell(links: Links, grams: Array, moments: Array, of: int, to: int) -> None:
    """Write what arm `of`, with all that stand behind it, knows of its neighbour `to`: a part of `low` or `high`.

    The two are tied by the precision t rho [[rho, -1], [-1, rho]], t = precision / (1 - rho^2), beside the prior that
    each has by itself. With U all that is known of `of`, rho^2 t of the tie included, `to` gets rho^2 t - E U^-1 E and
    E U^-1 moment, where E = rho t. With U = L L' both come from W = L^-1 E.
    """
    root, inverse, v = links.scratch_root, links.scratch_inverse, links.scratch_row[0]
    rho = links.rho[0]
    tie = rho / (1.0 - rho * rho)
    m = len(links.precision)
    for i in range(m):
        for j in range(i + 1):
            root[i, j] = links.gram[of, i, j] + grams[of, i, j]
        root[i, i] += links.precision[i] * (1.0 + rho * tie)
    _factorise(root, links.precision)
    for i in range(m):
        v[i] = links.moment[of, i] + moments[of, i]
        for j in range(i):
            v[i] -= root[i, j] * v[j]
        v[i] *= root[i, i]
        for j in range(i):
            s = 0.0
            for h in range(j, i):
                s -= root[i, h] * inverse[h, j]
            inverse[i, j] = s * root[i, i]
        inverse[i, i] = tie * links.precision[i] * root[i, i]
    for i in range(m):
        s = 0.0
        for h in range(i, m):
            s += inverse[h, i] * v[h]
        moments[to, i] = s
        for j in range(i + 1):
            s = 0.0
            for h in range(i, m):
                s -= inverse[h, i] * inverse[h, j]
            grams[to, i, j] = s
        grams[to, i, i] += rho * tie * links.precision[i]


@kernel
def _factorise(root: Array, least: Array) -> None:
    """Replace a lower triangle A by L, A = L L', with 1 / L[i, i] on the diagonal.

    No pivot of A is below `least`, float64[m]: what is, is so by rounding. What is small beside A's diagonal may be so
    too, from some 1e12 feedbacks on; dividing by it would let the errors grow.
    """
    for i in range(len(least)):
        for j in range(i):
            s = root[i, j]
            for h in range(j):
                s -= root[i, h] * root[j, h]
            root[i, j] = s * root[j, j]
        s = root[i, i]
        lowest = max(least[i], _ROUNDING * s)
        for h in range(i):
            s -= root[i, h] * root[i, h]
        root[i, i] = 1.0 / math.sqrt(max(s, lowest))
