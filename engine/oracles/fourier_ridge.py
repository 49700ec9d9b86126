"""Ridge regressions on features that the model chooses for itself: the context's own and random Fourier features.

Each arm has a regression on p coordinates of a context x float64[d],

    0.1,  1.5 z_1 / sqrt(d) ... 1.5 z_d / sqrt(d),  sqrt(2 / m) cos(2 pi (w_i' z + b_i)), i = 1 ... m,

where z is x with each feature's mean taken off and divided by its standard deviation, and then drawn in smoothly,
z / sqrt(1 + (z / 2.5)^2), so that no outlier takes a prediction far away. The cosines are a random draw of the features
of a Gaussian kernel, whose width is 1 / 1.2 of the root mean square distance of z from its mean: a linear model on them
bends. There are p = 256 coordinates; above 127 features all but the first are cosines.

Mean and deviation must be known before the coordinates are. So the first 64 feedbacks are kept, and at the 2nd, 4th,
8th, 16th, 32nd and 64th all of them are learned anew in the units they show; from then on the units stay. The lowest
reward seen up to there is the origin of rewards: an arm that was never tried is expected to pay that.

Source: Rahimi, Recht, "Random features for large-scale kernel machines", NIPS 2007. The numbers are measured: a coarse
search over digits, wine, breast_cancer, segment and phishing together (`benchmarks/contextual.py` has these).
Cost: predict O(m d + K p), spread O(K p^2), fit O(m d + p^2), six times in a life O(64 p^2).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..draws import normals, unit, words
from ..elementary import cos_turns
from ..kernel import kernel, routine
from ..vocabulary import Array, Key, Problem
from . import arm_ridge as arms
from .arm_ridge import ArmRidge, arm_ridge
from .lanes import dot
from .oracle import register_model

KEPT = 64
COORDINATES = 256
OWN_MAX = 127  # features that still are coordinates themselves
_CONSTANT = 0.1
_OWN = 1.5
_SQUEEZE = 2.5
_BANDWIDTH = 1.2
_TURN = 2.0 * math.pi
_RUN = np.uint64(0x666F7572696572)  # of the draws that make the cosines: the same ones in every run
_FARTHEST = 1e100  # a context farther from the mean counts as this far
_NEAREST = 1e-50  # a standard deviation below this is none
_FLAT = 1e-10  # one that is less than this of the mean is rounding


class FourierRidge(NamedTuple):
    """Arrays that `fit` writes."""

    ridge: ArmRidge  # over the 256 coordinates
    origin: Array  # float64[1] what a reward is measured from
    mean: Array  # float64[d]
    factor: Array  # float64[d] 1 / standard deviation; 0 where the feature was never seen to vary
    context: Array  # float64[64, d] of the first feedbacks
    action: Array  # int64[64]
    reward: Array  # float64[64]
    weight: Array  # float64[64]
    scratch_frequency: Array  # float64[m, d] w, in turns; drawn from a fixed key
    scratch_phase: Array  # float64[m] b, in turns
    scratch_z: Array  # float64[d]
    scratch_coordinates: Array  # float64[256]


def fourier_ridge(problem: Problem, *, regularisation: float, half_life: float | None = None) -> FourierRidge:
    """Return the model of a problem with contexts float64[d], d >= 1, before any feedback."""
    d = problem.context_shape[0]
    m = COORDINATES - 1 - (d if d <= OWN_MAX else 0)
    ridge = arm_ridge(
        Problem(problem.n_arms, (COORDINATES,)), regularisation=regularisation, half_life=half_life, scaling="none"
    )
    frequency = _BANDWIDTH / math.sqrt(d) / _TURN * normals(_RUN, m, 1, d)
    number: Any = np.arange(m)
    phase = np.asarray(unit(words(Key(_RUN, number), 0, 0)[0]))
    return FourierRidge(
        ridge=ridge,
        origin=np.zeros(1),
        mean=np.zeros(d),
        factor=np.zeros(d),
        context=np.zeros((KEPT, d)),
        action=np.zeros(KEPT, np.int64),
        reward=np.zeros(KEPT),
        weight=np.zeros(KEPT),
        scratch_frequency=frequency,
        scratch_phase=phase,
        scratch_z=np.zeros(d),
        scratch_coordinates=np.zeros(COORDINATES),
    )


@kernel
def predict(model: FourierRidge, context: Array, available: Array, scores: Array) -> None:
    """Write the prediction of each available arm."""
    _coordinates(model, context)
    arms.predict(model.ridge, model.scratch_coordinates, available, scores)
    for a in range(len(available)):
        if available[a]:
            scores[a] += model.origin[0]


@kernel
def spread(model: FourierRidge, context: Array, available: Array, widths: Array) -> None:
    """Write the standard error of each available arm's prediction, in units of the noise."""
    _coordinates(model, context)
    arms.spread(model.ridge, model.scratch_coordinates, available, widths)


