"""Estimators with a model of the rewards: what it predicts, corrected by the rewards that were seen.

Columns of n logged decisions beside those of `weighting.py`, each float64[n]: `predicted`, the model's reward of the
logged action, and `expected`, the sum over all actions of the policy's probability times the model's reward. The model
must not have learned the row that it predicts: `reward_model.py` makes such ones. Refused are columns that are not
finite, and what `weighting.py` refuses; `InvalidInput` names the row.

>>> reward, propensity, target = np.array([1.0, 0.0]), np.array([0.5, 0.5]), np.array([1.0, 0.0])
>>> dr(reward, propensity, target, predicted=np.array([0.75, 0.25]), expected=np.array([0.75, 0.5])).value
0.875
"""

from __future__ import annotations

import math

import numpy as np

from ..vocabulary import Array
from .terms import Terms
from .tuning import Tuned, falling, least_error, limits
from .weighting import check_limit, column, weights


def dm(expected: Array, corrected: Array | None = None) -> Terms:
    """Estimate by the model alone, the "direct method": the mean of `expected`.

    Columns: `expected`, float64[n]; and `corrected`, float64[n], the base of `dr` with the same model.
    Source: Dudik, Langford, Li 2011, "Doubly robust policy evaluation and learning".
    Assumes: the model is right; no other estimator here does. How wrong it is the predictions don't tell, so its
    intervals contain those of `dr`, and without `corrected` there is none.
    Refuses: predictions that are not finite.

    >>> dm(np.array([0.25, 0.75])).value
    0.5
    """
    expected = column("expected", expected)
    n = len(expected)
    by_dr = np.full(n, math.nan) if corrected is None else column("corrected", corrected, n)
    return Terms("dm", expected, None, None, np.ones(n), by_dr)


def dr(reward: Array, propensity: Array, target: Array, predicted: Array, expected: Array) -> Terms:
    """Estimate by the model, plus the weighted mean of how far it was off: "doubly robust".

    Columns: `reward`, `propensity`, `target`, `predicted` and `expected`, float64[n] each.
    Source: Dudik, Langford, Li 2011; Dudik, Erhan, Langford, Li 2014, "Doubly robust policy evaluation and
    optimization".
    Assumes: the propensities are true, or the model is right; one of both does.
    Refuses: what this file's first lines tell.
    """
    weight = weights(propensity, target, "dr")
    return _corrected("dr", weight, reward, predicted, expected)


def sndr(reward: Array, propensity: Array, target: Array, predicted: Array, expected: Array) -> Terms:
    """Estimate as `dr`, with a correction that is divided by the sum of its weights: "self-normalised".

    Columns: `reward`, `propensity`, `target`, `predicted` and `expected`, float64[n] each.
    Source: Thomas, Brunskill 2016, "Data-efficient off-policy policy evaluation" (weighted doubly robust).
    Assumes: as `dr`; the bias is of order 1 / n.
    Refuses: what this file's first lines tell.

    >>> one = np.ones(2)
    >>> sndr(np.array([1.0, 0.0]), one / 2, np.array([1.0, 0.0]), one / 4, one / 4).value
    1.0
    """
    weight = weights(propensity, target, "sndr")
    n = len(weight)
    residual = column("reward", reward, n) - column("predicted", predicted, n)
    return Terms("sndr", column("expected", expected, n), weight * residual, weight, weight)


def switch_dr(
    reward: Array, propensity: Array, target: Array, predicted: Array, expected: Array, weight_max: float
) -> Terms:
    """Estimate as `dr` where the weight is at most `weight_max`, in [0, inf], and by the model alone elsewhere.

    Columns: `reward`, `propensity`, `target`, `predicted` and `expected`, float64[n] each.
    Source: Wang, Agarwal, Dudik 2017, "Optimal and adaptive off-policy evaluation in contextual bandits".
    Assumes: as `dr`; where weights are larger, the model is right. With inf it is `dr`, with 0 it is `dm`. Intervals
    contain those of `dr`.
    Refuses: what this file's first lines tell, and a `weight_max` that is negative or NaN.

    >>> half = np.array([0.5, 0.5])
    >>> switch_dr(np.array([1.0, 0.0]), np.array([0.125, 0.5]), half, half, half, weight_max=2.0).value
    0.25
    """
    check_limit("weight_max", weight_max)
    weight = weights(propensity, target, "switch_dr")
    found = _corrected("switch_dr", _switched(weight, weight_max), reward, predicted, expected)
    return _with_dr(found, weight, reward, predicted, expected)


def tuned_switch_dr(reward: Array, propensity: Array, target: Array, predicted: Array, expected: Array) -> Tuned:
    """Choose the `weight_max` of `switch_dr`, from inf, 21 limits within the weights, and 0, by `tuning.least_error`.

    Columns: `reward`, `propensity`, `target`, `predicted` and `expected`, float64[n] each.

    >>> half = np.array([0.5, 0.5])
    >>> tuned_switch_dr(np.array([1.0, 0.0]), half, half, half, half).limit
    0.0
    """
    weight = weights(propensity, target, "switch_dr")
    found = least_error(
        lambda weight_max: _corrected("switch_dr", _switched(weight, weight_max), reward, predicted, expected),
        [math.inf, *limits(weight), 0.0],
    )
    return found._replace(terms=_with_dr(found.terms, weight, reward, predicted, expected))


