"""One ridge regression per arm, of which a single triangle is kept: the square root of its inverse.

A regression on p coordinates z learns A = prior + sum w z z' and theta = A^-1 sum w y z. Kept are theta and a lower
triangle R with A^-1 = R' R. So z' A^-1 z is a sum of squares, |R z|^2, which no rounding makes negative, and there are
no sums beside it that it could drift from: p^2 / 2 numbers where `ArmRidge` keeps 2 p^2.
A feedback turns the rows of R, one after the other, against a vector e that ends as A^-1 z (Carlson 1973):

    f = R z,  s_0 = 1 / w,  e = 0;  for i = 1 ... p:  s_i = s_(i-1) + f_i^2
    row_i, e = sqrt(s_(i-1) / s_i) row_i - f_i / sqrt(s_(i-1) s_i) e,  e + f_i row_i
    theta = theta + (y - theta' z) e / s_p

Of an arm that was never played nothing is written or read: theta is 0, and its triangle is the root of the prior.

Forgetting: instead of shrinking what is known, new feedbacks weigh more, by 2^(1 / half_life) each. Every half-life all
is divided by the newest weight, and the full prior is put back: each coordinate learns a 0 with the weight that the
prior lost. So the prior never counts less than half.

Rows of R follow each other; eight of them have one length, a multiple of eight, and what lies above the diagonal is 0.
Source: Carlson, "Fast triangular formulation of the square root filter", AIAA Journal 11, 1973; Bierman,
"Factorization methods for discrete sequential estimation", 1977, chapter V.
Cost: predict O(K p), spread O(K p^2) for the arms that were played, fit O(p^2); every half-life O(p^3) for each.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..arrays import aligned_zeros
from ..kernel import kernel, kernel_beside, register, routine
from ..problem import check_param
from ..vocabulary import Array
from .forgetting import check_half_life, growth, let_weights_grow, period
from .lanes import add_scaled, dot, four_dots

ROWS = 8  # of one length, and so what the number of coordinates is a multiple of


class RootRidge(NamedTuple):
    """Arrays that `fit` writes, of K arms and p coordinates."""

    learned: Array  # int64[1] feedbacks
    due: Array  # int64[1] the number of feedbacks at which the prior is put back
    period: Array  # int64[1] feedbacks from one such to the next
    weight: Array  # float64[1] of the newest feedback; 1 where nothing is forgotten
    growth: Array  # float64[1] by which each feedback weighs more than the one before
    prior: Array  # float64[1] precision of each coefficient before any feedback
    played: Array  # bool[k]
    root: Array  # float64[k, numbers_of(p)] R, of arms that were played; else 0
    theta: Array  # float64[k, p] coefficients
    scratch_product: Array  # float64[p] R z
    scratch_carried: Array  # float64[p] e
    scratch_unit: Array  # float64[p] all 0 between calls


def root_ridge(n_arms: int, coordinates: int, *, regularisation: float, half_life: float | None) -> RootRidge:
    """Return K regressions before any feedback; `coordinates` is a multiple of eight."""
    prior = check_param("regularisation", regularisation, low=1e-12, high=1e12)
    half_life = check_half_life(half_life)
    return RootRidge(
        learned=np.zeros(1, np.int64),
        due=np.array([period(half_life)]),
        period=np.array([period(half_life)]),
        weight=np.ones(1),
        growth=np.array([growth(half_life)]),
        prior=np.full(1, prior),
        played=np.zeros(n_arms, np.bool_),
        root=aligned_zeros(n_arms, numbers_of(coordinates)),
        theta=aligned_zeros(n_arms, coordinates),
        scratch_product=aligned_zeros(coordinates),
        scratch_carried=aligned_zeros(coordinates),
        scratch_unit=aligned_zeros(coordinates),
    )


def numbers_of(coordinates: int) -> int:
    """Return how many numbers a triangle of so many rows takes.

    >>> numbers_of(8), numbers_of(256)
    (64, 33792)
    """
    return coordinates * (coordinates + ROWS) // 2


@kernel
def predict(model: RootRidge, z: Array, available: Array, scores: Array) -> None:
    """Write theta' z of each available arm."""
    for a in range(len(available)):
        if available[a]:
            scores[a] = dot(model.theta[a], z, len(z)) if model.played[a] else 0.0


@kernel
def spread(model: RootRidge, z: Array, available: Array, widths: Array) -> None:
    """Write sqrt(z' A^-1 z) of each available arm."""
    fresh = math.sqrt(model.weight[0] * dot(z, z, len(z)) / model.prior[0])
    product = model.scratch_product
    for a in range(len(available)):
        if available[a]:
            widths[a] = fresh
            if model.played[a]:
                _multiply(model.root[a], z, product)
                widths[a] = math.sqrt(model.weight[0] * dot(product, product, len(z)))