@routine
def fit(model: FourierRidge, context: Array, action: int, reward: float, weight: float) -> float:
    """Learn one reward of one arm; return how far the prediction was off."""
    _coordinates(model, context)
    theta = model.ridge.theta[action]
    error = reward - model.origin[0] - dot(theta, model.scratch_coordinates, len(theta))
    before = model.ridge.learned[0]
    if before < KEPT:
        model.action[before] = action
        model.reward[before] = reward
        model.weight[before] = weight
        for j in range(len(context)):
            model.context[before, j] = context[j]
    count = before + 1
    if 1 < count <= KEPT and count & (count - 1) == 0:
        _begin_anew(model, count)
    else:
        _learn(model, context, action, reward, weight)
    return error


@kernel
def split(model: FourierRidge, context: Array, action: int, parts: Array) -> int:
    """Write what each feature adds to the arm's prediction, then the rest: the intercept.

    What a feature adds through the cosines is the prediction less that with the feature at its mean.
    """
    d = len(context)
    theta = model.ridge.theta[action]
    for j in range(len(parts)):
        parts[j] = 0.0
    _standardise(model, context)
    _transform(model)
    whole = dot(theta, model.scratch_coordinates, len(theta))
    rest = whole + model.origin[0]
    for j in range(d):
        own = model.scratch_z[j]
        model.scratch_z[j] = 0.0
        _transform(model)
        parts[j] = whole - dot(theta, model.scratch_coordinates, len(theta))
        rest -= parts[j]
        model.scratch_z[j] = own
    parts[d] = rest
    return d


@routine
def _coordinates(model: FourierRidge, context: Array) -> None:
    """Write the 256 coordinates of a context into `scratch_coordinates`."""
    _standardise(model, context)
    _transform(model)


@kernel
def _standardise(model: FourierRidge, context: Array) -> None:
    """Write z into `scratch_z`."""
    for j in range(len(context)):
        v = min(max(context[j] - model.mean[j], -_FARTHEST), _FARTHEST) * model.factor[j]
        q = v / _SQUEEZE
        model.scratch_z[j] = v / math.sqrt(1.0 + q * q)


@kernel
def _transform(model: FourierRidge) -> None:
    """Write the coordinates of the z in `scratch_z` into `scratch_coordinates`."""
    z = model.scratch_z
    to = model.scratch_coordinates
    d = len(z)
    m = len(model.scratch_phase)
    to[0] = _CONSTANT
    first = len(to) - m
    if first > 1:
        size = _OWN / math.sqrt(float(d))
        for j in range(d):
            to[1 + j] = size * z[j]
    size = math.sqrt(2.0 / m)
    for i in range(m):
        to[first + i] = model.scratch_phase[i] + dot(model.scratch_frequency[i], z, d)
    for i in range(m):
        to[first + i] = size * cos_turns(to[first + i])


@kernel
def _learn(model: FourierRidge, context: Array, action: int, reward: float, weight: float) -> None:
    _coordinates(model, context)
    arms.fit(model.ridge, model.scratch_coordinates, action, reward - model.origin[0], weight)


@kernel
def _begin_anew(model: FourierRidge, count: int) -> None:
    """Take units and origin from the first `count` feedbacks, forget what was learned, and learn these again."""
    _measure(model, count)
    _forget(model.ridge)
    for i in range(count):
        _learn(model, model.context[i], model.action[i], model.reward[i], model.weight[i])


@kernel
def _measure(model: FourierRidge, count: int) -> None:
    """Set mean, factor and origin from the first `count` feedbacks."""
    lowest = model.reward[0]
    for i in range(count):
        lowest = min(lowest, model.reward[i])
    model.origin[0] = lowest
    for j in range(len(model.mean)):
        mean = 0.0
        for i in range(count):
            mean += model.context[i, j] / count
        square = 0.0
        for i in range(count):
            u = min(max(model.context[i, j] - mean, -_FARTHEST), _FARTHEST)
            square += u * u
        deviation = math.sqrt(square / count)
        model.mean[j] = mean
        model.factor[j] = 1.0 / deviation if deviation > max(_FLAT * abs(mean), _NEAREST) else 0.0


@kernel
def _forget(ridge: ArmRidge) -> None:
    """Put a model back to what it was before any feedback."""
    p = len(ridge.prior)
    ridge.learned[0] = 0
    ridge.weight[0] = 1.0
    ridge.due[0] = ridge.period[0]
    for a in range(len(ridge.moment)):
        for i in range(p):
            ridge.moment[a, i] = 0.0
            ridge.theta[a, i] = 0.0
            for j in range(i + 1):
                ridge.gram[a, i, j] = 0.0
                ridge.inverse[a, i, j] = 0.0
            ridge.inverse[a, i, i] = 1.0 / ridge.prior[i]


register_model(FourierRidge, predict=predict, spread=spread, fit=fit, split=split)
