"""One ridge regression that all actions share, on the features of the action: the oracle for dense action features.

An action set may be another one in each call. The scale of the features is that of the actions that were learned; how
it is kept, and how feedbacks are forgotten, is told in `ridge.py`.
Cost, for k actions of p features: predict O(k p), spread O(k p^2), fit O(p^2); a refit O(p^3).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..kernel import kernel
from ..vocabulary import Array, Problem
from .forgetting import let_weights_grow
from .lanes import dot, four_dots, quadratic
from .oracle import register_model
from .ridge import INTERCEPT, arrays, divide_up, learn, mean_intercept, prior_share, scale, width


class ActionRidge(NamedTuple):
    """One ridge regression over p coordinates: d scaled features and an intercept, or d features as they are."""

    learned: Array  # int64[1] feedbacks
    due: Array  # int64[1] the number of feedbacks at which the next refit comes
    period: Array  # int64[1] feedbacks from one refit to the next, at most
    weight: Array  # float64[1] of the newest feedback; 1 where nothing is forgotten
    growth: Array  # float64[1] by which each feedback weighs more than the one before
    prior: Array  # float64[p] precision of each coefficient before any feedback
    shift: Array  # float64[d] what is subtracted from a row
    factor: Array  # float64[d] what it is then multiplied with; 0 where the feature was never seen to vary
    bound: Array  # float64[1] largest size of a scaled feature
    gram: Array  # float64[1, p, p] weighted sums of products of coordinates, lower triangle
    moment: Array  # float64[1, p] weighted sums of reward times coordinate
    inverse: Array  # float64[1, p, p] quadratic form of the inverse, lower triangle
    theta: Array  # float64[1, p] coefficients
    repairs: Array  # int64[1] refits because the solution had drifted
    warm_context: Array  # float64[64, d] the first contexts, which find the scale; none where there is no scaling
    warm_system: Array  # int64[64] 0
    warm_reward: Array  # float64[64]
    warm_weight: Array  # float64[64]
    scratch_scaled: Array  # float64[p]
    scratch_row: Array  # float64[p]
    scratch_slope: Array  # float64[d]
    scratch_matrix: Array  # float64[p, p]


def action_ridge(
    problem: Problem, *, regularisation: float = 1.0, half_life: float | None = None, scaling: str = "online"
) -> ActionRidge:
    """Return the model of a problem with contexts float64[k, d], before any feedback."""
    return ActionRidge(**arrays(1, problem.context_shape[1], regularisation, half_life, scaling, math.inf))


@kernel
def predict(model: ActionRidge, context: Array, available: Array, scores: Array) -> None:
    """Write theta' z of each available action, four neighbours at once where all are available.

    z is linear in the row, and so the shift is taken off once for all: rounding costs as much as it does in the row.
    """
    d = len(model.shift)
    slope = model.scratch_slope
    for j in range(d):
        slope[j] = model.factor[j] * model.theta[0, j]
    base = model.theta[0, d] * INTERCEPT if model.theta.shape[1] > d else 0.0
    base -= dot(model.shift, slope, d)
    size = 0.0  # not finite where a score is not
    a, k = 0, len(available)
    while a < k:
        if a + 4 <= k and available[a] and available[a + 1] and available[a + 2] and available[a + 3]:
            s0, s1, s2, s3 = four_dots(context, a, slope)
            scores[a], scores[a + 1], scores[a + 2], scores[a + 3] = base + s0, base + s1, base + s2, base + s3
            size += abs((scores[a] + scores[a + 1]) + (scores[a + 2] + scores[a + 3]))
            a += 4
        else:
            if available[a]:
                scores[a] = base + dot(context[a], slope, d)
                size += abs(scores[a])
            a += 1
    if not size < math.inf:
        _bring_back(model, context, available, scores)


@kernel
def _bring_back(model: ActionRidge, context: Array, available: Array, scores: Array) -> None:
    """Make scores finite: where one is not, coordinates are far beyond the bound that `fit` sets them."""
    for a in range(len(available)):
        if available[a] and not abs(scores[a]) < math.inf:
            scale(model, context[a])
            scores[a] = dot(model.theta[0], model.scratch_scaled, len(model.scratch_scaled))


@kernel
def spread(model: ActionRidge, context: Array, available: Array, widths: Array) -> None:
    """Write sqrt(z' A^-1 z) of each available action."""
    for a in range(len(available)):
        if available[a]:
            scale(model, context[a])
            q = quadratic(model.inverse[0], model.scratch_scaled)
            widths[a] = width(q, model.weight[0])


@kernel
def fit(model: ActionRidge, context: Array, action: int, reward: float, weight: float) -> float:
    """Learn one reward of one action; return how far the prediction was off."""
    return learn(model, context[action], 0, reward, weight)


@kernel
def split(model: ActionRidge, context: Array, action: int, parts: Array) -> int:
    """Write what each feature of the action adds to its prediction, then the intercept."""
    return divide_up(model, context[action], model.theta[0], parts)


@kernel
def prior_shares(model: ActionRidge, context: Array, available: Array, shares: Array) -> None:
    """Write by how much the prediction of each available action would rise if the prior expected 1 more.

    As in `predict`, the sums over features are linear in the row.
    """
    d = len(model.shift)
    slope = model.scratch_slope
    row = model.inverse[0, d]
    for j in range(d):
        slope[j] = 0.5 * model.factor[j] * row[j]
    base = row[d] * INTERCEPT - dot(model.shift, slope, d)
    unit = model.prior[d] / INTERCEPT
    for a in range(len(available)):
        if available[a]:
            shares[a] = unit * (base + dot(context[a], slope, d))
            if not abs(shares[a]) < math.inf:
                scale(model, context[a])
                shares[a] = prior_share(model, 0)


@kernel
def mean_level(model: ActionRidge) -> float:
    """Return the intercept."""
    return mean_intercept(model)


register_model(
    ActionRidge,
    predict=predict,
    spread=spread,
    fit=fit,
    split=split,
    prior_shares=prior_shares,
    mean_level=mean_level,
    decay=let_weights_grow,
)
