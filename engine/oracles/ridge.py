"""Ridge regressions by rank-one updates: the arithmetic that `ArmRidge` and `ActionRidge` share.

A model holds one or more *systems* over the same p coordinates. A system is kept twice: as sums over what it learned,
gram = sum w u u' and moment = sum w y u of the raw coordinates u = context - shift (with a last one that is 1, the
intercept), and solved, as inverse = A^-1 and theta = A^-1 b of the scaled coordinates z = factor u, where

    A = F gram F + diag(prior), b = F moment, F = diag(factor).

`learn` moves the solution by Sherman-Morrison. A *refit* solves the sums again by Cholesky: when the number of
feedbacks reaches 1, 2, 4, 8 ... if contexts are scaled, for then shift becomes the mean of what was learned and factor
1 / (standard deviation sqrt(d)), so that z has about length 1 whatever the units; at least every half-life if old
feedbacks are forgotten; and where one row of A theta - b, looked at after each update, has drifted away from 0.

Forgetting: instead of shrinking what is known, new feedbacks weigh more, by 2^(1 / half_life) each, which is exact and
keeps A positive definite. A refit divides by the newest weight and puts the full prior back, so that the prior never
counts less than half.

Symmetric matrices are lower triangles in full rows; what lies above is 0 and never written. `inverse` holds the
quadratic form z' A^-1 z: A^-1[i, i], and 2 A^-1[i, j] where j < i.

Source: Sherman, Morrison 1950; Golub, Van Loan, "Matrix computations", 4th ed. 2013, sections 2.1.4 and 4.2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onearm.engine.errors import InvalidInput
from onearm.engine.kernel import kernel
from onearm.engine.oracles.lanes import dot
from onearm.engine.problem import check_param
from onearm.engine.vocabulary import Array

NEVER = 2**62
SCALINGS = ("online", "none")
_DRIFT = 1e-7  # largest |row of A theta - b| that is let pass, relative to the sum of its terms' sizes
_FLAT = 1e-12  # a variance that is less than this of the second moment around the old shift is rounding


def arrays(systems: int, d: int, regularisation: float, half_life: float | None, scaling: str) -> dict[str, Array]:
    """Return the fields that every ridge model has, before any feedback, for contexts of d features.

    `regularisation` > 0 is the prior's precision in each scaled coordinate, in units of the noise's. `scaling` "none"
    takes contexts as they are and has no intercept, unless there are no features.
    """
    check_param("regularisation", regularisation, low=1e-12, high=1e12)
    half_life = check_half_life(half_life)
    scaled = check_scaling(scaling) == "online"
    p = d + 1 if scaled or d == 0 else d
    form = np.zeros((systems, p, p))
    for i in range(p):
        form[:, i, i] = 1.0 / regularisation
    return {
        "learned": np.zeros(1, np.int64),
        "due": np.array([1 if scaled and d > 0 else _period(half_life)]),
        "period": np.array([_period(half_life)]),
        "weight": np.ones(1),
        "growth": np.array([2.0 ** (1.0 / half_life)]),
        "prior": np.full(p, float(regularisation)),
        "shift": np.zeros(d),
        "factor": np.full(d, 0.0 if scaled else 1.0),
        "gram": np.zeros((systems, p, p)),
        "moment": np.zeros((systems, p)),
        "inverse": form,
        "theta": np.zeros((systems, p)),
        "repairs": np.zeros(1, np.int64),
        "scratch_raw": np.zeros(p),
        "scratch_scaled": np.zeros(p),
        "scratch_row": np.zeros(p),
        "scratch_slope": np.zeros(d),
        "scratch_matrix": np.zeros((p, p)),
    }


def check_half_life(half_life: float | None) -> float:
    """Return a half-life in feedbacks; infinity, which None stands for, is never."""
    if half_life is None or half_life == math.inf:
        return math.inf
    return check_param("half_life", half_life, low=1.0, high=1e15)


def check_scaling(scaling: str) -> str:
    """Return "online" or "none"."""
    if scaling not in SCALINGS:
        raise InvalidInput("bad_param", f"scaling is {scaling!r}: it must be one of {', '.join(SCALINGS)}")
    return scaling


def _period(half_life: float) -> int:
    return NEVER if half_life == math.inf else int(half_life)


@kernel
def scale(model: Any, x: Array) -> None:
    """Write the scaled coordinates of a context float64[d] into `scratch_scaled`."""
    z = model.scratch_scaled
    d = len(model.shift)
    for j in range(d):
        z[j] = (x[j] - model.shift[j]) * model.factor[j]
    if len(z) > d:
        z[d] = 1.0


@kernel
def multiply(form: Array, z: Array, row: Array) -> None:
    """Write A^-1 z into `row`, float64[p]."""
    p = len(z)
    for i in range(p):
        row[i] = dot(form[i], z, i)
    for i in range(p):
        of = form[i]
        zi = z[i]
        for j in range(i):
            row[j] += zi * of[j]
    for i in range(p):
        row[i] = 0.5 * row[i] + form[i, i] * z[i]


@kernel
def learn(model: Any, x: Array, system: int, reward: float, weight: float) -> None:
    """Learn one reward of a system at the context x, float64[d], as if it came `weight` > 0 times."""
    d = len(model.shift)
    p = len(model.prior)
    model.learned[0] += 1
    model.weight[0] *= model.growth[0]
    w = weight * model.weight[0]
    gram = model.gram[system]
    moment = model.moment[system]
    theta = model.theta[system]
    stale = model.learned[0] >= model.due[0]
    if d == 0:
        gram[0, 0] += w
        moment[0] += w * reward
        inverse = 1.0 / (gram[0, 0] + model.prior[0])
        model.inverse[system, 0, 0] = inverse
        theta[0] = moment[0] * inverse
    else:
        if model.learned[0] == 1 and p > d:
            for j in range(d):
                model.shift[j] = x[j]
        scale(model, x)
        _add(model, x, gram, moment, reward, w)
        if not stale and not _move(model, model.inverse[system], theta, reward, w):
            stale = True
            model.repairs[0] += 1
        if not stale and _drifted(model, gram, moment, theta, model.learned[0] % p):
            stale = True
            model.repairs[0] += 1
    if stale:
        _refit(model)


@kernel
def _add(model: Any, x: Array, gram: Array, moment: Array, reward: float, w: float) -> None:
    """Add one feedback to the sums."""
    u = model.scratch_raw
    d = len(model.shift)
    p = len(u)
    for j in range(d):
        u[j] = x[j] - model.shift[j]
    if p > d:
        u[d] = 1.0
    for i in range(p):
        of = gram[i]
        wu = w * u[i]
        for j in range(i + 1):
            of[j] += wu * u[j]
    wy = w * reward
    for j in range(p):
        moment[j] += wy * u[j]


@kernel
def _move(model: Any, form: Array, theta: Array, reward: float, w: float) -> bool:
    """Move a solution by Sherman-Morrison; return False, and leave it alone, where the inverse isn't one any more."""
    z = model.scratch_scaled
    row = model.scratch_row
    p = len(z)
    multiply(form, z, row)
    q = dot(row, z, p)
    if not 0.0 <= q < math.inf:
        return False
    gain = w / (1.0 + w * q)
    step = gain * (reward - dot(theta, z, p))
    for j in range(p):
        theta[j] += step * row[j]
    for i in range(p):
        of = form[i]
        less = gain * row[i]
        of[i] += less * row[i]
        less *= 2.0
        for j in range(i + 1):
            of[j] -= less * row[j]
    return True


