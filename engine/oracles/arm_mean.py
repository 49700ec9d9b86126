"""The mean reward of each arm, drawn towards 0: the oracle where there are no contexts.

It is ridge regression on an intercept alone: mean = sum of rewards / (feedbacks + regularisation). Feedbacks are
forgotten as in `ridge.py`: newer ones weigh more, and every half-life all is divided by the newest weight.
Cost: predict and spread O(K), fit O(1).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel
from ..problem import check_param
from ..vocabulary import Array, Problem
from .forgetting import check_half_life, growth, period
from .oracle import register_model


class ArmMean(NamedTuple):
    """Arrays that `fit` writes."""

    learned: Array  # int64[1] feedbacks since the weights were divided
    period: Array  # int64[1] feedbacks after which they are
    weight: Array  # float64[1] of the newest feedback; 1 where nothing is forgotten
    growth: Array  # float64[1] by which each feedback weighs more than the one before
    prior: Array  # float64[1]
    precision: Array  # float64[k] weights of an arm's feedbacks, and the prior
    total: Array  # float64[k] weighted sum of its rewards
    mean: Array  # float64[k]


def arm_mean(problem: Problem, *, regularisation: float = 1.0, half_life: float | None = None) -> ArmMean:
    """Return the model of a problem without contexts, before any feedback."""
    prior = check_param("regularisation", regularisation, low=1e-12, high=1e12)
    half_life = check_half_life(half_life)
    k = problem.n_arms
    return ArmMean(
        learned=np.zeros(1, np.int64),
        period=np.array([period(half_life)]),
        weight=np.ones(1),
        growth=np.array([growth(half_life)]),
        prior=np.array([prior]),
        precision=np.full(k, prior),
        total=np.zeros(k),
        mean=np.zeros(k),
    )


@kernel
def predict(model: ArmMean, context: Array, available: Array, scores: Array) -> None:
    """Write the mean of each arm; those of arms that are not available mean nothing."""
    for a in range(len(available)):
        scores[a] = model.mean[a]


@kernel
def spread(model: ArmMean, context: Array, available: Array, widths: Array) -> None:
    """Write 1 / sqrt(feedbacks + prior) of each arm."""
    for a in range(len(available)):
        widths[a] = math.sqrt(model.weight[0] / model.precision[a])


@kernel
def fit(model: ArmMean, context: Array, action: int, reward: float, weight: float) -> float:
    """Learn one reward of one arm; return how far the mean was off."""
    error = reward - model.mean[action]
    model.weight[0] *= model.growth[0]
    w = weight * model.weight[0]
    model.precision[action] += w
    model.total[action] += w * reward
    model.mean[action] = model.total[action] / model.precision[action]
    model.learned[0] += 1
    if model.learned[0] >= model.period[0]:
        _divide(model)
    return error


@kernel
def split(model: ArmMean, context: Array, action: int, parts: Array) -> int:
    """Write the mean: an intercept is all there is."""
    for j in range(len(parts)):
        parts[j] = 0.0
    parts[0] = model.mean[action]
    return 0


@kernel
def prior_shares(model: ArmMean, context: Array, available: Array, shares: Array) -> None:
    """Write by how much the mean of each arm would rise if the prior expected 1 more."""
    for a in range(len(available)):
        shares[a] = model.prior[0] / model.precision[a]


@kernel
def mean_level(model: ArmMean) -> float:
    """Return the mean of the arms' means, each weighed by what is known of it."""
    total, known = 0.0, 0.0
    for a in range(len(model.mean)):
        total += model.mean[a]
        known += 1.0 - model.prior[0] / model.precision[a]
    return total / known if known > 0.0 else 0.0


@kernel
def decay(model: ArmMean, half_life: float) -> None:
    """Change the half-life."""
    for i in range(model.growth.size):
        model.growth.flat[i] = growth(half_life)
        model.period.flat[i] = period(half_life)


@kernel
def _divide(model: ArmMean) -> None:
    """Divide by the newest weight, and put the full prior back."""
    for a in range(len(model.mean)):
        model.precision[a] = (model.precision[a] - model.prior[0]) / model.weight[0] + model.prior[0]
        model.total[a] /= model.weight[0]
        model.mean[a] = model.total[a] / model.precision[a]
    model.weight[0] = 1.0
    model.learned[0] = 0


register_model(
    ArmMean,
    predict=predict,
    spread=spread,
    fit=fit,
    split=split,
    prior_shares=prior_shares,
    mean_level=mean_level,
    decay=decay,
)
