"""Ridge regressions by rank-one updates: the arithmetic that `ArmRidge` and `ActionRidge` share.

A model holds one or more *systems* over the same p coordinates z. A system is kept as sums over what it learned,
gram = sum w z z' and moment = sum w y z, and solved, as inverse = A^-1 and theta = A^-1 moment, where A = gram +
diag(prior).
`learn` moves the solution by Sherman-Morrison. A *refit* solves the sums again, by Cholesky: every half-life if
old feedbacks are forgotten, and where one row of A theta - moment, looked at after each update, has drifted from 0.

Scaling: z[j] = (x[j] - shift[j]) factor[j] within +-bound, so that z has about length 1 whatever the units, and
a last coordinate, the intercept. Shift and factor are the mean and 1 / (standard deviation sqrt(d)) of the contexts
learned so far, found at feedbacks 1, 2, 4 ... 64; the model keeps these contexts, and then learns them all anew. After
that they stay. A feature that never varied has the factor 0; when it first does, the distance becomes its unit, which
is as if it had been so from the start, as its z were 0.

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

from ..arrays import aligned_zeros
from ..errors import InvalidInput, as_seen
from ..kernel import kernel, routine
from ..problem import check_param
from ..vocabulary import Array
from .forgetting import check_half_life, growth, period
from .lanes import add_scaled, column_sums, dot

SCALINGS = ("online", "none")
WARM = 64  # feedbacks that find the scale
INTERCEPT = 0.3  # the last coordinate: small, so that the level of rewards is believed before it is learned
_LARGEST = 1e15  # a coordinate beyond counts as this: the precision of sums does not reach farther
_FARTHEST = 1e100  # a context farther from the shift counts as this far
_NEAREST = 1e-50  # a standard deviation below this is none
_DRIFT = 1e-7  # largest |row of A theta - moment| that is let pass, relative to the sum of its terms' sizes
_FLAT = 1e-10  # a standard deviation of less than this of the mean is rounding


def arrays(
    systems: int, d: int, regularisation: float, half_life: float | None, scaling: str, clip: float
) -> dict[str, Array]:
    """Return the fields that every ridge model has, before any feedback, for contexts of d features.

    `regularisation` > 0 is the prior's precision in each coordinate, in units of the noise's. `scaling` "none" takes
    contexts as they are, within +-1e15, and has no intercept.
    """
    check_param("regularisation", regularisation, low=1e-12, high=1e12)
    half_life = check_half_life(half_life)
    scaled = check_scaling(scaling) == "online"
    p = d + 1 if scaled else d
    warm = WARM if scaled else 0
    form = aligned_zeros(systems, p, p)
    for i in range(p):
        form[:, i, i] = 1.0 / regularisation
    return {
        "learned": np.zeros(1, np.int64),
        "due": np.array([period(half_life)]),
        "period": np.array([period(half_life)]),
        "weight": np.ones(1),
        "growth": np.array([growth(half_life)]),
        "prior": np.full(p, float(regularisation)),
        "shift": aligned_zeros(d),
        "factor": np.full(d, 0.0 if scaled else 1.0),
        "bound": np.full(1, min(clip / math.sqrt(d), _LARGEST) if scaled else _LARGEST),
        "gram": aligned_zeros(systems, p, p),
        "moment": aligned_zeros(systems, p),
        "inverse": form,
        "theta": aligned_zeros(systems, p),
        "repairs": np.zeros(1, np.int64),
        "warm_context": np.zeros((warm, d)),
        "warm_system": np.zeros(warm, np.int64),
        "warm_reward": np.zeros(warm),
        "warm_weight": np.zeros(warm),
        "scratch_scaled": aligned_zeros(p),
        "scratch_row": aligned_zeros(p),
        "scratch_slope": aligned_zeros(d),
        "scratch_matrix": aligned_zeros(p, p),
    }


def check_scaling(scaling: str) -> str:
    """Return "online" or "none"."""
    if scaling not in SCALINGS:
        raise InvalidInput("bad_param", f"scaling is {as_seen(scaling)}: it must be one of {', '.join(SCALINGS)}")
    return scaling


@kernel
def scale(model: Any, x: Array) -> None:
    """Write the coordinates of a context float64[d] into `scratch_scaled`."""
    z = model.scratch_scaled
    bound = model.bound[0]
    d = len(model.shift)
    for j in range(d):
        distance = min(max(x[j] - model.shift[j], -_FARTHEST), _FARTHEST)
        z[j] = min(max(distance * model.factor[j], -bound), bound)
    if len(z) > d:
        z[d] = INTERCEPT


@kernel
def multiply(form: Array, z: Array, row: Array) -> None:
    """Write A^-1 z into `row`, float64[p].

    Half the sum of form's columns and rows times z: the diagonal is in both. Rows are read up to a multiple of eight
    numbers, as far as there are any: they are 0 there.
    """
    p = len(z)
    column_sums(form, z, row)
    for i in range(p):
        row[i] = 0.5 * (row[i] + dot(form[i], z, min(i + 8 - i % 8, p)))


@routine
def learn(model: Any, x: Array, system: int, reward: float, weight: float) -> float:
    """Learn one reward of a system at the context x, float64[d], as if it came `weight` > 0 times.

    Return how far the prediction was off.
    """
    scale(model, x)
    error = reward - dot(model.theta[system], model.scratch_scaled, len(model.prior))
    model.learned[0] += 1
    model.weight[0] *= model.growth[0]
    n = model.learned[0]
    w = weight * model.weight[0]
    due = n >= model.due[0]
    first = n - 1
    if n <= len(model.warm_reward):
        _keep(model, n - 1, x, system, reward, w)
        if n & (n - 1) == 0:
            _find_scale(model, n)
            forget_all(model)
            first = 0
    elif len(model.warm_reward) > 0:
        _wake(model, x)
    sound = True
    for i in range(first, n):  # what came before, then this feedback
        past = i < n - 1
        scale(model, model.warm_context[i] if past else x)
        of = model.warm_system[i] if past else system
        y = model.warm_reward[i] if past else reward
        sound = _take_in(model, of, y, model.warm_weight[i] if past else w)
    if due or not sound:
        model.repairs[0] += not sound
        _refit(model)
    return error


@kernel
def _keep(model: Any, i: int, x: Array, system: int, reward: float, w: float) -> None:
    """Keep one of the first feedbacks."""
    for j in range(len(x)):
        model.warm_context[i, j] = x[j]
    model.warm_system[i] = system
    model.warm_reward[i] = reward
    model.warm_weight[i] = w


@kernel
def _take_in(model: Any, system: int, reward: float, w: float) -> bool:
    """Learn a feedback at `scratch_scaled`; return whether the solution still is one."""
    _add(model, system, reward, w)
    return _move(model, system, reward, w) and _solved(model, system)


@kernel
def _find_scale(model: Any, n: int) -> None:
    """Take the mean and the deviation of the first n contexts."""
    d = len(model.shift)
    for j in range(d):
        mean = 0.0
        for i in range(n):
            mean += model.warm_context[i, j] / n
        square = 0.0
        for i in range(n):
            distance = min(max(model.warm_context[i, j] - mean, -_FARTHEST), _FARTHEST)
            square += distance * distance / n
        deviation = math.sqrt(square)
        model.shift[j] = mean
        model.factor[j] = 0.0
        if deviation > max(_FLAT * abs(mean), _NEAREST):
            model.factor[j] = 1.0 / (deviation * math.sqrt(d))
        else:
            model.shift[j] = model.warm_context[0, j]


@kernel
def forget_all(model: Any) -> None:
    """Put all sums and solutions back to what they were before any feedback."""
    p = len(model.prior)
    for s in range(len(model.moment)):
        for i in range(p):
            for j in range(i + 1):
                model.gram[s, i, j] = 0.0
                model.inverse[s, i, j] = 0.0
            model.inverse[s, i, i] = 1.0 / model.prior[i]
            model.moment[s, i] = 0.0
            model.theta[s, i] = 0.0


@kernel
def _wake(model: Any, x: Array) -> None:
    """Give a unit to features that vary for the first time."""
    d = len(model.shift)
    for j in range(d):
        if model.factor[j] == 0.0:
            distance = abs(x[j] - model.shift[j])
            if distance > max(_FLAT * abs(model.shift[j]), _NEAREST):
                model.factor[j] = 1.0 / (min(distance, _FARTHEST) * math.sqrt(d))


@kernel
def _add(model: Any, system: int, reward: float, w: float) -> None:
    """Add one feedback at `scratch_scaled` to the sums."""
    z = model.scratch_scaled
    gram = model.gram[system]
    moment = model.moment[system]
    p = len(z)
    for i in range(p):
        add_scaled(gram[i], w * z[i], z, i + 1)
    add_scaled(moment, w * reward, z, p)


@kernel
def _move(model: Any, system: int, reward: float, w: float) -> bool:
    """Move a solution by Sherman-Morrison; return False, and leave it alone, where the inverse isn't one any more."""
    form = model.inverse[system]
    theta = model.theta[system]
    z = model.scratch_scaled
    row = model.scratch_row
    p = len(z)
    multiply(form, z, row)
    q = dot(row, z, p)
    if not 0.0 <= q < math.inf:
        return False
    gain = w / (1.0 + w * q)
    step = gain * (reward - dot(theta, z, p))
    add_scaled(theta, step, row, p)
    for i in range(p):
        less = gain * row[i]
        add_scaled(form[i], -2.0 * less, row, i)
        form[i, i] -= less * row[i]
    return True


