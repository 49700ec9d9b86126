"""One ridge regression per arm on the instance's features: the oracle for arms that are numbered once for all.

The scale of the features is that of all contexts learned so far, whatever the arm; how it is kept, and how feedbacks
are forgotten, is told in `ridge.py`.
Cost: predict O(K d), spread O(K d^2), fit O(d^2); a refit O(K d^3).
"""

from __future__ import annotations

from typing import NamedTuple

from ..kernel import kernel
from ..vocabulary import Array, Problem
from .forgetting import let_weights_grow
from .lanes import dot, quadratic
from .oracle import register_model
from .ridge import arrays, divide_up, forget_all, learn, mean_intercept, prior_share, scale, width

_CLIP = 2.0  # standard deviations


class ArmRidge(NamedTuple):
    """K ridge regressions over p coordinates: d scaled features and an intercept, or d features as they are."""

    learned: Array  # int64[1] feedbacks
    due: Array  # int64[1] the number of feedbacks at which the next refit comes
    period: Array  # int64[1] feedbacks from one refit to the next, at most
    weight: Array  # float64[1] of the newest feedback; 1 where nothing is forgotten
    growth: Array  # float64[1] by which each feedback weighs more than the one before
    prior: Array  # float64[p] precision of each coefficient before any feedback
    shift: Array  # float64[d] what is subtracted from a context
    factor: Array  # float64[d] what it is then multiplied with; 0 where the feature was never seen to vary
    bound: Array  # float64[1] largest size of a scaled feature
    gram: Array  # float64[k, p, p] weighted sums of products of coordinates, lower triangle
    moment: Array  # float64[k, p] weighted sums of reward times coordinate
    inverse: Array  # float64[k, p, p] quadratic form of the inverse, lower triangle
    theta: Array  # float64[k, p] coefficients
    repairs: Array  # int64[1] refits because a solution had drifted
    warm_context: Array  # float64[64, d] the first contexts, which find the scale; none where there is no scaling
    warm_system: Array  # int64[64] their arms
    warm_reward: Array  # float64[64]
    warm_weight: Array  # float64[64]
    scratch_scaled: Array  # float64[p]
    scratch_row: Array  # float64[p]
    scratch_slope: Array  # float64[d]
    scratch_matrix: Array  # float64[p, p]


def arm_ridge(
    problem: Problem, *, regularisation: float = 1.0, half_life: float | None = None, scaling: str = "online"
) -> ArmRidge:
    """Return the model of a problem with contexts float64[d], before any feedback."""
    return ArmRidge(**arrays(problem.n_arms, problem.context_shape[0], regularisation, half_life, scaling, _CLIP))


@kernel
def predict(model: ArmRidge, context: Array, available: Array, scores: Array) -> None:
    """Write theta' z of each available arm."""
    scale(model, context)
    z = model.scratch_scaled
    for a in range(len(available)):
        if available[a]:
            scores[a] = dot(model.theta[a], z, len(z))


@kernel
def spread(model: ArmRidge, context: Array, available: Array, widths: Array) -> None:
    """Write sqrt(z' A^-1 z) of each available arm."""
    scale(model, context)
    for a in range(len(available)):
        if available[a]:
            q = quadratic(model.inverse[a], model.scratch_scaled)
            widths[a] = width(q, model.weight[0])


@kernel
def fit(model: ArmRidge, context: Array, action: int, reward: float, weight: float) -> float:
    """Learn one reward of one arm; return how far the prediction was off."""
    return learn(model, context, action, reward, weight)


@kernel
def split(model: ArmRidge, context: Array, action: int, parts: Array) -> int:
    """Write what each feature adds to the arm's prediction, then the intercept."""
    return divide_up(model, context, model.theta[action], parts)


@kernel
def prior_shares(model: ArmRidge, context: Array, available: Array, shares: Array) -> None:
    """Write by how much the prediction of each available arm would rise if the prior expected 1 more."""
    scale(model, context)
    for a in range(len(available)):
        if available[a]:
            shares[a] = prior_share(model, a)


@kernel
def mean_level(model: ArmRidge) -> float:
    """Return the mean of the arms' intercepts."""
    return mean_intercept(model)


@kernel
def forget(model: ArmRidge) -> None:
    """Put a model that takes contexts as they are back to what it was before any feedback."""
    model.learned[0] = 0
    model.weight[0] = 1.0
    model.due[0] = model.period[0]
    forget_all(model)


register_model(
    ArmRidge,
    predict=predict,
    spread=spread,
    fit=fit,
    split=split,
    prior_shares=prior_shares,
    mean_level=mean_level,
    forget=forget,
    decay=let_weights_grow,
)
