"""Ridge regressions on features that the model chooses for itself, each with a matrix of 256 rows.

Each arm has a regression on 256 coordinates of the context (`fourier_coordinates.py`): the context's own features, up
to 127 of them, and cosines.

Cost: predict O(m d + K p), spread O(K p^2), fit O(m d + p^2), six times in a life O(64 p^2).
"""

from __future__ import annotations

from typing import NamedTuple

from ..kernel import kernel, routine
from ..vocabulary import Array, Problem
from . import arm_ridge as arms
from .arm_ridge import ArmRidge, arm_ridge
from .fourier_coordinates import KEPT, arrays, begins_anew, divide_up, keep, measure, write_coordinates
from .lanes import dot
from .oracle import register_model

COORDINATES = 256
OWN_MAX = 127  # features that still are coordinates themselves


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
    scratch_frequency: Array  # float64[m, d]
    scratch_phase: Array  # float64[m]
    scratch_z: Array  # float64[d]
    scratch_coordinates: Array  # float64[256]


def fourier_ridge(problem: Problem, *, regularisation: float, half_life: float | None = None) -> FourierRidge:
    """Return the model of a problem with contexts float64[d], d >= 1, before any feedback."""
    d = problem.context_shape[0]
    ridge = arm_ridge(
        Problem(problem.n_arms, (COORDINATES,)), regularisation=regularisation, half_life=half_life, scaling="none"
    )
    return FourierRidge(ridge, **arrays(d, COORDINATES, own=d <= OWN_MAX))


@kernel
def predict(model: FourierRidge, context: Array, available: Array, scores: Array) -> None:
    """Write the prediction of each available arm."""
    write_coordinates(model, context)
    arms.predict(model.ridge, model.scratch_coordinates, available, scores)
    for a in range(len(available)):
        if available[a]:
            scores[a] += model.origin[0]


@kernel
def spread(model: FourierRidge, context: Array, available: Array, widths: Array) -> None:
    """Write the standard error of each available arm's prediction, in units of the noise."""
    write_coordinates(model, context)
    arms.spread(model.ridge, model.scratch_coordinates, available, widths)


@routine
def fit(model: FourierRidge, context: Array, action: int, reward: float, weight: float) -> float:
    """Learn one reward of one arm; return how far the prediction was off."""
    write_coordinates(model, context)
    theta = model.ridge.theta[action]
    error = reward - model.origin[0] - dot(theta, model.scratch_coordinates, len(theta))
    before = model.ridge.learned[0]
    if before < KEPT:
        keep(model, before, context, action, reward, weight)
    if begins_anew(before + 1):
        _begin_anew(model, before + 1)
    else:
        _learn(model, context, action, reward, weight)
    return error


@kernel
def split(model: FourierRidge, context: Array, action: int, parts: Array) -> int:
    """Write what each feature adds to the arm's prediction, then the rest: the intercept."""
    return divide_up(model, context, model.ridge.theta[action], parts)


@kernel
def _learn(model: FourierRidge, context: Array, action: int, reward: float, weight: float) -> None:
    write_coordinates(model, context)
    arms.fit(model.ridge, model.scratch_coordinates, action, reward - model.origin[0], weight)


@kernel
def _begin_anew(model: FourierRidge, count: int) -> None:
    """Take units and origin from the first `count` feedbacks, forget what was learned, and learn these again."""
    measure(model, count)
    _forget(model.ridge)
    for i in range(count):
        _learn(model, model.context[i], model.action[i], model.reward[i], model.weight[i])


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