@kernel
def _solved(model: Any, system: int) -> bool:
    """Tell whether a row of A theta - moment, each in turn, is 0 up to rounding."""
    i = model.learned[0] % len(model.prior)
    gram = model.gram[system]
    theta = model.theta[system]
    moment = model.moment[system, i]
    total = model.prior[i] * theta[i] - moment
    size = abs(model.prior[i] * theta[i]) + abs(moment)
    for j in range(len(theta)):
        term = (gram[i, j] if j <= i else gram[j, i]) * theta[j]
        total += term
        size += abs(term)
    return abs(total) <= _DRIFT * size


@routine
def _refit(model: Any) -> None:
    """Divide by the newest weight, and solve all systems."""
    if model.weight[0] != 1.0:
        _divide(model, model.weight[0])
        model.weight[0] = 1.0
    for s in range(len(model.moment)):
        _solve(model, model.gram[s], model.moment[s], model.inverse[s], model.theta[s])
    model.due[0] = model.learned[0] + model.period[0]


@kernel
def _divide(model: Any, by: float) -> None:
    for s in range(len(model.moment)):
        for i in range(len(model.prior)):
            of = model.gram[s, i]
            for j in range(i + 1):
                of[j] /= by
            model.moment[s, i] /= by
    for i in range(len(model.warm_weight)):
        model.warm_weight[i] /= by


