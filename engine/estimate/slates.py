"""Estimators for lists: several actions are shown at once, in slots, and each slot may earn.

Columns are float64[n, slots]: `reward`; `propensity` and `target`, with which probability the log and the policy put
the shown action into its slot, given what stands above it. Lists may differ in length: with `length`, int64[n] from 0
to the number of slots, what lies beyond the end of a list is not looked at, and may be NaN..
Values are of whole lists. The estimators differ in what they assume of how slots act on each other, from nothing to
everything; the less they assume, the more the product of the weights spreads them.

>>> reward, propensity = np.array([[1.0, 0.0], [0.0, 1.0]]), np.full((2, 2), 0.5)
>>> target = np.array([[1.0, 0.5], [1.0, 0.0]])
>>> [make(reward, propensity, target).value for make in (slate_ips, independent, cascade)]
[1.0, 1.0, 1.0]

`Terms.weight` is the mean of the weights by which a list's rewards count. All refuse what `weighting.py` refuses, by
slot and row.
"""

from __future__ import annotations

import numpy as np

from ..errors import InvalidInput
from ..vocabulary import Array
from .terms import Terms
from .weighting import column, weights


def slate_ips(reward: Array, propensity: Array, target: Array, length: Array | None = None) -> Terms:
    """Estimate by the product of all slots' weights times the sum of all rewards.

    Columns: `reward`, `propensity` and `target`, float64[n, slots] each; `length`, int64[n].
    Source: Precup, Sutton, Singh 2000; "standard IPS" in McInerney et al. 2020.
    Assumes: nothing of how slots act on each other.

    >>> one = np.ones((1, 2))
    >>> slate_ips(one, one / 2, one).value
    8.0
    """
    weight, shown = _slot_weights(propensity, target, length, "slate_ips")
    whole = weight.prod(axis=1)
    return Terms("slate_ips", whole * _slots("reward", reward, shown).sum(axis=1), None, None, whole)


def independent(reward: Array, propensity: Array, target: Array, length: Array | None = None) -> Terms:
    """Estimate by the sum of each slot's own weight times its own reward (IIPS, the item-position model).

    Columns: `reward`, `propensity` and `target`, float64[n, slots] each; `length`, int64[n].
    Source: Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay, Wen 2018, "Offline evaluation of ranking policies with
    click models". Assumes: what a slot earns depends on no other slot. Here `propensity` and `target` are of the slot
    alone, whatever stands above it.

    >>> one = np.ones((1, 2))
    >>> independent(one, one / 2, one).value
    4.0
    """
    weight, shown = _slot_weights(propensity, target, length, "independent")
    base = (weight * _slots("reward", reward, shown)).sum(axis=1)
    return Terms("independent", base, None, None, _mean_shown(weight, shown))


def cascade(reward: Array, propensity: Array, target: Array, length: Array | None = None) -> Terms:
    """Estimate by the sum of each slot's reward times the weights of it and of all above it (RIPS).

    Columns: `reward`, `propensity` and `target`, float64[n, slots] each; `length`, int64[n].
    Source: McInerney, Brost, Chandar, Mehrotra, Carterette 2020, "Counterfactual evaluation of slate recommendations
    with sequential reward interactions". Assumes: who looks at a list comes from above, so what a slot earns depends
    on it and on those above it.

    >>> one = np.ones((1, 2))
    >>> cascade(one, one / 2, one).value
    6.0
    """
    weight, shown = _slot_weights(propensity, target, length, "cascade")
    down = np.cumprod(weight, axis=1)
    base = (down * _slots("reward", reward, shown)).sum(axis=1)
    return Terms("cascade", base, None, None, _mean_shown(down, shown))