@kernel
def _drifted(model: Any, gram: Array, moment: Array, theta: Array, i: int) -> bool:
    """Tell whether row i of A theta - b is off."""
    d = len(model.shift)
    p = len(theta)
    total = -moment[i]
    size = abs(moment[i])
    for j in range(p):
        term = (gram[i, j] if j <= i else gram[j, i]) * theta[j]
        if j < d:
            term *= model.factor[j]
        total += term
        size += abs(term)
    factor = model.factor[i] if i < d else 1.0
    own = model.prior[i] * theta[i]
    return not abs(total * factor + own) <= _DRIFT * (size * factor + abs(own))


@kernel
def _refit(model: Any) -> None:
    """Divide by the newest weight, scale anew if contexts are scaled, and solve all systems."""
    p = len(model.prior)
    d = len(model.shift)
    if model.weight[0] != 1.0:
        _divide(model, model.weight[0])
        model.weight[0] = 1.0
    if p > d > 0:
        _rescale(model)
    for s in range(len(model.moment)):
        _solve(model, model.gram[s], model.moment[s], model.inverse[s], model.theta[s])
    model.due[0] = model.learned[0] + model.period[0]
    if p > d > 0:
        model.due[0] = min(model.due[0], 2 * model.learned[0])


@kernel
def _divide(model: Any, by: float) -> None:
    for s in range(len(model.moment)):
        for i in range(len(model.prior)):
            of = model.gram[s, i]
            for j in range(i + 1):
                of[j] /= by
            model.moment[s, i] /= by