@routine
def fit(model: RootRidge, z: Array, action: int, reward: float, weight: float) -> float:
    """Learn one reward of an arm at the coordinates z, as if it came `weight` > 0 times.

    Return how far the prediction was off.
    """
    model.learned[0] += 1
    model.weight[0] *= model.growth[0]
    if not model.played[action]:
        model.played[action] = True
        _write_prior(model.root[action], len(z), model.prior[0])
    error = _take_in(model, z, action, reward, weight * model.weight[0])
    if model.learned[0] >= model.due[0]:
        _put_prior_back(model)
    return error


@kernel
def forget(model: RootRidge) -> None:
    """Put a model back to what it was before any feedback."""
    model.learned[0] = 0
    model.weight[0] = 1.0
    model.due[0] = model.period[0]
    for a in range(len(model.played)):
        if model.played[a]:
            model.played[a] = False
            model.theta[a, :] = 0.0
            model.root[a, :] = 0.0


@kernel
def _write_prior(root: Array, p: int, prior: float) -> None:
    """Write the root of the prior's inverse into a triangle that is 0."""
    start = 0
    for i in range(p):
        root[start + i] = 1.0 / math.sqrt(prior)
        start += i + ROWS - i % ROWS


@kernel
def _take_in(model: RootRidge, z: Array, arm: int, reward: float, w: float) -> float:
    """Learn a reward of weight w; return how far the prediction was off."""
    root, theta = model.root[arm], model.theta[arm]
    f, e = model.scratch_product, model.scratch_carried
    _multiply(root, z, f)
    e[:] = 0.0
    start, total = 0, 1.0 / w
    for i in range(len(z)):
        n = i + ROWS - i % ROWS
        if f[i] != 0.0:
            before, total = total, total + f[i] * f[i]
            less = f[i] / math.sqrt(before) / math.sqrt(total)
            _turn(root[start : start + n], e, math.sqrt(before / total), less, f[i])
        start += n
    error = reward - dot(theta, z, len(z))
    add_scaled(theta, error / total, e, len(z))
    return error


@kernel
def _put_prior_back(model: RootRidge) -> None:
    """Divide what was learned by the newest weight, and learn in each coordinate what the prior lost by that."""
    newest = model.weight[0]
    z = model.scratch_unit
    for a in range(len(model.played)):
        if model.played[a]:
            _enlarge(model.root[a], math.sqrt(newest))
            for j in range(len(z)):
                z[j] = 1.0
                if newest > 1.0:
                    _take_in(model, z, a, 0.0, model.prior[0] * (1.0 - 1.0 / newest))
                z[j] = 0.0
    model.weight[0] = 1.0
    model.due[0] = model.learned[0] + model.period[0]


def _multiply_in_python(root: Array, z: Array, product: Array) -> None:
    start = 0
    for n in range(ROWS, len(z) + 1, ROWS):
        terms = root[start : start + ROWS * n].reshape(ROWS, -1, 8) * z[:n].reshape(-1, 8)
        lanes = np.add.accumulate(terms, axis=1)[:, -1]
        for half in (4, 2, 1):
            lanes = lanes[:, :half] + lanes[:, half:]
        product[n - ROWS : n] = lanes[:, 0]
        start += ROWS * n


@kernel_beside(_multiply_in_python)
def _multiply(root: Array, z: Array, product: Array) -> None:
    """Write R z into `product`, float64[p]."""
    start = 0
    for n in range(ROWS, len(z) + 1, ROWS):
        rows = root[start : start + ROWS * n].reshape(ROWS, n)
        for i in range(0, ROWS, 4):
            at = n - ROWS + i
            product[at], product[at + 1], product[at + 2], product[at + 3] = four_dots(rows, i, z[:n])
        start += ROWS * n


def _turn_in_python(row: Array, e: Array, keep: float, less: float, f: float) -> None:
    carried = e[: len(row)]
    turned = keep * row - less * carried
    carried += f * row
    row[:] = turned


@kernel_beside(_turn_in_python)
def _turn(row: Array, e: Array, keep: float, less: float, f: float) -> None:
    """Turn a row of R against the beginning of e."""
    for j in range(len(row)):
        old, carried = row[j], e[j]
        row[j] = keep * old - less * carried
        e[j] = carried + f * old


def _enlarge_in_python(numbers: Array, by: float) -> None:
    numbers *= by


@kernel_beside(_enlarge_in_python)
def _enlarge(numbers: Array, by: float) -> None:
    for i in range(len(numbers)):
        numbers[i] *= by


register(RootRidge, predict=predict, spread=spread, fit=fit, forget=forget, decay=let_weights_grow)