@kernel
def _solve(model: Any, gram: Array, moment: Array, form: Array, theta: Array) -> None:
    """Write A^-1 as a form, and theta = A^-1 moment, from the sums."""
    matrix = model.scratch_matrix
    row = model.scratch_row
    p = len(theta)
    for i in range(p):
        for j in range(i + 1):
            matrix[i, j] = gram[i, j]
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
        y = dot(of, moment, k + 1)
        add_scaled(theta, y, of, k + 1)
        for i in range(k + 1):
            add_scaled(form[i], 2.0 * of[i], of, i + 1)
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
            add_scaled(of, -a, matrix[k], k + 1)
        for j in range(i):
            of[j] /= pivot
        of[i] = 1.0 / pivot


@kernel
def prior_share(model: Any, system: int) -> float:
    """Return by how much the prediction at `scratch_scaled` would rise if the prior expected 1 and not 0.

    Rewards less 1 have the moment b - s, with s the sum of w z: the intercept's row of the Gram matrix, A - prior, by
    the intercept c. So 1 + z' A^-1 (b - s) is z' A^-1 b + prior (A^-1 z)[last] / c, and the rise its last term.
    """
    z = model.scratch_scaled
    last = len(z) - 1
    row = model.inverse[system, last]
    return model.prior[last] / INTERCEPT * (0.5 * dot(row, z, last) + row[last] * z[last])


@kernel
def mean_intercept(model: Any) -> float:
    """Return what is predicted at the mean context, on average over the systems by how much is known of them there."""
    last = len(model.prior) - 1
    total, known = 0.0, 0.0
    for s in range(len(model.moment)):
        total += INTERCEPT * model.theta[s, last]
        known += 1.0 - model.prior[last] * model.inverse[s, last, last]
    return total / known if known > 0.0 else 0.0


@kernel
def width(q: float, weight: float) -> float:
    """Return sqrt(q weight), 0 where rounding made q negative (or NaN)."""
    return math.sqrt(q * weight) if q > 0.0 else 0.0


@kernel
def divide_up(model: Any, x: Array, theta: Array, parts: Array) -> int:
    """Write what each feature of x adds to the prediction, then the intercept, then zeros."""
    scale(model, x)
    z = model.scratch_scaled
    for j in range(len(parts)):
        parts[j] = theta[j] * z[j] if j < len(z) else 0.0
    return len(x)
