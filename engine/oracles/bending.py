"""Models whose predictions bend: one ridge regression per arm over coordinates that the model makes of a context.

These are the kernels of `FourierRidge` and `FourierRoot`. Such a model has the fields of `fourier_coordinates.arrays`,
and in `ridge` regressions over the coordinates with `learned` and `theta`, which can be asked for `predict`, `spread`,
`fit` and `forget`.

Cost: predict O(m d + K p), spread O(K p^2), fit O(m d + p^2), six times in a life O(64 p^2).
"""

from __future__ import annotations

from typing import Any

from ..kernel import kernel, routine
from ..vocabulary import Array
from . import oracle
from .fourier_coordinates import KEPT, begins_anew, divide_up, keep, measure, write_coordinates
from .lanes import dot
from .oracle import register_model


def register_bending(model_class: type) -> None:
    """File the kernels of this file under the class of such a model."""
    register_model(model_class, predict=predict, spread=spread, fit=fit, split=split)


@kernel
def predict(model: Any, context: Array, available: Array, scores: Array) -> None:
    """Write the prediction of each available arm."""
    write_coordinates(model, context)
    oracle.predict(model.ridge, model.scratch_coordinates, available, scores)
    for a in range(len(available)):
        if available[a]:
            scores[a] += model.origin[0]


@kernel
def spread(model: Any, context: Array, available: Array, widths: Array) -> None:
    """Write the standard error of each available arm's prediction, in units of the noise."""
    write_coordinates(model, context)
    oracle.spread(model.ridge, model.scratch_coordinates, available, widths)


@routine
def fit(model: Any, context: Array, action: int, reward: float, weight: float) -> float:
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
def split(model: Any, context: Array, action: int, parts: Array) -> int:
    """Write what each feature adds to the arm's prediction, then the rest: the intercept."""
    return divide_up(model, context, model.ridge.theta[action], parts)


@kernel
def _learn(model: Any, context: Array, action: int, reward: float, weight: float) -> None:
    write_coordinates(model, context)
    oracle.fit(model.ridge, model.scratch_coordinates, action, reward - model.origin[0], weight)


@kernel
def _begin_anew(model: Any, count: int) -> None:
    """Take units and origin from the first `count` feedbacks, forget what was learned, and learn these again."""
    measure(model, count)
    oracle.forget(model.ridge)
    for i in range(count):
        _learn(model, model.context[i], model.action[i], model.reward[i], model.weight[i])