def dros(reward: Array, propensity: Array, target: Array, predicted: Array, expected: Array, shrinkage: float) -> Terms:
    """Estimate as `dr`, by weights w shrunk to s w / (w^2 + s), s = `shrinkage` in [0, inf]: "optimistic shrinkage".

    Columns: `reward`, `propensity`, `target`, `predicted` and `expected`, float64[n] each.
    Source: Su, Dimakopoulou, Krishnamurthy, Dudik 2020, "Doubly robust off-policy evaluation with shrinkage".
    Assumes: as `dr`; the bias is the weighted error of the model times what was shrunk. With inf it is `dr`, with 0
    it is `dm`; no weight is larger than sqrt(s) / 2.
    Refuses: what this file's first lines tell, and a `shrinkage` that is negative or NaN.

    >>> zero, half = np.zeros(2), np.array([0.5, 0.5])
    >>> dros(np.array([1.0, 0.0]), half, np.array([1.0, 0.0]), zero, zero, shrinkage=4.0).value
    0.5
    """
    check_limit("shrinkage", shrinkage)
    weight = weights(propensity, target, "dros")
    found = _corrected("dros", _shrunk(weight, shrinkage), reward, predicted, expected)
    return _with_dr(found, weight, reward, predicted, expected)


def tuned_dros(reward: Array, propensity: Array, target: Array, predicted: Array, expected: Array) -> Tuned:
    """Choose the `shrinkage` of `dros`, from inf, 21 numbers around the weights' squares, and 0, by `least_error`.

    Columns: `reward`, `propensity`, `target`, `predicted` and `expected`, float64[n] each.

    They are those of Su, Dimakopoulou, Krishnamurthy, Dudik 2020, from 100 times the square of the 0.95 quantile of
    the positive weights down to a hundredth of the square of their 0.05 quantile.

    >>> half = np.array([0.5, 0.5])
    >>> tuned_dros(np.array([1.0, 0.0]), half, half, half, half).limit
    0.0
    """
    weight = weights(propensity, target, "dros")
    within = limits(weight)
    between = falling(0.01 * within[-1] ** 2, 100.0 * within[0] ** 2) if within else []
    found = least_error(
        lambda shrinkage: _corrected("dros", _shrunk(weight, shrinkage), reward, predicted, expected),
        [math.inf, *between, 0.0],
    )
    return found._replace(terms=_with_dr(found.terms, weight, reward, predicted, expected))


def mrdr(reward: Array, propensity: Array, target: Array, predicted: Array, expected: Array) -> Terms:
    """Estimate as `dr`, by a model that was fitted with the weights of `mrdr_weight`: "more robust doubly robust".

    Columns: `reward`, `propensity`, `target`, `predicted` and `expected`, float64[n] each.
    Source: Farajtabar, Chow, Ghavamzadeh 2018, "More robust doubly robust off-policy evaluation".
    Assumes: as `dr`. The weights make the model as good as can be where its errors would spread the estimate most.
    Refuses: what this file's first lines tell.
    """
    weight = weights(propensity, target, "mrdr")
    return _corrected("mrdr", weight, reward, predicted, expected)


def mrdr_weight(propensity: Array, target: Array) -> Array:
    """Return what each row weighs in the fit of the model for `mrdr`, float64[n]: (target / propensity)^2 (1 - p).

    It is the diagonal of the paper's quadratic form: the mean of the model's squared errors with these weights is
    their part in the variance of `dr`, where at most one action's prediction is off, or the errors of different
    actions have nothing to do with each other. Where the policy is deterministic nothing is left out.

    >>> mrdr_weight(np.array([0.5, 0.25]), np.array([1.0, 0.0]))
    array([2., 0.])
    """
    weight = weights(propensity, target, "mrdr")
    return np.asarray(weight * weight * np.maximum(1.0 - np.asarray(propensity), 0.0))


def _switched(weight: Array, weight_max: float) -> Array:
    return np.where(weight <= weight_max, weight, 0.0)


def _shrunk(weight: Array, shrinkage: float) -> Array:
    if shrinkage in (0.0, math.inf):
        return weight if shrinkage else np.zeros(len(weight))
    return np.asarray(weight * (shrinkage / (weight * weight + shrinkage)))


def _with_dr(found: Terms, weight: Array, reward: Array, predicted: Array, expected: Array) -> Terms:
    return found._replace(corrected=_corrected("dr", weight, reward, predicted, expected).base)


def _corrected(method: str, weight: Array, reward: Array, predicted: Array, expected: Array) -> Terms:
    n = len(weight)
    base = column("reward", reward, n) - column("predicted", predicted, n)
    base *= weight
    base += column("expected", expected, n)
    return Terms(method, base, None, None, weight)
