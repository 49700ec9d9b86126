"""Few slots: the exact regression on named features, while no more than so many distinct ones came.

Bayesian linear regression on a bias and on two coordinates of each feature: its presence, and, once it came with two
values, the distance from the first of them, in units of the largest such distance. Coefficients have the mean 0 and the
precision `regularisation` in units of the noise's (`_SHARED_PRECISION` times that for what all actions share) before
any feedback. So neither the unit of a feature nor its origin matters, nor the order of rewards. A distance that is
larger than all before makes the unit larger: what is known of the coefficient is put into the new unit, and the prior
of the new one in place of the old one's, both exactly.

Source: Sherman, Morrison 1950, for updates of the covariance by one row and by one prior.
State: a byte a slot, and a matrix of 96 x 96. Cost: `predict` O(n), `spread` O(n^2) for each action of n features,
`fit` O(c^2) with c coordinates so far.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel, routine
from ..problem import check_param
from ..vocabulary import Array, Features, Problem
from .by_parts import as_it_is, bounded, predict, row_part, split
from .forgetting import check_half_life
from .lanes import add_scaled
from .oracle import register_model

COORDINATES = 96  # of which the first is the bias
_SHARED_PRECISION = 32.0  # of the coefficient of a feature that all actions share, in units of another's
_FARTHEST = 1e100  # a value farther from 0 counts as this
_TOO_SMALL = 1e-6  # part of a unit
_NONE = 0  # no coordinate: that of the bias is no feature's


class FewSlots(NamedTuple):
    """Arrays that `fit` writes."""

    coordinate: Array  # uint8[2^bits] of each slot's presence, 0 for none
    used: Array  # int64[1] coordinates so far
    full: Array  # bool[1] whether more would be needed, or old feedbacks are to be forgotten: all is left as it is
    distance: Array  # int64[96] of each presence the coordinate of its distance, 0 for none
    first: Array  # float64[96] the first value of each feature, at its presence
    unit: Array  # float64[96] the largest distance from it, at its presence
    prior: Array  # float64[96] variance of each coefficient before any feedback
    mean: Array  # float64[96]
    covariance: Array  # float64[96, 96] in units of the noise's variance
    scratch_place: Array  # int64[96] coordinates of a row
    scratch_value: Array  # float64[96] and their values
    scratch_gain: Array  # float64[96]


def few_slots(problem: Problem, *, regularisation: float, half_life: float | None = None) -> FewSlots:
    """Return a model that knows nothing yet; one that is to forget is full from the beginning."""
    variance = 1.0 / check_param("regularisation", regularisation, low=1e-12, high=1e12)
    prior, covariance = np.full(COORDINATES, variance), np.zeros((COORDINATES, COORDINATES))
    covariance[0, 0] = variance
    return FewSlots(
        coordinate=np.zeros(problem.context_shape[1], np.uint8),
        used=np.ones(1, np.int64),
        full=np.array([check_half_life(half_life) < math.inf]),
        distance=np.zeros(COORDINATES, np.int64),
        first=np.zeros(COORDINATES),
        unit=np.zeros(COORDINATES),
        prior=prior,
        mean=np.zeros(COORDINATES),
        covariance=covariance,
        scratch_place=np.zeros(COORDINATES, np.int64),
        scratch_value=np.zeros(COORDINATES),
        scratch_gain=np.zeros(COORDINATES),
    )


@kernel
def spread(model: FewSlots, context: Features, available: Array, widths: Array) -> None:
    """Write the standard error of each available action, in units of the noise; a new feature's is its prior's."""
    for a in range(len(available)):
        if available[a]:
            widths[a] = math.sqrt(_variance(model, context, a))


@kernel
def fit(model: FewSlots, context: Features, action: int, reward: float, weight: float) -> float:
    """Learn one reward of one action; return how far the prediction was off."""
    error = reward - model.mean[0] - row_part(model, context, 0) - row_part(model, context, action + 1)
    if model.full[0] or not (_enter(model, context, 0) and _enter(model, context, action + 1)):
        model.full[0] = True
        return error
    n = _gather(model, context, action)
    score = 0.0
    for j in range(n):
        score += model.scratch_value[j] * model.mean[model.scratch_place[j]]
    _learn(model, n, reward - score, 1.0 / weight)
    return error


@kernel
def decay(model: FewSlots, half_life: float) -> None:
    """Give up, in each of models that are stacked, where old feedbacks are to be forgotten."""
    if half_life < math.inf:
        for i in range(model.full.size):
            model.full.flat[i] = True


@routine
def _enter(model: FewSlots, context: Features, row: int) -> bool:
    """Give each feature of a row its coordinates, and its distance a unit; tell whether there was room."""
    prior = model.prior[0] / _SHARED_PRECISION if row == 0 else model.prior[0]
    for j in range(context.start[row], context.start[row + 1]):
        slot, x = context.index[j], bounded(context.value[j], _FARTHEST)
        c = int(model.coordinate[slot])
        if c == _NONE:
            c = model.used[0]
            if c == COORDINATES:
                return False
            _begin(model, c, prior)
            model.coordinate[slot] = c
            model.first[c] = x
        size = abs(x - model.first[c])
        if size > model.unit[c]:
            z = model.distance[c]
            if z == _NONE:
                z = model.used[0]
                if z == COORDINATES:
                    return False
                _begin(model, z, prior)
                model.distance[c] = z
            elif model.unit[c] > 0.0:
                _stretch(model, z, model.unit[c] / size)
            model.unit[c] = size
    return True


@kernel
def _begin(model: FewSlots, c: int, prior: float) -> None:
    """Begin a coordinate of which nothing is known."""
    model.prior[c] = prior
    model.covariance[c, c] = prior
    model.used[0] = c + 1


@kernel
def _stretch(model: FewSlots, c: int, ratio: float) -> None:
    """Make the unit of a coordinate larger: its values become `ratio` < 1 times as large, and its prior is as before.

    In the new unit the old prior has the precision ratio^2 / prior. What is missing to 1 / prior is learned, as a row
    that has a 1 at the coordinate alone, and the target 0. Of a unit that was far too small nothing is known.
    """
    if ratio < _TOO_SMALL:
        for i in range(model.used[0]):
            model.covariance[c, i] = 0.0
            model.covariance[i, c] = 0.0
        model.covariance[c, c] = model.prior[c]
        model.mean[c] = 0.0
        return
    for i in range(model.used[0]):
        model.covariance[c, i] /= ratio
        model.covariance[i, c] /= ratio
    model.mean[c] /= ratio
    missing = (1.0 - ratio) * (1.0 + ratio) / model.prior[c]
    if missing > 0.0:
        model.scratch_place[0] = c
        model.scratch_value[0] = 1.0
        _learn(model, 1, -model.mean[c], 1.0 / missing)


@kernel
def _learn(model: FewSlots, n: int, error: float, noise: float) -> None:
    """Learn a row of n coordinates, whose target is `error` above its prediction and has the variance `noise`."""
    gain, used = model.scratch_gain, model.used[0]
    for i in range(used):
        gain[i] = 0.0
    for j in range(n):
        add_scaled(gain, model.scratch_value[j], model.covariance[model.scratch_place[j]], used)
    variance = noise
    for j in range(n):
        variance += model.scratch_value[j] * gain[model.scratch_place[j]]
    for i in range(used):
        share = gain[i] / variance
        model.mean[i] += share * error
        add_scaled(model.covariance[i], -share, gain, used)


@kernel
def _gather(model: FewSlots, context: Features, action: int) -> int:
    """Write the coordinates of an action that are known, and their values; return how many."""
    model.scratch_place[0] = 0
    model.scratch_value[0] = 1.0
    n = 1
    for row in (0, action + 1):
        for j in range(context.start[row], context.start[row + 1]):
            c = int(model.coordinate[context.index[j]])
            if c == _NONE or n + 2 > COORDINATES:
                continue
            model.scratch_place[n] = c
            model.scratch_value[n] = 1.0
            n += 1
            if model.distance[c] != _NONE:
                model.scratch_place[n] = model.distance[c]
                model.scratch_value[n] = _place(model, c, context.value[j])
                n += 1
    return n


@kernel
def _variance(model: FewSlots, context: Features, action: int) -> float:
    n = _gather(model, context, action)
    total = 0.0
    for j in range(n):
        row, inner = model.covariance[model.scratch_place[j]], 0.0
        for i in range(n):
            inner += model.scratch_value[i] * row[model.scratch_place[i]]
        total += model.scratch_value[j] * inner
    for row_number in (0, action + 1):
        prior = model.prior[0] / _SHARED_PRECISION if row_number == 0 else model.prior[0]
        for j in range(context.start[row_number], context.start[row_number + 1]):
            if model.coordinate[context.index[j]] == _NONE:
                total += prior
    return max(total, 0.0)


@kernel
def _bias(model: FewSlots, context: Features) -> float:
    return model.mean[0]


@kernel
def _part(model: FewSlots, slot: int, value: float, scale: float) -> float:
    """Return what a feature adds to the prediction."""
    c = int(model.coordinate[slot])
    if c == _NONE:
        return 0.0
    part = model.mean[c]
    if model.distance[c] != _NONE:
        part += model.mean[model.distance[c]] * _place(model, c, value)
    return part


@kernel
def _place(model: FewSlots, c: int, value: float) -> float:
    """Return the distance of a value from the first one in units of the largest; no more than thrice that."""
    return min(max((bounded(value, _FARTHEST) - model.first[c]) / model.unit[c], -3.0), 3.0)


register_model(
    FewSlots, predict=predict, spread=spread, fit=fit, split=split, part=_part, bias=_bias, scale=as_it_is, decay=decay
)