def cascade_dr(
    reward: Array,
    propensity: Array,
    target: Array,
    predicted: Array,
    expected: Array,
    length: Array | None = None,
) -> Terms:
    """Estimate as `cascade`, corrected by a model of what a slot and all below it will earn.

    `predicted`, float64[n, slots], is the model at the shown action, given those above it, and `expected` the sum over
    all actions of the slot of the policy's probability times the model. The model must not have learned the row.

    Source: Kiyohara, Saito, Matsuhiro, Narita, Shimizu, Yamamoto 2022, "Doubly robust off-policy evaluation for ranking
    policies under the cascade behavior model". Assumes: as `cascade`; the propensities or the model are true.

    >>> one = np.ones((1, 2))
    >>> cascade_dr(one, one / 2, one, predicted=np.array([[2.0, 1.0]]), expected=np.array([[2.0, 1.0]])).value
    2.0
    """
    weight, shown = _slot_weights(propensity, target, length, "cascade_dr")
    down = np.cumprod(weight, axis=1)
    above = np.concatenate([np.ones((len(down), 1)), down[:, :-1]], axis=1)
    residual = _slots("reward", reward, shown) - _slots("predicted", predicted, shown)
    base = (down * residual + above * _slots("expected", expected, shown)).sum(axis=1)
    return Terms("cascade_dr", base, None, None, _mean_shown(down, shown))


def pseudo_inverse(reward: Array, propensity: Array, target: Array, length: Array | None = None) -> Terms:
    """Estimate by one `reward` a list, float64[n], times the sum of the slots' weights, less their number but one.

    Source: Swaminathan, Krishnamurthy, Agarwal, Dudik, Langford, Jose, Zitouni 2017, "Off-policy evaluation for slate
    recommendation". Assumes: the log drew the slots independently of each other, and the reward's mean is a
    sum of what each slot adds. The weights have the mean 1 and may be negative.

    >>> pseudo_inverse(np.array([1.0]), np.full((1, 2), 0.5), np.ones((1, 2))).value
    3.0
    """
    weight, _ = _slot_weights(propensity, target, length, "pseudo_inverse")
    whole = (weight - 1.0).sum(axis=1) + 1.0
    return Terms("pseudo_inverse", whole * column("reward", reward, len(whole)), None, None, whole)


def _slot_weights(propensity: Array, target: Array, length: Array | None, method: str) -> tuple[Array, Array]:
    """Return target / propensity, 1 beyond a list's end, and which slots are shown, both [n, slots]."""
    propensity, target = np.asarray(propensity, np.float64), np.asarray(target, np.float64)
    if propensity.ndim != 2 or propensity.shape != target.shape:
        raise InvalidInput(
            "bad_column",
            f"propensity has the shape {propensity.shape}, target {target.shape}: both must be [lists, slots]",
        )
    shown = _shown(propensity.shape, length)
    weight = np.ones(propensity.shape)
    for slot in range(propensity.shape[1]):
        logged, wanted = (np.where(shown[:, slot], law[:, slot], 1.0) for law in (propensity, target))
        try:
            weight[:, slot] = weights(logged, wanted, method)
        except InvalidInput as wrong:
            raise InvalidInput(wrong.code, f"slot {slot}: {wrong}") from None
    return weight, shown


def _shown(shape: tuple[int, ...], length: Array | None) -> Array:
    n, slots = shape
    if length is None:
        return np.ones(shape, np.bool_)
    length = np.asarray(length)
    if length.shape != (n,) or length.dtype.kind not in "iu":
        raise InvalidInput(
            "bad_column",
            f"length has the shape {length.shape} and the type {length.dtype}: it must be a whole number for each list",
        )
    if not (good := (length >= 0) & (length <= slots)).all():
        row = int(np.argmin(good))
        raise InvalidInput("bad_length", f"the length of row {row} is {length[row]}: it must be from 0 to {slots}")
    return np.asarray(np.arange(slots) < length[:, np.newaxis])


def _slots(name: str, values: Array, shown: Array) -> Array:
    """Return float64[n, slots], finite, with 0 beyond a list's end."""
    values = np.asarray(values, np.float64)
    if values.shape != shown.shape:
        raise InvalidInput(
            "bad_column", f"{name} has the shape {values.shape}: it must be that of target, {shown.shape}"
        )
    if not (good := np.isfinite(values) | ~shown).all():
        row, slot = (int(i) for i in np.argwhere(~good)[0])
        raise InvalidInput(
            "not_finite", f"the {name} of row {row}, slot {slot}, is {values[row, slot]:g}: it must be a finite number"
        )
    return np.where(shown, values, 0.0)


def _mean_shown(weight: Array, shown: Array) -> Array:
    """Return the mean over the slots that are shown, 1 for an empty list."""
    return np.where(shown.any(axis=1), (weight * shown).sum(axis=1) / np.maximum(shown.sum(axis=1), 1), 1.0)