@kernel
def _rescale(model: Any) -> None:
    """Move the shift to the mean of what was learned, transform the sums, and take the new deviations as units.

    The scale of a feature that never varied is unknown: its factor is 0, and it counts from the refit on that sees it
    vary.
    """
    d = len(model.shift)
    mean = model.scratch_scaled
    before = model.scratch_raw
    for j in range(d + 1):
        mean[j] = 0.0
        before[j] = 0.0
    for s in range(len(model.moment)):
        for j in range(d + 1):
            mean[j] += model.gram[s, d, j]
            before[j] += model.gram[s, j, j]
    total = mean[d]
    for j in range(d):
        mean[j] /= total
        model.shift[j] += mean[j]
        model.factor[j] = 0.0
    for s in range(len(model.moment)):
        _shift_sums(model.gram[s], model.moment[s], mean)
        for j in range(d):
            model.factor[j] += model.gram[s, j, j]
    for j in range(d):
        spread = model.factor[j]
        model.factor[j] = 1.0 / math.sqrt(spread / total * d) if spread > _FLAT * before[j] else 0.0


@kernel
def _shift_sums(gram: Array, moment: Array, by: Array) -> None:
    """Make the sums of u into those of u - by; the last coordinate is the intercept's."""
    d = len(moment) - 1
    first = gram[d]
    n = first[d]
    for i in range(d):
        of = gram[i]
        a = by[i]
        b = first[i] - a * n
        for j in range(i + 1):
            of[j] -= a * first[j] + b * by[j]
    for j in range(d):
        first[j] -= by[j] * n
        moment[j] -= by[j] * moment[d]


@kernel
def _solve(model: Any, gram: Array, moment: Array, form: Array, theta: Array) -> None:
    """Write A^-1 as a form, and theta = A^-1 b, from the sums."""
    matrix = model.scratch_matrix
    row = model.scratch_row
    f = model.scratch_scaled
    d = len(model.shift)
    p = len(theta)
    for j in range(p):
        f[j] = model.factor[j] if j < d else 1.0
    for i in range(p):
        for j in range(i + 1):
            matrix[i, j] = f[i] * gram[i, j] * f[j]
        matrix[i, i] += model.prior[i]
    _cholesky(matrix, model.prior, row)
    _invert(matrix, row)
    for i in range(p):
        of = form[i]
        for j in range(i + 1):
            of[j] = 0.0
        theta[i] = 0.0
    for k in range(p):
        of = matrix[k]
        y = 0.0
        for j in range(k + 1):
            y += of[j] * f[j] * moment[j]
        for j in range(k + 1):
            theta[j] += y * of[j]
        for i in range(k + 1):
            to = form[i]
            double = 2.0 * of[i]
            for j in range(i + 1):
                to[j] += double * of[j]
    for i in range(p):
        form[i, i] *= 0.5


@kernel
def _cholesky(matrix: Array, floor: Array, column: Array) -> None:
    """Replace a lower triangle A by L, A = L L'. No pivot of gram + diag(floor) is below floor, so none is let be."""
    p = len(floor)
    for k in range(p):
        pivot = math.sqrt(max(matrix[k, k], floor[k]))
        matrix[k, k] = pivot
        for i in range(k + 1, p):
            matrix[i, k] /= pivot
            column[i] = matrix[i, k]
        for i in range(k + 1, p):
            of = matrix[i]
            a = column[i]
            for j in range(k + 1, i + 1):
                of[j] -= a * column[j]


@kernel
def _invert(matrix: Array, row: Array) -> None:
    """Replace a lower triangle L by L^-1."""
    p = len(row)
    for i in range(p):
        of = matrix[i]
        pivot = of[i]
        for j in range(i):
            row[j] = of[j]
            of[j] = 0.0
        for k in range(i):
            a = row[k]
            upper = matrix[k]
            for j in range(k + 1):
                of[j] -= a * upper[j]
        for j in range(i):
            of[j] /= pivot
        of[i] = 1.0 / pivot


@kernel
def width(q: float, weight: float) -> float:
    """Return sqrt(q weight), 0 where rounding made q negative (or NaN)."""
    return math.sqrt(q * weight) if q > 0.0 else 0.0


@kernel
def divide_up(model: Any, x: Array, theta: Array, parts: Array) -> None:
    """Write what each feature of x adds to the prediction, then the intercept, then zeros."""
    d = len(model.shift)
    for j in range(len(parts)):
        parts[j] = 0.0
    for j in range(d):
        parts[j] = (x[j] - model.shift[j]) * model.factor[j] * theta[j]
    if len(theta) > d:
        parts[d] = theta[d]
